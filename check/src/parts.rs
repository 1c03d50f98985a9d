//! Values that many states have in common, each kept once and under a number (the "collapse" of Holzmann,
//! "State compression in model checking", 1997): a state is then a few numbers.
//!
//! Like states, parts are told apart by their fingerprints.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hash};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use crate::fingerprint::{Folded, Same, fingerprint};

/// More than this many threads would begin to meet at the locks.
const SHARDS: usize = 16;

/// Numbered values that many threads add to.
pub(crate) struct Parts<T> {
    numbers: Sharded<u64, u32, Same>,
    values: Rows<T>,
}

impl<T> Default for Parts<T> {
    fn default() -> Parts<T> {
        Parts {
            numbers: Sharded::default(),
            values: Rows::default(),
        }
    }
}

impl<T> Parts<T> {
    /// The number of the value with this fingerprint, which is made if it was not there.
    pub(crate) fn number(&self, print: u64, make: impl FnOnce() -> T) -> u32 {
        let mut numbers = self.numbers.of(print);
        // Not by `entry`: most of them are there, and are found without room for one more.
        if let Some(&number) = numbers.get(&print) {
            return number;
        }
        let number = self.values.push(make());
        numbers.insert(print, number);
        number
    }

    /// The value of this number.
    #[inline]
    pub(crate) fn get(&self, number: u32) -> &T {
        self.values.get(number)
    }
}

/// What was computed before, as far as it is remembered.
pub(crate) struct Memo<K, V>(Sharded<K, V, Folded>);

/// A shard that remembers more than this forgets all.
const REMEMBERED_MAX: usize = 1 << 16;

impl<K, V> Default for Memo<K, V> {
    fn default() -> Memo<K, V> {
        Memo(Sharded::default())
    }
}

impl<K: Hash + Eq + Copy, V: Copy> Memo<K, V> {
    /// What comes of it, computed now or before.
    #[inline]
    pub(crate) fn recall(&self, key: K, compute: impl FnOnce() -> V) -> V {
        let spread = fingerprint(&key);
        if let Some(&known) = self.0.of(spread).get(&key) {
            return known;
        }
        // Without the lock, since computing it may need others. Two threads come to the same.
        let value = compute();
        let mut known = self.0.of(spread);
        if known.len() >= REMEMBERED_MAX {
            known.clear();
        }
        known.insert(key, value);
        value
    }
}

/// A map in several parts, each behind its own lock.
struct Sharded<K, V, H>([Mutex<HashMap<K, V, BuildHasherDefault<H>>>; SHARDS]);

impl<K, V, H> Default for Sharded<K, V, H> {
    fn default() -> Sharded<K, V, H> {
        Sharded([(); SHARDS].map(|()| Mutex::default()))
    }
}

impl<K, V, H> Sharded<K, V, H> {
    fn of(&self, spread: u64) -> MutexGuard<'_, HashMap<K, V, BuildHasherDefault<H>>> {
        // From the middle, since maps look at both ends of a hash.
        let shard = &self.0[(spread >> 32) as usize % SHARDS];
        shard.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A list that only grows, and is read without a lock: rows of twice the length of the one before.
pub(crate) struct Rows<T> {
    rows: [OnceLock<Box<[OnceLock<T>]>>; ROWS],
    len: AtomicU32,
}

/// Values in the first row.
const ROW_MIN: u32 = 64;
/// As many rows as numbers need.
const ROWS: usize = (u32::BITS - ROW_MIN.ilog2()) as usize;

impl<T> Default for Rows<T> {
    fn default() -> Rows<T> {
        Rows {
            rows: [(); ROWS].map(|()| OnceLock::new()),
            len: AtomicU32::new(0),
        }
    }
}

/// The row of a number, and its place there.
#[inline]
fn place(number: u32) -> (usize, usize) {
    let from_min = number + ROW_MIN;
    let row = from_min.ilog2() - ROW_MIN.ilog2();
    (row as usize, (from_min - (ROW_MIN << row)) as usize)
}

impl<T> Rows<T> {
    /// Adds a value, and says its number.
    pub(crate) fn push(&self, value: T) -> u32 {
        let number = self.len.fetch_add(1, Ordering::Relaxed);
        assert!(number < u32::MAX - ROW_MIN, "there are too many parts");
        let (row, at) = place(number);
        let row = self.rows[row].get_or_init(|| {
            let cells = (0..ROW_MIN << row).map(|_| OnceLock::new());
            cells.collect()
        });
        if row[at].set(value).is_err() {
            unreachable!("nobody else has this number");
        }
        number
    }

    /// The value of this number.
    #[inline]
    pub(crate) fn get(&self, number: u32) -> &T {
        let (row, at) = place(number);
        let row = self.rows[row].get().expect("the number was given out");
        row[at]
            .get()
            .expect("the value was there before its number")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_has_one_number_whoever_asks() {
        let parts = Parts::default();
        let numbers = || -> Vec<u32> {
            let values = 0..5_000u64;
            let numbers = values.map(|value| parts.number(fingerprint(&value), || value));
            numbers.collect()
        };
        let (one, two) = std::thread::scope(|scope| {
            let one = scope.spawn(numbers);
            let two = scope.spawn(numbers);
            (
                one.join().expect("it counts"),
                two.join().expect("it counts"),
            )
        });
        assert_eq!(one, two);
        for (value, number) in one.iter().enumerate() {
            assert_eq!(*parts.get(*number), value as u64);
        }
        let mut sorted = one;
        sorted.sort_unstable();
        assert_eq!(sorted, (0..5_000).collect::<Vec<u32>>());
    }

    #[test]
    fn what_was_computed_is_remembered() {
        let memo = Memo::default();
        let mut computed = 0;
        for _ in 0..2 {
            for one in 0..50 {
                for two in 0..50 {
                    let sum = memo.recall((one, two), || {
                        computed += 1;
                        2 * one + two
                    });
                    assert_eq!(sum, 2 * one + two);
                }
            }
        }
        assert_eq!(computed, 2_500);
    }
}
