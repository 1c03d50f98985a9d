//! What is said and written down about views.

use alloc::vec::Vec;
use core::fmt;

use quorate_core::{Checkpoint, NodeId, wire};
use quorate_problems::total_order::Membership;

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
    /// "You know the present view": the answer to who does.
    Unchanged {
        /// What it knows: how often the service's state had changed.
        changes: u64,
    },
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
    /// First member: who should be the servers, until the service has written that down.
    pub wanted: Option<Membership>,
    /// The last view that took the sender for dead, which it was not.
    pub doubted: Number,
    /// What it knows: how often the service's state had changed.
    pub changes: u64,
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
    /// How often the service's state had changed: who knows of more changes knows better.
    pub changes: u64,
    /// The view.
    pub view: View,
    /// Whether the service has written down that its first member acknowledged it.
    pub active: bool,
    /// The latest incarnation of the receiver of which the service knows that it had lost its records.
    pub lost: u64,
    /// The newest servers that were asked for; nobody before the first view.
    pub servers: Membership,
    /// How many times as long as usual servers are waited for.
    pub slack: u32,
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
    /// Who replicated the service when this server, which did not, was started. It is written down, since
    /// later it may be started as one of those who are to.
    Joining {
        /// They.
        members: Vec<NodeId>,
    },
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
            || (self.wanted != before.wanted && self.wanted.is_some())
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
        if self.lost > 0 {
            write!(f, ", incarnation {} lost its records", self.lost)?;
        }
        if self.servers.version > 0 {
            write!(f, ", servers {}", self.servers)?;
        }
        match self.slack {
            0 | 1 => Ok(()),
            slack => write!(f, ", {slack} times as patient"),
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
        if let Some(successor) = self.successor {
            write!(f, ", successor {successor}")?;
        }
        if let Some(wanted) = &self.wanted {
            write!(f, ", wants servers {wanted}")?;
        }
        match self.doubted {
            Number(0) => Ok(()),
            doubted => write!(f, ", doubted by view {doubted:?}"),
        }
    }
}

wire!(enum Message<X>, "the tag of a message about views" {
    1 => Ping(report);
    2 => Current(known);
    3 => Service(message);
    4 => State { checkpoint, views, message };
    5 => Unchanged { changes };
});

wire!(struct Report {
    incarnation, view, acknowledged, standing, ready, missing, successor, wanted, doubted, changes
});

wire!(enum Standing, "how a server is" {
    0 => Well;
    1 => Restarted;
    2 => Lost;
});

wire!(struct Known { changes, view, active, lost, servers, slack });

wire!(enum Record<R>, "the tag of a record about views" {
    1 => State { checkpoint, views };
    2 => Staged { checkpoint, views };
    3 => Operator { first };
    4 => Service(record);
    5 => Anew;
    6 => Damaged;
    7 => Joining { members };
});
