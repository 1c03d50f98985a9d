//! Messages, records and timers: the whole vocabulary, with reasons.

use core::fmt;

use quorate_core::{Checkpoint, NodeId, Payload, wire};

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
    /// "You know the present view": the answer to who does.
    Unchanged {
        /// How often the service's state had changed.
        changes: u64,
    },
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

wire!(struct Answer { member, index });

impl fmt::Debug for Question {
    /// `n1.2.7`: the seventh of n1's second incarnation.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.asker, self.incarnation, self.round)
    }
}

wire!(struct Question { asker, incarnation, round });

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
            | Message::Unchanged { .. }
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

wire!(enum Message, "the tag of a message" {
    1 => Views(message);
    2 => Update { view, previous, commit, entries };
    3 => Stored { view, index };
    4 => Linked { view, index, stored };
    5 => Missing { view, previous, hint };
    6 => Entered { view, last };
    7 => Snapshot { view, checkpoint };
    8 => Forward { payload };
    9 => VersionAsked { view, question, relay };
    10 => Version { view, question, answer };
    11 => Ping(report);
    12 => Current(known);
    13 => Unchanged { changes };
});

wire!(enum Record, "the tag of a record" {
    1 => Views(record);
    2 => Append { index, entry };
    3 => Base(position);
    4 => Reset(position);
    5 => Entered(view);
    6 => Lost;
    7 => Excused;
});
