//! What must hold between any two steps, of one process and of all.

use alloc::format;
use alloc::string::String;

use quorate_core::NodeId;
use quorate_problems::atomic_commitment::Outcome;

use super::TwoPhaseCommit;
use super::participant::Standing;

impl TwoPhaseCommit {
    pub(super) fn check(&self) {
        if let Some(collecting) = &self.collecting {
            assert!(self.coordinates(), "only the coordinator collects votes");
            let open = matches!(self.standing, Standing::Working | Standing::Uncertain(_));
            assert!(open, "who has decided collects no votes");
            assert!(
                collecting.yes.len() < self.config.members.len(),
                "with all votes it decides"
            );
        }
    }
}

/// Watches all processes of a run: whoever commits does so after all have voted yes, and remember it.
#[derive(Clone, Default, Hash, Debug)]
pub struct Unanimity {
    /// Who was the first seen to have committed.
    committed: Option<NodeId>,
}

impl Unanimity {
    /// Looks at the processes that are up.
    ///
    /// # Errors
    /// Somebody who committed too soon.
    pub fn observe<'a>(
        &mut self,
        processes: impl Iterator<Item = &'a TwoPhaseCommit> + Clone,
    ) -> Result<(), String> {
        let committed = |process: &&TwoPhaseCommit| {
            let outcome = Outcome::Commit;
            process.standing
                == Standing::Decided {
                    outcome,
                    told: true,
                }
        };
        if self.committed.is_none() {
            let mut all = processes.clone();
            self.committed = all.find(committed).map(|process| process.me);
        }
        let Some(one) = self.committed else {
            return Ok(());
        };
        let mut all = processes;
        match all.find(|process| process.standing == Standing::Working) {
            Some(other) => Err(format!(
                "unanimity: {one} commits, and {} knows nothing of a vote",
                other.me
            )),
            None => Ok(()),
        }
    }

    /// What it would remember of the same run if every process had the name that `name` gives it.
    #[must_use]
    pub fn renamed(&self, name: impl Fn(NodeId) -> NodeId) -> Unanimity {
        Unanimity {
            committed: self.committed.map(name),
        }
    }
}
