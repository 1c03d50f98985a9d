//! How new the state here is known to be, for reads that may be old, but only so old.
//!
//! A read that was confirmed shows that the state has everything that had happened when the read *began*: what
//! others acknowledged while it was under way may be missing. As long as that is not longer ago than a
//! reader allows, the state will do, and nobody else is asked. Nothing here looks at a clock: moments come from
//! whoever drives it, and all of them from one clock.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use quorate_core::Instant;

/// See the module.
#[derive(Debug)]
pub(crate) struct Fresh {
    /// The state here has everything that had happened by then.
    at: Mutex<Option<Instant>>,
    /// A famous bug, for searches: the state is taken to be as new as the answer.
    dates_by_answer: bool,
}

impl Fresh {
    pub(crate) fn new(dates_by_answer: bool) -> Fresh {
        Fresh {
            at: Mutex::default(),
            dates_by_answer,
        }
    }

    /// A read that began then was confirmed, and what it waited for is applied.
    pub(crate) fn on_confirmed(&self, begun: Instant, now: Instant) {
        let known = match self.dates_by_answer {
            true => now,
            false => begun,
        };
        let mut at = self.at();
        *at = (*at).max(Some(known));
    }

    /// Whether the state that was here before this call is known to be at most so old.
    pub(crate) fn is_within(&self, age: Duration, now: Instant) -> bool {
        self.at().is_some_and(|at| now.since(at) <= age)
    }

    fn at(&self) -> MutexGuard<'_, Option<Instant>> {
        self.at.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Instant {
        Instant(ms * 1_000_000)
    }

    #[test]
    fn a_state_is_as_new_as_the_beginning_of_the_newest_read() {
        let ms = Duration::from_millis;
        let fresh = Fresh::new(false);
        assert!(!fresh.is_within(ms(9), at(0)), "nobody has asked yet");
        fresh.on_confirmed(at(100), at(190));
        // One that began earlier was answered later.
        fresh.on_confirmed(at(50), at(195));
        assert!(fresh.is_within(ms(100), at(200)));
        assert!(!fresh.is_within(ms(99), at(200)));
        let flawed = Fresh::new(true);
        flawed.on_confirmed(at(100), at(190));
        assert!(flawed.is_within(ms(99), at(200)));
    }
}
