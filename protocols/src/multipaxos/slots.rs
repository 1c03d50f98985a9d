//! The acceptor's memory: for each slot behind the base what was accepted last, with the frame that it
//! was written in.
//!
//! Slots are accepted in any order, so there may be holes. A slot may be accepted again, in a later
//! ballot and so in a later frame: unlike Raft's, frames do not grow along the slots.

use alloc::collections::{BTreeMap, VecDeque};

use quorate_core::Frame;

use super::ballot::{Ballot, Slot, Vote};
use crate::log::{Entries, Epoch, Position};

/// What was accepted behind the base.
#[derive(Clone, Default, Hash, Debug)]
pub(super) struct Slots {
    /// Through here everything is chosen and in the application's state, and was dropped.
    base: Position,
    /// The slots behind it; the last one is never a hole.
    slots: VecDeque<Option<Kept>>,
    /// The size of all of them.
    bytes: u64,
    /// The running total of bytes at the base.
    base_total: u64,
}

#[derive(Clone, Hash, Debug)]
struct Kept {
    vote: Vote,
    frame: Frame,
    /// All bytes through this slot, if slots were filled in order, as a leader fills them.
    total: u64,
}

impl Slots {
    /// The slots behind `base` with these votes, as replayed.
    pub(super) fn replayed(base: Position, votes: BTreeMap<Slot, (Vote, Frame)>) -> Slots {
        let mut slots = Slots {
            base,
            ..Slots::default()
        };
        for (slot, (vote, frame)) in votes {
            if slot > base.index {
                slots.set(slot, vote, frame);
            }
        }
        slots
    }

    pub(super) fn base(&self) -> Position {
        self.base
    }

    /// The highest slot that is here.
    pub(super) fn last(&self) -> Slot {
        self.base.index.plus(self.slots.len())
    }

    /// What was accepted in a slot.
    pub(super) fn vote(&self, slot: Slot) -> Option<&Vote> {
        self.kept(slot).map(|kept| &kept.vote)
    }

    /// Whether the slot was accepted in this ballot.
    pub(super) fn is_in(&self, slot: Slot, ballot: Ballot) -> bool {
        self.vote(slot).is_some_and(|vote| vote.ballot == ballot)
    }

    /// Accepts.
    pub(super) fn set(&mut self, slot: Slot, vote: Vote, frame: Frame) {
        assert!(slot > self.base.index, "what was dropped is chosen");
        let place = self.place(slot);
        let before = match self.kept(slot.before()) {
            Some(kept) => kept.total,
            None => self.base_total,
        };
        while self.slots.len() <= place {
            self.slots.push_back(None);
        }
        self.bytes += vote.entry.bytes();
        let total = before + vote.entry.bytes();
        let kept = Kept { vote, frame, total };
        if let Some(replaced) = self.slots[place].replace(kept) {
            self.bytes -= replaced.vote.entry.bytes();
        }
    }

    /// Drops everything through `end`, which is in the application's state. What was accepted behind it
    /// stays.
    pub(super) fn drop_through(&mut self, end: Position) {
        let total = self.total(end.index);
        let count = end.index.since(self.base.index);
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        for dropped in self.slots.drain(..count.min(self.slots.len())) {
            self.bytes -= dropped.map_or(0, |kept| kept.vote.entry.bytes());
        }
        (self.base, self.base_total) = (end, total);
    }

    /// Forgets everything: what is left after damage counts for nothing.
    pub(super) fn reset(&mut self, base: Position) {
        *self = Slots {
            base,
            ..Slots::default()
        };
    }

    /// Counts the running totals anew: a new leader's slots have no holes any more.
    pub(super) fn recount(&mut self) {
        let mut total = self.base_total;
        for kept in self.slots.iter_mut().flatten() {
            total += kept.vote.entry.bytes();
            kept.total = total;
        }
    }

    /// The size of what is in the slots from behind `after` through `slot`, at a leader.
    pub(super) fn bytes_between(&self, after: Slot, slot: Slot) -> u64 {
        self.total(slot).saturating_sub(self.total(after))
    }

    /// The last slot that may be dropped if everything through `durable` is in the application's state
    /// and so many bytes of it should stay.
    pub(super) fn droppable(&self, durable: Slot, retention: u64) -> Slot {
        let bytes = |kept: &Option<Kept>| kept.as_ref().map_or(0, |kept| kept.vote.entry.bytes());
        let behind = usize::try_from(durable.since(self.base.index)).unwrap_or(usize::MAX);
        let behind: u64 = self.slots.iter().skip(behind).map(bytes).sum();
        let mut spare = (self.bytes - behind).saturating_sub(retention);
        let mut end = self.base.index;
        for kept in &self.slots {
            if end >= durable || spare == 0 {
                break;
            }
            spare = spare.saturating_sub(bytes(kept));
            end = end.next();
        }
        end
    }

    /// The epoch that the position `slot` was delivered in: the latest of all through it.
    pub(super) fn epoch_through(&self, slot: Slot) -> Epoch {
        let places = usize::try_from(slot.since(self.base.index)).unwrap_or(usize::MAX);
        let kept = self.slots.iter().take(places).flatten();
        let latest = kept.map(|kept| kept.vote.entry.epoch).max();
        self.base.epoch.max(latest.unwrap_or_default())
    }

    /// The oldest frame that is still needed.
    pub(super) fn oldest_frame(&self) -> Option<Frame> {
        self.slots.iter().flatten().map(|kept| kept.frame).min()
    }

    /// What is in the slots from `from` on up to the first hole, as many as fit, but at least one if
    /// there is one.
    pub(super) fn gather(&self, from: Slot, count_max: u64, bytes_max: u64) -> Entries {
        let count_max = usize::try_from(count_max).unwrap_or(usize::MAX);
        let mut bytes = 0;
        let run = self.slots.iter().skip(self.place(from)).take(count_max);
        let run = run.map_while(Option::as_ref).map(|kept| &kept.vote.entry);
        let fitting = run.enumerate().take_while(|(place, entry)| {
            bytes += entry.bytes();
            *place == 0 || bytes <= bytes_max
        });
        let mut fitting = fitting.map(|(_, entry)| entry.clone());
        match (fitting.next(), fitting.next()) {
            (None, _) => Entries::NONE,
            (Some(only), None) => Entries::One(only),
            (Some(first), Some(second)) => {
                Entries::Many([first, second].into_iter().chain(fitting).collect())
            }
        }
    }

    /// What was accepted in the slots from `from` on, in order.
    pub(super) fn votes(&self, from: Slot) -> impl Iterator<Item = (Slot, &Vote)> {
        let behind = self.slots.iter().enumerate().skip(self.place(from));
        behind.filter_map(|(place, kept)| {
            let slot = self.base.index.plus(place + 1);
            kept.as_ref().map(|kept| (slot, &kept.vote))
        })
    }

    fn kept(&self, slot: Slot) -> Option<&Kept> {
        match slot > self.base.index {
            true => self.slots.get(self.place(slot))?.as_ref(),
            false => None,
        }
    }

    /// Where in the queue a slot is.
    fn place(&self, slot: Slot) -> usize {
        let place = slot.before().since(self.base.index);
        usize::try_from(place).expect("slots fit in memory")
    }

    /// The running total through `slot`, clamped to what is here.
    fn total(&self, slot: Slot) -> u64 {
        let kept = self.kept(slot.min(self.last()));
        kept.map_or(self.base_total, |kept| kept.total)
    }
}
