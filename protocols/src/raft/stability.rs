//! What a canvass is for (thesis 9.6): nobody campaigns while a quorum hears from a leader.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::string::String;

use quorate_core::NodeId;

use crate::log::Epoch as Term;

use super::Raft;
use super::role::Role;

/// Watches all replicas of a run and says when one campaigned that should not have.
///
/// Time plays no part in it: whoever campaigns in a term was supported by a quorum of replicas, each of
/// which knew no leader at some moment since the candidate entered the term before.
#[derive(Clone, Default, Hash, Debug)]
pub struct Stability {
    /// For each replica and term that it has been in, unless they are a quorum by now: who was seen
    /// without a leader since.
    leaderless: BTreeMap<(NodeId, Term), BTreeSet<NodeId>>,
    /// The term in which each replica was seen last, and whether it campaigned.
    seen: BTreeMap<NodeId, (Term, bool)>,
    /// The latest term in which each replica was ever seen: a crash may take it back to an earlier
    /// one, and an answer from before the crash still counts.
    latest: BTreeMap<NodeId, Term>,
}

impl Stability {
    /// Looks at the replicas that are up.
    ///
    /// # Errors
    /// Who campaigned although too few missed a leader.
    pub fn observe<'a>(
        &mut self,
        replicas: impl Iterator<Item = &'a Raft> + Clone,
    ) -> Result<(), String> {
        for replica in replicas.clone() {
            // Who was asked by the leader itself need not ask the others.
            let campaigns = matches!(
                replica.role,
                Role::Candidate {
                    transfer: false,
                    ..
                }
            );
            let now = (replica.term, campaigns);
            let before = self.seen.insert(replica.me, now);
            if before == Some(now) {
                continue;
            }
            if campaigns {
                self.judge(replica)?;
            }
            let latest = self.latest.get(&replica.me);
            if latest.is_none_or(|latest| *latest < replica.term) {
                let key = (replica.me, replica.term);
                self.leaderless.insert(key, BTreeSet::new());
                self.latest.insert(replica.me, replica.term);
            }
        }
        for replica in replicas.clone().filter(|replica| replica.leader.is_none()) {
            for missing in self.leaderless.values_mut() {
                missing.insert(replica.me);
            }
        }
        // What is a quorum for whoever may campaign is not kept.
        for replica in replicas {
            let configuration = &replica.configurations.latest().1;
            self.leaderless.retain(|(id, _), missing| {
                *id != replica.me || !configuration.is_quorum(|id| missing.contains(&id))
            });
        }
        Ok(())
    }

    /// What it would remember of the same run if every replica had the name that `name` gives it.
    #[must_use]
    pub fn renamed(&self, name: impl Fn(NodeId) -> NodeId) -> Stability {
        let leaderless = self.leaderless.iter().map(|(&(id, term), missing)| {
            let missing = missing.iter().map(|&id| name(id));
            ((name(id), term), missing.collect())
        });
        Stability {
            leaderless: leaderless.collect(),
            seen: self
                .seen
                .iter()
                .map(|(&id, &seen)| (name(id), seen))
                .collect(),
            latest: self
                .latest
                .iter()
                .map(|(&id, &term)| (name(id), term))
                .collect(),
        }
    }

    /// A campaign began. Terms in which a quorum missed a leader are not kept.
    fn judge(&self, candidate: &Raft) -> Result<(), String> {
        let (me, term) = (candidate.me, candidate.term);
        match self.leaderless.get(&(me, Term(term.0 - 1))) {
            None => Ok(()),
            Some(missing) if candidate.would_elect(missing) => Ok(()),
            Some(missing) => Err(format!(
                "stability: {me} campaigns in term {term:?} although only {missing:?} missed a leader"
            )),
        }
    }
}
