//! What proposals are numbered with.

use core::fmt;

use quorate_core::{NodeId, wire};

/// The number of a proposal ("Paxos Made Simple", 2.2). Different proposers draw theirs from disjoint
/// sets, and any two are ordered: by round, and within a round by the names of their proposers.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ballot {
    /// The round; every proposer has one ballot in each.
    pub round: u64,
    /// Whose it is.
    pub proposer: NodeId,
}

impl Ballot {
    /// Before every ballot that a proposer may choose.
    pub const ZERO: Ballot = Ballot {
        round: 0,
        proposer: NodeId(0),
    };
}

impl fmt::Debug for Ballot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Ballot::ZERO => f.write_str("0"),
            Ballot { round, proposer } => write!(f, "{round}.{proposer}"),
        }
    }
}

wire!(struct Ballot { round, proposer });

/// A value with its number.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Proposal<V> {
    /// The number.
    pub ballot: Ballot,
    /// The value.
    pub value: V,
}

impl<V: fmt::Debug> fmt::Debug for Proposal<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} {:?}", self.ballot, self.value)
    }
}

wire!(struct Proposal<V> { ballot, value });
