//! What a canvass is for: nobody begins a ballot while a phase-2 quorum hears from a leader.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::string::String;

use quorate_core::NodeId;

use super::MultiPaxos;
use super::ballot::Ballot;
use super::role::Role;

/// Watches all replicas of a run and says when one began a ballot that should not have.
///
/// Time plays no part in it: whoever begins a ballot was supported by a phase-1 quorum of replicas, each
/// of which knew no leader at some moment since the proposer promised the ballot before.
#[derive(Clone, Default, Hash, Debug)]
pub struct Stability {
    /// For each replica and ballot that it has promised: who was seen without a leader since.
    leaderless: BTreeMap<(NodeId, Ballot), BTreeSet<NodeId>>,
    /// The ballot in which each replica was seen last, and whether it was its proposer.
    seen: BTreeMap<NodeId, (Ballot, bool)>,
    /// The highest ballot in which each replica was ever seen: a crash may take it back to a lower one,
    /// and an answer from before the crash still counts.
    highest: BTreeMap<NodeId, Ballot>,
}

impl Stability {
    /// Looks at the replicas that are up.
    ///
    /// # Errors
    /// Who began a ballot although too few missed a leader.
    pub fn observe<'a>(
        &mut self,
        replicas: impl Iterator<Item = &'a MultiPaxos> + Clone,
    ) -> Result<(), String> {
        for replica in replicas.clone() {
            // Whom the leader itself asked to need not ask the others.
            let proposes = match &replica.role {
                Role::Proposer(preparation) => !preparation.is_wanted(),
                Role::Acceptor | Role::Canvasser { .. } | Role::Leader(_) | Role::Damaged(_) => {
                    false
                }
            };
            let now = (replica.promised, proposes);
            let before = self.seen.insert(replica.me, now);
            if before == Some(now) {
                continue;
            }
            if let Some((before, _)) = before
                && proposes
            {
                self.judge(replica, before)?;
            }
            let highest = self.highest.get(&replica.me);
            if highest.is_none_or(|highest| *highest < replica.promised) {
                let key = (replica.me, replica.promised);
                self.leaderless.insert(key, BTreeSet::new());
                self.highest.insert(replica.me, replica.promised);
            }
        }
        for replica in replicas.filter(|replica| replica.leader.is_none()) {
            for missing in self.leaderless.values_mut() {
                missing.insert(replica.me);
            }
        }
        Ok(())
    }

    /// A replica begins a ballot, the next after the one that it had promised.
    fn judge(&self, replica: &MultiPaxos, before: Ballot) -> Result<(), String> {
        let (me, ballot) = (replica.me, replica.promised);
        match self.leaderless.get(&(me, before)) {
            Some(missing)
                if before.next(me) == ballot
                    && !replica
                        .reign()
                        .quorums
                        .phase1()
                        .is_quorum(|id| id == me || missing.contains(&id)) =>
            {
                Err(format!(
                    "stability: {me} begins {ballot:?} although only {missing:?} missed a leader"
                ))
            }
            Some(_) | None => Ok(()),
        }
    }
}
