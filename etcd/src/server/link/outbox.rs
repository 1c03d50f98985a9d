//! What others have to say to a connection: they leave it here, and the connection is woken once for
//! all that has come together.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::Waker;

use ::http::HeaderMap;
use ::http::response::Parts;
use bytes::Bytes;

/// Something for a connection to do.
pub(super) enum Said {
    /// An answer begins; it ends at once if it has no body.
    Head {
        stream: u32,
        parts: Box<Parts>,
        ends: bool,
    },
    /// A part of an answer.
    Data {
        stream: u32,
        data: Bytes,
        ends: bool,
    },
    /// The end of an answer.
    Trailers { stream: u32, fields: HeaderMap },
    /// There will be no answer, or no more of it.
    Failed { stream: u32 },
    /// So much of a request was read.
    Consumed { stream: u32, bytes: usize },
}

/// See the module.
#[derive(Default)]
pub(super) struct Outbox(Mutex<Inner>);

#[derive(Default)]
struct Inner {
    said: Vec<Said>,
    waker: Option<Waker>,
}

impl Outbox {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Leaves something.
    pub(super) fn push(&self, said: Said) {
        let mut inner = self.lock();
        inner.said.push(said);
        let waker = inner.waker.take();
        drop(inner);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Takes all that was left, or has the next who leaves something wake the connection.
    pub(super) fn take(&self, into: &mut Vec<Said>, waker: &Waker) {
        let mut inner = self.lock();
        if inner.said.is_empty() {
            if !inner.waker.as_ref().is_some_and(|old| old.will_wake(waker)) {
                inner.waker = Some(waker.clone());
            }
        } else {
            std::mem::swap(&mut inner.said, into);
        }
    }
}
