//! What the tasks that answer calls have to say to their connection.

use std::sync::Arc;

use ::http::HeaderMap;
use ::http::response::Parts;
use bytes::Bytes;
use quorate_service::gathered::{Gathered, Wakers};

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

/// Where it is said.
#[derive(Clone, Default)]
pub(super) struct Outbox(pub(super) Arc<Gathered<Said>>);

impl Outbox {
    /// Leaves something.
    pub(super) fn push(&self, said: Said) {
        self.0.push(said, &mut Wakers::default());
    }
}
