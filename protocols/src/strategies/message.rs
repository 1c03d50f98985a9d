//! The whole vocabulary: what processes tell one another, what they write down, what they wait for.

use alloc::vec::Vec;

use quorate_core::{NodeId, wire};
use quorate_problems::replicated::{CallId, Chance, Operation, Outcome, State};

/// One update on its way to the copies.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Update {
    /// Its place in the order; without one, its place among those of its origin.
    pub number: u64,
    /// The replica that answers its client.
    pub origin: NodeId,
    /// The call that asked for it.
    pub id: CallId,
    /// What is to be done.
    pub content: Content,
}

/// What is shipped: the "sync" of the primary-backup approach.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Content {
    /// Execute this: active replication.
    Execute {
        /// The operation.
        operation: Operation,
        /// What whoever executed it first found out from clock and lots.
        chance: Chance,
    },
    /// This is what came of it: passive replication.
    Adopt {
        /// The state with the update.
        state: State,
        /// What the client is told.
        result: Outcome,
        /// Which of several results is the latest: a Lamport clock.
        stamp: u64,
    },
}

/// Everything that a replica must have to be like another.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Snapshot {
    /// The number of the last update in it.
    pub number: u64,
    /// The machine's state.
    pub state: State,
    /// The stamp of that state, and who gave it.
    pub stamp: (u64, NodeId),
    /// The updates in it, and what their clients are told if they ask again.
    pub made: Vec<(CallId, Outcome)>,
}

/// What processes tell one another.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Message {
    /// "A client asks me for this, and it is for you to do."
    Asked {
        /// The call.
        id: CallId,
        /// What it asks for.
        operation: Operation,
    },
    /// "That is done, and this is the answer."
    Answered {
        /// The call.
        id: CallId,
        /// The answer.
        result: Outcome,
    },
    /// "This update is made."
    Made {
        /// The epoch of the master whose order it is in.
        epoch: u64,
        /// The update.
        update: Update,
    },
    /// "I have made all updates through this number."
    Have {
        /// The epoch that I follow.
        epoch: u64,
        /// The number.
        number: u64,
    },
    /// "I am alive."
    Alive {
        /// The epoch that I follow.
        epoch: u64,
        /// The last update that I have made.
        number: u64,
    },
    /// "There is a later master than yours."
    Deposed {
        /// Its epoch.
        epoch: u64,
    },
    /// "I want the lock for this call."
    Wanted {
        /// The call.
        id: CallId,
    },
    /// "You have the lock."
    Granted {
        /// The epoch of the lock's keeper.
        epoch: u64,
        /// The call.
        id: CallId,
    },
    /// "I do not need the lock any more."
    Freed {
        /// The call that it was for.
        id: CallId,
    },
    /// "I was away, and must be told everything."
    Joining,
    /// "This is everything."
    Everything {
        /// The sender's epoch.
        epoch: u64,
        /// What it has.
        snapshot: Snapshot,
    },
}

/// What a replica writes down, if it does.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Record {
    /// It made this update, with this outcome.
    Made {
        /// The update.
        update: Update,
        /// The outcome.
        result: Outcome,
        /// The state with it.
        state: State,
    },
    /// It was told everything.
    Installed(Snapshot),
}

/// What a process waits for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Timer {
    /// Time to say that it is alive.
    Alive,
    /// Time to tell the others of updates that were answered already.
    Propagate,
    /// Time to send again what nobody acknowledged.
    Resend,
    /// A replica has not been heard of for longer than it can be silent if it is up.
    Silence(NodeId),
}

wire!(struct Update { number, origin, id, content });

wire!(enum Content, "an operation or a result" {
    0 => Execute { operation, chance };
    1 => Adopt { state, result, stamp };
});

wire!(struct Snapshot { number, state, stamp, made });

wire!(enum Message, "a message" {
    0 => Asked { id, operation };
    1 => Answered { id, result };
    2 => Made { epoch, update };
    3 => Have { epoch, number };
    4 => Alive { epoch, number };
    5 => Deposed { epoch };
    6 => Wanted { id };
    7 => Granted { epoch, id };
    8 => Freed { id };
    9 => Joining;
    10 => Everything { epoch, snapshot };
});

wire!(enum Record, "a record" {
    0 => Made { update, result, state };
    1 => Installed(snapshot);
});
