//! Calls that go the long way: a task for each, an `http::Request` in, an `http::Response` out.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;

use ::http::Request;
use bytes::Bytes;
use hyper::body::Body as _;
use tokio::sync::Semaphore;
use tokio::task::AbortHandle;
use tonic::body::Body;

use super::body::Feed;
use super::said::{Outbox, Said};
use crate::server::front::Front;

/// How much of an answer may wait to be sent before whoever answers has to wait.
const ROOM_BYTES: u32 = 256 << 10;

/// A call under way. If this is dropped it ends.
pub(super) struct Slow {
    /// Where the rest of the request goes.
    feed: Feed,
    task: AbortHandle,
    room: Arc<Semaphore>,
    /// How much of the answer waits on its stream.
    owed: u32,
}

impl Slow {
    /// Begins to answer a request.
    pub(super) fn begin(front: &Front, request: Request<Body>, feed: Feed, outlet: Outlet) -> Slow {
        let room = Arc::clone(&outlet.room);
        let answering = answer(front.clone(), request, outlet);
        Slow {
            feed,
            task: tokio::spawn(answering).abort_handle(),
            room,
            owed: 0,
        }
    }

    /// A part of the request.
    pub(super) fn feed(&self, data: Bytes, ends: bool) {
        self.feed.push(data, ends);
    }

    /// So much of the answer was handed over and may have to wait.
    pub(super) fn owe(&mut self, bytes: usize) {
        self.owed += permits(bytes);
    }

    /// Whether nothing is owed that ought to be paid when the stream has sent everything.
    pub(super) fn owes(&self) -> bool {
        self.owed > 0
    }

    /// All of it was sent.
    pub(super) fn pay(&mut self) {
        self.room
            .add_permits(std::mem::take(&mut self.owed) as usize);
    }
}

impl Drop for Slow {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A larger part waits until there is all the room.
fn permits(bytes: usize) -> u32 {
    u32::try_from(bytes).unwrap_or(u32::MAX).min(ROOM_BYTES)
}

/// Where an answer goes. If it is dropped before the end, the client hears of it.
pub(super) struct Outlet {
    stream: u32,
    head_only: bool,
    outbox: Outbox,
    room: Arc<Semaphore>,
    ended: bool,
}

impl Outlet {
    pub(super) fn new(stream: u32, head_only: bool, outbox: Outbox) -> Outlet {
        Outlet {
            stream,
            head_only,
            outbox,
            room: Arc::new(Semaphore::new(ROOM_BYTES as usize)),
            ended: false,
        }
    }

    /// Waits until there is room, and sends.
    async fn data(&mut self, data: Bytes, ends: bool) {
        // Nobody closes it.
        if let Ok(permit) = self.room.acquire_many(permits(data.len())).await {
            permit.forget();
        }
        self.ended = ends;
        let stream = self.stream;
        self.outbox.push(Said::Data { stream, data, ends });
    }
}

impl Drop for Outlet {
    fn drop(&mut self) {
        if !self.ended {
            let stream = self.stream;
            self.outbox.push(Said::Failed { stream });
        }
    }
}

async fn answer(front: Front, request: Request<Body>, mut outlet: Outlet) {
    let stream = outlet.stream;
    let (mut parts, mut body) = front.answer(request).await.into_parts();
    let ends = outlet.head_only || body.is_end_stream();
    if !ends
        && let Some(size) = body.size_hint().exact()
        && !parts.headers.contains_key(::http::header::CONTENT_LENGTH)
    {
        let size = ::http::HeaderValue::from(size);
        parts.headers.insert(::http::header::CONTENT_LENGTH, size);
    }
    let parts = Box::new(parts);
    outlet.ended = ends;
    outlet.outbox.push(Said::Head {
        stream,
        parts,
        ends,
    });
    while !outlet.ended {
        let frame = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await;
        let frame = match frame {
            None => return outlet.data(Bytes::new(), true).await,
            Some(Ok(frame)) => frame,
            Some(Err(error)) => return tracing::debug!(%error, "an answer broke off"),
        };
        match frame.into_data() {
            Ok(data) => outlet.data(data, false).await,
            Err(frame) => {
                if let Ok(fields) = frame.into_trailers() {
                    outlet.ended = true;
                    outlet.outbox.push(Said::Trailers { stream, fields });
                }
            }
        }
    }
}
