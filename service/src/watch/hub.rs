//! The hub: all watches of a replica, and the pushing of new revisions to those in sync.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::atomic::{AtomicI64, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use bytes::Bytes;

use super::encode::Encoded;
use super::index::Index;
use super::queue::{Form, Lag, Queue, Stream};
use super::{Chunks, Item, Kind, Past, Refusal, WatchCreate, WatchOptions, WatchStream};
use crate::command::KeyRange;
use crate::reply::Revision;

/// All watches of a replica. Locks are taken in the order hub, then stream.
pub struct Hub {
    inner: Mutex<Inner>,
    past: Arc<dyn Past>,
    options: WatchOptions,
    /// A copy of the revision in `inner`, to decide without the lock whether to take it.
    revision: AtomicI64,
    /// Bytes waiting in all queues.
    total: Arc<AtomicUsize>,
    told: AtomicU64,
    lagged: AtomicU64,
}

/// How many there are, for metrics.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct WatchCounts {
    /// Streams.
    pub streams: u64,
    /// Watches.
    pub watches: u64,
    /// Watches that are being caught up from history.
    pub lagging: u64,
    /// Items queued by the hub so far.
    pub items: u64,
    /// How often a watch fell behind because its stream's queue was full.
    pub lagged: u64,
    /// Bytes waiting in all queues.
    pub queued_bytes: u64,
}

struct Inner {
    /// Everything up to this revision was pushed.
    revision: i64,
    index: Index,
    watches: Vec<Option<Watch>>,
    free: Vec<u32>,
    serial: u64,
    streams: HashMap<u64, Streaming>,
    stream_ids: u64,
    /// Streams whose client waits to be told of progress.
    wanting: Vec<u64>,
    count: usize,
    /// Reused from revision to revision: which watch is to get which event.
    hits: Vec<(u32, u32)>,
}

struct Watch {
    serial: u64,
    stream: Arc<Stream>,
    watch_id: i64,
    range: KeyRange,
    form: Form,
    progress_notify: bool,
    /// Nothing before this revision is told.
    next: i64,
    /// Whether the hub tells it; else its stream catches it up.
    synced: bool,
}

struct Streaming {
    shared: Arc<Stream>,
    watches: BTreeMap<i64, u32>,
    next_id: i64,
    lagging: usize,
    /// No watch of the stream starts after this revision.
    next_max: i64,
    wants_progress: bool,
}

impl Hub {
    /// A hub at the revision that `past` has now.
    #[must_use]
    pub fn new(past: Arc<dyn Past>, options: WatchOptions) -> Hub {
        let revision = past.revision();
        Hub {
            inner: Mutex::new(Inner {
                revision,
                index: Index::new(options.seed),
                watches: Vec::new(),
                free: Vec::new(),
                serial: 0,
                streams: HashMap::new(),
                stream_ids: 0,
                wanting: Vec::new(),
                count: 0,
                hits: Vec::new(),
            }),
            past,
            revision: AtomicI64::new(revision),
            total: Arc::new(AtomicUsize::new(0)),
            options,
            told: AtomicU64::new(0),
            lagged: AtomicU64::new(0),
        }
    }

    /// Opens a stream, which ends when it is dropped.
    #[must_use]
    pub fn open(self: &Arc<Hub>) -> WatchStream {
        let mut inner = self.lock();
        inner.stream_ids += 1;
        let id = inner.stream_ids;
        let shared = Arc::new(Stream::new(id, self.total.clone()));
        let streaming = Streaming {
            shared: shared.clone(),
            watches: BTreeMap::new(),
            next_id: 0,
            lagging: 0,
            next_max: 0,
            wants_progress: false,
        };
        inner.streams.insert(id, streaming);
        WatchStream::new(self.clone(), shared)
    }

    /// Tells everyone concerned of new revisions, which history must have already. `revision` is
    /// the newest.
    pub fn publish(&self, revisions: &[Revision], revision: i64) {
        let mut inner = self.lock();
        let connects = inner.revision + revisions.len() as i64 >= revision;
        debug_assert!(connects, "revisions without events before {revision}");
        if !connects {
            // Never seen; were it so, watches would rather be told from history than miss anything.
            self.resync(&mut inner, revision);
        } else if !inner.index.is_empty() {
            for revision in revisions {
                self.push(&mut inner, revision);
            }
        }
        inner.revision = inner.revision.max(revision);
        self.revision.store(inner.revision, Ordering::Relaxed);
        self.tell_progress(&mut inner);
    }

    /// The store was replaced by one at this revision: everyone goes on from its history.
    pub fn on_install(&self, revision: i64) {
        let mut inner = self.lock();
        self.resync(&mut inner, revision);
    }

    fn resync(&self, inner: &mut Inner, revision: i64) {
        let before = inner.revision;
        inner.index.clear();
        for slot in 0..inner.watches.len() {
            let Some(watch) = &mut inner.watches[slot] else {
                continue;
            };
            if !watch.synced {
                continue;
            }
            watch.next = watch.next.max(before + 1);
            if watch.next > revision {
                let range = watch.range.clone();
                inner.index.insert(&range, slot as u32);
            } else {
                watch.synced = false;
                let lag = watch.lag(slot as u32, watch.stream.queue().pushed());
                watch.stream.queue().lag(lag);
                watch.stream.news.notify_one();
                let id = watch.stream.id;
                inner.streaming(id).lagging += 1;
            }
        }
        inner.revision = before.max(revision);
        self.revision.store(inner.revision, Ordering::Relaxed);
    }

    /// How many there are.
    #[must_use]
    pub fn counts(&self) -> WatchCounts {
        let inner = self.lock();
        let lagging = inner
            .streams
            .values()
            .map(|stream| stream.lagging)
            .sum::<usize>();
        WatchCounts {
            streams: inner.streams.len() as u64,
            watches: inner.count as u64,
            lagging: lagging as u64,
            items: self.told.load(Ordering::Relaxed),
            lagged: self.lagged.load(Ordering::Relaxed),
            queued_bytes: self.total.load(Ordering::Relaxed) as u64,
        }
    }

    pub(super) fn options(&self) -> &WatchOptions {
        &self.options
    }

    /// How much history to read at a time: less when there is little room left for what waits.
    pub(super) fn piece_bytes(&self) -> usize {
        const PIECE_BYTES_MIN: usize = 4096;
        let used = self.total.load(Ordering::Relaxed);
        let share = self.options.total_bytes_max.saturating_sub(used) / 64;
        self.options.piece_bytes.min(share.max(PIECE_BYTES_MIN))
    }

    pub(super) fn past(&self) -> &dyn Past {
        self.past.as_ref()
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner
            .lock()
            .expect("nobody panics while holding the hub")
    }

    /// One revision to everyone in sync whom it concerns.
    fn push(&self, inner: &mut Inner, revision: &Revision) {
        let Inner {
            index,
            watches,
            hits,
            ..
        } = inner;
        hits.clear();
        for (at, event) in revision.events.iter().enumerate() {
            index.matching(&event.kv.key, &mut |slot| {
                let watch = watches[slot as usize].as_ref();
                if watch
                    .is_some_and(|watch| watch.next <= revision.revision && watch.form.wants(event))
                {
                    hits.push((slot, at as u32));
                }
            });
        }
        if revision.events.len() > 1 {
            // By watch, and for each in the order in which the changes were made.
            hits.sort_unstable();
        }
        let mut encoded: Vec<Encoded<'_>> = revision.events.iter().map(Encoded::new).collect();
        let mut overflown = Vec::new();
        for group in hits.chunk_by(|one, other| one.0 == other.0) {
            let slot = group[0].0;
            let Some(watch) = &watches[slot as usize] else {
                continue;
            };
            let mut get = |at: u32| encoded[at as usize].get(watch.form.prev_kv);
            let chunks = match group {
                [(_, at)] => Chunks::One(get(*at)),
                _ => Chunks::from_vec(group.iter().map(|(_, at)| get(*at)).collect()),
            };
            if !self.deliver(watch, revision.revision, chunks) {
                overflown.push(slot);
            }
        }
        self.told
            .fetch_add((hits.len() - overflown.len()) as u64, Ordering::Relaxed);
        for slot in overflown {
            self.lagged.fetch_add(1, Ordering::Relaxed);
            inner.fall_behind(slot, revision.revision);
        }
    }

    /// Queues one revision for one watch, unless it does not fit.
    fn deliver(&self, watch: &Watch, revision: i64, chunks: Chunks) -> bool {
        let (id, serial) = (watch.watch_id, watch.serial);
        let is_news = if watch.form.fits(&chunks) {
            let fragment = false;
            let item = item(id, revision, Kind::Events { chunks, fragment });
            let cost = item.cost();
            self.enqueue(&watch.stream, cost, |queue| queue.push(serial, item))
        } else {
            let items = watch.form.items(id, revision, chunks);
            let cost = items.iter().map(Item::cost).sum();
            self.enqueue(&watch.stream, cost, |queue| {
                let pushed = items.into_iter().map(|item| queue.push(serial, item));
                pushed.fold(false, |one, other| one | other)
            })
        };
        if is_news == Some(true) {
            watch.stream.news.notify_one();
        }
        is_news.is_some()
    }

    /// Pushes to a stream's queue if so much fits. Answers whether its reader may be waiting.
    fn enqueue(
        &self,
        stream: &Stream,
        cost: usize,
        push: impl FnOnce(&mut Queue) -> bool,
    ) -> Option<bool> {
        let mut queue = stream.queue();
        let options = &self.options;
        if queue.closed {
            return Some(false);
        }
        let fits = queue.fits(cost, options.stream_bytes_max, options.total_bytes_max);
        fits.then(|| push(&mut queue))
    }

    /// Queues an answer; a client that asks much and reads nothing loses its stream.
    fn answer(&self, stream: &Stream, item: Item) {
        let mut queue = stream.queue();
        if queue.closed {
            return;
        }
        queue.push(0, item);
        if queue.answers() > self.options.answers_max {
            queue.close();
        }
        drop(queue);
        stream.news.notify_one();
    }

    pub(super) fn create(&self, stream: &Arc<Stream>, request: WatchCreate) {
        let mut inner = self.lock();
        // The store may be ahead of the hub for a moment. Whoever was answered a write must not see
        // it in a watch created "now" afterwards, so "now" is the store's.
        let now = inner.revision.max(self.past.revision());
        let mut range = request.range;
        if range.key.is_empty() {
            range.key = Bytes::from_static(b"\0");
        }
        let total = inner.count;
        let options = &self.options;
        let streaming = inner.streaming(stream.id);
        let is_duplicate =
            request.watch_id != 0 && streaming.watches.contains_key(&request.watch_id);
        let is_full = total >= options.watches_max
            || streaming.watches.len() >= options.watches_per_stream_max;
        let refusal = if is_empty(&range) {
            Some(Refusal::EmptyRange)
        } else if is_duplicate {
            Some(Refusal::DuplicateId)
        } else {
            is_full.then_some(Refusal::TooMany)
        };
        if let Some(refusal) = refusal {
            return self.answer(stream, item(-1, now, Kind::Refused(refusal)));
        }
        let watch_id = streaming.pick_id(request.watch_id);
        self.answer(stream, item(watch_id, now, Kind::Created));
        let compacted = self.past.compacted();
        let is_gone = request.start_revision != 0 && request.start_revision < compacted;
        if is_gone || request.start_revision < 0 {
            let compact_revision = Some(compacted.max(1));
            return self.answer(
                stream,
                item(watch_id, now, Kind::Canceled { compact_revision }),
            );
        }
        let next = match request.start_revision {
            0 => now + 1,
            start => start,
        };
        if request.progress_notify {
            stream.notified.fetch_add(1, Ordering::Relaxed);
        }
        inner.serial += 1;
        let watch = Watch {
            serial: inner.serial,
            stream: stream.clone(),
            watch_id,
            range,
            form: Form {
                prev_kv: request.prev_kv,
                no_put: request.no_put,
                no_delete: request.no_delete,
                part_bytes: match request.fragment {
                    true => options.fragment_bytes,
                    false => usize::MAX,
                },
            },
            progress_notify: request.progress_notify,
            next,
            synced: true,
        };
        inner.add(watch);
    }

    pub(super) fn cancel(&self, stream: &Stream, watch_id: i64) {
        let mut inner = self.lock();
        let now = inner.revision;
        let Some(&slot) = inner.streaming(stream.id).watches.get(&watch_id) else {
            return; // As etcd has it, there is no answer.
        };
        inner.remove(slot);
        let compact_revision = None;
        self.answer(
            stream,
            item(watch_id, now, Kind::Canceled { compact_revision }),
        );
        self.tell_progress(&mut inner);
    }

    /// The client wants to know how far its whole stream has been told.
    pub(super) fn progress(&self, stream: &Stream) {
        let mut inner = self.lock();
        let streaming = inner.streaming(stream.id);
        if streaming.watches.is_empty() || streaming.wants_progress {
            return; // Nothing to tell progress of, or it will be told anyway.
        }
        streaming.wants_progress = true;
        inner.wanting.push(stream.id);
        self.tell_progress(&mut inner);
    }

    /// Tells progress to the streams that want it and whose watches are all in sync.
    fn tell_progress(&self, inner: &mut Inner) {
        let revision = inner.revision;
        let streams = &mut inner.streams;
        inner.wanting.retain(|id| {
            let Some(streaming) = streams.get_mut(id) else {
                return false;
            };
            if streaming.watches.is_empty() {
                streaming.wants_progress = false;
                return false;
            }
            if streaming.lagging > 0 || streaming.next_max > revision + 1 {
                return true;
            }
            streaming.wants_progress = false;
            if !streaming.shared.queue().ends_with_progress(revision) {
                self.answer(&streaming.shared, item(-1, revision, Kind::Progress));
            }
            false
        });
    }

    /// The interval has passed: quiet watches of this stream hear how far they have been told.
    pub(super) fn on_interval(&self, stream: &Stream) {
        let mut inner = self.lock();
        let told: HashSet<i64> = std::mem::take(&mut stream.queue().told);
        let revision = inner.revision;
        let slots: Vec<u32> = inner
            .streaming(stream.id)
            .watches
            .values()
            .copied()
            .collect();
        for slot in slots {
            let Some(watch) = &inner.watches[slot as usize] else {
                continue;
            };
            let is_quiet = watch.synced && watch.next <= revision + 1;
            if watch.progress_notify && is_quiet && !told.contains(&watch.watch_id) {
                self.answer(stream, item(watch.watch_id, revision, Kind::Progress));
            }
        }
    }

    /// Whether a watch that needs this revision next is close enough to rejoin.
    pub(super) fn is_close(&self, next: i64) -> bool {
        self.revision.load(Ordering::Relaxed) - next < self.options.rejoin_within
    }

    /// A lagging watch has read its history up to the newest: from here on the hub tells it. The
    /// lock makes the seam exact.
    pub(super) fn rejoin(&self, lag: &Lag) {
        let mut inner = self.lock();
        let revision = inner.revision;
        if revision - lag.next >= self.options.rejoin_within {
            return; // The hub ran away meanwhile; more history first.
        }
        let Some(watch) = inner.watch(lag.slot, lag.serial) else {
            return;
        };
        let rest = (lag.next <= revision).then_some(revision);
        watch.stream.queue().rejoin(lag.serial, rest);
        watch.synced = true;
        watch.next = lag.next.max(revision + 1);
        let (id, next) = (watch.stream.id, watch.next);
        inner.index.insert(&lag.range, lag.slot);
        let streaming = inner.streaming(id);
        streaming.lagging -= 1;
        streaming.next_max = streaming.next_max.max(next);
        self.tell_progress(&mut inner);
    }

    /// The history that a watch still needed has been compacted.
    pub(super) fn on_compacted(&self, lag: &Lag, compacted: i64) {
        let mut inner = self.lock();
        let now = inner.revision;
        let Some(watch) = inner.watch(lag.slot, lag.serial) else {
            return;
        };
        let stream = watch.stream.clone();
        inner.remove(lag.slot);
        let compact_revision = Some(compacted);
        self.answer(
            &stream,
            item(lag.watch_id, now, Kind::Canceled { compact_revision }),
        );
        self.tell_progress(&mut inner);
    }

    pub(super) fn close(&self, stream: &Stream) {
        let mut inner = self.lock();
        if let Some(streaming) = inner.streams.get(&stream.id) {
            let slots: Vec<u32> = streaming.watches.values().copied().collect();
            for slot in slots {
                inner.remove(slot);
            }
        }
        inner.streams.remove(&stream.id);
        stream.queue().close();
    }
}

fn item(watch_id: i64, revision: i64, kind: Kind) -> Item {
    Item {
        watch_id,
        revision,
        kind,
    }
}

fn is_empty(range: &KeyRange) -> bool {
    match range.end.as_ref() {
        b"" | b"\0" => false,
        end => end <= range.key.as_ref(),
    }
}

impl Streaming {
    /// The id asked for, or the next free one counting up from 0.
    fn pick_id(&mut self, asked: i64) -> i64 {
        if asked != 0 {
            return asked;
        }
        while self.watches.contains_key(&self.next_id) {
            self.next_id = self.next_id.wrapping_add(1);
        }
        let id = self.next_id;
        self.next_id = self.next_id.wrapping_add(1);
        id
    }
}

impl Watch {
    fn lag(&self, slot: u32, after: u64) -> Lag {
        Lag {
            slot,
            serial: self.serial,
            watch_id: self.watch_id,
            range: self.range.clone(),
            form: self.form,
            next: self.next,
            until: i64::MAX,
            after,
        }
    }
}

impl Inner {
    fn streaming(&mut self, id: u64) -> &mut Streaming {
        self.streams
            .get_mut(&id)
            .expect("a stream is known until it is dropped")
    }

    fn watch(&mut self, slot: u32, serial: u64) -> Option<&mut Watch> {
        let watch = self.watches.get_mut(slot as usize)?.as_mut()?;
        (watch.serial == serial).then_some(watch)
    }

    /// Adds a watch, in sync if it wants nothing that was pushed already.
    fn add(&mut self, mut watch: Watch) {
        let slot = self.free.pop().unwrap_or_else(|| {
            self.watches.push(None);
            u32::try_from(self.watches.len() - 1).expect("watches are counted")
        });
        watch.synced = watch.next > self.revision;
        let streaming = self.streaming(watch.stream.id);
        streaming.watches.insert(watch.watch_id, slot);
        if watch.synced {
            streaming.next_max = streaming.next_max.max(watch.next);
            self.index.insert(&watch.range, slot);
        } else {
            streaming.lagging += 1;
            let mut queue = watch.stream.queue();
            let after = queue.pushed();
            queue.lag(watch.lag(slot, after));
        }
        watch.stream.news.notify_one();
        self.watches[slot as usize] = Some(watch);
        self.count += 1;
    }

    /// Takes a watch out of everything but the queued items.
    fn remove(&mut self, slot: u32) {
        let Some(watch) = self.watches[slot as usize].take() else {
            return;
        };
        self.free.push(slot);
        self.count -= 1;
        if watch.synced {
            self.index.remove(&watch.range, slot);
        }
        let lost_progress = watch.stream.queue().forget(watch.serial);
        if watch.progress_notify {
            watch.stream.notified.fetch_sub(1, Ordering::Relaxed);
        }
        let watches = &self.watches;
        let streaming = self
            .streams
            .get_mut(&watch.stream.id)
            .expect("a stream is known until it is dropped");
        streaming.watches.remove(&watch.watch_id);
        streaming.lagging -= usize::from(!watch.synced);
        if lost_progress && !streaming.wants_progress {
            streaming.wants_progress = true;
            self.wanting.push(watch.stream.id);
        }
        if watch.next == streaming.next_max && watch.next > self.revision {
            let of_stream = streaming.watches.values();
            let nexts = of_stream.filter_map(|&slot| Some(watches[slot as usize].as_ref()?.next));
            streaming.next_max = nexts.max().unwrap_or(0);
        }
    }

    /// A watch could not be told this revision and is caught up from history instead.
    fn fall_behind(&mut self, slot: u32, revision: i64) {
        let Some(watch) = &mut self.watches[slot as usize] else {
            return;
        };
        self.index.remove(&watch.range, slot);
        watch.synced = false;
        watch.next = revision;
        let mut queue = watch.stream.queue();
        let after = queue.pushed();
        queue.lag(watch.lag(slot, after));
        drop(queue);
        // The reader may have emptied the queue since the item did not fit.
        watch.stream.news.notify_one();
        let id = watch.stream.id;
        self.streaming(id).lagging += 1;
    }
}
