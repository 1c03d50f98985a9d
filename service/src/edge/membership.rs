//! The protocol's members follow the machine's list of them.

use std::time::Duration;

use quorate_core::Instant;
use quorate_problems::total_order::Membership;

use super::shared::Shared;

/// What has been asked of the protocol.
pub(super) struct Following {
    /// The version in force.
    in_force: u64,
    /// The version that was asked for last.
    asked: u64,
    /// When to ask again.
    again_at: Option<Instant>,
    patience: Duration,
}

impl Following {
    pub(super) fn new(patience: Duration) -> Following {
        Following {
            in_force: 0,
            asked: 0,
            again_at: None,
            patience,
        }
    }

    /// Members to ask for now, by whoever leads.
    pub(super) fn next(&mut self, shared: &Shared, now: Instant) -> Option<Membership> {
        let members = shared.members_after(self.in_force)?;
        if self.asked == members.version && self.again_at.is_some_and(|at| now < at) {
            return None;
        }
        self.asked = members.version;
        self.again_at = Some(now + self.patience);
        Some(members)
    }

    /// These are in force.
    pub(super) fn on_members(&mut self, version: u64) {
        self.in_force = version;
        if version >= self.asked {
            self.again_at = None;
        }
    }

    /// Whatever was asked may be lost.
    pub(super) fn repeat(&mut self) {
        self.asked = 0;
    }

    /// When to ask again.
    pub(super) fn due(&self) -> Option<Instant> {
        self.again_at
    }
}
