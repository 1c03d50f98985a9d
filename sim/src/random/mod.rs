//! Random schedules: first hurt the cluster and watch that it never breaks a promise, then heal it
//! and demand that it makes progress.
//!
//! A seed decides everything: how many members, which configuration, which faults and how often.
//! Timers run out whenever the seed says so, since in a model time is only an order. All that a seed
//! does is said in the commands of a script, so a failure is a script, which is made small before it
//! is handed out.

mod driver;
mod liar;
mod luck;
mod shrink;
#[cfg(test)]
mod tests;
mod timely;

use std::time::Duration;

use quorate_core::Protocol;

use crate::adversary::Adversary;
use crate::{Counts, Failure, Suite, Workload};
use driver::Driver;
use shrink::Schedule;

/// How hard a run tries.
#[derive(Clone, Debug)]
pub struct Hurt {
    /// How many things happen before the cluster is healed.
    pub steps: u32,
    /// Whether disks lose what they acknowledged and nobody can tell, which no protocol here claims to
    /// withstand: the proof that breaking a promise is noticed.
    pub lying_disks: bool,
    /// Whether one member's disk becomes unreadable in part, which is noticed when it starts.
    pub damaged_disks: bool,
    /// Whether in the end, when all is well, all stop at once and all disks but one lose a run of frames in the
    /// middle, so that each is whole elsewhere. Only who repairs a log from several others that are as damaged
    /// comes back from that.
    pub holes: bool,
    /// Options of every cluster, besides those that a seed invents: `flaw=figure-8`.
    pub options: String,
    /// What may go wrong. Unless it is said, each seed draws something that the protocol claims to
    /// withstand, mostly all of it.
    pub adversary: Option<Adversary>,
    /// Whether an adversary is let in that the protocol does not claim to withstand.
    pub outside_model: bool,
    /// Whether a failure is made small. Otherwise its script is all that happened.
    pub shrink: bool,
}

impl Default for Hurt {
    fn default() -> Hurt {
        Hurt {
            steps: 400,
            lying_disks: false,
            damaged_disks: false,
            holes: false,
            options: String::new(),
            adversary: None,
            outside_model: false,
            shrink: true,
        }
    }
}

/// What a run came to, so that a test can tell that runs are not idle.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Summary {
    /// The last position decided anywhere.
    pub decided: u64,
    /// The last epoch anywhere.
    pub epoch: u64,
    /// How often what happened.
    pub counts: Counts,
    /// How many steps replicas took.
    pub steps: u64,
    /// How much time passed in the world.
    pub time: Duration,
    /// A hash of the whole run: the same seed always gives the same.
    pub digest: u64,
}

/// Whether a protocol claims to withstand what its clusters will suffer, or nobody minds.
///
/// # Errors
/// In what the adversary is harsher than the claim.
pub fn admit<P: Protocol>(hurt: &Hurt) -> Result<(), String> {
    let Some(adversary) = &hurt.adversary else {
        return Ok(());
    };
    adversary.possible(driver::SIZE_MAX as usize, hurt.outside_model)?;
    match hurt.outside_model {
        true => Ok(()),
        false => adversary.within(P::MODEL),
    }
}

/// Runs one seed.
///
/// # Errors
/// The promise that was broken, with a script that shows it; or that the adversary is not admitted.
pub fn run<P: Protocol>(suite: &Suite<P>, seed: u64, hurt: &Hurt) -> Result<Summary, Failure>
where
    P::Problem: Workload,
{
    let broken = |reason: String| Failure {
        seed,
        reason,
        script: String::new(),
    };
    admit::<P>(hurt).map_err(broken)?;
    let mut driver = Driver::new(suite, seed, hurt).map_err(broken)?;
    let run = driver.hurt().and_then(|()| driver.heal());
    match run.and_then(|()| driver.pierce()) {
        Ok(()) => Ok(driver.summary()),
        Err(reason) => {
            let schedule = driver.schedule();
            Err(match hurt.shrink {
                true => shrink::shrink(suite, seed, schedule, reason),
                false => shrink::whole(suite, seed, schedule, reason),
            })
        }
    }
}
