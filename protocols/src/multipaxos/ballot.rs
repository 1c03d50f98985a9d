//! Ballots and votes ("Paxos Made Simple", 2.2: proposal numbers, and proposals accepted).

use core::fmt;

use quorate_core::{NodeId, wire};

use crate::log::Entry;
pub use crate::log::Index as Slot;

/// A proposal number. Rounds are compared first; the node in it makes ballots of different proposers
/// different, so that each belongs to one of them. The default is before all others.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ballot {
    /// How often somebody began anew, as far as the proposer knew.
    pub round: u64,
    /// Whose it is.
    pub node: NodeId,
}

/// What an acceptor accepted last in a slot.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Vote {
    /// In which ballot.
    pub ballot: Ballot,
    /// What: a value, and the epoch in which it was proposed first.
    pub entry: Entry,
}

/// A vote, and in which slot it is.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Cast {
    /// The slot.
    pub slot: Slot,
    /// What was accepted in it.
    pub vote: Vote,
}

impl Ballot {
    /// The lowest ballot of `node` that is higher than this one, whoever's this is.
    #[must_use]
    pub fn next(self, node: NodeId) -> Ballot {
        Ballot {
            round: self.round + 1,
            node,
        }
    }
}

impl Default for Ballot {
    fn default() -> Ballot {
        Ballot {
            round: 0,
            node: NodeId(0),
        }
    }
}

impl fmt::Debug for Ballot {
    /// `2.n1`: round 2 of n1. The one before all others is `0`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.round {
            0 => f.write_str("0"),
            round => write!(f, "{round}.{}", self.node),
        }
    }
}

impl fmt::Debug for Vote {
    /// `"x"@1 in 2.n1`: the value x, proposed first in epoch 1, accepted in ballot 2.n1.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} in {:?}", self.entry, self.ballot)
    }
}

impl fmt::Debug for Cast {
    /// `7: "x"@1 in 2.n1`: as a vote, in slot 7.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {:?}", self.slot, self.vote)
    }
}

wire!(struct Ballot { round, node });

wire!(struct Vote { ballot, entry });

wire!(struct Cast { slot, vote });
