//! What is said and written down about views.

use alloc::vec::Vec;
use core::fmt;

use quorate_core::{Checkpoint, Malformed, NodeId, Reader, Wire};

use super::{Number, View, Views};
use crate::embed::Restated;

/// What servers and the view service tell one another. `X` is what the members of a replicated service
/// tell one another.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Message<X> {
    /// "I am here": from every server to whoever answers for the service, again and again.
    Ping(Report),
    /// "This is the present view": the answer.
    Current(Known),
    /// What members of the service tell one another.
    Service(X),
    /// The same, with the state that it names attached: so small that it travels inside.
    State {
        /// What the attached state contains.
        checkpoint: Checkpoint,
        /// The state.
        views: Views,
        /// What it is attached to.
        message: X,
    },
}

/// What a server says of itself in a ping.
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub struct Report {
    /// The sender's incarnation.
    pub incarnation: u64,
    /// The view that it is in.
    pub view: Number,
    /// The last view that it was first in and that it acknowledges: every member of it has, on disk, all
    /// that the sender has.
    pub acknowledged: Number,
    /// How it is.
    pub standing: Standing,
    /// Member: the spares that have all that it has, so that they can join. A primary or a tail knows.
    pub ready: Vec<NodeId>,
    /// Member: the members that do not answer it. A primary knows of all, others of their successor.
    pub missing: Vec<NodeId>,
    /// First member: who should be first in its place.
    pub successor: Option<NodeId>,
}

/// How a server is.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash, Debug)]
pub enum Standing {
    /// It does what its place in the view demands.
    #[default]
    Well,
    /// It is first in the view but was stopped since it began to be, so it does not know what it said in
    /// that view: there must be another view.
    Restarted,
    /// It lost records that it had acknowledged, and takes part in nothing until the service knows.
    Lost,
}

/// What a server is told of the present view.
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub struct Known {
    /// The view.
    pub view: View,
    /// Whether the service has written down that its first member acknowledged it.
    pub active: bool,
    /// The latest incarnation of the receiver of which the service knows that it had lost its records.
    pub lost: u64,
}

/// What a server writes down of its part in the view service. `R` is what a member of a replicated
/// service writes.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Record<R> {
    /// The service's state.
    State {
        /// What it contains.
        checkpoint: Checkpoint,
        /// The state.
        views: Views,
    },
    /// A state that arrived and is not the present one yet.
    Staged {
        /// What it contains.
        checkpoint: Checkpoint,
        /// The state.
        views: Views,
    },
    /// An operator's command.
    Operator {
        /// Who is to be first.
        first: NodeId,
    },
    /// A record of the replicated service.
    Service(R),
    /// The records of the replicated service begin behind this one.
    Anew,
    /// The replicated service lost records here.
    Damaged,
}

/// What a server waits for because of the view service. `T` is what a member of a replicated service
/// waits for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Timer<T> {
    /// The next ping is due.
    Ping,
    /// A tick has passed for whoever answers for the service: those that did not ping are older by one.
    Tick,
    /// A timer of the replicated service.
    Service(T),
}

impl<R> From<Restated> for Record<R> {
    fn from(restated: Restated) -> Record<R> {
        match restated {
            Restated::Anew => Record::Anew,
            Restated::Damaged => Record::Damaged,
        }
    }
}

impl Report {
    /// Whether the service should hear it before the next ping is due.
    pub(super) fn is_news_after(&self, before: &Report) -> bool {
        self.acknowledged != before.acknowledged
            || (self.standing != before.standing && self.standing != Standing::Well)
            || (self.successor != before.successor && self.successor.is_some())
            || (self.ready != before.ready && !self.ready.is_empty())
            || (self.missing != before.missing && !self.missing.is_empty())
    }
}

impl fmt::Debug for Known {
    /// What a person would say of it: `view 3[n2, n1], active`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "view {:?}", self.view)?;
        if self.active {
            f.write_str(", active")?;
        }
        match self.lost {
            0 => Ok(()),
            lost => write!(f, ", incarnation {lost} lost its records"),
        }
    }
}

impl fmt::Debug for Report {
    /// What a person would say of it: `in view 3, acknowledged 3, ready [n1]`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "in view {:?}", self.view)?;
        if self.acknowledged > Number(0) {
            write!(f, ", acknowledged {:?}", self.acknowledged)?;
        }
        match self.standing {
            Standing::Well => {}
            Standing::Restarted => f.write_str(", restarted")?,
            Standing::Lost => write!(f, ", lost its records, incarnation {}", self.incarnation)?,
        }
        for (word, servers) in [("ready", &self.ready), ("missing", &self.missing)] {
            if !servers.is_empty() {
                write!(f, ", {word} {servers:?}")?;
            }
        }
        match self.successor {
            Some(successor) => write!(f, ", successor {successor}"),
            None => Ok(()),
        }
    }
}

/// Writes a tag and then the fields, in order.
macro_rules! put {
    ($out:ident, $tag:literal $(, $field:expr)*) => {{
        u8::encode(&$tag, $out);
        $(Wire::encode($field, $out);)*
    }};
}

impl<X: Wire> Wire for Message<X> {
    fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Message::Ping(report) => put!(out, 1, report),
            Message::Current(known) => put!(out, 2, known),
            Message::Service(message) => put!(out, 3, message),
            Message::State {
                checkpoint,
                views,
                message,
            } => put!(out, 4, checkpoint, views, message),
        }
    }

    fn decode(input: &mut Reader<'_>) -> Result<Message<X>, Malformed> {
        let malformed = input.malformed("the tag of a message about views");
        Ok(match u8::decode(input)? {
            1 => Message::Ping(Wire::decode(input)?),
            2 => Message::Current(Wire::decode(input)?),
            3 => Message::Service(Wire::decode(input)?),
            4 => Message::State {
                checkpoint: Wire::decode(input)?,
                views: Wire::decode(input)?,
                message: Wire::decode(input)?,
            },
            _ => return Err(malformed),
        })
    }
}

impl Wire for Report {
    fn encode(&self, out: &mut Vec<u8>) {
        self.incarnation.encode(out);
        self.view.encode(out);
        self.acknowledged.encode(out);
        self.standing.encode(out);
        self.ready.encode(out);
        self.missing.encode(out);
        self.successor.encode(out);
    }

    fn decode(input: &mut Reader<'_>) -> Result<Report, Malformed> {
        Ok(Report {
            incarnation: Wire::decode(input)?,
            view: Wire::decode(input)?,
            acknowledged: Wire::decode(input)?,
            standing: Wire::decode(input)?,
            ready: Wire::decode(input)?,
            missing: Wire::decode(input)?,
            successor: Wire::decode(input)?,
        })
    }
}

impl Wire for Standing {
    fn encode(&self, out: &mut Vec<u8>) {
        let tag: u8 = match self {
            Standing::Well => 0,
            Standing::Restarted => 1,
            Standing::Lost => 2,
        };
        tag.encode(out);
    }

    fn decode(input: &mut Reader<'_>) -> Result<Standing, Malformed> {
        let malformed = input.malformed("how a server is");
        Ok(match u8::decode(input)? {
            0 => Standing::Well,
            1 => Standing::Restarted,
            2 => Standing::Lost,
            _ => return Err(malformed),
        })
    }
}

impl Wire for Known {
    fn encode(&self, out: &mut Vec<u8>) {
        self.view.encode(out);
        self.active.encode(out);
        self.lost.encode(out);
    }

    fn decode(input: &mut Reader<'_>) -> Result<Known, Malformed> {
        Ok(Known {
            view: Wire::decode(input)?,
            active: Wire::decode(input)?,
            lost: Wire::decode(input)?,
        })
    }
}

impl<R: Wire> Wire for Record<R> {
    fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Record::State { checkpoint, views } => put!(out, 1, checkpoint, views),
            Record::Staged { checkpoint, views } => put!(out, 2, checkpoint, views),
            Record::Operator { first } => put!(out, 3, first),
            Record::Service(record) => put!(out, 4, record),
            Record::Anew => put!(out, 5),
            Record::Damaged => put!(out, 6),
        }
    }

    fn decode(input: &mut Reader<'_>) -> Result<Record<R>, Malformed> {
        let malformed = input.malformed("the tag of a record about views");
        Ok(match u8::decode(input)? {
            1 => Record::State {
                checkpoint: Wire::decode(input)?,
                views: Wire::decode(input)?,
            },
            2 => Record::Staged {
                checkpoint: Wire::decode(input)?,
                views: Wire::decode(input)?,
            },
            3 => Record::Operator {
                first: Wire::decode(input)?,
            },
            4 => Record::Service(Wire::decode(input)?),
            5 => Record::Anew,
            6 => Record::Damaged,
            _ => return Err(malformed),
        })
    }
}
