//! Which keys requests are about.

use bytes::{BufMut, BytesMut};

use crate::Usage;
use crate::flags::KeyFlags;

/// A cheap source of numbers that look random (splitmix64). Each client has its own.
#[derive(Clone, Debug)]
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Dice {
        Dice(seed)
    }

    pub(crate) fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `bound`.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        // The high half of the product: even enough for choosing keys.
        ((u128::from(self.roll()) * u128::from(bound)) >> 64) as u64
    }
}

/// How many digits a number takes.
pub(crate) fn digits(number: u64) -> u32 {
    number.max(1).ilog10() + 1
}

/// All keys: the numbers from 0 on, in decimal, with zeros in front up to the size.
#[derive(Clone, Debug)]
pub(crate) struct Keys {
    pub(crate) size: usize,
    pub(crate) space: u64,
    sequential: bool,
}

impl Keys {
    pub(crate) fn new(flags: &KeyFlags) -> Result<Keys, Usage> {
        let digits = digits(flags.key_space_size - 1);
        if flags.key_size < digits {
            return Err(Usage(format!(
                "--key-size {} is too small to tell {} keys apart: it takes {digits}",
                flags.key_size, flags.key_space_size
            )));
        }
        Ok(Keys {
            size: flags.key_size as usize,
            space: flags.key_space_size,
            sequential: flags.sequential_keys,
        })
    }

    /// The number of the key for the request with this index.
    pub(crate) fn pick(&self, index: u64, dice: &mut Dice) -> u64 {
        if self.sequential {
            index % self.space
        } else {
            dice.below(self.space)
        }
    }

    /// Appends the key with this number.
    pub(crate) fn put(&self, number: u64, out: &mut BytesMut) {
        let mut digits = [b'0'; 20];
        let mut rest = number;
        let mut at = digits.len();
        while rest > 0 {
            at -= 1;
            digits[at] = b'0' + (rest % 10) as u8;
            rest /= 10;
        }
        let shown = &digits[at.max(digits.len().saturating_sub(self.size))..];
        out.put_bytes(b'0', self.size - shown.len());
        out.put_slice(shown);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(key_size: u32, key_space_size: u64, sequential_keys: bool) -> Result<Keys, Usage> {
        Keys::new(&KeyFlags {
            key_size,
            key_space_size,
            sequential_keys,
        })
    }

    fn text(keys: &Keys, number: u64) -> String {
        let mut out = BytesMut::new();
        keys.put(number, &mut out);
        String::from_utf8(out.to_vec()).expect("digits")
    }

    #[test]
    fn keys_have_their_size_and_differ() {
        let eight = keys(8, 100_000, true).expect("enough digits");
        assert_eq!(text(&eight, 0), "00000000");
        assert_eq!(text(&eight, 99_999), "00099999");
        let long = keys(64, 1, true).expect("enough digits");
        assert_eq!(text(&long, 7).len(), 64);
        let all = keys(20, u64::MAX, true).expect("enough digits");
        assert_eq!(text(&all, u64::MAX - 1), (u64::MAX - 1).to_string());
        let two = keys(2, 100, true).expect("enough digits");
        assert_eq!(text(&two, 99), "99");
    }

    #[test]
    fn a_key_too_small_for_its_space_is_refused() {
        let error = keys(2, 101, false).expect_err("three digits");
        assert!(error.to_string().contains("takes 3"), "{error}");
        assert!(keys(1, 10, false).is_ok());
        assert!(keys(1, 11, false).is_err());
    }

    #[test]
    fn keys_come_in_order_or_from_everywhere() {
        let mut dice = Dice::new(1);
        let ordered = keys(8, 3, true).expect("valid");
        let picked: Vec<u64> = (0..5).map(|index| ordered.pick(index, &mut dice)).collect();
        assert_eq!(picked, [0, 1, 2, 0, 1]);
        let random = keys(8, 10, false).expect("valid");
        let mut seen = [0; 10];
        for index in 0..10_000 {
            seen[random.pick(index, &mut dice) as usize] += 1;
        }
        assert!(seen.iter().all(|&count| count > 800), "{seen:?}");
    }
}
