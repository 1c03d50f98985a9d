//! How values become bytes: fixed-width little-endian numbers, counts before sequences, one tag
//! byte before alternatives. `docs/file-format.md` and the peer protocol are written in these terms.

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

use crate::ids::{Checkpoint, Frame, NodeId};
use crate::payload::{Block, Payload};

/// A value with an encoding. `decode` must accept whatever `encode` wrote, and must answer any other
/// bytes with [`Malformed`]: it never panics and never allocates more than the input can justify.
pub trait Wire: Sized {
    /// Appends the encoding.
    fn encode(&self, out: &mut Vec<u8>);

    /// Reads one value and leaves the reader after it.
    ///
    /// # Errors
    /// If the bytes are not the encoding of a value.
    fn decode(input: &mut Reader<'_>) -> Result<Self, Malformed>;
}

/// What encodings are written to.
pub type Bytes = Vec<u8>;

/// Bytes that are not what they should be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Malformed {
    /// The offset in the input at which decoding gave up.
    pub at: usize,
    /// What was expected there.
    pub expected: &'static str,
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "byte {}: expected {}", self.at, self.expected)
    }
}

impl core::error::Error for Malformed {}

/// A cursor over a block, from which payloads are sliced without a copy.
pub struct Reader<'a> {
    block: &'a Block,
    at: usize,
    end: usize,
}

impl<'a> Reader<'a> {
    /// Reads the whole block.
    #[must_use]
    pub fn new(block: &'a Block) -> Reader<'a> {
        Reader::within(block, 0, block.len())
    }

    /// Reads `block[start..end]`.
    ///
    /// # Panics
    /// If the range lies outside the block.
    #[must_use]
    pub fn within(block: &'a Block, start: usize, end: usize) -> Reader<'a> {
        assert!(
            start <= end && end <= block.len(),
            "a reader stays inside its block"
        );
        Reader {
            block,
            at: start,
            end,
        }
    }

    /// The number of bytes not yet read.
    #[must_use]
    pub fn remaining(&self) -> usize {
        self.end - self.at
    }

    /// An error at the present position.
    #[must_use]
    pub fn malformed(&self, expected: &'static str) -> Malformed {
        Malformed {
            at: self.at,
            expected,
        }
    }

    /// The next `len` bytes.
    ///
    /// # Errors
    /// If fewer remain.
    pub fn bytes(&mut self, len: usize) -> Result<&'a [u8], Malformed> {
        if self.remaining() < len {
            return Err(self.malformed("more bytes"));
        }
        let bytes = &self.block[self.at..self.at + len];
        self.at += len;
        Ok(bytes)
    }

    /// The next `len` bytes as a payload that shares the block. The checksum is carried, not
    /// verified: that is for the user of the bytes.
    ///
    /// # Errors
    /// If fewer remain.
    pub fn payload(&mut self, len: usize, checksum: u32) -> Result<Payload, Malformed> {
        let start = self.at;
        self.bytes(len)?;
        Ok(Payload::new(self.block.clone(), start..self.at, checksum))
    }

    /// The count before a sequence whose elements take at least `element_bytes_min` bytes each: a
    /// count that the remaining input cannot hold is refused before anything is allocated.
    ///
    /// # Errors
    /// If no plausible count follows.
    pub fn count(&mut self, element_bytes_min: usize) -> Result<usize, Malformed> {
        let count = u32::decode(self)? as usize;
        if count.saturating_mul(element_bytes_min.max(1)) > self.remaining() {
            return Err(self.malformed("a count that the input can hold"));
        }
        Ok(count)
    }

    /// Asserts that everything was read.
    ///
    /// # Errors
    /// If bytes remain.
    pub fn finish(&self) -> Result<(), Malformed> {
        match self.remaining() {
            0 => Ok(()),
            _ => Err(self.malformed("the end")),
        }
    }
}

/// Implements [`Wire`](crate::Wire) from one list of fields, so that both directions cannot differ: for a
/// struct its fields in this order, for an enum a tag of one byte and then the variant's fields.
///
/// ```
/// struct Ballot { round: u64, node: quorate_core::NodeId }
/// quorate_core::wire!(struct Ballot { round, node });
///
/// enum Message { Prepare { ballot: Ballot }, Name(String), Bye }
/// quorate_core::wire!(enum Message, "the tag of a message" {
///     1 => Prepare { ballot };
///     2 => Name(name);
///     3 => Bye;
/// });
/// ```
#[macro_export]
macro_rules! wire {
    (struct $name:ident $(<$param:ident>)? { $($field:ident),+ $(,)? }) => {
        impl $(<$param: $crate::Wire>)? $crate::Wire for $name $(<$param>)? {
            fn encode(&self, out: &mut $crate::Bytes) {
                $($crate::Wire::encode(&self.$field, out);)+
            }

            fn decode(input: &mut $crate::Reader<'_>) -> Result<Self, $crate::Malformed> {
                // Fields are evaluated in the order written, which is the wire's.
                Ok($name { $($field: $crate::Wire::decode(input)?),+ })
            }
        }
    };
    (struct $name:ident($inner:ident)) => {
        impl $crate::Wire for $name {
            fn encode(&self, out: &mut $crate::Bytes) {
                let $name($inner) = self;
                $crate::Wire::encode($inner, out);
            }

            fn decode(input: &mut $crate::Reader<'_>) -> Result<Self, $crate::Malformed> {
                $crate::Wire::decode(input).map($name)
            }
        }
    };
    (enum $name:ident $(<$param:ident>)?, $expected:literal {
        $($tag:literal => $variant:ident
            $(($inner:ident))? $({ $($field:ident),+ $(,)? })?;)+
    }) => {
        impl $(<$param: $crate::Wire>)? $crate::Wire for $name $(<$param>)? {
            fn encode(&self, out: &mut $crate::Bytes) {
                match self {
                    $($name::$variant $(($inner))? $({ $($field),+ })? => {
                        out.push($tag);
                        $($crate::Wire::encode($inner, out);)?
                        $($($crate::Wire::encode($field, out);)+)?
                    })+
                }
            }

            fn decode(input: &mut $crate::Reader<'_>) -> Result<Self, $crate::Malformed> {
                let malformed = input.malformed($expected);
                Ok(match <u8 as $crate::Wire>::decode(input)? {
                    $($tag => $name::$variant
                        $(({
                            let $inner = $crate::Wire::decode(input)?;
                            $inner
                        }))?
                        $({ $($field: $crate::Wire::decode(input)?),+ })?,)+
                    _ => return Err(malformed),
                })
            }
        }
    };
}

macro_rules! number {
    ($($number:ty)*) => {$(
        impl Wire for $number {
            fn encode(&self, out: &mut Vec<u8>) {
                out.extend_from_slice(&self.to_le_bytes());
            }

            fn decode(input: &mut Reader<'_>) -> Result<$number, Malformed> {
                let bytes = input.bytes(size_of::<$number>())?;
                Ok(<$number>::from_le_bytes(bytes.try_into().expect("the length was asked for")))
            }
        }
    )*};
}

number!(u8 u16 u32 u64 i64);

impl Wire for bool {
    fn encode(&self, out: &mut Vec<u8>) {
        out.push(u8::from(*self));
    }

    fn decode(input: &mut Reader<'_>) -> Result<bool, Malformed> {
        let malformed = input.malformed("0 or 1");
        match u8::decode(input)? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(malformed),
        }
    }
}

wire!(struct NodeId(id));
wire!(struct Frame(number));
wire!(struct Checkpoint { position, epoch });

impl<T: Wire> Wire for Option<T> {
    fn encode(&self, out: &mut Vec<u8>) {
        self.is_some().encode(out);
        if let Some(value) = self {
            value.encode(out);
        }
    }

    fn decode(input: &mut Reader<'_>) -> Result<Option<T>, Malformed> {
        Ok(match bool::decode(input)? {
            true => Some(T::decode(input)?),
            false => None,
        })
    }
}

impl<A: Wire, B: Wire> Wire for (A, B) {
    fn encode(&self, out: &mut Vec<u8>) {
        self.0.encode(out);
        self.1.encode(out);
    }

    fn decode(input: &mut Reader<'_>) -> Result<(A, B), Malformed> {
        Ok((A::decode(input)?, B::decode(input)?))
    }
}

impl<T: Wire> Wire for Vec<T> {
    fn encode(&self, out: &mut Vec<u8>) {
        encode_all(self, out);
    }

    fn decode(input: &mut Reader<'_>) -> Result<Vec<T>, Malformed> {
        let count = input.count(1)?;
        // Grown as elements really arrive: a large count of large elements must not allocate first.
        let mut elements = Vec::new();
        for _ in 0..count {
            elements.push(T::decode(input)?);
        }
        Ok(elements)
    }
}

impl<T: Wire> Wire for Arc<[T]> {
    fn encode(&self, out: &mut Vec<u8>) {
        encode_all(self, out);
    }

    fn decode(input: &mut Reader<'_>) -> Result<Arc<[T]>, Malformed> {
        Ok(Vec::decode(input)?.into())
    }
}

impl Wire for String {
    fn encode(&self, out: &mut Vec<u8>) {
        encode_count(self.len(), out);
        out.extend_from_slice(self.as_bytes());
    }

    fn decode(input: &mut Reader<'_>) -> Result<String, Malformed> {
        let len = input.count(1)?;
        let malformed = input.malformed("UTF-8 text");
        let bytes = input.bytes(len)?;
        core::str::from_utf8(bytes)
            .map(String::from)
            .map_err(|_| malformed)
    }
}

fn encode_all<T: Wire>(elements: &[T], out: &mut Vec<u8>) {
    encode_count(elements.len(), out);
    for element in elements {
        element.encode(out);
    }
}

fn encode_count(count: usize, out: &mut Vec<u8>) {
    u32::try_from(count)
        .expect("sequences are shorter than 2^32")
        .encode(out);
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::sync::Arc;
    use alloc::vec;

    fn round_trip<T: Wire + PartialEq + fmt::Debug>(value: T) {
        let mut bytes = Vec::new();
        value.encode(&mut bytes);
        let whole = Arc::new(bytes.clone());
        let mut reader = Reader::new(&whole);
        assert_eq!(T::decode(&mut reader), Ok(value));
        assert_eq!(reader.finish(), Ok(()));
        for len in 0..bytes.len() {
            let cut = Arc::new(bytes[..len].to_vec());
            assert!(T::decode(&mut Reader::new(&cut)).is_err(), "cut at {len}");
        }
    }

    #[test]
    fn what_is_encoded_is_decoded_and_what_is_cut_is_refused() {
        round_trip(7u8);
        round_trip(u64::MAX);
        round_trip(-3i64);
        round_trip(true);
        round_trip(NodeId(3));
        round_trip(Some(Frame(9)));
        round_trip(None::<u64>);
        round_trip(vec![1u32, 2, 3]);
        round_trip(String::from("später"));
        round_trip(Payload::from_vec(vec![1, 2, 3], 99));
        round_trip(Checkpoint {
            position: 5,
            epoch: 2,
        });
    }

    #[test]
    fn a_count_beyond_the_input_is_refused_before_it_allocates() {
        let block = Arc::new(vec![0xff; 8]);
        assert!(Vec::<u64>::decode(&mut Reader::new(&block)).is_err());
        assert!(String::decode(&mut Reader::new(&block)).is_err());
        assert!(Payload::decode(&mut Reader::new(&block)).is_err());
    }

    #[test]
    fn a_decoded_payload_shares_its_block() {
        let mut bytes = Vec::new();
        Payload::from_vec(b"shared".to_vec(), 1).encode(&mut bytes);
        let block = Arc::new(bytes);
        let payload = Payload::decode(&mut Reader::new(&block)).expect("it was encoded so");
        assert_eq!(payload.as_bytes(), b"shared");
        assert_eq!(Arc::strong_count(&block), 2);
    }
}
