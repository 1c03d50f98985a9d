//! The whole vocabulary: what processes tell one another, what they write down, what they wait for.

use quorate_core::wire;
use quorate_problems::atomic_commitment::Outcome;

/// What processes tell one another.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Message {
    /// "I collect votes, and have none of yours": the coordinator.
    Prepare,
    /// "I vote yes: I can commit and can abort, whatever happens to me."
    Yes,
    /// "I vote no, and have aborted."
    No,
    /// "This is decided."
    Outcome {
        /// What.
        outcome: Outcome,
    },
    /// "I cannot decide: do you know the outcome?"
    Inquiry,
    /// "Neither can I: I have voted yes, too, and have heard nothing since."
    Uncertain,
}

/// What a process writes down.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Record {
    /// The coordinator begins to collect votes.
    Collecting,
    /// It has voted yes, and must not abort by itself any more.
    VotedYes,
    /// This is decided.
    Decided {
        /// What.
        outcome: Outcome,
    },
}

/// What a process waits for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Timer {
    /// The coordinator has waited long enough for votes.
    Votes,
    /// A participant has waited long enough for the outcome.
    Outcome,
}

wire!(enum Message, "the tag of a message" {
    1 => Prepare;
    2 => Yes;
    3 => No;
    4 => Outcome { outcome };
    5 => Inquiry;
    6 => Uncertain;
});

wire!(enum Record, "the tag of a record" {
    1 => Collecting;
    2 => VotedYes;
    3 => Decided { outcome };
});
