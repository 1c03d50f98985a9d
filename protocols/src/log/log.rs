//! The log in memory: everything behind the base, each entry with the frame that it was written in.
//!
//! Epochs never decrease along the log, frames neither, and each slot knows how many bytes came
//! before it; so every question that replication asks is answered by arithmetic or by bisection,
//! never by a walk along the log.

use alloc::collections::VecDeque;

use quorate_core::{Frame, NodeId, Payload};

use super::entry::{Entries, Entry, Epoch, Index, Position};

/// The entries behind the base.
#[derive(Clone, Default, Hash, Debug)]
pub struct Log {
    /// What was compacted away ends here.
    base: Position,
    slots: VecDeque<Slot>,
    /// The running total of bytes at the base.
    base_bytes: u64,
}

#[derive(Clone, Hash, Debug)]
struct Slot {
    entry: Entry,
    frame: Frame,
    /// All bytes of the log through this entry, so that a difference is the size of a stretch.
    bytes: u64,
}

impl Log {
    /// What was compacted away ends here.
    pub fn base(&self) -> Position {
        self.base
    }

    /// Where the log ends.
    pub fn last(&self) -> Position {
        match self.slots.back() {
            Some(slot) => Position {
                index: self.base.index.plus(self.slots.len()),
                epoch: slot.entry.epoch,
            },
            None => self.base,
        }
    }

    /// The entry at an index, if it is here.
    pub fn entry(&self, index: Index) -> Option<&Entry> {
        self.slot(index).map(|slot| &slot.entry)
    }

    /// The epoch at an index; `None` before the base and behind the end.
    pub fn epoch_at(&self, index: Index) -> Option<Epoch> {
        if index == self.base.index {
            return Some(self.base.epoch);
        }
        self.entry(index).map(|entry| entry.epoch)
    }

    /// Whether the log has this position, and so everything before it.
    pub fn matches(&self, position: Position) -> bool {
        self.epoch_at(position.index) == Some(position.epoch)
    }

    /// The last position that is later than neither `index` nor `epoch`; `None` if that lies before
    /// the base.
    pub fn latest(&self, index: Index, epoch: Epoch) -> Option<Position> {
        let slots = self.slots.partition_point(|slot| slot.entry.epoch <= epoch);
        let found = self.base.index.plus(slots).min(index);
        let position = Position {
            index: found,
            epoch: self.epoch_at(found)?,
        };
        (position.epoch <= epoch).then_some(position)
    }

    /// Appends an entry, which `frame` is going to make durable; where it is now.
    pub fn push(&mut self, entry: Entry, frame: Frame) -> Index {
        debug_assert!(entry.epoch >= self.last().epoch, "epochs never decrease");
        let before = self.slots.back().map_or(self.base_bytes, |slot| slot.bytes);
        let bytes = before + entry.bytes();
        self.slots.push_back(Slot {
            entry,
            frame,
            bytes,
        });
        self.base.index.plus(self.slots.len())
    }

    /// Drops the entry at `index` and all behind it.
    pub fn truncate(&mut self, index: Index) {
        assert!(index > self.base.index, "what is compacted is committed");
        let keep = index.before().since(self.base.index);
        self.slots
            .truncate(usize::try_from(keep).expect("the log fits in memory"));
    }

    /// Drops everything through `index`, which becomes the base.
    pub fn compact(&mut self, index: Index) {
        let epoch = self.epoch_at(index).expect("only what is there is dropped");
        self.base_bytes = self.bytes_through(index);
        let drop = usize::try_from(index.since(self.base.index)).expect("the log fits in memory");
        self.slots.drain(..drop);
        self.base = Position { index, epoch };
    }

    /// Empties the log and lets it begin behind `base`.
    pub fn reset(&mut self, base: Position) {
        self.slots.clear();
        self.base = base;
    }

    /// States the base's epoch, which replay may learn after the entries behind it.
    pub fn ground(&mut self, epoch: Epoch) {
        self.base.epoch = epoch;
    }

    /// The frame of the oldest entry.
    pub fn oldest_frame(&self) -> Option<Frame> {
        self.slots.front().map(|slot| slot.frame)
    }

    /// The size of the entries from behind `after` through `index`, as far as they are still here.
    pub fn bytes_between(&self, after: Index, index: Index) -> u64 {
        self.bytes_through(index)
            .saturating_sub(self.bytes_through(after))
    }

    /// The lowest index from behind which at most `bytes` lie through `index`.
    pub fn tail(&self, index: Index, bytes: u64) -> Index {
        let floor = self.bytes_through(index).saturating_sub(bytes);
        if floor <= self.base_bytes {
            return self.base.index;
        }
        let below = self.slots.partition_point(|slot| slot.bytes < floor);
        self.base.index.plus(below + 1)
    }

    /// The entries from `from` on, as many as fit, but at least one if there is one.
    pub fn gather(&self, from: Index, entries_max: u64, bytes_max: u64) -> Entries {
        let before = usize::try_from(from.before().since(self.base.index));
        let before = before.expect("the log fits in memory");
        if before >= self.slots.len() {
            return Entries::NONE;
        }
        let limit = self.bytes_through(from.before()) + bytes_max;
        let entries_max = usize::try_from(entries_max).unwrap_or(usize::MAX);
        let candidates = self.slots.range(before..).take(entries_max);
        match candidates.take_while(|slot| slot.bytes <= limit).count() {
            0 | 1 => Entries::One(self.slots[before].entry.clone()),
            count => {
                let fitting = self.slots.range(before..before + count);
                Entries::Many(fitting.map(|slot| slot.entry.clone()).collect())
            }
        }
    }

    /// The entries with their frames, for invariants.
    pub fn iter(&self) -> impl Iterator<Item = (Index, &Entry, Frame)> {
        let base = self.base.index;
        let numbered = self.slots.iter().enumerate();
        numbered.map(move |(offset, slot)| (base.plus(offset + 1), &slot.entry, slot.frame))
    }

    /// Position, epoch and payload of what is held behind a position, in order: for whoever has nothing else left
    /// of a cluster.
    pub fn held_after(&self, position: u64) -> impl Iterator<Item = (u64, u64, Payload)> {
        let behind = self.iter().filter(move |(index, _, _)| index.0 > position);
        behind.map(|(index, entry, _)| (index.0, entry.epoch.0, entry.payload()))
    }

    /// The log as it would read under these names.
    #[must_use]
    pub fn renamed(&self, names: &dyn Fn(NodeId) -> NodeId) -> Log {
        let slots = self.slots.iter().map(|slot| Slot {
            entry: slot.entry.renamed(names),
            ..*slot
        });
        Log {
            slots: slots.collect(),
            ..*self
        }
    }

    fn slot(&self, index: Index) -> Option<&Slot> {
        let offset = index.0.checked_sub(self.base.index.0 + 1)?;
        self.slots.get(usize::try_from(offset).ok()?)
    }

    /// The running total of bytes through `index`, clamped to what is here.
    fn bytes_through(&self, index: Index) -> u64 {
        match self.slot(index.min(self.last().index)) {
            Some(slot) => slot.bytes,
            None => self.base_bytes,
        }
    }
}
