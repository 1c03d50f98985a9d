//! What happens when: the agenda of the world, and the clocks of its machines.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use quorate_core::Instant;

/// Things to come, the earliest first; of those at one moment, the one that was planned first.
pub(super) struct Agenda<E> {
    heap: BinaryHeap<Entry<E>>,
    serial: u64,
    now: Instant,
}

struct Entry<E> {
    at: Instant,
    serial: u64,
    event: E,
}

impl<E> Entry<E> {
    fn key(&self) -> (Instant, u64) {
        (self.at, self.serial)
    }
}

impl<E> PartialEq for Entry<E> {
    fn eq(&self, other: &Entry<E>) -> bool {
        self.key() == other.key()
    }
}

impl<E> Eq for Entry<E> {}

impl<E> PartialOrd for Entry<E> {
    fn partial_cmp(&self, other: &Entry<E>) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<E> Ord for Entry<E> {
    /// The heap's largest is the earliest.
    fn cmp(&self, other: &Entry<E>) -> Ordering {
        other.key().cmp(&self.key())
    }
}

impl<E> Agenda<E> {
    pub(super) fn new() -> Agenda<E> {
        Agenda {
            heap: BinaryHeap::new(),
            serial: 0,
            now: Instant(0),
        }
    }

    pub(super) fn now(&self) -> Instant {
        self.now
    }

    /// Plans an event. What should have happened already happens next.
    pub(super) fn plan(&mut self, at: Instant, event: E) {
        self.serial += 1;
        self.heap.push(Entry {
            at: at.max(self.now),
            serial: self.serial,
            event,
        });
    }

    /// Plans an event so many nanoseconds from now.
    pub(super) fn plan_in(&mut self, nanos: u64, event: E) {
        self.plan(Instant(self.now.0.saturating_add(nanos)), event);
    }

    /// The next event, unless it comes after `end`; time goes on to its moment.
    pub(super) fn next(&mut self, end: Instant) -> Option<E> {
        if self.heap.peek().is_none_or(|entry| entry.at > end) {
            return None;
        }
        let entry = self.heap.pop()?;
        self.now = entry.at;
        Some(entry.event)
    }
}

impl<E> Agenda<E> {
    /// Time goes on although nothing happens.
    pub(super) fn wait_until(&mut self, at: Instant) {
        self.now = self.now.max(at);
    }
}

/// A machine's clock, which runs faster or slower than the world's.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clock {
    world: u64,
    here: u64,
    /// Its rate in millionths: a million is exact.
    rate: u64,
}

const EXACT: u64 = 1_000_000;

impl Clock {
    /// An exact clock that shows `here` when the world's shows 0.
    pub(super) fn new(here: u64) -> Clock {
        Clock {
            world: 0,
            here,
            rate: EXACT,
        }
    }

    /// What it shows.
    pub(super) fn here(&self, world: Instant) -> Instant {
        let passed = u128::from(world.0 - self.world) * u128::from(self.rate);
        Instant(self.here + (passed / u128::from(EXACT)) as u64)
    }

    /// When it will show `here`.
    pub(super) fn world(&self, here: Instant) -> Instant {
        let passed = u128::from(here.0.saturating_sub(self.here)) * u128::from(EXACT);
        let passed = passed.div_ceil(u128::from(self.rate));
        let passed = u64::try_from(passed).unwrap_or(u64::MAX);
        Instant(self.world.saturating_add(passed))
    }

    /// It goes on at another rate, in millionths.
    pub(super) fn set_rate(&mut self, rate: u64, world: Instant) {
        *self = Clock {
            world: world.0,
            here: self.here(world).0,
            rate: rate.max(1),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_planned_happens_in_order_of_time_then_of_planning() {
        let mut agenda = Agenda::new();
        for (at, event) in [(30, 'c'), (10, 'a'), (30, 'd'), (20, 'b'), (40, 'e')] {
            agenda.plan(Instant(at), event);
        }
        let mut seen = String::new();
        while let Some(event) = agenda.next(Instant(30)) {
            seen.push(event);
            if event == 'b' {
                agenda.plan(Instant(5), '!');
            }
        }
        assert_eq!((seen.as_str(), agenda.now()), ("ab!cd", Instant(30)));
    }

    #[test]
    fn a_clock_that_drifts_never_goes_back_and_wakes_nobody_early() {
        let mut clock = Clock::new(500);
        assert_eq!(clock.here(Instant(7)), Instant(507));
        clock.set_rate(1_300_000, Instant(1000));
        clock.set_rate(700_001, Instant(3000));
        let mut last = Instant(0);
        for world in 3000..4000 {
            let here = clock.here(Instant(world));
            assert!(here >= last);
            last = here;
            let due = clock.world(Instant(here.0 + 5));
            assert!(clock.here(due) >= Instant(here.0 + 5) && due.0 <= world + 9);
        }
    }
}
