//! The whole vocabulary: what processes tell one another, what they write down, what they wait for.
//!
//! All instances travel together: what is said of one is said of all in the same message.

use alloc::vec::Vec;
use core::fmt;

use quorate_core::{NodeId, wire};
use quorate_problems::atomic_commitment::{Outcome, Vote};

use crate::synod::{Ballot, Proposal};

/// What processes tell one another.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Message {
    /// "This is my vote": a participant, in ballot 0 of its own instance (phase 2a, without a phase 1
    /// since nobody else has that ballot). A no decides everything.
    Vote {
        /// What it votes.
        vote: Vote,
    },
    /// "In ballot 0 I have accepted a yes of everybody" (phase 2b of all instances).
    Collected,
    /// "I begin this ballot in all instances" (phase 1a).
    Prepare {
        /// Larger than any the sender has begun or heard of.
        ballot: Ballot,
    },
    /// "I take part in no ballot before this one" (phase 1b).
    Promise {
        /// From the question.
        ballot: Ballot,
        /// What the sender has accepted in earlier ballots, instance by instance.
        accepted: Vec<Cast>,
    },
    /// "My ballot has these votes" (phase 2a).
    Accept {
        /// The ballot.
        ballot: Ballot,
        /// Its only value in each instance.
        votes: Vec<Ruling>,
    },
    /// "I have accepted the votes of this ballot" (phase 2b).
    Accepted {
        /// The ballot.
        ballot: Ballot,
    },
    /// "I take no part in this ballot: I have promised more."
    Outbid {
        /// The ballot that comes too late.
        ballot: Ballot,
        /// What the sender has promised.
        promised: Ballot,
    },
    /// "This is decided."
    Decided {
        /// What.
        outcome: Outcome,
    },
    /// "I do not know what is decided, and cannot find out by myself."
    Wondering,
}

/// What an acceptor has accepted in the instance of one participant.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Cast {
    /// Whose vote it is about.
    pub participant: NodeId,
    /// What was accepted.
    pub proposal: Proposal<Vote>,
}

/// What a ballot says of the vote of one participant.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Ruling {
    /// Whose vote it is about.
    pub participant: NodeId,
    /// How it is counted.
    pub vote: Vote,
}

impl fmt::Debug for Cast {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {:?}", self.participant, self.proposal)
    }
}

impl fmt::Debug for Ruling {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {:?}", self.participant, self.vote)
    }
}

/// What a process writes down.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Record {
    /// Its own vote, which it does not change any more.
    Voted {
        /// What.
        vote: Vote,
    },
    /// It has begun its ballot of this round, and will begin none up to it again.
    Begun {
        /// The round.
        round: u64,
    },
    /// It takes part in no ballot before this one.
    Promised {
        /// The ballot.
        ballot: Ballot,
    },
    /// It has accepted this in one instance.
    Accepted {
        /// Where, and what.
        cast: Cast,
    },
    /// It knows what is decided. Nothing else matters any more.
    Decided {
        /// What.
        outcome: Outcome,
    },
}

/// What a process waits for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Timer {
    /// The transaction is under way and nobody has told what came of it.
    Patience,
}

wire!(struct Cast { participant, proposal });

wire!(struct Ruling { participant, vote });

wire!(enum Message, "the tag of a message" {
    1 => Vote { vote };
    2 => Collected;
    3 => Prepare { ballot };
    4 => Promise { ballot, accepted };
    5 => Accept { ballot, votes };
    6 => Accepted { ballot };
    7 => Outbid { ballot, promised };
    8 => Decided { outcome };
    9 => Wondering;
});

wire!(enum Record, "the tag of a record" {
    1 => Voted { vote };
    2 => Begun { round };
    3 => Promised { ballot };
    4 => Accepted { cast };
    5 => Decided { outcome };
});
