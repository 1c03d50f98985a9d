//! How a disk keeps up: whether it stays slow, or only stalled for a moment.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// A sync that takes this long is slow. A disk that works takes milliseconds; one that takes longer than this for
/// each sync makes whoever waits for it wait for seconds.
pub const SLOW_SYNC: Duration = Duration::from_millis(500);

/// Watches the syncs of one disk.
#[derive(Default)]
pub(crate) struct Pace(Mutex<State>);

#[derive(Default)]
struct State {
    /// When the sync under way began.
    under_way: Option<Instant>,
    /// When the first of the last slow syncs in a row began, and when the last of them ended.
    slow: Option<(Instant, Instant)>,
}

impl Pace {
    /// A sync begins.
    pub(crate) fn begin(&self, now: Instant) {
        self.state().under_way = Some(now);
    }

    /// It has ended; answers how long it took.
    pub(crate) fn end(&self, now: Instant) -> Duration {
        let mut state = self.state();
        let begun = state.under_way.take().unwrap_or(now);
        let took = now - begun;
        state.slow = match took >= SLOW_SYNC {
            true => Some((state.slow.map_or(begun, |(since, _)| since), now)),
            false => None,
        };
        took
    }

    /// For how long every sync has been slow, one that is under way included; zero if the last one was not.
    pub(crate) fn slow_for(&self, now: Instant) -> Duration {
        let state = self.state();
        let slow = match (state.slow, state.under_way) {
            (slow, Some(begun)) if now.saturating_duration_since(begun) >= SLOW_SYNC => {
                Some((slow.map_or(begun, |(since, _)| since), now))
            }
            (slow, _) => slow,
        };
        slow.map_or(Duration::ZERO, |(since, until)| until - since)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A disk at work, by a clock of its own.
    struct Disk {
        pace: Pace,
        now: Instant,
    }

    impl Disk {
        fn sync(&mut self, millis: u64) {
            self.pace.begin(self.now);
            self.now += Duration::from_millis(millis);
            self.pace.end(self.now);
        }

        fn slow_for(&self) -> u128 {
            self.pace.slow_for(self.now).as_millis()
        }
    }

    fn disk() -> Disk {
        Disk {
            pace: Pace::default(),
            now: Instant::now(),
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
        disk.now += Duration::from_secs(60);
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
        disk.now += Duration::from_millis(499);
        assert_eq!(disk.slow_for(), 0);
        disk.now += Duration::from_secs(7);
        assert_eq!(disk.slow_for(), 7499);
    }
}
