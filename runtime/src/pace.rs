//! How a disk keeps up: whether it stays slow, or only stalled for a moment, and what to do about that.
//!
//! A leader whose disk stays slow hands leadership over: everyone waits for the leader's disk, or at least for
//! what it has to say, and somebody else's may be faster. Nothing here looks at a clock: moments come from
//! whoever drives it, so that a simulator drives the same code.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use quorate_core::Instant;

/// A sync that takes this long is slow. A disk that works takes milliseconds; one that takes longer than this for
/// each sync makes whoever waits for it wait for seconds.
pub const SLOW_SYNC: Duration = Duration::from_millis(500);
/// For how long every sync must have been slow. A stall that is shorter costs leadership nothing.
pub const SLOW_PATIENCE: Duration = Duration::from_secs(5);
/// How long to wait before handing over again: all disks may be slow, and then leadership should not go round.
const AGAIN: Duration = Duration::from_secs(60);

/// Watches the syncs of one disk.
#[derive(Default)]
pub struct Pace(Mutex<State>);

#[derive(Default)]
struct State {
    /// When the sync under way began.
    under_way: Option<Instant>,
    /// When the first of the last slow syncs in a row began, and when the last of them ended.
    slow: Option<(Instant, Instant)>,
}

impl Pace {
    /// A sync begins.
    pub fn begin(&self, now: Instant) {
        self.state().under_way = Some(now);
    }

    /// It has ended; answers how long it took.
    pub fn end(&self, now: Instant) -> Duration {
        let mut state = self.state();
        let begun = state.under_way.take().unwrap_or(now);
        let took = now.since(begun);
        state.slow = match took >= SLOW_SYNC {
            true => Some((state.slow.map_or(begun, |(since, _)| since), now)),
            false => None,
        };
        took
    }

    /// For how long every sync has been slow, one that is under way included; zero if the last one was not.
    #[must_use]
    pub fn slow_for(&self, now: Instant) -> Duration {
        let state = self.state();
        let slow = match (state.slow, state.under_way) {
            (slow, Some(begun)) if now.since(begun) >= SLOW_SYNC => {
                Some((slow.map_or(begun, |(since, _)| since), now))
            }
            (slow, _) => slow,
        };
        slow.map_or(Duration::ZERO, |(since, until)| until.since(since))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What there is to do about a disk.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SlowDisk {
    /// Nothing new.
    Nothing,
    /// It has come to be slow: people should hear of it.
    Slow,
    /// It has come to be slow, or is still, and this replica leads: somebody else should.
    HandOver,
    /// It is not slow any more.
    Recovered,
}

/// Decides what there is to do about a disk, and remembers what was said and done.
pub struct DiskWatch {
    patience: Duration,
    is_slow: bool,
    handed_at: Option<Instant>,
}

impl DiskWatch {
    /// How often to look.
    pub const EVERY: Duration = Duration::from_millis(250);

    /// For a disk that is slow when every sync has been for so long: [`SLOW_PATIENCE`], as a rule.
    #[must_use]
    pub fn new(patience: Duration) -> DiskWatch {
        DiskWatch {
            patience,
            is_slow: false,
            handed_at: None,
        }
    }

    /// What there is to do, if every sync has been slow for so long.
    pub fn look(&mut self, slow_for: Duration, leads: bool, now: Instant) -> SlowDisk {
        let was_slow = std::mem::replace(&mut self.is_slow, slow_for >= self.patience);
        let may_hand_over = self.handed_at.is_none_or(|at| now.since(at) >= AGAIN);
        match (was_slow, self.is_slow) {
            (_, true) if leads && may_hand_over => {
                self.handed_at = Some(now);
                SlowDisk::HandOver
            }
            (false, true) => SlowDisk::Slow,
            (true, false) => SlowDisk::Recovered,
            (true, true) | (false, false) => SlowDisk::Nothing,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Instant {
        Instant(seconds * 1_000_000_000)
    }

    #[test]
    fn only_a_disk_that_stays_slow_costs_leadership_and_not_again_and_again() {
        let slow = Duration::from_secs;
        let mut watch = DiskWatch::new(SLOW_PATIENCE);
        assert_eq!(watch.look(slow(4), true, at(4)), SlowDisk::Nothing);
        assert_eq!(watch.look(slow(0), true, at(5)), SlowDisk::Nothing);
        assert_eq!(watch.look(slow(5), true, at(10)), SlowDisk::HandOver);
        // Others may not have taken it, or given it back, which is no reason to go on.
        assert_eq!(watch.look(slow(7), true, at(12)), SlowDisk::Nothing);
        assert_eq!(watch.look(slow(0), false, at(13)), SlowDisk::Recovered);
        assert_eq!(watch.look(slow(6), true, at(20)), SlowDisk::Slow);
        assert_eq!(watch.look(slow(60), true, at(70)), SlowDisk::HandOver);
    }

    #[test]
    fn a_follower_says_so_and_hands_over_if_it_comes_to_lead() {
        let mut watch = DiskWatch::new(SLOW_PATIENCE);
        let slow = Duration::from_secs(5);
        assert_eq!(watch.look(slow, false, at(9)), SlowDisk::Slow);
        assert_eq!(watch.look(slow, false, at(9)), SlowDisk::Nothing);
        assert_eq!(watch.look(slow, true, at(9)), SlowDisk::HandOver);
    }

    /// A disk at work, by a clock of its own.
    struct Disk {
        pace: Pace,
        now: Instant,
    }

    impl Disk {
        fn sync(&mut self, millis: u64) {
            self.pace.begin(self.now);
            self.now = self.now + Duration::from_millis(millis);
            self.pace.end(self.now);
        }

        fn slow_for(&self) -> u128 {
            self.pace.slow_for(self.now).as_millis()
        }
    }

    fn disk() -> Disk {
        Disk {
            pace: Pace::default(),
            now: at(1),
        }
    }

    #[test]
    fn a_momentary_stall_is_over_with_the_next_quick_sync() {
        let mut disk = disk();
        disk.sync(5);
        assert_eq!(disk.slow_for(), 0);
        disk.sync(3000);
        assert_eq!(disk.slow_for(), 3000);
        // Nobody can tell a stall that is over from one that is not, while nothing is written.
        disk.now = disk.now + Duration::from_secs(60);
        assert_eq!(disk.slow_for(), 3000);
        disk.sync(5);
        assert_eq!(disk.slow_for(), 0);
    }

    #[test]
    fn a_disk_that_stays_slow_is_slow_since_its_first_slow_sync() {
        let mut disk = disk();
        disk.sync(5);
        for _ in 0..10 {
            disk.sync(600);
        }
        assert_eq!(disk.slow_for(), 6000);
    }

    #[test]
    fn a_sync_that_does_not_end_is_slow_too() {
        let mut disk = disk();
        disk.pace.begin(disk.now);
        disk.now = disk.now + Duration::from_millis(499);
        assert_eq!(disk.slow_for(), 0);
        disk.now = disk.now + Duration::from_secs(7);
        assert_eq!(disk.slow_for(), 7499);
    }
}
