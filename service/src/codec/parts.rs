//! The parts that encodings are made of.

use bytes::Bytes;
use quorate_core::Malformed;

use crate::command::{Compare, KeyRange, Operand, Order, Range, Relation, Target};

/// A cursor over shared bytes, from which keys and values are sliced without a copy.
pub(crate) struct Input {
    bytes: Bytes,
    at: usize,
}

impl Input {
    /// Reads all of `bytes`.
    pub(crate) fn new(bytes: Bytes) -> Input {
        Input { bytes, at: 0 }
    }

    fn malformed(&self, expected: &'static str) -> Malformed {
        self.malformed_before(0, expected)
    }

    /// An error about the last `len` bytes read.
    pub(crate) fn malformed_before(&self, len: usize, expected: &'static str) -> Malformed {
        Malformed {
            at: self.at - len,
            expected,
        }
    }

    fn remaining(&self) -> usize {
        self.bytes.len() - self.at
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let Some(array) = self.bytes[self.at..].first_chunk::<N>().copied() else {
            return Err(self.malformed("more bytes"));
        };
        self.at += N;
        Ok(array)
    }

    pub(crate) fn u8(&mut self) -> Result<u8, Malformed> {
        Ok(self.array::<1>()?[0])
    }

    pub(crate) fn u32(&mut self) -> Result<u32, Malformed> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    pub(crate) fn u64(&mut self) -> Result<u64, Malformed> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    pub(crate) fn i64(&mut self) -> Result<i64, Malformed> {
        Ok(i64::from_le_bytes(self.array()?))
    }

    /// A byte of flags, of which only `known` may be set.
    pub(crate) fn flags(&mut self, known: u8) -> Result<u8, Malformed> {
        let flags = self.u8()?;
        if flags & !known != 0 {
            return Err(self.malformed_before(1, "known flags"));
        }
        Ok(flags)
    }

    /// A count of elements that take at least `element_bytes_min` bytes each.
    pub(crate) fn count(&mut self, element_bytes_min: usize) -> Result<usize, Malformed> {
        let count = self.u32()? as usize;
        if count.saturating_mul(element_bytes_min) > self.remaining() {
            return Err(self.malformed_before(4, "a count that the input can hold"));
        }
        Ok(count)
    }

    /// A byte string, shared.
    pub(crate) fn bytes(&mut self) -> Result<Bytes, Malformed> {
        let len = self.count(1)?;
        let bytes = self.bytes.slice(self.at..self.at + len);
        self.at += len;
        Ok(bytes)
    }

    /// Text, copied.
    pub(crate) fn text(&mut self) -> Result<String, Malformed> {
        let len = self.count(1)?;
        let bytes = &self.bytes[self.at..self.at + len];
        let text = std::str::from_utf8(bytes).map_err(|_| self.malformed("UTF-8 text"))?;
        let text = text.to_owned();
        self.at += len;
        Ok(text)
    }

    pub(crate) fn texts(&mut self) -> Result<Vec<String>, Malformed> {
        let count = self.count(4)?;
        let mut texts = Vec::new();
        for _ in 0..count {
            texts.push(self.text()?);
        }
        Ok(texts)
    }

    pub(crate) fn key_range(&mut self) -> Result<KeyRange, Malformed> {
        Ok(KeyRange {
            key: self.bytes()?,
            end: self.bytes()?,
        })
    }

    pub(crate) fn compare(&mut self) -> Result<Compare, Malformed> {
        let range = self.key_range()?;
        let relation = match self.u8()? {
            0 => Relation::Equal,
            1 => Relation::Greater,
            2 => Relation::Less,
            3 => Relation::NotEqual,
            _ => return Err(self.malformed_before(1, "a relation")),
        };
        let operand = match self.u8()? {
            0 => Operand::Version(self.i64()?),
            1 => Operand::Create(self.i64()?),
            2 => Operand::Mod(self.i64()?),
            3 => Operand::Value(self.bytes()?),
            4 => Operand::Lease(self.i64()?),
            _ => return Err(self.malformed_before(1, "what to compare")),
        };
        Ok(Compare {
            range,
            relation,
            operand,
        })
    }

    pub(crate) fn range(&mut self) -> Result<Range, Malformed> {
        let flags = self.flags(KEYS_ONLY | COUNT_ONLY)?;
        let order = match self.u8()? {
            0 => Order::None,
            1 => Order::Ascend,
            2 => Order::Descend,
            _ => return Err(self.malformed_before(1, "an order")),
        };
        let target = match self.u8()? {
            0 => Target::Key,
            1 => Target::Version,
            2 => Target::Create,
            3 => Target::Mod,
            4 => Target::Value,
            _ => return Err(self.malformed_before(1, "what to order by")),
        };
        Ok(Range {
            range: self.key_range()?,
            limit: self.i64()?,
            revision: self.i64()?,
            order,
            target,
            keys_only: flags & KEYS_ONLY != 0,
            count_only: flags & COUNT_ONLY != 0,
            min_mod_revision: self.i64()?,
            max_mod_revision: self.i64()?,
            min_create_revision: self.i64()?,
            max_create_revision: self.i64()?,
        })
    }

    /// Asserts that everything was read.
    pub(crate) fn finish(&self) -> Result<(), Malformed> {
        match self.remaining() {
            0 => Ok(()),
            _ => Err(self.malformed("the end")),
        }
    }
}

const KEYS_ONLY: u8 = 1;
const COUNT_ONLY: u8 = 2;

/// Two byte strings, a relation, what is compared, and an empty byte string.
pub(super) const COMPARE_BYTES_MIN: usize = 4 + 4 + 1 + 1 + 4;

/// Appends a count, or a length.
pub(crate) fn put_count(count: usize, out: &mut Vec<u8>) {
    let count = u32::try_from(count).expect("requests are limited to far less than 4 GiB");
    out.extend_from_slice(&count.to_le_bytes());
}

/// Appends a byte string.
pub(crate) fn put_bytes(bytes: &[u8], out: &mut Vec<u8>) {
    put_count(bytes.len(), out);
    out.extend_from_slice(bytes);
}

/// Appends text.
pub(crate) fn put_text(text: &str, out: &mut Vec<u8>) {
    put_bytes(text.as_bytes(), out);
}

pub(super) fn put_key_range(range: &KeyRange, out: &mut Vec<u8>) {
    put_bytes(&range.key, out);
    put_bytes(&range.end, out);
}

pub(super) fn put_compare(compare: &Compare, out: &mut Vec<u8>) {
    put_key_range(&compare.range, out);
    out.push(match compare.relation {
        Relation::Equal => 0,
        Relation::Greater => 1,
        Relation::Less => 2,
        Relation::NotEqual => 3,
    });
    let mut number = |tag: u8, number: i64| {
        out.push(tag);
        out.extend_from_slice(&number.to_le_bytes());
    };
    match &compare.operand {
        Operand::Version(version) => number(0, *version),
        Operand::Create(revision) => number(1, *revision),
        Operand::Mod(revision) => number(2, *revision),
        Operand::Lease(lease) => number(4, *lease),
        Operand::Value(value) => {
            out.push(3);
            put_bytes(value, out);
        }
    }
}

pub(super) fn put_range(range: &Range, out: &mut Vec<u8>) {
    let flag = |set: bool, flag: u8| if set { flag } else { 0 };
    out.push(flag(range.keys_only, KEYS_ONLY) | flag(range.count_only, COUNT_ONLY));
    out.push(match range.order {
        Order::None => 0,
        Order::Ascend => 1,
        Order::Descend => 2,
    });
    out.push(match range.target {
        Target::Key => 0,
        Target::Version => 1,
        Target::Create => 2,
        Target::Mod => 3,
        Target::Value => 4,
    });
    put_key_range(&range.range, out);
    for number in [
        range.limit,
        range.revision,
        range.min_mod_revision,
        range.max_mod_revision,
        range.min_create_revision,
        range.max_create_revision,
    ] {
        out.extend_from_slice(&number.to_le_bytes());
    }
}
