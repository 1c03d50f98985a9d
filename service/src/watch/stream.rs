//! One client's stream of watches.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::Ordering;

use tokio::time::Instant;

use super::queue::{Lag, Stream, Turn};
use super::{Hub, Item, Kind, WatchCreate};
use crate::error::Error;

/// One client's stream of watches: requests go in, items come out. All methods take `&self`, so that
/// a reader of requests and a writer of answers can share it; only one of them may call
/// [`WatchStream::next`]. Dropping it ends all its watches.
pub struct WatchStream {
    hub: Arc<Hub>,
    shared: Arc<Stream>,
    /// When quiet watches are next told of progress.
    interval_ends: Mutex<Option<Instant>>,
}

/// What [`WatchStream::try_next`] found.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Found {
    /// An item to tell.
    Item(Item),
    /// Nothing yet, but there is more history to read: ask again soon.
    Busy,
    /// Nothing until something happens.
    Idle,
    /// The stream has ended.
    Closed,
}

impl WatchStream {
    pub(super) fn new(hub: Arc<Hub>, shared: Arc<Stream>) -> WatchStream {
        WatchStream {
            hub,
            shared,
            interval_ends: Mutex::new(None),
        }
    }

    /// Makes a watch; the answer comes as an item.
    pub fn create(&self, request: WatchCreate) {
        self.hub.create(&self.shared, request);
    }

    /// Ends a watch; the answer comes as an item, unless there is no such watch.
    pub fn cancel(&self, watch_id: i64) {
        self.hub.cancel(&self.shared, watch_id);
    }

    /// Asks for an item that says how far all watches of the stream have been told; it comes once
    /// they are in sync, and not at all without watches.
    pub fn progress(&self) {
        self.hub.progress(&self.shared);
    }

    /// Waits until the stream can take more requests: to be awaited before reading one from the
    /// client, or a client that never reads its answers loses its stream.
    pub async fn room(&self) {
        let is_crowded = || self.shared.queue().answers() > self.hub.options().answers_max / 2;
        while is_crowded() {
            let freed = self.shared.room.notified();
            if is_crowded() {
                freed.await;
            }
        }
    }

    /// The next item; `None` once the stream has ended. It may be cancelled and called again:
    /// nothing is lost.
    pub async fn next(&self) -> Option<Item> {
        loop {
            if self.interval_has_ended() {
                self.hub.on_interval(&self.shared);
            }
            // Asked for before looking: news in between is then not missed.
            let news = self.shared.news.notified();
            match self.try_next() {
                Found::Item(item) => return Some(item),
                Found::Closed => return None,
                // History without anything for this watch: let others run in between.
                Found::Busy => tokio::task::yield_now().await,
                Found::Idle => match self.interval_end() {
                    None => news.await,
                    Some(end) => {
                        // Both outcomes lead to another look.
                        let _ = tokio::time::timeout_at(end, news).await;
                    }
                },
            }
        }
    }

    /// Does a bounded piece of work towards the next item, without waiting.
    #[must_use]
    pub fn try_next(&self) -> Found {
        let mut queue = self.shared.queue();
        match queue.turn(self.hub.options().join_bytes) {
            Turn::Tell(item) => {
                if item.is_answer() {
                    self.shared.room.notify_one();
                } else if self.shared.notified.load(Ordering::Relaxed) > 0 {
                    queue.told.insert(item.watch_id);
                }
                Found::Item(item)
            }
            Turn::Read(lag) => {
                drop(queue);
                self.catch_up(lag);
                Found::Busy
            }
            Turn::Idle => Found::Idle,
            Turn::Closed => Found::Closed,
        }
    }

    /// Tells quiet watches how far they have been told, as happens once per interval.
    pub fn on_interval(&self) {
        self.hub.on_interval(&self.shared);
    }

    /// Reads one piece of history for a watch that lags.
    fn catch_up(&self, lag: Lag) {
        let piece_bytes = self.hub.piece_bytes();
        let piece = self.hub.past().history(&lag.range, lag.next, piece_bytes);
        let (mut revisions, next) = match piece {
            Ok(piece) => piece,
            Err(Error::Compacted { compacted }) => return self.hub.on_compacted(&lag, compacted),
            Err(error) => {
                // The store is damaged, which the apply thread will find too and end the process.
                tracing::error!(%error, "a watch cannot be caught up from history");
                self.shared.queue().close();
                return;
            }
        };
        revisions.retain(|revision| revision.revision <= lag.until);
        let items = revisions
            .iter()
            .flat_map(|revision| lag.form.items_of(lag.watch_id, revision));
        let items: Vec<Item> = items.collect();
        let lag = self.shared.queue().on_piece(lag.serial, next, items);
        if let Some(lag) = lag
            && self.hub.is_close(lag.next)
        {
            self.hub.rejoin(&lag);
        }
    }

    /// When the current interval ends, if any watch asked to be told of progress.
    fn interval_end(&self) -> Option<Instant> {
        if self.shared.notified.load(Ordering::Relaxed) == 0 {
            return None;
        }
        let mut ends = self.interval_ends.lock().expect("nobody panics holding it");
        let interval = self.hub.options().progress_interval;
        Some(*ends.get_or_insert_with(|| Instant::now() + interval))
    }

    fn interval_has_ended(&self) -> bool {
        let Some(end) = self.interval_end() else {
            return false;
        };
        let now = Instant::now();
        if now < end {
            return false;
        }
        let next = now + self.hub.options().progress_interval;
        *self.interval_ends.lock().expect("nobody panics holding it") = Some(next);
        true
    }
}

impl Drop for WatchStream {
    fn drop(&mut self) {
        self.hub.close(&self.shared);
    }
}

impl Kind {
    /// Whether this ends the watch.
    #[must_use]
    pub fn is_end(&self) -> bool {
        matches!(self, Kind::Refused(_) | Kind::Canceled { .. })
    }
}
