//! What a plan takes for granted that a protocol withstands.

use quorate_core::{Faults, Links, Model, Timing};

use super::plan::{Fault, Plan};
use crate::adversary::Adversary;

impl Plan {
    /// The mildest model in which this plan is legal. Models say nothing of damaged disks: a machine
    /// with one counts as one that crashed and came back.
    #[must_use]
    pub fn model(&self) -> Model {
        let settings = &self.settings;
        let has = |wanted: fn(&Fault) -> bool| self.faults.iter().any(|timed| wanted(&timed.fault));
        let faults = match has(stops) || has(harms_disk) {
            // Healing starts whoever is down, unless it is left out.
            true if self.restarts() => Faults::CrashRecovery,
            true => Faults::CrashStop,
            false if settings.core < settings.members => Faults::CrashStop,
            false => Faults::FailStop,
        };
        let cuts = has(|fault| matches!(fault, Fault::Cut { .. }));
        let links = Links {
            lose: settings.loss > 0 || cuts || settings.core < settings.members,
            duplicate: settings.duplicate > 0,
            reorder: settings.fifo == 0,
        };
        let timing = match settings.bound_us > 0 && settings.gst_ms == 0 && !has(delays) {
            true if settings.round_us > 0 => Timing::Lockstep,
            true => Timing::Synchronous,
            false => Timing::PartiallySynchronous,
        };
        Model {
            faults,
            links,
            timing,
        }
    }

    /// Whether a protocol that claims to withstand `claimed` must withstand this plan, or nobody minds.
    ///
    /// # Errors
    /// In what the plan is harsher.
    pub fn admit(&self, claimed: Model) -> Result<(), String> {
        match self.settings.outside_model {
            0 => Adversary::of(self.model())
                .within(claimed)
                .map_err(|reason| format!("{reason} (outside_model=1 lets it in)")),
            _ => Ok(()),
        }
    }

    /// Whether anybody starts again after it stopped.
    fn restarts(&self) -> bool {
        let core = self.settings.core;
        self.faults.iter().any(|timed| match &timed.fault {
            Fault::Start { .. } => true,
            // A process that its failing disk ends is started again.
            fault if harms_disk(fault) => true,
            fault => stops(fault) && fault.nodes().iter().any(|node| node.0 <= core),
        })
    }
}

fn stops(fault: &Fault) -> bool {
    matches!(
        fault,
        Fault::Crash { .. } | Fault::Kill { .. } | Fault::Lose { .. }
    )
}

fn harms_disk(fault: &Fault) -> bool {
    matches!(
        fault,
        Fault::Disk { .. } | Fault::Rot { .. } | Fault::Full { .. }
    )
}

/// Whether something may then take longer than any bound, or seem to.
fn delays(fault: &Fault) -> bool {
    matches!(
        fault,
        Fault::Pause { .. }
            | Fault::SlowLink { .. }
            | Fault::Clog { .. }
            | Fault::SlowDisk { .. }
            | Fault::Clock { .. }
    )
}
