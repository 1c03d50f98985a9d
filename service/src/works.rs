//! The way from the edge to the machine: a queue, and a thread that is called when there is something in it. If
//! little is in it and that thread sleeps, the edge's thread does the work itself: calling another would
//! take longer.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crossbeam_channel::{Receiver, Sender};

use crate::applier::Applier;
use crate::edge::Work;

/// How many deliveries, and how many bytes of them, are little.
const LITTLE_WORKS: usize = 2;
const LITTLE_BYTES: usize = 8 << 10;

/// Where work is left. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Works {
    queue: Sender<Work>,
    bell: Sender<()>,
}

impl Works {
    /// Leaves work; somebody has to [`Works::call`].
    pub(crate) fn push(&self, work: Work) {
        // Without an applier the process is about to end.
        let _ = self.queue.send(work);
    }

    /// Calls the apply thread. Calling it again is the same call.
    pub(crate) fn call(&self) {
        let _ = self.bell.try_send(());
    }
}

/// Where work is found.
pub(crate) struct Found {
    pub(crate) queue: Receiver<Work>,
    pub(crate) bell: Receiver<()>,
    pub(crate) seat: Seat,
}

/// Where the applier sits while threads share it; empty if somebody drives it alone. Cheap to clone.
#[derive(Clone, Default)]
pub(crate) struct Seat(Arc<Mutex<Option<Applier>>>);

impl Seat {
    /// Waits for the applier.
    pub(crate) fn take(&self) -> MutexGuard<'_, Option<Applier>> {
        // A thread that panicked while it applied ends the process soon.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn try_take(&self) -> Option<MutexGuard<'_, Option<Applier>>> {
        // One that is poisoned is for its own thread to see to.
        self.0.try_lock().ok()
    }
}

/// The edge's end.
pub(crate) struct Desk {
    works: Works,
    seat: Seat,
    /// What was left since the last time it was handed over.
    left: usize,
    bytes: usize,
}

impl Desk {
    /// Leaves work of this size for when it is handed over.
    pub(crate) fn push(&mut self, work: Work, bytes: usize) {
        self.works.push(work);
        self.left += 1;
        self.bytes += bytes;
    }

    /// That was all for now: it is done here if it is little, and by the apply thread otherwise.
    pub(crate) fn hand_over(&mut self) {
        if self.left == 0 {
            return;
        }
        let is_little = self.left <= LITTLE_WORKS && self.bytes <= LITTLE_BYTES;
        (self.left, self.bytes) = (0, 0);
        if !(is_little && self.work_here()) {
            self.works.call();
        }
    }

    /// Answers whether there is nothing left to do.
    fn work_here(&self) -> bool {
        let Some(mut seated) = self.seat.try_take() else {
            return false;
        };
        seated.as_mut().is_some_and(Applier::work_elsewhere)
    }
}

/// Makes a way for work: the edge's end, one for others who leave something, and the applier's.
pub(crate) fn works() -> (Desk, Works, Found) {
    let (sender, queue) = crossbeam_channel::unbounded();
    // One call is as good as many.
    let (call, bell) = crossbeam_channel::bounded(1);
    let works = Works {
        queue: sender,
        bell: call,
    };
    let seat = Seat::default();
    let desk = Desk {
        works: works.clone(),
        seat: seat.clone(),
        left: 0,
        bytes: 0,
    };
    (desk, works, Found { queue, bell, seat })
}
