//! What must hold between any two steps, of one process and of all.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;

use quorate_core::Payload;

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

/// Watches all processes of a run: a ballot has one value, whoever accepted it (2.2: "a proposal consists
/// of a proposal number and a value", and no two have the same number).
#[derive(Clone, Default, Hash, Debug)]
pub struct OneValue {
    values: BTreeMap<Ballot, Payload>,
}

impl OneValue {
    /// Looks at the processes that are up.
    ///
    /// # Errors
    /// A ballot with two values.
    pub fn observe<'a>(
        &mut self,
        processes: impl Iterator<Item = &'a Synod>,
    ) -> Result<(), String> {
        for process in processes {
            let Some(accepted) = process.acceptor.accepted() else {
                continue;
            };
            let ballot = accepted.ballot;
            let first = self.values.entry(ballot);
            let first = first.or_insert_with(|| accepted.value.clone());
            if *first != accepted.value {
                let (me, value) = (process.me, &accepted.value);
                return Err(format!(
                    "one value: ballot {ballot:?} has {first:?}, but {me} accepted {value:?}"
                ));
            }
        }
        Ok(())
    }
}
