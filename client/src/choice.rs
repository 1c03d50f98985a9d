//! Which endpoint is called next.
//!
//! One endpoint is in use for as long as it works, so that a session of calls sees one server's
//! view. One that failed is left alone for a while, longer each time. Time comes in as a number, so
//! that all of this can be tested without waiting.

use std::time::Duration;

/// The wait after the first failure of an endpoint; it doubles with each further one.
const BACKOFF_MIN: Duration = Duration::from_millis(25);
/// The longest wait.
const BACKOFF_MAX: Duration = Duration::from_secs(1);

/// What is known of one endpoint.
#[derive(Clone, Copy, Default, Debug)]
struct Health {
    /// Failures since it last worked.
    failures: u32,
    /// Not before this moment.
    rests_until: Duration,
}

/// The choice between endpoints. Moments are durations since any fixed beginning.
#[derive(Clone, Debug)]
pub struct Choice {
    health: Vec<Health>,
    current: usize,
}

impl Choice {
    /// A choice between `count` endpoints, of which there must be one, beginning with the first.
    #[must_use]
    pub fn new(count: usize) -> Choice {
        assert!(count > 0, "a choice needs something to choose from");
        Choice {
            health: vec![Health::default(); count],
            current: 0,
        }
    }

    /// The endpoint to call and how long to wait before. It is the one in use, or else the next one
    /// that does not rest, or else the one that rests for the shortest time.
    #[must_use]
    pub fn pick(&self, now: Duration) -> (usize, Duration) {
        let count = self.health.len();
        let ring = (0..count).map(|step| (self.current + step) % count);
        let wait = |at: usize| self.health[at].rests_until.saturating_sub(now);
        // `min_by_key` answers the first of equals, which is the nearest on the ring.
        let at = ring.min_by_key(|&at| wait(at)).unwrap_or(self.current);
        (at, wait(at))
    }

    /// A call to the endpoint was answered.
    pub fn worked(&mut self, at: usize) {
        self.health[at] = Health::default();
        self.current = at;
    }

    /// A call to the endpoint failed in a way that another endpoint might not. `dice` spreads the
    /// waits of many clients: any number.
    pub fn failed(&mut self, at: usize, now: Duration, dice: u32) {
        let health = &mut self.health[at];
        let wait = BACKOFF_MIN
            .saturating_mul(1 << health.failures.min(16))
            .min(BACKOFF_MAX);
        // From three quarters of the wait to all of it.
        let jitter = wait.as_micros() as u64 / 4 * u64::from(dice % 1024) / 1024;
        health.failures = health.failures.saturating_add(1);
        health.rests_until = now + wait - Duration::from_micros(jitter);
        if self.current == at {
            self.current = (at + 1) % self.health.len();
        }
    }
}

#[cfg(test)]
#[path = "choice_tests.rs"]
mod tests;
