//! How a process starts from what survived: the recovery protocol (Bernstein, Hadzilacos and Goodman
//! 1987, section 7.4).

use quorate_core::{Boot, Effects, Survival};
use quorate_problems::atomic_commitment::{Outcome, Output};

use super::participant::{Doubt, Standing};
use super::{Config, Record, TwoPhaseCommit};

impl TwoPhaseCommit {
    pub(super) fn restart(
        config: &Config,
        boot: Boot<'_, TwoPhaseCommit>,
        fx: &mut Effects<TwoPhaseCommit>,
    ) -> TwoPhaseCommit {
        let (mut collecting, mut voted, mut decided) = (false, false, None);
        for (_, record) in boot.records {
            match record {
                Record::Collecting => collecting = true,
                Record::VotedYes => voted = true,
                Record::Decided { outcome } => decided = Some(outcome),
            }
        }
        let mut process = TwoPhaseCommit {
            me: boot.me,
            config: config.clone(),
            standing: Standing::Working,
            collecting: None,
        };
        if let Some(outcome) = decided {
            // The layer above remembers nothing: it is told in each life. What is decided is true,
            // whatever else this disk has lost.
            let told = true;
            process.standing = Standing::Decided { outcome, told };
            fx.output(Output::Decide(outcome));
        } else if boot.survival == Survival::Damaged {
            process.standing = Standing::Damaged(Doubt::default());
            process.on_outcome_late(fx);
        } else if collecting {
            // It cannot have told anybody to commit, since there is no record of it. Whoever voted yes
            // waits for its word.
            process.announce(Outcome::Abort, fx);
        } else if voted {
            // It crashed in its uncertainty period.
            process.standing = Standing::Uncertain(Doubt::default());
            process.on_outcome_late(fx);
        }
        // Otherwise it had promised nothing.
        process
    }
}
