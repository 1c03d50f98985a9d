//! What must hold between any two steps, of one process and of all.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;

use quorate_core::{NodeId, Payload};

use super::proposer::Phase;
use super::{Ballot, Synod};

impl Synod {
    pub(super) fn check(&self) {
        let promised = self.acceptor.promised();
        if let Some(accepted) = self.acceptor.accepted() {
            let kept = accepted.ballot <= promised;
            assert!(kept, "an acceptance is a promise");
        }
        if self.damaged {
            let silent = promised == Ballot::ZERO && self.attempt.is_none();
            assert!(silent, "who may have forgotten promises makes none");
        }
        let Some(attempt) = &self.attempt else {
            return;
        };
        assert!(self.decided.is_none(), "who knows what is chosen rests");
        assert_eq!(attempt.ballot.proposer, self.me, "ballots are one's own");
        let last = attempt.ballot.round == self.begun;
        assert!(last, "only the last ballot begun is tried");
        if let Phase::Accepting { accepted, .. } = &attempt.phase {
            let enough = self.config.accepts.is_quorum(|id| accepted.contains(&id));
            assert!(!enough, "what a quorum accepted is chosen");
        }
    }
}

/// Looks at all processes of a run together: no two acceptors have accepted different values in one
/// ballot (2.2: different proposals have different numbers).
///
/// # Errors
/// A ballot with two values.
pub fn one_value(processes: &[&Synod]) -> Result<(), String> {
    let mut values: BTreeMap<Ballot, (NodeId, &Payload)> = BTreeMap::new();
    for process in processes {
        let Some(accepted) = process.acceptor.accepted() else {
            continue;
        };
        let (me, ballot, value) = (process.me, accepted.ballot, &accepted.value);
        let (first, other) = values.entry(ballot).or_insert((me, value));
        if *other != value {
            return Err(format!(
                "one value: in ballot {ballot:?} {first} accepted {other:?} and {me} accepted {value:?}"
            ));
        }
    }
    Ok(())
}
