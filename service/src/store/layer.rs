//! Layers in memory: what was applied since the last flush.

use std::ops::Bound;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use bytes::Bytes;
use crossbeam_skiplist::SkipMap;
use crossbeam_skiplist::map::Entry;

use super::counts::Counts;
use super::row::{Kind, Row, RowKey, Stamp};
use super::tables::Base;

/// Roughly what a row costs in memory beside its key and value: its places in the layer, in the
/// layer's history and among the machine's recent rows.
pub(crate) const ROW_OVERHEAD_BYTES: usize = 400;
/// What a row and its event take on disk beside the value and twice the key.
pub(crate) const STORED_OVERHEAD_BYTES: usize = 60;

/// Rows in memory. Only the apply thread adds to a layer; readers never wait for it and are not
/// disturbed by rows newer than what they look for.
#[derive(Debug, Default)]
pub(crate) struct Layer {
    pub(crate) rows: SkipMap<RowKey, Row>,
    /// What changed, in order: the changes of each round under the last revision of that round.
    pub(crate) history: SkipMap<i64, Arc<[Change]>>,
    /// What its rows and events will take on disk.
    pub(crate) stored_bytes: AtomicU64,
    /// How many of its rows create or delete a key.
    pub(crate) marks: AtomicU64,
}

/// One change.
#[derive(Clone, Debug)]
pub(crate) struct Change {
    pub(crate) stamp: Stamp,
    pub(crate) kind: Kind,
    pub(crate) key: Bytes,
}

impl Layer {
    /// The newest row of a key that is not newer than `at`.
    pub(crate) fn get(&self, key: &Bytes, at: Stamp) -> Option<(Stamp, Row)> {
        let entry = self
            .rows
            .lower_bound(Bound::Included(&RowKey::new(key, at)))?;
        (entry.key().key == *key).then(|| (entry.key().stamp.0, entry.value().clone()))
    }

    /// Its rows from a key on.
    pub(crate) fn rows_from(&self, first: &Bytes) -> impl Iterator<Item = Entry<'_, RowKey, Row>> {
        let start = RowKey::new(first, Stamp::end_of(i64::MAX));
        self.rows.range(start..)
    }
}

/// All layers, as of one moment.
#[derive(Clone, Debug)]
pub(crate) struct Layers {
    /// In memory, newest first. The first one is active.
    pub(crate) memory: Vec<Arc<Layer>>,
    /// On disk.
    pub(crate) base: Arc<Base>,
    /// How many keys there are on disk.
    pub(crate) counts: Arc<Counts>,
}

impl Layers {
    /// The layer that new rows go to.
    pub(crate) fn active(&self) -> &Arc<Layer> {
        self.memory
            .first()
            .expect("there is always an active layer")
    }
}

/// Walks the keys of a layer in order, at each the newest row that is not newer than `at`.
pub(crate) struct LayerWalk<'a> {
    layer: &'a Layer,
    at: Stamp,
    pub(crate) entry: Option<Entry<'a, RowKey, Row>>,
}

/// How many rows of one key are stepped over before it is cheaper to search.
pub(crate) const STEPS_MAX: usize = 6;

impl<'a> LayerWalk<'a> {
    pub(crate) fn new(layer: &'a Layer, first: &Bytes, at: Stamp) -> LayerWalk<'a> {
        let start = RowKey::new(first, Stamp::end_of(i64::MAX));
        let mut walk = LayerWalk {
            layer,
            at,
            entry: layer.rows.lower_bound(Bound::Included(&start)),
        };
        walk.settle();
        walk
    }

    /// Goes to the next key.
    pub(crate) fn advance(&mut self) {
        let Some(mut entry) = self.entry.take() else {
            return;
        };
        let key = entry.key().key.clone();
        for _ in 0..STEPS_MAX {
            if !entry.move_next() {
                return;
            }
            if entry.key().key != key {
                self.entry = Some(entry);
                self.settle();
                return;
            }
        }
        let last = RowKey::new(&key, Stamp::FIRST);
        self.entry = self.layer.rows.lower_bound(Bound::Excluded(&last));
        self.settle();
    }

    /// Steps over rows that are too new.
    fn settle(&mut self) {
        let mut steps = 0;
        while let Some(entry) = &mut self.entry {
            if entry.key().stamp.0 <= self.at {
                return;
            }
            steps += 1;
            if steps > STEPS_MAX {
                let seek = RowKey::new(&entry.key().key, self.at);
                self.entry = self.layer.rows.lower_bound(Bound::Included(&seek));
                steps = 0;
            } else if !entry.move_next() {
                self.entry = None;
            }
        }
    }
}
