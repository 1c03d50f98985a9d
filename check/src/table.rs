//! The fingerprints of all states seen so far, in little more than eight bytes each.
//!
//! Cuckoo hashing (Pagh and Rodler, 2004) with two buckets of eight for each fingerprint (Dietzfelbinger
//! and Weidling, 2007): a look-up touches two cache lines however full the table is, so it can be nearly
//! full. It is split into shards, each behind its own lock, which grow on their own and by little.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// More than this many threads would begin to meet at the locks.
const SHARDS: usize = 64;
/// Fingerprints in a bucket: a cache line.
const BUCKET: usize = 8;
/// Buckets of a new shard.
const BUCKETS_MIN: usize = 8;
/// After so many evictions the shard counts as full.
const EVICTIONS_MAX: u32 = 64;

/// A set of fingerprints that many threads add to.
pub(crate) struct Table {
    shards: Vec<Mutex<Shard>>,
}

/// One part: the fingerprints with the same lowest bits.
struct Shard {
    buckets: Vec<Bucket>,
    len: usize,
    /// Chooses whom to evict.
    turn: u64,
}

/// A cache line of fingerprints; 0 is an empty cell. Cells fill from the front and are never emptied.
#[derive(Clone, Copy, Default)]
#[repr(align(64))]
struct Bucket([u64; BUCKET]);

impl Default for Table {
    fn default() -> Table {
        Table {
            shards: (0..SHARDS).map(|_| Mutex::new(Shard::new())).collect(),
        }
    }
}

impl Table {
    /// Adds a fingerprint. Whether it was not there.
    pub(crate) fn insert(&self, print: u64) -> bool {
        // 0 marks empty cells, so the state that has it shares another's.
        let print = print.max(1);
        lock(&self.shards[print as usize % SHARDS]).insert(print)
    }

    /// Adds many fingerprints, and fills `first` with whether each was not there. Each shard is locked
    /// once, and asks memory for all it will need before it needs any of it.
    pub(crate) fn insert_all(&self, prints: impl Iterator<Item = u64>, first: &mut Vec<bool>) {
        let prints: Vec<u64> = prints.map(|print| print.max(1)).collect();
        // Sorted by shard, by counting.
        let mut ends = [0; SHARDS];
        for &print in &prints {
            ends[print as usize % SHARDS] += 1;
        }
        let mut sum = 0;
        for end in &mut ends {
            // For now where the shard's fingerprints begin.
            sum += std::mem::replace(end, sum);
        }
        let mut sorted = vec![(0, 0); prints.len()];
        for (at, &print) in prints.iter().enumerate() {
            let end = &mut ends[print as usize % SHARDS];
            sorted[*end] = (print, at);
            *end += 1;
        }
        first.clear();
        first.resize(prints.len(), false);
        let mut begin = 0;
        for (shard, end) in self.shards.iter().zip(ends) {
            let mine = &sorted[begin..end];
            begin = end;
            if mine.is_empty() {
                continue;
            }
            let mut shard = lock(shard);
            shard.touch(mine);
            for &(print, at) in mine {
                first[at] = shard.insert(print);
            }
        }
    }

    /// How many fingerprints there are.
    pub(crate) fn len(&self) -> usize {
        self.shards.iter().map(|shard| lock(shard).len).sum()
    }

    /// The memory it takes.
    pub(crate) fn bytes(&self) -> usize {
        let buckets = self.shards.iter().map(|shard| lock(shard).buckets.len());
        buckets.sum::<usize>() * size_of::<Bucket>()
    }
}

fn lock(shard: &Mutex<Shard>) -> MutexGuard<'_, Shard> {
    // A thread that panicked ends the exploration anyway.
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Bucket {
    /// All cells are compared, which takes less time than to decide when to stop.
    fn contains(&self, print: u64) -> bool {
        self.0
            .iter()
            .fold(false, |found, &cell| found | (cell == print))
    }

    fn is_full(&self) -> bool {
        self.0[BUCKET - 1] != 0
    }

    /// Puts a fingerprint into the first empty cell, if there is one.
    fn put(&mut self, print: u64) -> bool {
        let empty = self.0.iter_mut().find(|cell| **cell == 0);
        empty.map(|cell| *cell = print).is_some()
    }
}

impl Shard {
    fn new() -> Shard {
        Shard {
            buckets: vec![Bucket::default(); BUCKETS_MIN],
            len: 0,
            turn: 0x2545_f491_4f6c_dd1d,
        }
    }

    fn insert(&mut self, print: u64) -> bool {
        let (one, two) = self.homes(print);
        if self.buckets[one].contains(print) {
            return false;
        }
        // It is in the second only if the first was full, and what was full stays so.
        if self.buckets[one].is_full() && self.buckets[two].contains(print) {
            return false;
        }
        // Full to nine tenths is full: beyond, evictions become long.
        if self.len * 10 >= self.buckets.len() * BUCKET * 9 {
            self.grow();
        }
        self.place(print);
        self.len += 1;
        true
    }

    /// Brings the first buckets of fingerprints into the cache. The reads do not depend on one another,
    /// so that the processor waits for many of them at a time.
    fn touch(&self, prints: &[(u64, usize)]) {
        let cells = prints.iter().map(|&(print, _)| {
            let (one, _) = self.homes(print);
            self.buckets[one].0[0]
        });
        std::hint::black_box(cells.fold(0, |sum, cell| sum ^ cell));
    }

    /// A fingerprint's two buckets.
    fn homes(&self, print: u64) -> (usize, usize) {
        let buckets = self.buckets.len() as u128;
        let home = |bits: u64| ((u128::from(bits) * buckets) >> 64) as usize;
        (
            home(print),
            home(print.wrapping_mul(0xd6e8_feb8_6659_fd93).rotate_left(32)),
        )
    }

    /// Puts a fingerprint into one of its buckets. If both are full, another one makes room and looks
    /// for its own other bucket.
    fn place(&mut self, print: u64) {
        let mut print = print;
        let mut from = None;
        for _ in 0..EVICTIONS_MAX {
            let (one, two) = self.homes(print);
            if self.buckets[one].put(print) || self.buckets[two].put(print) {
                return;
            }
            self.turn = self
                .turn
                .rotate_left(17)
                .wrapping_mul(0x9e37_79b9_7f4a_7c15)
                ^ print;
            let home = if from == Some(one) || from.is_none() && self.turn & 8 == 0 {
                two
            } else {
                one
            };
            let victim = (self.turn >> 60) as usize % BUCKET;
            print = std::mem::replace(&mut self.buckets[home].0[victim], print);
            from = Some(home);
        }
        self.grow();
        self.place(print);
    }

    fn grow(&mut self) {
        let buckets = self.buckets.len() + self.buckets.len().div_ceil(4);
        let old = std::mem::replace(&mut self.buckets, vec![Bucket::default(); buckets]);
        let prints = old.iter().flat_map(|bucket| bucket.0);
        for print in prints.filter(|&print| print != 0) {
            self.place(print);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn it_is_a_set_and_stays_dense() {
        let table = Table::default();
        let mut reference = BTreeSet::new();
        let mut print = 1u64;
        for _ in 0..300_000 {
            // Only 17 bits vary, so that many come twice; the rest is spread over the word.
            print = print
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            let value = (print >> 47).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            assert_eq!(table.insert(value), reference.insert(value.max(1)));
        }
        assert_eq!(table.len(), reference.len());
        assert!(table.len() > 100_000);
        let density = table.len() as f64 * 8.0 / table.bytes() as f64;
        assert!(density > 0.65, "density {density}");
    }

    #[test]
    fn many_at_once_are_as_one_after_the_other() {
        let (one, many) = (Table::default(), Table::default());
        let mut first = Vec::new();
        for batch in 0..200u64 {
            // Some come twice in one batch, some were in the one before, one is zero.
            let numbers = (batch * 300..batch * 300 + 500).map(|number| number / 3);
            let prints = numbers.map(|number| number.wrapping_mul(0x9e37_79b9_7f4a_7c15));
            many.insert_all(prints.clone(), &mut first);
            let expected: Vec<bool> = prints.map(|print| one.insert(print)).collect();
            assert_eq!(first, expected);
        }
        assert_eq!(one.len(), many.len());
        assert!(many.len() > 20_000);
    }

    #[test]
    fn threads_agree_on_who_was_first() {
        let table = Table::default();
        let first: usize = std::thread::scope(|scope| {
            let count = || {
                let prints = (1..20_000u64).map(|n| n.wrapping_mul(0x9e37_79b9_7f4a_7c15));
                prints.filter(|&print| table.insert(print)).count()
            };
            let threads: Vec<_> = (0..3).map(|_| scope.spawn(count)).collect();
            let counts = threads.into_iter().map(|thread| thread.join());
            counts.map(|count| count.expect("it only counts")).sum()
        });
        assert_eq!(first, 19_999);
        assert_eq!(table.len(), 19_999);
    }
}
