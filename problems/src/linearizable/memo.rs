//! The configurations that a search has been in.

use alloc::vec;
use alloc::vec::Vec;
use core::hash::{Hash, Hasher};

/// No entry, no node.
pub(super) const NONE: u32 = u32::MAX;

/// A use of a pending operation: a list from the last to the first, whose tails are shared.
#[derive(Clone, Copy)]
pub(super) struct Use {
    parent: u32,
    class: u32,
    /// How many of the class were used up with this one.
    count: u32,
    /// Whether it is one of those that the search currently builds on.
    is_current: bool,
}

/// All uses of pending operations that a search made.
#[derive(Default)]
pub(super) struct Uses {
    all: Vec<Use>,
}

impl Uses {
    /// One more of a class is used up, after those of `parent`.
    pub(super) fn push(&mut self, parent: u32, class: u32, count: u32) -> u32 {
        self.all.push(Use {
            parent,
            class,
            count,
            is_current: true,
        });
        index(self.all.len() - 1)
    }

    /// The search takes its last use back. Answers the one before it.
    pub(super) fn take_back(&mut self, last: u32) -> u32 {
        let last = &mut self.all[last as usize];
        last.is_current = false;
        last.parent
    }

    /// Whether the uses up to `last` are among the current ones, which `used` counts per class.
    fn are_among(&self, mut last: u32, used: &[u32]) -> bool {
        while last != NONE {
            let this = &self.all[last as usize];
            if this.is_current {
                return true; // And so are all before it.
            }
            if this.count > used[this.class as usize] {
                return false;
            }
            last = this.parent;
        }
        true
    }
}

/// How far a search has got, apart from the pending operations it used up.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Place<'a, S> {
    /// How many operations, in the order of their returns, are all linearized.
    pub(super) frontier: u32,
    /// Which ones behind that are, in the same order.
    pub(super) ahead: &'a [u32],
    /// The state after them.
    pub(super) state: &'a S,
}

struct Entry<S> {
    hash: u32,
    frontier: u32,
    ahead: (u32, u32),
    state: S,
    uses: u32,
    next: u32,
}

/// A set of configurations: a hash table of our own, since there is none without std.
pub(super) struct Memo<S> {
    buckets: Vec<u32>,
    entries: Vec<Entry<S>>,
    /// What the entries' `ahead` refer to.
    ahead: Vec<u32>,
    /// As many for each entry as there are pieces, or none.
    clocks: Vec<u64>,
}

impl<S: Clone + Eq + Hash> Memo<S> {
    pub(super) fn new() -> Memo<S> {
        Memo {
            buckets: vec![NONE; 64],
            entries: Vec::new(),
            ahead: Vec::new(),
            clocks: Vec::new(),
        }
    }

    /// How many configurations it holds.
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether the numbers of configurations run out.
    pub(super) fn is_full(&self) -> bool {
        self.entries.len().max(self.ahead.len()) > (NONE / 2) as usize
    }

    /// The state of a configuration.
    pub(super) fn state(&self, entry: u32) -> &S {
        &self.entries[entry as usize].state
    }

    /// Adds a configuration and answers its number, unless one is known that is at the same place,
    /// not later, and used up no other pending operations than this one.
    pub(super) fn insert(
        &mut self,
        place: Place<'_, S>,
        clocks: &[u64],
        last_use: u32,
        uses: &Uses,
        used: &[u32],
    ) -> Option<u32> {
        let hash = hash_of(&place);
        let mut at = self.buckets[self.bucket(hash)];
        while at != NONE {
            let entry = &self.entries[at as usize];
            if entry.hash == hash
                && self.place(entry) == place
                && self.is_no_later(at, clocks)
                && uses.are_among(entry.uses, used)
            {
                return None;
            }
            at = entry.next;
        }
        if self.entries.len() >= self.buckets.len() {
            self.grow();
        }
        let bucket = self.bucket(hash);
        let start = index(self.ahead.len());
        self.ahead.extend_from_slice(place.ahead);
        self.clocks.extend_from_slice(clocks);
        let number = index(self.entries.len());
        self.entries.push(Entry {
            hash,
            frontier: place.frontier,
            ahead: (start, index(self.ahead.len())),
            state: place.state.clone(),
            uses: last_use,
            next: self.buckets[bucket],
        });
        self.buckets[bucket] = number;
        Some(number)
    }

    fn is_no_later(&self, entry: u32, clocks: &[u64]) -> bool {
        let from = entry as usize * clocks.len();
        let known = &self.clocks[from..from + clocks.len()];
        known.iter().zip(clocks).all(|(known, now)| known <= now)
    }

    fn place<'a>(&'a self, entry: &'a Entry<S>) -> Place<'a, S> {
        Place {
            frontier: entry.frontier,
            ahead: &self.ahead[entry.ahead.0 as usize..entry.ahead.1 as usize],
            state: &entry.state,
        }
    }

    fn bucket(&self, hash: u32) -> usize {
        hash as usize & (self.buckets.len() - 1)
    }

    fn grow(&mut self) {
        let len = self.buckets.len() * 4;
        self.buckets.clear();
        self.buckets.resize(len, NONE);
        for number in 0..self.entries.len() {
            let bucket = self.bucket(self.entries[number].hash);
            self.entries[number].next = self.buckets[bucket];
            self.buckets[bucket] = index(number);
        }
    }
}

/// Positions are kept in half the space; a search ends long before they run out.
pub(super) fn index(number: usize) -> u32 {
    u32::try_from(number).expect("a search is bounded below four billion configurations")
}

/// A hash that is the same in every run.
pub(super) fn hash_of(value: &impl Hash) -> u32 {
    let mut hasher = Mixer(0);
    value.hash(&mut hasher);
    let mixed = (hasher.0 ^ (hasher.0 >> 32)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (mixed >> 32) as u32
}

/// A multiplicative hash, the same in every run. Histories are not made by enemies, and a collision
/// costs a comparison only.
struct Mixer(u64);

impl Mixer {
    fn mix(&mut self, word: u64) {
        self.0 = (self.0.rotate_left(23) ^ word).wrapping_mul(0xf135_7aea_2e62_a9c5);
    }
}

impl Hasher for Mixer {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.mix(u64::from_le_bytes(word));
        }
    }

    fn write_u8(&mut self, word: u8) {
        self.mix(u64::from(word));
    }

    fn write_u32(&mut self, word: u32) {
        self.mix(u64::from(word));
    }

    fn write_u64(&mut self, word: u64) {
        self.mix(word);
    }

    fn write_usize(&mut self, word: usize) {
        self.mix(word as u64);
    }
}
