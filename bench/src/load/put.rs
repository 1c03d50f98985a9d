//! Puts.

use bytes::{BufMut, Bytes, BytesMut};

use crate::Usage;
use crate::flags::{Get, KeyFlags, Put};
use crate::keys::{Dice, Keys};
use crate::proto;
use crate::runner::Requests;
use crate::wire::Call;

/// The fields of a PutRequest.
const KEY: u32 = 1;
const VALUE: u32 = 2;

struct Puts {
    keys: Keys,
    value: Bytes,
}

impl Requests for Puts {
    fn call(&self, _index: u64) -> Call {
        Call::Put
    }

    fn encode(&self, index: u64, _client: usize, dice: &mut Dice, out: &mut BytesMut) {
        put(&self.keys, self.keys.pick(index, dice), &self.value, out);
    }
}

/// Appends a PutRequest.
pub(super) fn put(keys: &Keys, key: u64, value: &[u8], out: &mut BytesMut) {
    proto::head(KEY, keys.size, out);
    keys.put(key, out);
    proto::bytes(VALUE, value, out);
}

/// How many bytes [`put`] appends.
pub(super) fn size(keys: &Keys, value: &[u8]) -> usize {
    proto::field_size(KEY, keys.size) + proto::field_size(VALUE, value.len())
}

/// A value that no one can compress.
pub(super) fn value(size: u32) -> Bytes {
    let mut dice = Dice::new(u64::from(size));
    let mut value = BytesMut::with_capacity(size as usize + 8);
    while value.len() < size as usize {
        value.put_u64(dice.roll());
    }
    value.truncate(size as usize);
    value.freeze()
}

/// What `bench put` does.
pub(super) fn requests(flags: &Put) -> Result<Box<dyn Requests>, Usage> {
    Ok(Box::new(Puts {
        keys: Keys::new(&flags.keys)?,
        value: value(flags.val_size),
    }))
}

/// What `bench get --fill` does first, and how often.
pub(super) fn filling(flags: &Get) -> Result<(u64, Box<dyn Requests>), Usage> {
    let keys = KeyFlags {
        sequential_keys: true,
        ..flags.keys.clone()
    };
    let puts = Puts {
        keys: Keys::new(&keys)?,
        value: value(flags.val_size),
    };
    Ok((keys.key_space_size, Box::new(puts)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use prost::Message;
    use quorate_client::proto::PutRequest;

    #[test]
    fn the_encoding_is_that_of_protobuf() {
        for (key_size, val_size) in [(8, 8), (200, 0), (1, 70_000)] {
            let keys = KeyFlags {
                key_size,
                key_space_size: 10,
                sequential_keys: true,
            };
            let puts = Puts {
                keys: Keys::new(&keys).expect("valid flags"),
                value: value(val_size),
            };
            let mut out = BytesMut::new();
            puts.encode(17, 0, &mut Dice::new(0), &mut out);
            let read = PutRequest::decode(&out[..]).expect("valid protobuf");
            assert_eq!(read.key.len(), key_size as usize);
            assert!(read.key.ends_with(b"7"));
            assert_eq!(read.value, puts.value);
            assert_eq!(out.len(), size(&puts.keys, &puts.value));
        }
    }
}
