//! Named timers. There are few of them per replica, so a short sorted list beats any heap.

use alloc::vec::Vec;

use quorate_core::Instant;

/// The running timers, each with the moment at which it runs out.
#[derive(Clone, Hash, Debug)]
pub struct Timers<T> {
    running: Vec<(T, Instant)>,
}

impl<T> Default for Timers<T> {
    fn default() -> Timers<T> {
        Timers {
            running: Vec::new(),
        }
    }
}

impl<T: Copy + Ord> Timers<T> {
    /// Starts a timer, or moves a running one.
    pub fn set(&mut self, timer: T, at: Instant) {
        match self.running.binary_search_by_key(&timer, |entry| entry.0) {
            Ok(found) => self.running[found].1 = at,
            Err(gap) => self.running.insert(gap, (timer, at)),
        }
    }

    /// Stops a timer, if it runs.
    pub fn stop(&mut self, timer: T) {
        self.running.retain(|entry| entry.0 != timer);
    }

    /// The next moment at which a timer runs out.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Instant> {
        self.running.iter().map(|entry| entry.1).min()
    }

    /// Takes out the timer that ran out first, if any has by `now`.
    pub fn expire(&mut self, now: Instant) -> Option<T> {
        let first = (0..self.running.len()).min_by_key(|&at| (self.running[at].1, at))?;
        (self.running[first].1 <= now).then(|| self.running.remove(first).0)
    }

    /// The running timers by name.
    pub fn iter(&self) -> impl Iterator<Item = (T, Instant)> {
        self.running.iter().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timers_fire_in_order_of_time_once() {
        let mut timers = Timers::default();
        timers.set('a', Instant(30));
        timers.set('b', Instant(10));
        timers.set('c', Instant(20));
        timers.set('b', Instant(40));
        timers.stop('c');
        assert_eq!(timers.next_deadline(), Some(Instant(30)));
        assert_eq!(timers.expire(Instant(29)), None);
        assert_eq!(timers.expire(Instant(50)), Some('a'));
        assert_eq!(timers.expire(Instant(50)), Some('b'));
        assert_eq!(timers.expire(Instant(50)), None);
        assert_eq!(timers.next_deadline(), None);
    }
}
