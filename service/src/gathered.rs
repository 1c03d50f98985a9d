//! What many leave for one: it is woken once for all that has come together.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::Waker;

/// A place where things are left.
#[derive(Debug)]
pub struct Gathered<T>(Mutex<Inner<T>>);

#[derive(Debug)]
struct Inner<T> {
    things: Vec<T>,
    waker: Option<Waker>,
    closed: bool,
}

impl<T> Default for Gathered<T> {
    fn default() -> Gathered<T> {
        Gathered(Mutex::new(Inner {
            things: Vec::new(),
            waker: None,
            closed: false,
        }))
    }
}

impl<T> Gathered<T> {
    fn lock(&self) -> MutexGuard<'_, Inner<T>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Leaves something, and has whom it is for woken once `wakers` is dropped.
    pub fn push(&self, thing: T, wakers: &mut Wakers) {
        let mut inner = self.lock();
        if !inner.closed {
            inner.things.push(thing);
            wakers.0.extend(inner.waker.take());
        }
    }

    /// Takes all that was left, in order. If that is nothing, the next thing wakes.
    pub fn take(&self, into: &mut Vec<T>, waker: &Waker) {
        let mut inner = self.lock();
        if !inner.things.is_empty() {
            into.append(&mut inner.things);
        } else if !inner.waker.as_ref().is_some_and(|old| old.will_wake(waker)) {
            inner.waker = Some(waker.clone());
        }
    }

    /// Nobody will come for anything any more.
    pub fn close(&self) {
        let mut inner = self.lock();
        inner.closed = true;
        inner.waker = None;
        let things = std::mem::take(&mut inner.things);
        drop(inner);
        drop(things);
    }

    /// Whether it is so.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.lock().closed
    }
}

/// Those who are to be woken: all of them when this is dropped.
#[derive(Debug, Default)]
pub struct Wakers(Vec<Waker>);

impl Drop for Wakers {
    fn drop(&mut self) {
        self.0.drain(..).for_each(Waker::wake);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[derive(Default)]
    struct Count(AtomicUsize);

    impl std::task::Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn one_waking_for_all_that_came_together() {
        let gathered = Gathered::default();
        let count = Arc::new(Count::default());
        let waker = Waker::from(Arc::clone(&count));
        let mut taken = Vec::new();
        for round in 1..4 {
            gathered.take(&mut taken, &waker);
            assert!(taken.is_empty());
            let mut wakers = Wakers::default();
            gathered.push(1, &mut wakers);
            gathered.push(2, &mut wakers);
            assert_eq!(count.0.load(Ordering::Relaxed), round - 1);
            drop(wakers);
            assert_eq!(count.0.load(Ordering::Relaxed), round);
            gathered.take(&mut taken, &waker);
            assert_eq!(std::mem::take(&mut taken), [1, 2]);
        }
        gathered.close();
        gathered.push(3, &mut Wakers::default());
        gathered.take(&mut taken, &waker);
        assert!(taken.is_empty() && gathered.is_closed());
    }
}
