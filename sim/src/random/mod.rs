//! Random schedules: first hurt the cluster and watch that it never breaks a promise, then heal it
//! and demand that it makes progress.
//!
//! A seed decides everything: how many members, which configuration, which faults and how often.
//! Timers run out whenever the seed says so, since in a model time is only an order. All that a seed
//! does is said in the commands of a script, so a failure is a script, which is made small before it
//! is handed out.

mod driver;
mod shrink;

use std::time::Duration;

use quorate_core::Protocol;

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
    /// Options of every cluster, besides those that a seed invents: `flaw=figure-8`.
    pub options: String,
    /// Whether a failure is made small. Otherwise its script is all that happened.
    pub shrink: bool,
}

impl Default for Hurt {
    fn default() -> Hurt {
        Hurt {
            steps: 400,
            lying_disks: false,
            damaged_disks: false,
            options: String::new(),
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

/// Runs one seed.
///
/// # Errors
/// The promise that was broken, with a script that shows it.
pub fn run<P: Protocol>(suite: &Suite<P>, seed: u64, hurt: &Hurt) -> Result<Summary, Failure>
where
    P::Problem: Workload,
{
    let broken = |reason: String| Failure {
        seed,
        reason,
        script: String::new(),
    };
    let mut driver = Driver::new(suite, seed, hurt).map_err(broken)?;
    match driver.hurt().and_then(|()| driver.heal()) {
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
