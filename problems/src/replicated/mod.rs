//! A replicated service, as its clients see it: they ask, and are answered as if there were one copy.
//!
//! *Transparency*: a client cannot tell that there are copies, so every history is linearizable.
//! *Durability*: what was acknowledged is never gone. *Convergence*: copies that made the same updates
//! are in the same state. *Exactly once*: a client that asks again is not served twice. Strategies
//! of replication differ in which of these they keep, and at what cost; all are judged here.

mod machine;
mod oracle;
mod points;
#[cfg(test)]
mod tests;
mod wire;
mod workload;

use alloc::vec::Vec;
use core::fmt;
use core::str::FromStr;

use quorate_core::{NodeId, Problem};

pub use machine::{Chance, Digest, Machine, Nondeterminism, Operation, Outcome, State, perturb};
pub use oracle::{Oracle, Violation};
pub use workload::Client;

/// The problem.
#[derive(Clone, Copy, Debug)]
pub struct Replicated;

impl Problem for Replicated {
    type Request = Request;
    type Output = Output;
}

/// Names a call: where it was made first, and the how manieth there it was. A client that asks again,
/// perhaps elsewhere, keeps the name.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CallId {
    /// Where it was made first.
    pub at: NodeId,
    /// Counted from 1.
    pub number: u32,
}

impl fmt::Debug for CallId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.at, self.number)
    }
}

impl fmt::Display for CallId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

impl FromStr for CallId {
    type Err = ();

    /// Reads `n1.2`.
    fn from_str(text: &str) -> Result<CallId, ()> {
        let (at, number) = text.split_once('.').ok_or(())?;
        Ok(CallId {
            at: at.parse().map_err(|_| ())?,
            number: number.parse().map_err(|_| ())?,
        })
    }
}

/// What a client asks.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Request {
    /// Execute this operation, once.
    Invoke {
        /// The call.
        id: CallId,
        /// What to do.
        operation: Operation,
    },
}

/// What the layer above is told.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Output {
    /// The client gets its answer.
    Reply {
        /// The call.
        id: CallId,
        /// The answer.
        result: Outcome,
    },
    /// The state here now contains this update too.
    Updated {
        /// The call that asked for it.
        id: CallId,
        /// How many updates the state contains with it.
        updates: u64,
        /// The digest of the state with it.
        digest: Digest,
    },
    /// The state here was replaced by one that contains these updates.
    Installed {
        /// The calls that asked for them.
        ids: Vec<CallId>,
        /// The digest of that state.
        digest: Digest,
    },
    /// This replica takes over: from now on it is the master.
    Leads {
        /// The epoch that begins.
        epoch: u64,
    },
}
