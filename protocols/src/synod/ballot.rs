//! What proposals are numbered with.

use alloc::vec::Vec;
use core::fmt;

use quorate_core::{Malformed, NodeId, Reader, Wire};

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

impl Wire for Ballot {
    fn encode(&self, out: &mut Vec<u8>) {
        self.round.encode(out);
        self.proposer.encode(out);
    }

    fn decode(input: &mut Reader<'_>) -> Result<Ballot, Malformed> {
        Ok(Ballot {
            round: Wire::decode(input)?,
            proposer: Wire::decode(input)?,
        })
    }
}

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

impl<V: Wire> Wire for Proposal<V> {
    fn encode(&self, out: &mut Vec<u8>) {
        self.ballot.encode(out);
        self.value.encode(out);
    }

    fn decode(input: &mut Reader<'_>) -> Result<Proposal<V>, Malformed> {
        Ok(Proposal {
            ballot: Wire::decode(input)?,
            value: Wire::decode(input)?,
        })
    }
}
