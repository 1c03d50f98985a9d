//! What a process says of itself.

use alloc::format;
use alloc::string::{String, ToString};

use quorate_core::Status;
use quorate_problems::atomic_commitment::Outcome;

use super::TwoPhaseCommit;
use super::participant::Standing;

impl TwoPhaseCommit {
    pub(super) fn summary(&self) -> Status {
        let role = match &self.standing {
            Standing::Decided {
                outcome,
                told: true,
            } => match outcome {
                Outcome::Commit => "committed",
                Outcome::Abort => "aborted",
            },
            Standing::Damaged(_) => "damaged",
            _ if self.coordinates() => "coordinator",
            Standing::Working => "working",
            Standing::Uncertain(doubt) if doubt.blocked => "blocked",
            Standing::Uncertain(_) => "uncertain",
            Standing::Decided { .. } => "deciding",
        };
        let decided = matches!(self.standing, Standing::Decided { told: true, .. });
        Status {
            role,
            epoch: 0,
            leader: Some(self.config.coordinator),
            head: u64::from(!matches!(self.standing, Standing::Working)),
            decided: u64::from(decided),
            whole: true,
            repaired: 0,
        }
    }

    /// Where it stands, and what the coordinator still misses.
    #[must_use]
    pub fn describe(&self) -> String {
        let mut text = match &self.standing {
            Standing::Working => "has not voted".to_string(),
            Standing::Uncertain(doubt) => {
                let blocked = if doubt.blocked { ", is blocked" } else { "" };
                format!("voted yes and waits{blocked}, with {:?}", doubt.uncertain)
            }
            Standing::Decided { outcome, .. } => format!("decided {outcome:?}"),
            Standing::Damaged(_) => "does not know what it forgot".to_string(),
        };
        if let Some(collecting) = &self.collecting {
            text += &format!("; has a yes of {:?}", collecting.yes);
        }
        text
    }
}
