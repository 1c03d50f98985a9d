//! Messages, records and timers: the whole vocabulary, with reasons.

use alloc::vec::Vec;
use core::fmt;

use quorate_core::{Checkpoint, Malformed, NodeId, Payload, Reader, Wire};

use super::service::{ViewsMessage, ViewsRecord};
use super::{View, ViewNumber};
use crate::log::{Entries, Entry, Index, Position};
use crate::raft;
use crate::views::{Known, Report};

/// What replicas tell one another. Whatever is said within a chain carries the number of its view,
/// and counts in no other: that is the fence between a chain and its successor.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Message {
    /// "I am here": to whoever answers for the view service, again and again.
    Ping(Report),
    /// "This is the present view": the answer.
    Current(Known),
    /// What those who replicate the view service tell one another.
    Views(ViewsMessage),
    /// "What follows `previous` is this" (van Renesse and Schneider, section 3): updates on their way
    /// from the head to the tail, and from the tail to those who want to join. Without entries it
    /// asks how far the other is.
    Update {
        /// The view of the chain.
        view: ViewNumber,
        /// What comes before the first entry.
        previous: Position,
        /// How far the sender has delivered.
        commit: Index,
        /// What comes behind it.
        entries: Entries,
    },
    /// "From me to the tail, all have this on disk": the acknowledgement, on its way from the tail to
    /// the head (Terrace and Freedman, section 2.3). It commits wherever it passes.
    Stored {
        /// The view of the chain.
        view: ViewNumber,
        /// The last index.
        index: Index,
    },
    /// "My log agrees with yours through `index`; from me to the tail all have `stored` on disk":
    /// answers an update without entries.
    Linked {
        /// The view of the chain.
        view: ViewNumber,
        /// The last index that agrees.
        index: Index,
        /// The last index that was acknowledged here.
        stored: Index,
    },
    /// "I do not have what you say comes at `previous`; we may agree at `hint`."
    Missing {
        /// The view of the chain.
        view: ViewNumber,
        /// The index that the refused update named as previous.
        previous: Index,
        /// The last place here that is not later than `previous`, in index or in epoch.
        hint: Position,
    },
    /// "I have entered this view, and my log ends here": to the predecessor, or, from a replica that
    /// wants to join, to the tail.
    Entered {
        /// The view of the chain.
        view: ViewNumber,
        /// Where the log ends.
        last: Position,
    },
    /// "What you lack I no longer have as entries: here is the state through `checkpoint`." The state
    /// travels as an attachment.
    Snapshot {
        /// The view of the chain.
        view: ViewNumber,
        /// What the attached state contains.
        checkpoint: Checkpoint,
    },
    /// "Someone asked me to broadcast this, and you are the head."
    Forward {
        /// What to broadcast.
        payload: Payload,
    },
    /// "Are you still in this view, and which version is committed?" (Terrace and Freedman, section
    /// 2.3: version queries; here all members are asked, since the tail alone cannot know whether
    /// there is a later view.)
    VersionAsked {
        /// The view of the chain.
        view: ViewNumber,
        /// Which question it is.
        question: Question,
        /// Whether to pass it on along the chain: not everybody may be reached otherwise.
        relay: bool,
    },
    /// "When I received the question I was in this view, and through `index` all from me to the tail
    /// have everything on disk."
    Version {
        /// The view of the chain.
        view: ViewNumber,
        /// The question that it answers.
        question: Question,
        /// The answer.
        answer: Answer,
    },
}

/// Names a question for versions.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Question {
    /// Who asks.
    pub asker: NodeId,
    /// Its incarnation: rounds are numbered within one.
    pub incarnation: u64,
    /// How many questions it had asked with this one.
    pub round: u64,
}

/// Answers a question for versions.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Answer {
    /// Whose answer it is, since answers may be passed on.
    pub member: NodeId,
    /// From it to the tail, all have this on disk; at the tail, the last committed index.
    pub index: Index,
}

impl fmt::Debug for Answer {
    /// `n3 has 7`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} has {:?}", self.member, self.index)
    }
}

impl Wire for Answer {
    fn encode(&self, out: &mut Vec<u8>) {
        self.member.encode(out);
        self.index.encode(out);
    }

    fn decode(input: &mut Reader<'_>) -> Result<Answer, Malformed> {
        Ok(Answer {
            member: Wire::decode(input)?,
            index: Wire::decode(input)?,
        })
    }
}

impl fmt::Debug for Question {
    /// `n1.2.7`: the seventh of n1's second incarnation.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.asker, self.incarnation, self.round)
    }
}

impl Wire for Question {
    fn encode(&self, out: &mut Vec<u8>) {
        self.asker.encode(out);
        self.incarnation.encode(out);
        self.round.encode(out);
    }

    fn decode(input: &mut Reader<'_>) -> Result<Question, Malformed> {
        Ok(Question {
            asker: Wire::decode(input)?,
            incarnation: Wire::decode(input)?,
            round: Wire::decode(input)?,
        })
    }
}

/// What a replica writes down.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Record {
    /// What the view service's part of this replica writes down.
    Views(ViewsRecord),
    /// The entry at `index`. Whatever was at or behind that index before is gone.
    Append {
        /// Where.
        index: Index,
        /// What.
        entry: Entry,
    },
    /// Everything through here is in the application's durable state; entries behind it remain.
    Base(Position),
    /// The log is empty and begins behind this position: a snapshot replaced it.
    Reset(Position),
    /// This replica is in this view from now on, and in no earlier one ever again.
    Entered(View),
    /// Records were lost. This replica takes part in nothing until the view service knows.
    Lost,
    /// The view service knows, and counts on nothing that was forgotten here.
    Excused,
}

/// What a replica waits for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Timer {
    /// The next ping to the view service is due.
    Ping,
    /// A tick of the view service: those that did not ping are older by one.
    Tick,
    /// What those who replicate the view service wait for.
    Views(raft::Timer),
    /// Time to ask again whatever may have been lost.
    Heartbeat,
    /// The successor must have been heard from since this ran out last.
    Silence,
    /// A transfer of the head's place took too long.
    Transfer,
}

impl Message {
    /// The view that the message is part of, if it is part of one.
    pub(super) fn view(&self) -> Option<ViewNumber> {
        match self {
            Message::Update { view, .. }
            | Message::Stored { view, .. }
            | Message::Linked { view, .. }
            | Message::Missing { view, .. }
            | Message::Entered { view, .. }
            | Message::Snapshot { view, .. }
            | Message::VersionAsked { view, .. }
            | Message::Version { view, .. } => Some(*view),
            Message::Ping(_)
            | Message::Current(_)
            | Message::Views(_)
            | Message::Forward { .. } => None,
        }
    }

    /// Where the message names the state that is attached to it.
    pub(super) fn checkpoint(&mut self) -> Option<&mut Checkpoint> {
        if let Message::Snapshot { checkpoint, .. } = self {
            Some(checkpoint)
        } else {
            None
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

impl Wire for Message {
    fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Message::Views(message) => put!(out, 1, message),
            Message::Ping(report) => put!(out, 11, report),
            Message::Current(known) => put!(out, 12, known),
            Message::Update {
                view,
                previous,
                commit,
                entries,
            } => put!(out, 2, view, previous, commit, entries),
            Message::Stored { view, index } => put!(out, 3, view, index),
            Message::Linked {
                view,
                index,
                stored,
            } => put!(out, 4, view, index, stored),
            Message::Missing {
                view,
                previous,
                hint,
            } => put!(out, 5, view, previous, hint),
            Message::Entered { view, last } => put!(out, 6, view, last),
            Message::Snapshot { view, checkpoint } => put!(out, 7, view, checkpoint),
            Message::Forward { payload } => put!(out, 8, payload),
            Message::VersionAsked {
                view,
                question,
                relay,
            } => put!(out, 9, view, question, relay),
            Message::Version {
                view,
                question,
                answer,
            } => put!(out, 10, view, question, answer),
        }
    }

    fn decode(input: &mut Reader<'_>) -> Result<Message, Malformed> {
        let malformed = input.malformed("the tag of a message");
        let tag = u8::decode(input)?;
        // Fields of a struct expression are evaluated in the order written, which is the wire's.
        Ok(match tag {
            1 => Message::Views(Wire::decode(input)?),
            2 => Message::Update {
                view: Wire::decode(input)?,
                previous: Wire::decode(input)?,
                commit: Wire::decode(input)?,
                entries: Wire::decode(input)?,
            },
            3 => Message::Stored {
                view: Wire::decode(input)?,
                index: Wire::decode(input)?,
            },
            4 => Message::Linked {
                view: Wire::decode(input)?,
                index: Wire::decode(input)?,
                stored: Wire::decode(input)?,
            },
            5 => Message::Missing {
                view: Wire::decode(input)?,
                previous: Wire::decode(input)?,
                hint: Wire::decode(input)?,
            },
            6 => Message::Entered {
                view: Wire::decode(input)?,
                last: Wire::decode(input)?,
            },
            7 => Message::Snapshot {
                view: Wire::decode(input)?,
                checkpoint: Wire::decode(input)?,
            },
            8 => Message::Forward {
                payload: Wire::decode(input)?,
            },
            9 => Message::VersionAsked {
                view: Wire::decode(input)?,
                question: Wire::decode(input)?,
                relay: Wire::decode(input)?,
            },
            10 => Message::Version {
                view: Wire::decode(input)?,
                question: Wire::decode(input)?,
                answer: Wire::decode(input)?,
            },
            11 => Message::Ping(Wire::decode(input)?),
            12 => Message::Current(Wire::decode(input)?),
            _ => return Err(malformed),
        })
    }
}

impl Wire for Record {
    fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Record::Views(record) => put!(out, 1, record),
            Record::Append { index, entry } => put!(out, 2, index, entry),
            Record::Base(position) => put!(out, 3, position),
            Record::Reset(position) => put!(out, 4, position),
            Record::Entered(view) => put!(out, 5, view),
            Record::Lost => put!(out, 6),
            Record::Excused => put!(out, 7),
        }
    }

    fn decode(input: &mut Reader<'_>) -> Result<Record, Malformed> {
        let malformed = input.malformed("the tag of a record");
        Ok(match u8::decode(input)? {
            1 => Record::Views(Wire::decode(input)?),
            2 => Record::Append {
                index: Wire::decode(input)?,
                entry: Wire::decode(input)?,
            },
            3 => Record::Base(Wire::decode(input)?),
            4 => Record::Reset(Wire::decode(input)?),
            5 => Record::Entered(Wire::decode(input)?),
            6 => Record::Lost,
            7 => Record::Excused,
            _ => return Err(malformed),
        })
    }
}
