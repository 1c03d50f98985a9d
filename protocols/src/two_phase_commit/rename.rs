//! Two-phase commit with its processes called by other names.
//!
//! Only the coordinator is special, and its name is part of what every process knows. (A world in which
//! all are down at once would look the same for every choice of a coordinator, so the checker must not let
//! all crash.)

use alloc::collections::BTreeSet;

use quorate_core::NodeId;

use super::TwoPhaseCommit;
use super::participant::{Doubt, Standing};

impl TwoPhaseCommit {
    /// This process as it would be if every process had the name that `name` gives it. `name` must
    /// exchange the members among themselves.
    #[must_use]
    pub fn renamed(&self, name: impl Fn(NodeId) -> NodeId) -> TwoPhaseCommit {
        let set = |ids: &BTreeSet<NodeId>| ids.iter().map(|&id| name(id)).collect();
        let doubt = |doubt: &Doubt| Doubt {
            uncertain: set(&doubt.uncertain),
            ..doubt.clone()
        };
        let mut process = self.clone();
        process.me = name(self.me);
        process.config.members = self.config.members.iter().map(|&id| name(id)).collect();
        process.config.members.sort_unstable();
        process.config.coordinator = name(self.config.coordinator);
        if let Some(collecting) = &mut process.collecting {
            collecting.yes = set(&collecting.yes);
        }
        process.standing = match &self.standing {
            Standing::Uncertain(one) => Standing::Uncertain(doubt(one)),
            Standing::Damaged(one) => Standing::Damaged(doubt(one)),
            Standing::Working | Standing::Decided { .. } => self.standing.clone(),
        };
        process
    }
}
