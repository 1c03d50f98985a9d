//! Watches: who wants to know of which changes, and what they are told.
//!
//! The apply thread hands every revision to the [`Hub`], which finds the watches that it concerns and
//! puts one item per watch into the queue of the watch's stream. Queues are bounded in bytes. A
//! watch whose item does not fit *lags*: the hub forgets it, and the stream itself reads what the
//! watch missed from the store's history, piece by piece, while it is read from; having caught up,
//! the watch rejoins the hub under the hub's lock, which is what makes the seam exact: every
//! revision up to the hub's comes from history, every later one from the hub.
//!
//! What holds on a stream: `Created` comes first; the items of one watch come in the order of
//! revisions, each revision once and whole; `Progress` neither overtakes events nor is overtaken.

mod encode;
mod hub;
mod index;
mod queue;
mod stream;
#[cfg(test)]
mod tests;

use std::time::Duration;

use bytes::Bytes;

use crate::command::KeyRange;
use crate::error::Error;
use crate::reply::Revision;

pub use hub::{Hub, WatchCounts};
pub use stream::{Found, WatchStream};

/// Where what a watch missed is read again: the store, or a list in tests.
pub trait Past: Send + Sync {
    /// The newest revision that history can answer for.
    fn revision(&self) -> i64;

    /// The oldest revision whose changes are kept.
    fn compacted(&self) -> i64;

    /// The changes in `range` from revision `from` on, oldest first, whole revisions, stopping after
    /// about `bytes_max`; and the revision with which to go on, which is one more than
    /// [`Past::revision`] when there is nothing left.
    ///
    /// # Errors
    /// [`Error::Compacted`] if `from` is older than what is kept.
    fn history(
        &self,
        range: &KeyRange,
        from: i64,
        bytes_max: usize,
    ) -> Result<(Vec<Revision>, i64), Error>;
}

/// How much watches may cost.
#[derive(Clone, Debug)]
pub struct WatchOptions {
    /// Watches of one stream at most.
    pub watches_per_stream_max: usize,
    /// Watches of the replica at most.
    pub watches_max: usize,
    /// Bytes waiting in one stream's queue at most; what does not fit is read again from history.
    pub stream_bytes_max: usize,
    /// Bytes waiting in all queues at most.
    pub total_bytes_max: usize,
    /// Answers other than events waiting in one stream at most; a client that goes on asking without
    /// reading loses its stream.
    pub answers_max: usize,
    /// About how much history is read at a time.
    pub piece_bytes: usize,
    /// A lagging watch that is fewer revisions behind than this rejoins the hub, and is told the rest
    /// of its history while what follows is queued already.
    pub rejoin_within: i64,
    /// Waiting items of one watch are joined up to about this size.
    pub join_bytes: usize,
    /// The largest part of a revision that is sent to a watch that asked for fragments.
    pub fragment_bytes: usize,
    /// How often a quiet watch that asked for it hears of progress.
    pub progress_interval: Duration,
    /// Feeds the shape of the index, so that clients cannot foresee it and simulations repeat.
    pub seed: u64,
}

impl Default for WatchOptions {
    fn default() -> WatchOptions {
        WatchOptions {
            watches_per_stream_max: 100_000,
            watches_max: 1_000_000,
            stream_bytes_max: 4 << 20,
            total_bytes_max: 256 << 20,
            answers_max: 65_536,
            piece_bytes: 256 << 10,
            rejoin_within: 1000,
            join_bytes: 64 << 10,
            fragment_bytes: 1_572_864,
            progress_interval: Duration::from_secs(600),
            seed: 0,
        }
    }
}

/// What to watch.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct WatchCreate {
    /// Which keys. An empty key means the smallest one, a zero byte.
    pub range: KeyRange,
    /// The first revision of interest; 0 for whatever comes next.
    pub start_revision: i64,
    /// The name of the watch on its stream; 0 to have one picked.
    pub watch_id: i64,
    /// Whether events bring the row before the change.
    pub prev_kv: bool,
    /// Whether progress is told now and then while nothing happens.
    pub progress_notify: bool,
    /// Leave out puts.
    pub no_put: bool,
    /// Leave out deletions.
    pub no_delete: bool,
    /// Whether a large revision may come in parts.
    pub fragment: bool,
}

/// What a stream tells its client.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Item {
    /// Which watch this is about; -1 for none in particular.
    pub watch_id: i64,
    /// The revision for the answer's header. For [`Kind::Progress`]: everything up to it was told.
    pub revision: i64,
    /// What there is to tell.
    pub kind: Kind,
}

/// What there is to tell.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Kind {
    /// The watch exists.
    Created,
    /// The watch was not made; `created` and `canceled` in one answer.
    Refused(Refusal),
    /// Changes, oldest first; all those of one revision are together unless it is a fragment.
    Events {
        /// Each an encoded `mvccpb.Event`.
        chunks: Chunks,
        /// Whether more of the same revision follows in the next item of this watch.
        fragment: bool,
    },
    /// The watch is no more.
    Canceled {
        /// If it had to end because what it was to tell is gone: the oldest revision that a new
        /// watch can start from.
        compact_revision: Option<i64>,
    },
    /// Everything up to the item's revision was told.
    Progress,
}

/// Why a watch was not made.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Refusal {
    /// The end of its range is not behind its start.
    EmptyRange,
    /// The stream has a watch of this name.
    DuplicateId,
    /// There are too many watches.
    TooMany,
}

/// Encoded events; mostly there is one.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Chunks {
    /// A single event.
    One(Bytes),
    /// Several.
    Many(Vec<Bytes>),
}

impl Chunks {
    /// The events.
    #[must_use]
    pub fn as_slice(&self) -> &[Bytes] {
        match self {
            Chunks::One(chunk) => std::slice::from_ref(chunk),
            Chunks::Many(chunks) => chunks,
        }
    }

    /// Their bytes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.as_slice().iter().map(Bytes::len).sum()
    }

    fn from_vec(mut chunks: Vec<Bytes>) -> Chunks {
        match chunks.len() {
            1 => chunks.pop().map_or(Chunks::Many(Vec::new()), Chunks::One),
            _ => Chunks::Many(chunks),
        }
    }

    fn append(&mut self, other: Chunks) {
        let mut all = match std::mem::replace(self, Chunks::Many(Vec::new())) {
            Chunks::One(chunk) => vec![chunk],
            Chunks::Many(chunks) => chunks,
        };
        match other {
            Chunks::One(chunk) => all.push(chunk),
            Chunks::Many(chunks) => all.extend(chunks),
        }
        *self = Chunks::Many(all);
    }
}

impl Item {
    /// What an item costs while it waits.
    fn cost(&self) -> usize {
        const ITEM_BYTES: usize = 96;
        const CHUNK_BYTES: usize = 32;
        ITEM_BYTES
            + match &self.kind {
                Kind::Events { chunks, .. } => {
                    chunks.bytes() + CHUNK_BYTES * chunks.as_slice().len()
                }
                _ => 0,
            }
    }

    fn is_answer(&self) -> bool {
        !matches!(self.kind, Kind::Events { .. })
    }
}
