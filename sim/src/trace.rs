//! What happened in a world, event by event: scripts print it, diagrams draw it, tests compare it.

mod text;

use std::fmt;

use quorate_core::{Frame, Instant, NodeId, Status};

pub use text::{Detail, lines};

/// Everything that happened, oldest first.
#[derive(Clone, Default, PartialEq, Debug)]
pub struct Trace {
    /// The events.
    pub events: Vec<Event>,
}

/// One thing that happened.
#[derive(Clone, PartialEq, Debug)]
pub struct Event {
    /// When, on the world's clock.
    pub at: Instant,
    /// What.
    pub what: What,
}

/// Names one piece of mail from its sending to its end. A copy has a name of its own.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct MailId(pub u64);

/// What can happen.
#[derive(Clone, PartialEq, Debug)]
pub enum What {
    /// A machine starts, for the first time or again.
    Started {
        /// Which.
        node: NodeId,
        /// How often it has been started, this time included.
        incarnation: u64,
    },
    /// A machine stops; so many of the frames that were not durable survive.
    Crashed {
        /// Which.
        node: NodeId,
        /// How many frames.
        kept: usize,
    },
    /// The layer above asks for something.
    Requested {
        /// Of whom.
        node: NodeId,
        /// What, in words.
        text: String,
    },
    /// Mail waits for the disk.
    Held {
        /// Whose.
        node: NodeId,
        /// For whom; the node itself if it counts its own vote.
        to: NodeId,
        /// The frame that must be durable first.
        until: Frame,
        /// The kind of message: the name of its variant.
        kind: String,
    },
    /// Mail leaves.
    Sent {
        /// Its name.
        mail: MailId,
        /// Who sends it.
        from: NodeId,
        /// Who is to get it.
        to: NodeId,
        /// The kind of message: the name of its variant.
        kind: String,
        /// The whole message.
        text: String,
    },
    /// The mail sent next was never sent by its sender: a lie.
    Forged {
        /// Its name.
        mail: MailId,
    },
    /// Mail was copied under way.
    Copied {
        /// The original.
        mail: MailId,
        /// The copy.
        copy: MailId,
    },
    /// Mail arrives.
    Received {
        /// Which.
        mail: MailId,
        /// By whom.
        node: NodeId,
    },
    /// Mail ends on its way.
    Lost {
        /// Which.
        mail: MailId,
        /// Why.
        why: Loss,
    },
    /// Records are handed to the disk.
    Wrote {
        /// Whose.
        node: NodeId,
        /// In which frame.
        frame: Frame,
        /// The records.
        text: String,
    },
    /// The disk has finished everything through a frame.
    Synced {
        /// Whose.
        node: NodeId,
        /// Which frame.
        frame: Frame,
    },
    /// A timer runs out.
    Fired {
        /// Whose.
        node: NodeId,
        /// Which.
        timer: String,
    },
    /// The protocol tells the layer above something.
    Output {
        /// Whose.
        node: NodeId,
        /// What.
        text: String,
        /// Whether it is a decision, to be marked in a picture.
        decision: bool,
    },
    /// A replica's role or epoch changed.
    Became {
        /// Whose.
        node: NodeId,
        /// What it is now.
        status: Status,
    },
    /// From now on nothing gets from the first to the second.
    Cut {
        /// The sender.
        from: NodeId,
        /// The receiver.
        to: NodeId,
    },
    /// All links work again.
    Healed,
    /// A promise was broken.
    Violated {
        /// Which, and how.
        text: String,
    },
}

/// Why mail was lost.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Loss {
    /// The network lost it.
    Dropped,
    /// The link is cut.
    Cut,
    /// The receiver is down, or there is none.
    NobodyThere,
}

impl fmt::Display for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Loss::Dropped => "dropped",
            Loss::Cut => "cut off",
            Loss::NobodyThere => "nobody there",
        })
    }
}
