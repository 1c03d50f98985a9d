//! The fingerprints of all states seen so far, in six or seven bytes each.
//!
//! Cuckoo hashing (Pagh and Rodler, 2004) with two buckets of many cells for each fingerprint
//! (Dietzfelbinger and Weidling, 2007): a look-up touches two cache lines however full the table is, so it
//! can be nearly full. What the place of a cell says of its fingerprint is not written into the cell
//! (quotienting; Cleary, "Compact hash tables using bidirectional linear probing", 1984): all 64 bits are
//! still told apart. The table is split into shards, each behind its own lock, which grow on their own,
//! by little, and not all at the same time.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// More than this many threads would begin to meet at the locks.
const SHARDS: usize = 64;
/// The bits of a fingerprint that its shard does not tell.
const REST_BITS: u32 = u64::BITS - SHARDS.ilog2();
/// Bytes in a bucket: a cache line.
const BUCKET: usize = 64;
/// Buckets in a block.
const BLOCK: usize = 32;
/// Buckets of a new shard.
const BUCKETS_MIN: usize = 32;
/// After so many evictions the shard counts as full.
const EVICTIONS_MAX: u32 = 64;

/// A set of fingerprints that many threads add to.
pub(crate) struct Table {
    shards: Vec<Mutex<Shard>>,
    spare: Spare,
}

/// One part: the fingerprints with the same lowest bits.
struct Shard {
    #[expect(clippy::vec_box, reason = "blocks move to other shards")]
    blocks: Vec<Box<Block>>,
    /// How many buckets are in use; the last block may have more.
    buckets: usize,
    len: usize,
    /// How many fingerprints without their lowest bits begin in one bucket, next to one another.
    span: u64,
    /// 2⁶⁴ / span, to divide by it.
    reciprocal: u64,
    /// Bytes of a cell.
    width: usize,
    /// Chooses whom to evict.
    turn: u64,
}

/// A cache line of cells, and in its last byte how many are taken. Cells fill from the front and are never
/// emptied.
#[derive(Clone, Copy)]
#[repr(align(64))]
struct Bucket([u8; BUCKET]);

/// Some buckets. Shards are made of blocks so that what one leaves behind when it grows is of use to the
/// next that does.
struct Block([Bucket; BLOCK]);

/// Blocks that are not used just now.
type Spare = Mutex<Vec<Box<Block>>>;

/// A fingerprint in its place: in its first bucket, or in the second that the remainder leads to.
#[derive(Clone, Copy)]
struct Lodger {
    bucket: usize,
    remainder: u64,
    is_second: bool,
}

impl Default for Table {
    fn default() -> Table {
        Table {
            shards: (0..SHARDS).map(|at| Mutex::new(Shard::new(at))).collect(),
            spare: Spare::default(),
        }
    }
}

impl Table {
    /// Adds a fingerprint. Whether it was not there.
    pub(crate) fn insert(&self, print: u64) -> bool {
        lock(&self.shards[print as usize % SHARDS]).insert(rest(print), &self.spare)
    }

    /// Adds many fingerprints, and fills `first` with whether each was not there. Each shard is locked
    /// once, and asks memory for all it will need before it needs any of it.
    pub(crate) fn insert_all(&self, prints: impl Iterator<Item = u64>, first: &mut Vec<bool>) {
        let prints: Vec<u64> = prints.collect();
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
            sorted[*end] = (rest(print), at);
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
            for &(rest, at) in mine {
                first[at] = shard.insert(rest, &self.spare);
            }
        }
    }

    /// How many fingerprints there are.
    pub(crate) fn len(&self) -> usize {
        self.shards.iter().map(|shard| lock(shard).len).sum()
    }

    /// The memory it takes.
    pub(crate) fn bytes(&self) -> usize {
        let blocks = self.shards.iter().map(|shard| lock(shard).blocks.len());
        (blocks.sum::<usize>() + lock(&self.spare).len()) * size_of::<Block>()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A thread that panicked ends the exploration anyway.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A fingerprint without what its shard tells.
fn rest(print: u64) -> u64 {
    print / SHARDS as u64
}

/// How many cells of so many bytes a bucket has: one byte is needed for their number.
const fn cells(width: usize) -> usize {
    (BUCKET - 1) / width
}

const EMPTY: Bucket = Bucket([0; BUCKET]);

impl Bucket {
    /// A cell; 0 if it is empty.
    #[inline]
    fn cell<const WIDTH: usize>(&self, at: usize) -> u64 {
        // Eight bytes are read at once, of which those behind the cell do not count.
        let bytes = &self.0[at * WIDTH..at * WIDTH + 8];
        let word = u64::from_le_bytes(bytes.try_into().expect("there are eight"));
        word & (u64::MAX >> (64 - 8 * WIDTH))
    }

    fn set<const WIDTH: usize>(&mut self, at: usize, cell: u64) {
        self.0[at * WIDTH..(at + 1) * WIDTH].copy_from_slice(&cell.to_le_bytes()[..WIDTH]);
    }

    /// All cells are compared, which takes less time than to decide when to stop.
    #[inline]
    fn contains<const WIDTH: usize>(&self, cell: u64) -> bool {
        (0..cells(WIDTH)).fold(false, |found, at| found | (self.cell::<WIDTH>(at) == cell))
    }

    fn is_full<const WIDTH: usize>(&self) -> bool {
        self.taken() == cells(WIDTH)
    }

    fn taken(&self) -> usize {
        usize::from(self.0[BUCKET - 1])
    }

    /// Fills the first empty cell, if there is one.
    #[inline]
    fn put<const WIDTH: usize>(&mut self, cell: u64) -> bool {
        let taken = self.taken();
        let has_room = taken < cells(WIDTH);
        if has_room {
            self.set::<WIDTH>(taken, cell);
            self.0[BUCKET - 1] += 1;
        }
        has_room
    }
}

impl Lodger {
    /// What is written into its cell: never 0.
    fn cell(self) -> u64 {
        (self.remainder << 1 | u64::from(self.is_second)) + 1
    }
}

impl Shard {
    fn new(at: usize) -> Shard {
        // One begins larger than the other, so that they do not all grow at the same time.
        let buckets = BUCKETS_MIN + at * BUCKETS_MIN / SHARDS / 4;
        Shard::with_buckets(buckets, &Spare::default())
    }

    fn with_buckets(buckets: usize, spare: &Spare) -> Shard {
        let span = (1u64 << REST_BITS).div_ceil(buckets as u64);
        let fits = |width: &usize| 2 * span < 1 << (8 * width);
        let mut spare = lock(spare);
        let block = |_| match spare.pop() {
            Some(mut block) => {
                block.0.fill(EMPTY);
                block
            }
            None => Box::new(Block([EMPTY; BLOCK])),
        };
        Shard {
            blocks: (0..buckets.div_ceil(BLOCK)).map(block).collect(),
            buckets,
            len: 0,
            span,
            reciprocal: ((1u128 << 64) / u128::from(span)) as u64,
            width: (5..7).find(fits).unwrap_or(7),
            turn: 0x2545_f491_4f6c_dd1d,
        }
    }

    /// Adds a fingerprint. Whether it was not there.
    fn insert(&mut self, rest: u64, spare: &Spare) -> bool {
        match self.width {
            5 => self.insert_wide::<5>(rest, spare),
            6 => self.insert_wide::<6>(rest, spare),
            _ => self.insert_wide::<7>(rest, spare),
        }
    }

    #[inline]
    fn insert_wide<const WIDTH: usize>(&mut self, rest: u64, spare: &Spare) -> bool {
        let first = self.lodger(rest);
        let bucket = self.bucket(first);
        if bucket.contains::<WIDTH>(first.cell()) {
            return false;
        }
        // It is in the second only if the first was full, and what was full stays so.
        if bucket.is_full::<WIDTH>() {
            let second = self.other(first);
            if self.bucket(second).contains::<WIDTH>(second.cell()) {
                return false;
            }
        }
        self.len += 1;
        // Fuller than this, evictions become long.
        if self.len * 20 > self.buckets * cells(WIDTH) * 19 {
            self.grow(spare);
            self.place(rest, spare);
        } else {
            self.place_wide::<WIDTH>(first, spare);
        }
        true
    }

    /// Brings the buckets of fingerprints into the cache. The reads do not depend on one another,
    /// so that the processor waits for many of them at a time.
    fn touch(&self, rests: &[(u64, usize)]) {
        let bytes = rests.iter().map(|&(rest, _)| {
            let first = self.lodger(rest);
            let second = self.other(first);
            self.bucket(first).0[0] ^ self.bucket(second).0[0]
        });
        std::hint::black_box(bytes.fold(0, |sum, byte| sum ^ byte));
    }

    #[inline]
    fn bucket(&self, lodger: Lodger) -> &Bucket {
        &self.blocks[lodger.bucket / BLOCK].0[lodger.bucket % BLOCK]
    }

    #[inline]
    fn bucket_mut(&mut self, lodger: Lodger) -> &mut Bucket {
        &mut self.blocks[lodger.bucket / BLOCK].0[lodger.bucket % BLOCK]
    }

    /// A fingerprint in its first bucket.
    #[inline]
    fn lodger(&self, rest: u64) -> Lodger {
        let product = u128::from(rest) * u128::from(self.reciprocal);
        let mut bucket = (product >> 64) as u64;
        let mut remainder = rest - bucket * self.span;
        // The reciprocal was rounded down.
        if remainder >= self.span {
            bucket += 1;
            remainder -= self.span;
        }
        Lodger {
            bucket: bucket as usize,
            remainder,
            is_second: false,
        }
    }

    /// The same fingerprint in its other bucket, which is as far behind the first as the remainder says.
    #[inline]
    fn other(&self, lodger: Lodger) -> Lodger {
        let buckets = self.buckets;
        let spread = lodger.remainder.wrapping_mul(0xd6e8_feb8_6659_fd93) >> 32;
        let distance = ((spread * buckets as u64) >> 32) as usize;
        let forward = match lodger.is_second {
            false => distance,
            true => buckets - distance,
        };
        let bucket = lodger.bucket + forward;
        Lodger {
            bucket: bucket.checked_sub(buckets).unwrap_or(bucket),
            is_second: !lodger.is_second,
            ..lodger
        }
    }

    fn place(&mut self, rest: u64, spare: &Spare) {
        let lodger = self.lodger(rest);
        match self.width {
            5 => self.place_wide::<5>(lodger, spare),
            6 => self.place_wide::<6>(lodger, spare),
            _ => self.place_wide::<7>(lodger, spare),
        }
    }

    /// Puts a fingerprint into one of its buckets. If both are full, another one makes room and looks
    /// for its own other bucket.
    fn place_wide<const WIDTH: usize>(&mut self, mut lodger: Lodger, spare: &Spare) {
        if self.bucket_mut(lodger).put::<WIDTH>(lodger.cell()) {
            return;
        }
        for _ in 0..EVICTIONS_MAX {
            lodger = self.other(lodger);
            if self.bucket_mut(lodger).put::<WIDTH>(lodger.cell()) {
                return;
            }
            self.turn = self
                .turn
                .rotate_left(17)
                .wrapping_mul(0x9e37_79b9_7f4a_7c15)
                ^ lodger.remainder;
            let victim = (self.turn >> 48) as usize % cells(WIDTH);
            let bucket = self.bucket_mut(lodger);
            let evicted = bucket.cell::<WIDTH>(victim);
            bucket.set::<WIDTH>(victim, lodger.cell());
            lodger = Shard::read(lodger.bucket, evicted);
        }
        let homeless = self.rest(lodger);
        self.grow(spare);
        self.place(homeless, spare);
    }

    /// Who is in a cell.
    fn read(bucket: usize, cell: u64) -> Lodger {
        Lodger {
            bucket,
            remainder: (cell - 1) >> 1,
            is_second: (cell - 1) & 1 != 0,
        }
    }

    /// The whole of a fingerprint.
    fn rest(&self, lodger: Lodger) -> u64 {
        let first = match lodger.is_second {
            true => self.other(lodger),
            false => lodger,
        };
        first.bucket as u64 * self.span + first.remainder
    }

    fn grow(&mut self, spare: &Spare) {
        match self.width {
            5 => self.grow_from::<5>(spare),
            6 => self.grow_from::<6>(spare),
            _ => self.grow_from::<7>(spare),
        }
    }

    fn grow_from<const WIDTH: usize>(&mut self, spare: &Spare) {
        let mut larger = Shard::with_buckets(self.buckets + self.buckets.div_ceil(4), spare);
        larger.len = self.len;
        let before = std::mem::replace(self, larger);
        let buckets = before.blocks.iter().flat_map(|block| &block.0);
        for (at, bucket) in buckets.take(before.buckets).enumerate() {
            for cell in 0..bucket.taken() {
                let lodger = Shard::read(at, bucket.cell::<WIDTH>(cell));
                self.place(before.rest(lodger), spare);
            }
        }
        lock(spare).extend(before.blocks);
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
            assert_eq!(table.insert(value), reference.insert(value));
        }
        assert_eq!(table.len(), reference.len());
        assert!(table.len() > 100_000);
        let bytes = table.bytes() as f64 / table.len() as f64;
        assert!(bytes < 9.5, "{bytes} bytes for each");
    }

    #[test]
    fn the_larger_a_shard_the_narrower_its_cells() {
        for (buckets, width, after) in [(40, 7, 7), (1_900, 7, 6), (2_100, 6, 6), (530_000, 5, 5)] {
            let spare = Spare::default();
            let mut shard = Shard::with_buckets(buckets, &spare);
            assert_eq!(shard.width, width);
            let rests = (0..200u64).map(|n| n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 6);
            for rest in rests.clone() {
                assert!(shard.insert(rest, &spare));
            }
            if buckets < 10_000 {
                shard.grow(&spare);
            }
            assert_eq!(shard.width, after);
            for rest in rests {
                assert!(!shard.insert(rest, &spare));
                let first = shard.lodger(rest);
                let second = shard.other(first);
                assert!(second.cell() >> (8 * after) == 0);
                assert_eq!((shard.rest(first), shard.rest(second)), (rest, rest));
            }
        }
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
