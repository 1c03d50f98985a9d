//! Ballots and votes ("Paxos Made Simple", 2.2: proposal numbers, and proposals accepted).

use core::cmp::Ordering;
use core::fmt;

use quorate_core::{NodeId, wire};

pub use crate::log::Index as Slot;
use crate::log::{Entry, Epoch};

/// A proposal number. Rounds are compared first; the node in it makes ballots of different proposers
/// different, so that each belongs to one of them. The default is before all others.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
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

    /// Ballots as one number, in the same order, for the layer above: each has one leader, as voters with
    /// the same place are kept apart. Who votes may change, so the number does not depend on it.
    #[must_use]
    pub fn epoch(self) -> Epoch {
        match self.round.checked_sub(1) {
            Some(rounds) => Epoch(rounds.saturating_mul(PLACES) + Ballot::place(self.node) + 1),
            None => Epoch(0),
        }
    }

    /// Where in its round the ballot of a node comes.
    pub(super) fn place(node: NodeId) -> u64 {
        node.0.wrapping_sub(1) % PLACES
    }
}

/// How many nodes can have ballots of one round. Ids of members are large and random, so that two have the
/// same place once in a hundred thousand clusters; these are then refused.
const PLACES: u64 = 1_000_000;

impl Ord for Ballot {
    /// In the order of their epochs.
    fn cmp(&self, other: &Ballot) -> Ordering {
        let key = |ballot: &Ballot| (ballot.round, Ballot::place(ballot.node), ballot.node);
        key(self).cmp(&key(other))
    }
}

impl PartialOrd for Ballot {
    fn partial_cmp(&self, other: &Ballot) -> Option<Ordering> {
        Some(self.cmp(other))
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
