//! A leader whose disk stays slow hands leadership over, as `quorate serve` has it: the same code measures the
//! disk and decides. Whether a disk was really slow for long enough is measured here once more, by the world's
//! clock.

use std::time::Duration;

use quorate_core::{Instant, Protocol};
use quorate_problems::total_order::TotalOrder;
use quorate_runtime::{DiskWatch, Pace, SLOW_PATIENCE, SLOW_SYNC, SlowDisk};
use quorate_service::store::Flaw;

use super::judge::Outcome;
use super::world::{Event, Thread, World};

/// How a process's disk does.
pub(super) struct DiskPace {
    /// As the member measures it, by its own clock.
    pace: Pace,
    watch: DiskWatch,
    /// By the world's: when the sync under way began, and when the first of the last slow ones in a row did.
    begun: Option<Instant>,
    slow_since: Option<Instant>,
}

impl DiskPace {
    pub(super) fn new(flaw: Option<Flaw>) -> DiskPace {
        let patience = match flaw {
            Some(Flaw::HastyHandOver) => SLOW_SYNC,
            _ => SLOW_PATIENCE,
        };
        DiskPace {
            pace: Pace::default(),
            watch: DiskWatch::new(patience),
            begun: None,
            slow_since: None,
        }
    }

    /// A sync begins, by the machine's clock and by the world's.
    pub(super) fn begin(&mut self, here: Instant, world: Instant) {
        self.pace.begin(here);
        self.begun = Some(world);
    }

    /// It has ended.
    pub(super) fn end(&mut self, here: Instant, world: Instant) {
        let took = self.pace.end(here);
        let begun = self.begun.take().unwrap_or(world);
        self.slow_since = (took >= SLOW_SYNC).then(|| self.slow_since.unwrap_or(begun));
    }

    /// For how long the disk has been slow, by the world's clock, at most.
    fn slow_for(&self, world: Instant) -> Duration {
        let since = self.slow_since.or(self.begun);
        since.map_or(Duration::ZERO, |since| world.since(since))
    }
}

impl<P: Protocol<Problem = TotalOrder>> World<P> {
    /// Somebody looks how a disk does.
    pub(super) fn watch_disk(&mut self, at: usize, life: u32) -> Outcome {
        let every = DiskWatch::EVERY.as_nanos() as u64;
        self.agenda
            .plan_in(every, Event::Thread(at, life, Thread::Disk));
        let now = self.now();
        // Five seconds by the fastest clock that there is.
        let least = SLOW_PATIENCE.as_nanos() * 1_000_000 / u128::from(self.plan.rate_max());
        let machine = &mut self.machines[at];
        let (id, here) = (machine.id, machine.clock.here(now));
        let Some(process) = &mut machine.process else {
            return Ok(());
        };
        let status = process.service.status();
        let disk = &mut process.disk_pace;
        let leads = status.leader == Some(status.me);
        let found = disk.watch.look(disk.pace.slow_for(here), leads, here);
        if found != SlowDisk::HandOver {
            return Ok(());
        }
        let slow_for = disk.slow_for(now);
        if slow_for.as_nanos() < least {
            return Err(format!(
                "slow disk: {id} hands leadership over although its disk stalled for {slow_for:?} only"
            ));
        }
        self.summary.handed_over += 1;
        process.service.transfer(None);
        self.nudge(at);
        Ok(())
    }
}
