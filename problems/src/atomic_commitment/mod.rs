//! Atomic commitment: everybody votes, and all commit or all abort.
//!
//! It is not consensus, though both end in one decision: here a single no decides, and whoever is away
//! cannot be outvoted. (The slides' flatmates, who want to be unanimous, solve this problem, and call it
//! consensus.) The properties are those of Guerraoui, "Revisiting the relationship between non-blocking
//! atomic commitment and consensus" (1995), and of Gray and Lamport, "Consensus on transaction commit"
//! (2006):
//!
//! - *agreement*: no two decide differently, those that crash later included;
//! - *stability*: nobody decides more than once;
//! - *validity*: commit is decided only if all voted yes;
//! - *non-triviality*: abort is decided only if somebody voted no, failed or was suspected to have;
//! - *termination*: whoever does not fail decides; reported apart, since two-phase commit has it only
//!   while nobody fails;
//! - *non-blocking*: nobody has to wait for one that failed before it can decide.
//!
//! Where processes come back after a crash, each start is a life of its own: a process votes and decides
//! once in each. What it decided in an earlier life binds it like everybody else.

mod oracle;
#[cfg(test)]
mod tests;
mod workload;

use alloc::vec::Vec;

use quorate_core::{Malformed, NodeId, Problem, Reader, Wire};

pub use oracle::{Oracle, Violation};
pub use workload::Voter;

/// The problem.
#[derive(Clone, Copy, Debug)]
pub struct AtomicCommitment;

impl Problem for AtomicCommitment {
    type Request = Request;
    type Output = Output;
}

/// What the layer above asks for.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Request {
    /// This is my vote. Once per process and life: whatever is voted after that is the same question
    /// again, and a protocol that remembers a vote from an earlier life keeps to that one.
    Vote(Vote),
}

/// What a participant thinks of it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Vote {
    /// It can do its part, whatever happens to it from now on.
    Yes,
    /// It cannot, or does not want to.
    No,
}

/// What can be decided.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Outcome {
    /// All do their part.
    Commit,
    /// Nobody does anything.
    Abort,
}

/// What the layer above is told.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Output {
    /// This is the decision.
    Decide(Outcome),
    /// This process believes that another has failed, and may abort because of it. It can be wrong.
    Suspect(NodeId),
    /// This process voted yes, nobody whom it can reach knows the outcome, and it must not decide by
    /// itself: it keeps its locks until whoever knows comes back.
    Blocked,
}

impl Wire for Vote {
    fn encode(&self, out: &mut Vec<u8>) {
        (*self == Vote::Yes).encode(out);
    }

    fn decode(input: &mut Reader<'_>) -> Result<Vote, Malformed> {
        Ok(match bool::decode(input)? {
            true => Vote::Yes,
            false => Vote::No,
        })
    }
}

impl Wire for Outcome {
    fn encode(&self, out: &mut Vec<u8>) {
        (*self == Outcome::Commit).encode(out);
    }

    fn decode(input: &mut Reader<'_>) -> Result<Outcome, Malformed> {
        Ok(match bool::decode(input)? {
            true => Outcome::Commit,
            false => Outcome::Abort,
        })
    }
}
