//! What a replica has done, counted without locks.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use quorate_core::NodeId;

use crate::clock::Clock;
use crate::log::LogCounts;
use crate::pace::Pace;

/// How many buckets a [`Histogram`] has.
pub const BUCKETS: usize = 24;

/// A count of durations by size.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Histogram {
    /// Bucket `i` counts what took less than 2^i microseconds and no less than half of that; the
    /// last one also counts everything longer.
    pub buckets: [u64; BUCKETS],
    /// All durations together, in microseconds.
    pub sum_us: u64,
}

impl Histogram {
    /// How many durations were counted.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.buckets.iter().sum()
    }
}

/// What a replica has done since it was started.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct Metrics {
    /// What its log has done.
    pub log: LogCounts,
    /// How many segments the log has.
    pub log_segments: u64,
    /// How long the disk took to make frames durable.
    pub sync_time: Histogram,
    /// For how long every sync of the log has taken [`SLOW_SYNC`](crate::SLOW_SYNC) or longer; zero if the last one
    /// did not.
    pub disk_slow_for: Duration,
    /// The peers as they are now, in the order in which they were named.
    pub peers: Vec<PeerMetrics>,
}

/// What happened between a replica and one peer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PeerMetrics {
    /// The peer.
    pub peer: NodeId,
    /// Whether there is a connection to it.
    pub connected: bool,
    /// For how long there has been; zero if there is none.
    pub connected_for: Duration,
    /// Messages given up because the queue was full or there was no connection.
    pub messages_dropped: u64,
    /// Bytes sent to it, without attachments.
    pub bytes_sent: u64,
    /// Bytes received from it, without attachments.
    pub bytes_received: u64,
    /// Attachments that it received whole.
    pub attachments_sent: u64,
    /// Attachments that it sent and that were received whole.
    pub attachments_received: u64,
}

#[derive(Default)]
pub(crate) struct AtomicHistogram {
    buckets: [AtomicU64; BUCKETS],
    sum_us: AtomicU64,
}

impl AtomicHistogram {
    pub(crate) fn add(&self, took: Duration) {
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let bucket = (u64::BITS - micros.leading_zeros()) as usize;
        self.buckets[bucket.min(BUCKETS - 1)].fetch_add(1, Ordering::Relaxed);
        self.sum_us.fetch_add(micros, Ordering::Relaxed);
    }

    fn read(&self) -> Histogram {
        Histogram {
            buckets: std::array::from_fn(|bucket| self.buckets[bucket].load(Ordering::Relaxed)),
            sum_us: self.sum_us.load(Ordering::Relaxed),
        }
    }
}

/// The counters behind [`Metrics`].
pub(crate) struct Counters {
    /// By which the disk's pace is measured.
    clock: Clock,
    sync_time: AtomicHistogram,
    pace: Pace,
    log_frames: AtomicU64,
    log_bytes: AtomicU64,
    log_syncs: AtomicU64,
    log_segments: AtomicU64,
    /// Replaced when peers come and go; nobody counts through this.
    pub(crate) peers: ArcSwap<Vec<Arc<PeerCounters>>>,
}

/// The counters behind [`PeerMetrics`].
#[derive(Default)]
pub(crate) struct PeerCounters {
    pub(crate) peer: u64,
    /// Since when there is a connection. Locked when one comes or goes, and by those who ask.
    connected_since: Mutex<Option<Instant>>,
    pub(crate) messages_dropped: AtomicU64,
    pub(crate) bytes_sent: AtomicU64,
    pub(crate) bytes_received: AtomicU64,
    pub(crate) attachments_sent: AtomicU64,
    pub(crate) attachments_received: AtomicU64,
}

impl PeerCounters {
    pub(crate) fn of(peer: NodeId) -> PeerCounters {
        PeerCounters {
            peer: peer.0,
            ..PeerCounters::default()
        }
    }

    /// There is a connection from now on, or none.
    pub(crate) fn set_connected(&self, connected: bool) {
        *self.connected_since() = connected.then(Instant::now);
    }

    fn connected_since(&self) -> MutexGuard<'_, Option<Instant>> {
        let since = self.connected_since.lock();
        since.unwrap_or_else(PoisonError::into_inner)
    }

    fn read(&self) -> PeerMetrics {
        let since = *self.connected_since();
        PeerMetrics {
            peer: NodeId(self.peer),
            connected: since.is_some(),
            connected_for: since.map_or(Duration::ZERO, |since| since.elapsed()),
            messages_dropped: self.messages_dropped.load(Ordering::Relaxed),
            bytes_sent: self.bytes_sent.load(Ordering::Relaxed),
            bytes_received: self.bytes_received.load(Ordering::Relaxed),
            attachments_sent: self.attachments_sent.load(Ordering::Relaxed),
            attachments_received: self.attachments_received.load(Ordering::Relaxed),
        }
    }
}

impl Counters {
    pub(crate) fn new(clock: Clock) -> Counters {
        Counters {
            clock,
            sync_time: AtomicHistogram::default(),
            pace: Pace::default(),
            log_frames: AtomicU64::default(),
            log_bytes: AtomicU64::default(),
            log_syncs: AtomicU64::default(),
            log_segments: AtomicU64::default(),
            peers: ArcSwap::default(),
        }
    }

    /// A sync of the log begins.
    pub(crate) fn on_sync(&self) {
        self.pace.begin(self.clock.now());
    }

    /// It has ended; answers how long it took.
    pub(crate) fn on_synced(&self) -> Duration {
        let took = self.pace.end(self.clock.now());
        self.sync_time.add(took);
        took
    }

    pub(crate) fn on_log(&self, counts: LogCounts, segments: usize) {
        self.log_frames.store(counts.frames, Ordering::Relaxed);
        self.log_bytes.store(counts.bytes, Ordering::Relaxed);
        self.log_syncs.store(counts.syncs, Ordering::Relaxed);
        self.log_segments.store(segments as u64, Ordering::Relaxed);
    }

    pub(crate) fn read(&self) -> Metrics {
        let peers = self.peers.load();
        Metrics {
            log: LogCounts {
                frames: self.log_frames.load(Ordering::Relaxed),
                bytes: self.log_bytes.load(Ordering::Relaxed),
                syncs: self.log_syncs.load(Ordering::Relaxed),
            },
            log_segments: self.log_segments.load(Ordering::Relaxed),
            sync_time: self.sync_time.read(),
            disk_slow_for: self.pace.slow_for(self.clock.now()),
            peers: peers.iter().map(|peer| peer.read()).collect(),
        }
    }
}
