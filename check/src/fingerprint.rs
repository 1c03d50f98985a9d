//! Fingerprints: 64 bits that stand for a state (hash compaction; Wolper and Leroy, "Reliable hashing
//! without collision detection", CAV 1993).
//!
//! Two different states that share a fingerprint hide one another. With n states the chance that any
//! two do is about n² / 2⁶⁵: one in 370,000 for ten million states.

use std::hash::{Hash, Hasher};

/// The fingerprint of a value.
#[must_use]
pub fn fingerprint<T: Hash + ?Sized>(value: &T) -> u64 {
    let mut hasher = Folded::default();
    value.hash(&mut hasher);
    hasher.finish()
}

/// Two fingerprints as one; the order matters.
#[must_use]
pub fn combine(one: u64, two: u64) -> u64 {
    fold(one ^ 0x9e37_79b9_7f4a_7c15, two ^ 0xe703_7ed1_a0b4_28db)
}

/// A hasher of folded multiplications (as in wyhash, by Wang Yi): nearly as fast as a linear one, but
/// without its collisions among states of many small numbers. Those are most of what states consist
/// of, so eight of them are multiplied at once.
#[derive(Clone, Debug)]
pub struct Folded {
    state: u64,
    /// Small numbers that wait to be multiplied, a byte each.
    small: u64,
    small_bits: u32,
}

/// The byte that stands for a number too large for one.
const LARGE: u64 = 0xff;

impl Default for Folded {
    fn default() -> Folded {
        Folded {
            state: 0x243f_6a88_85a3_08d3,
            small: 0,
            small_bits: 0,
        }
    }
}

/// The two halves of a product, one over the other.
fn fold(one: u64, two: u64) -> u64 {
    let product = u128::from(one) * u128::from(two);
    (product as u64) ^ ((product >> 64) as u64)
}

impl Folded {
    #[inline]
    fn byte(&mut self, byte: u64) {
        self.small |= byte << self.small_bits;
        self.small_bits += 8;
        if self.small_bits == 64 {
            // Rotated, so that equal words in a row cannot cancel one another.
            self.state = fold(
                self.state.rotate_left(23) ^ self.small,
                0x9fb2_1c65_1e98_df25,
            );
            (self.small, self.small_bits) = (0, 0);
        }
    }

    /// With another factor than small numbers, so that the two cannot be taken for one another.
    #[inline]
    fn word(&mut self, word: u64) {
        self.state = fold(self.state.rotate_left(23) ^ word, 0xc2b2_ae3d_27d4_eb4f);
    }
}

impl Hasher for Folded {
    fn finish(&self) -> u64 {
        let rest = fold(self.small ^ 0xa076_1d64_78bd_642f, 0x8ebc_6af0_9c88_c6e3);
        let count = u64::from(self.small_bits) << 57;
        fold(
            self.state ^ rest.rotate_left(17) ^ count,
            0xe703_7ed1_a0b4_28db,
        )
    }

    fn write(&mut self, bytes: &[u8]) {
        let mut words = bytes.chunks_exact(8);
        for word in &mut words {
            let word = word.try_into().expect("the chunks have eight bytes");
            self.word(u64::from_le_bytes(word));
        }
        let rest = words.remainder();
        let mut last = [0; 8];
        last[..rest.len()].copy_from_slice(rest);
        // The length goes in too, so that trailing zeros count.
        self.word(u64::from_le_bytes(last) ^ ((bytes.len() as u64) << 56));
    }

    #[inline]
    fn write_u8(&mut self, value: u8) {
        self.write_u64(u64::from(value));
    }

    #[inline]
    fn write_u16(&mut self, value: u16) {
        self.write_u64(u64::from(value));
    }

    #[inline]
    fn write_u32(&mut self, value: u32) {
        self.write_u64(u64::from(value));
    }

    #[inline]
    fn write_u64(&mut self, value: u64) {
        if value < LARGE {
            self.byte(value);
        } else {
            self.byte(LARGE);
            self.word(value);
        }
    }

    #[inline]
    fn write_usize(&mut self, value: usize) {
        self.write_u64(value as u64);
    }

    #[inline]
    fn write_isize(&mut self, value: isize) {
        self.write_u64(value as u64);
    }
}

/// For maps of fingerprints, which need no more hashing.
#[derive(Default)]
pub(crate) struct Same(u64);

impl Hasher for Same {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, _: &[u8]) {
        unreachable!("only fingerprints are hashed")
    }

    fn write_u64(&mut self, value: u64) {
        self.0 = value;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn small_numbers_in_long_states_do_not_collide() {
        let mut seen = BTreeSet::new();
        let mut count = 0;
        for code in 0..3u32.pow(12) {
            let state: Vec<u8> = (0..12).map(|at| (code / 3u32.pow(at) % 3) as u8).collect();
            let numbers: Vec<u64> = state.iter().map(|&digit| u64::from(digit)).collect();
            seen.insert(fingerprint(&state));
            seen.insert(fingerprint(&numbers));
            count += 2;
        }
        assert_eq!(seen.len(), count);
    }

    #[test]
    fn lengths_and_orders_count() {
        let prints = [
            fingerprint(&[0u8; 3][..]),
            fingerprint(&[0u8; 4][..]),
            fingerprint(&[0u64; 8]),
            fingerprint(&[0u64; 9]),
            fingerprint(&[255u64, 0]),
            fingerprint(&[0u64, 255]),
            fingerprint(&[254u64, 0]),
            fingerprint(&"ab"),
            fingerprint(&"ba"),
            combine(1, 2),
            combine(2, 1),
        ];
        assert_eq!(BTreeSet::from(prints).len(), prints.len());
    }
}
