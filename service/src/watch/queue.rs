//! What waits for one stream: items in order, and the watches that lag behind.

use std::collections::{HashSet, VecDeque};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use tokio::sync::Notify;

use super::{Chunks, Item, Kind};
use crate::command::KeyRange;
use crate::reply::{Event, Revision};

/// How many items are told between two pieces of history while both wait.
const ITEMS_PER_PIECE: u32 = 32;

/// The part of a stream that hub and reader share.
pub(super) struct Stream {
    pub(super) id: u64,
    queue: Mutex<Queue>,
    /// There may be something to tell.
    pub(super) news: Notify,
    /// There may be room for answers again.
    pub(super) room: Notify,
    /// How many watches of the stream asked to be told of progress.
    pub(super) notified: AtomicUsize,
}

impl Stream {
    pub(super) fn new(id: u64, total: Arc<AtomicUsize>) -> Stream {
        Stream {
            id,
            queue: Mutex::new(Queue::new(total)),
            news: Notify::new(),
            room: Notify::new(),
            notified: AtomicUsize::new(0),
        }
    }

    pub(super) fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue
            .lock()
            .expect("nobody panics while holding a stream's queue")
    }
}

/// How a watch wants its events.
#[derive(Clone, Copy, Debug)]
pub(super) struct Form {
    pub(super) prev_kv: bool,
    pub(super) no_put: bool,
    pub(super) no_delete: bool,
    /// The size of a part if parts are welcome, else the largest size there is.
    pub(super) part_bytes: usize,
}

impl Form {
    pub(super) fn wants(&self, event: &Event) -> bool {
        !(if event.deleted {
            self.no_delete
        } else {
            self.no_put
        })
    }

    /// Whether a revision is told in one item.
    pub(super) fn fits(&self, chunks: &Chunks) -> bool {
        chunks.as_slice().len() == 1
            || self.part_bytes == usize::MAX
            || chunks.bytes() <= self.part_bytes
    }

    /// The items for one revision: one, or several parts.
    pub(super) fn items(&self, watch_id: i64, revision: i64, chunks: Chunks) -> Vec<Item> {
        let item = |chunks, fragment| Item {
            watch_id,
            revision,
            kind: Kind::Events { chunks, fragment },
        };
        if self.fits(&chunks) {
            return vec![item(chunks, false)];
        }
        let mut items = Vec::new();
        let mut part = Vec::new();
        let mut part_bytes = 0;
        for chunk in chunks.as_slice() {
            if !part.is_empty() && part_bytes + chunk.len() > self.part_bytes {
                items.push(item(Chunks::from_vec(std::mem::take(&mut part)), true));
                part_bytes = 0;
            }
            part_bytes += chunk.len();
            part.push(chunk.clone());
        }
        items.push(item(Chunks::from_vec(part), false));
        items
    }

    /// The items for a revision read from history; none if nothing of it is wanted.
    pub(super) fn items_of(&self, watch_id: i64, revision: &Revision) -> Vec<Item> {
        let wanted = revision.events.iter().filter(|event| self.wants(event));
        let chunks: Vec<_> = wanted
            .map(|event| super::encode::encode(event, self.prev_kv))
            .collect();
        if chunks.is_empty() {
            return Vec::new();
        }
        self.items(watch_id, revision.revision, Chunks::from_vec(chunks))
    }
}

/// A watch that must be caught up from history.
#[derive(Clone, Debug)]
pub(super) struct Lag {
    /// Where the hub keeps the watch, and which of the watches that were ever there it is.
    pub(super) slot: u32,
    pub(super) serial: u64,
    pub(super) watch_id: i64,
    pub(super) range: KeyRange,
    pub(super) form: Form,
    /// The first revision that it has not been told.
    pub(super) next: i64,
    /// The last revision to read from history; the hub tells what follows.
    pub(super) until: i64,
    /// What was queued up to this number must be told first.
    pub(super) after: u64,
}

struct Queued {
    number: u64,
    /// Which watch it belongs to, for events; 0 for answers.
    serial: u64,
    item: Item,
}

/// Everything that waits for one stream.
pub(super) struct Queue {
    items: VecDeque<Queued>,
    bytes: usize,
    total: Arc<AtomicUsize>,
    /// The number of the last item queued, and of the last one told.
    pushed: u64,
    popped: u64,
    answers: usize,
    /// Items read from history, told before anything else.
    front: VecDeque<Item>,
    /// A watch that the hub tells again, and whose last piece of history must be told before what
    /// the hub has queued since.
    tail: Option<Lag>,
    /// Lagging watches with older items in the queue, by the number that they wait for.
    waiting: VecDeque<Lag>,
    /// Lagging watches to be caught up, in turn.
    ready: VecDeque<Lag>,
    items_since_piece: u32,
    /// Watches that were told events since progress was last told.
    pub(super) told: HashSet<i64>,
    pub(super) closed: bool,
}

/// What a reader does next.
pub(super) enum Turn {
    /// Tell this.
    Tell(Item),
    /// Read more history for this watch.
    Read(Lag),
    /// Wait for news.
    Idle,
    /// The stream has ended.
    Closed,
}

impl Queue {
    fn new(total: Arc<AtomicUsize>) -> Queue {
        Queue {
            items: VecDeque::new(),
            bytes: 0,
            total,
            pushed: 0,
            popped: 0,
            answers: 0,
            front: VecDeque::new(),
            tail: None,
            waiting: VecDeque::new(),
            ready: VecDeque::new(),
            items_since_piece: 0,
            told: HashSet::new(),
            closed: false,
        }
    }

    /// Queues an item; answers whether a reader may be waiting for it.
    pub(super) fn push(&mut self, serial: u64, item: Item) -> bool {
        let was_empty = self.items.is_empty();
        self.pushed += 1;
        self.add(item.cost());
        self.answers += usize::from(item.is_answer());
        self.items.push_back(Queued {
            number: self.pushed,
            serial,
            item,
        });
        was_empty
    }

    /// Whether items of this cost fit. Whatever its size, one revision fits an empty queue.
    pub(super) fn fits(&self, cost: usize, stream_max: usize, total_max: usize) -> bool {
        self.items.is_empty()
            || (self.bytes + cost <= stream_max
                && self.total.load(Ordering::Relaxed) + cost <= total_max)
    }

    /// The number of the last item queued.
    pub(super) fn pushed(&self) -> u64 {
        self.pushed
    }

    /// How many answers wait to be told.
    pub(super) fn answers(&self) -> usize {
        self.answers
    }

    /// Whether the last item queued is a progress notice for the whole stream at this revision.
    pub(super) fn ends_with_progress(&self, revision: i64) -> bool {
        self.items.back().is_some_and(|queued| {
            queued.item.watch_id == -1
                && queued.item.revision == revision
                && queued.item.kind == Kind::Progress
        })
    }

    pub(super) fn lag(&mut self, lag: Lag) {
        self.waiting.push_back(lag);
    }

    /// Forgets that a watch lags, since it has ended. Answers whether a progress notice for the whole
    /// stream went with it, which must then be told anew.
    pub(super) fn forget(&mut self, serial: u64) -> bool {
        self.waiting.retain(|lag| lag.serial != serial);
        self.ready.retain(|lag| lag.serial != serial);
        match self.tail.take_if(|lag| lag.serial == serial) {
            Some(tail) => self.drop_after_gap(serial, tail.watch_id),
            None => false,
        }
    }

    /// The tail of a watch will not be told: what the hub has queued for it since would follow a
    /// gap, and notices of progress would be wrong.
    fn drop_after_gap(&mut self, serial: u64, watch_id: i64) -> bool {
        let mut cost = 0;
        let mut for_stream = 0;
        let mut for_watch = 0;
        self.items.retain(|queued| {
            let item = &queued.item;
            let is_progress = item.kind == Kind::Progress;
            let stays = match item.watch_id {
                -1 if is_progress => {
                    for_stream += 1;
                    false
                }
                id if is_progress && id == watch_id => {
                    for_watch += 1;
                    false
                }
                _ => queued.serial != serial,
            };
            if !stays {
                cost += item.cost();
            }
            stays
        });
        self.subtract(cost);
        self.answers -= for_stream + for_watch;
        for_stream > 0
    }

    /// A lagging watch is told by the hub again from `until` on; what is left of its history before
    /// that comes next.
    pub(super) fn rejoin(&mut self, serial: u64, until: Option<i64>) {
        let at = self.ready.iter().position(|lag| lag.serial == serial);
        let lag = at.and_then(|at| self.ready.remove(at));
        if let (Some(mut lag), Some(until)) = (lag, until) {
            assert!(self.tail.is_none(), "a tail is read before anything else");
            lag.until = until;
            self.tail = Some(lag);
        }
    }

    /// Takes the next item, or says what else to do.
    pub(super) fn turn(&mut self, join_bytes: usize) -> Turn {
        if self.closed {
            return Turn::Closed;
        }
        if let Some(mut item) = self.pop_front() {
            while let Some(next) = self.front.front()
                && can_join(&item, next, join_bytes)
                && let Some(next) = self.pop_front()
            {
                join(&mut item, next);
            }
            return Turn::Tell(item);
        }
        if let Some(tail) = &self.tail {
            return Turn::Read(tail.clone());
        }
        while let Some(lag) = self.waiting.front()
            && (self.items.is_empty() || lag.after <= self.popped)
        {
            self.ready.extend(self.waiting.pop_front());
        }
        if let Some(lag) = self.ready.front()
            && (self.items.is_empty() || self.items_since_piece >= ITEMS_PER_PIECE)
        {
            self.items_since_piece = 0;
            return Turn::Read(lag.clone());
        }
        let Some(mut item) = self.pop() else {
            return Turn::Idle;
        };
        while let Some(queued) = self.items.front()
            && can_join(&item, &queued.item, join_bytes)
            && let Some(next) = self.pop()
        {
            join(&mut item, next);
        }
        self.items_since_piece += 1;
        Turn::Tell(item)
    }

    fn pop_front(&mut self) -> Option<Item> {
        let item = self.front.pop_front()?;
        self.subtract(item.cost());
        Some(item)
    }

    fn extend_front(&mut self, items: Vec<Item>) {
        self.add(items.iter().map(Item::cost).sum());
        self.front.extend(items);
    }

    fn pop(&mut self) -> Option<Item> {
        let queued = self.items.pop_front()?;
        self.popped = queued.number;
        self.subtract(queued.item.cost());
        self.answers -= usize::from(queued.item.is_answer());
        Some(queued.item)
    }

    /// A piece of history was read for a lagging watch: `items`, and where to go on. Nothing comes
    /// of it if the watch was canceled meanwhile. Answers the watch if it still lags.
    pub(super) fn on_piece(&mut self, serial: u64, next: i64, items: Vec<Item>) -> Option<Lag> {
        if let Some(tail) = &mut self.tail
            && tail.serial == serial
        {
            tail.next = next;
            self.tail.take_if(|tail| tail.next > tail.until);
            self.extend_front(items);
            return None;
        }
        let at = self.ready.iter().position(|lag| lag.serial == serial)?;
        let mut lag = self.ready.remove(at)?;
        lag.next = next;
        self.extend_front(items);
        self.ready.push_back(lag.clone());
        Some(lag)
    }

    /// Ends the stream and frees what waits.
    pub(super) fn close(&mut self) {
        self.closed = true;
        self.subtract(self.bytes);
        self.items.clear();
        self.front.clear();
        self.tail = None;
        self.waiting.clear();
        self.ready.clear();
        self.answers = 0;
    }

    fn add(&mut self, cost: usize) {
        self.bytes += cost;
        self.total.fetch_add(cost, Ordering::Relaxed);
    }

    fn subtract(&mut self, cost: usize) {
        self.bytes -= cost;
        self.total.fetch_sub(cost, Ordering::Relaxed);
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        self.subtract(self.bytes);
    }
}

/// Whether two items may be told as one: whole revisions of one watch.
fn can_join(item: &Item, next: &Item, join_bytes: usize) -> bool {
    let is_whole = |item: &Item| {
        matches!(
            item.kind,
            Kind::Events {
                fragment: false,
                ..
            }
        )
    };
    // The cheap check first: mostly the next item is another watch's.
    item.watch_id == next.watch_id
        && is_whole(item)
        && is_whole(next)
        && item.cost() + next.cost() <= join_bytes
}

fn join(item: &mut Item, next: Item) {
    if let (Kind::Events { chunks, .. }, Kind::Events { chunks: more, .. }) =
        (&mut item.kind, next.kind)
    {
        chunks.append(more);
        item.revision = next.revision;
    }
}
