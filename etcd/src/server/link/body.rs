//! The body of a request: the connection feeds it, whoever answers reads it.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use hyper::body::Frame;
use tonic::Status;

use super::said::{Outbox, Said};

/// So much is read before the client hears of it: enough to be worth a word, and little beside the
/// windows.
const REPORT_BYTES: usize = 32 << 10;

/// What both ends share.
#[derive(Default)]
struct Shared {
    parts: VecDeque<Bytes>,
    /// Whether there is no more, and whether that is as it should be.
    ended: Option<bool>,
    waker: Option<Waker>,
}

fn lock(shared: &Mutex<Shared>) -> MutexGuard<'_, Shared> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The end of the connection. If it is dropped early, the body breaks off.
pub(super) struct Feed(Arc<Mutex<Shared>>);

/// The body.
pub(super) struct Incoming {
    shared: Arc<Mutex<Shared>>,
    stream: u32,
    outbox: Outbox,
    /// How much was read and not reported.
    unreported: usize,
    /// How much of what will be read was reported before.
    reported: usize,
}

/// A body on a stream, and its two ends. So much of it was `reported` to the client already.
pub(super) fn body(stream: u32, outbox: Outbox, reported: usize) -> (Feed, Incoming) {
    let shared = Arc::new(Mutex::default());
    let incoming = Incoming {
        shared: Arc::clone(&shared),
        stream,
        outbox,
        unreported: 0,
        reported,
    };
    (Feed(shared), incoming)
}

impl Feed {
    /// Appends a part.
    pub(super) fn push(&self, data: Bytes, ends: bool) {
        let mut shared = lock(&self.0);
        if !data.is_empty() {
            shared.parts.push_back(data);
        }
        if ends {
            shared.ended = Some(true);
        }
        wake(shared);
    }
}

impl Drop for Feed {
    fn drop(&mut self) {
        let mut shared = lock(&self.0);
        shared.ended.get_or_insert(false);
        wake(shared);
    }
}

/// Wakes the reader, outside of the lock.
fn wake(mut shared: MutexGuard<'_, Shared>) {
    let waker = shared.waker.take();
    drop(shared);
    if let Some(waker) = waker {
        waker.wake();
    }
}

impl Incoming {
    fn report(&mut self, bytes: usize) {
        let bytes = std::mem::take(&mut self.unreported) + bytes;
        let before = bytes.min(self.reported);
        self.reported -= before;
        let bytes = bytes - before;
        if bytes > 0 {
            let stream = self.stream;
            self.outbox.push(Said::Consumed { stream, bytes });
        }
    }
}

impl Drop for Incoming {
    fn drop(&mut self) {
        let unread = {
            let mut shared = lock(&self.shared);
            // Nothing that comes later is kept.
            std::mem::take(&mut shared.parts)
        };
        self.report(unread.iter().map(Bytes::len).sum());
    }
}

impl hyper::body::Body for Incoming {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let mut shared = lock(&self.shared);
        if let Some(part) = shared.parts.pop_front() {
            drop(shared);
            self.unreported += part.len();
            if self.unreported >= REPORT_BYTES {
                self.report(0);
            }
            return Poll::Ready(Some(Ok(Frame::data(part))));
        }
        match shared.ended {
            Some(true) => Poll::Ready(None),
            Some(false) => {
                // Once is enough.
                shared.ended = Some(true);
                Poll::Ready(Some(Err(Status::cancelled("the client has gone"))))
            }
            None => {
                shared.waker = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        let shared = lock(&self.shared);
        shared.parts.is_empty() && shared.ended == Some(true)
    }
}
