//! The leader tells the machine how much time has passed, so that leases end by agreement.
//!
//! Time may be told late, never early: a long gap between two ticks counts as a short one, time
//! without leases does not count, and a tick waits until the one before it has come back.

use std::time::Duration;

use quorate_core::Instant;

use crate::command::Command;

/// The most that the time between two ticks counts for.
const GAP_MAX: Duration = Duration::from_secs(1);

pub(super) struct Ticks {
    interval: Duration,
    epoch: u64,
    leading: bool,
    /// How long we have led this epoch, as far as it counts.
    elapsed: Duration,
    /// Through when `elapsed` has been counted; `None` while time does not count.
    counted: Option<Instant>,
    due: Option<Instant>,
    wanted: bool,
    in_flight: bool,
}

impl Ticks {
    pub(super) fn new(interval: Duration) -> Ticks {
        Ticks {
            interval,
            epoch: 0,
            leading: false,
            elapsed: Duration::ZERO,
            counted: None,
            due: None,
            wanted: false,
            in_flight: false,
        }
    }

    /// Another epoch, or another leader of it.
    pub(super) fn on_lead(&mut self, epoch: u64, leading: bool) {
        *self = Ticks {
            epoch,
            leading,
            ..Ticks::new(self.interval)
        };
    }

    pub(super) fn on_time(&mut self, has_leases: bool, now: Instant) {
        if !self.leading || !has_leases {
            self.counted = None;
            self.due = None;
            self.wanted = false;
        } else if self.counted.is_none() {
            // Leases that came into being just now must not be charged for the time before.
            self.counted = Some(now);
            self.due = Some(now + self.interval);
        } else if self.due.is_some_and(|due| due <= now) {
            self.due = None;
            self.wanted = true;
        }
    }

    /// Whether there is a tick to propose.
    pub(super) fn is_wanted(&self) -> bool {
        self.wanted && !self.in_flight
    }

    /// The tick to propose now, if there is one.
    pub(super) fn take(&mut self, now: Instant) -> Option<Command> {
        if !self.is_wanted() {
            return None;
        }
        let counted = self.counted.replace(now)?;
        self.elapsed += now.since(counted).min(GAP_MAX);
        self.wanted = false;
        self.in_flight = true;
        self.due = Some(now + self.interval);
        Some(Command::Tick {
            epoch: self.epoch,
            elapsed_ms: u64::try_from(self.elapsed.as_millis()).unwrap_or(u64::MAX),
        })
    }

    /// The tick in flight came back.
    pub(super) fn on_back(&mut self) {
        self.in_flight = false;
    }

    pub(super) fn due(&self) -> Option<Instant> {
        self.due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Instant {
        Instant(ms * 1_000_000)
    }

    fn elapsed(command: Option<Command>) -> Option<u64> {
        match command {
            Some(Command::Tick { elapsed_ms, .. }) => Some(elapsed_ms),
            _ => None,
        }
    }

    fn leading() -> Ticks {
        let mut ticks = Ticks::new(Duration::from_millis(500));
        ticks.on_lead(3, true);
        ticks
    }

    #[test]
    fn a_stall_counts_as_one_second() {
        let mut ticks = leading();
        ticks.on_time(true, at(100));
        ticks.on_time(true, at(600));
        assert_eq!(elapsed(ticks.take(at(600))), Some(500));
        ticks.on_back();
        ticks.on_time(true, at(60_000));
        assert_eq!(elapsed(ticks.take(at(60_000))), Some(1500));
    }

    #[test]
    fn time_without_leases_does_not_count() {
        let mut ticks = leading();
        ticks.on_time(false, at(100));
        assert_eq!(ticks.due(), None);
        ticks.on_time(true, at(9_000));
        assert_eq!(ticks.take(at(9_000)), None);
        ticks.on_time(true, at(9_500));
        assert_eq!(elapsed(ticks.take(at(9_500))), Some(500));
        ticks.on_back();
        ticks.on_time(false, at(9_700));
        ticks.on_time(true, at(20_000));
        ticks.on_time(true, at(20_500));
        assert_eq!(elapsed(ticks.take(at(20_500))), Some(1000));
    }

    #[test]
    fn ticks_do_not_pile_up_and_only_the_leader_makes_them() {
        let mut ticks = leading();
        ticks.on_time(true, at(0));
        ticks.on_time(true, at(500));
        assert!(ticks.take(at(500)).is_some());
        ticks.on_time(true, at(1000));
        assert!(!ticks.is_wanted());
        // Nothing to wake up for while the one in flight is awaited.
        assert_eq!(ticks.due(), None);
        ticks.on_back();
        assert_eq!(elapsed(ticks.take(at(1100))), Some(1100));
        ticks.on_lead(4, false);
        ticks.on_time(true, at(9000));
        assert_eq!((ticks.due(), ticks.is_wanted()), (None, false));
    }
}
