//! Gets of a key, or of keys that are neighbours.

use bytes::{Bytes, BytesMut};

use crate::Usage;
use crate::flags::{Consistency, Get};
use crate::keys::{Dice, Keys, digits};
use crate::proto;
use crate::runner::Requests;
use crate::wire::Call;

/// The fields of a RangeRequest.
const KEY: u32 = 1;
const RANGE_END: u32 = 2;
const LIMIT: u32 = 3;
const SERIALIZABLE: u32 = 7;

/// Gets of keys by number, or of one range again and again.
struct Gets {
    keys: Keys,
    fixed: Option<Bytes>,
    /// How many neighbours each request gets.
    range: u64,
    limit: u64,
    serializable: bool,
}

impl Requests for Gets {
    fn call(&self, _index: u64) -> Call {
        Call::Range
    }

    fn encode(&self, index: u64, _client: usize, dice: &mut Dice, out: &mut BytesMut) {
        match &self.fixed {
            Some(range) => out.extend_from_slice(range),
            None if self.range > 1 => {
                let starts = self.keys.space - self.range + 1;
                let start = self.keys.pick(index, dice) % starts;
                get(&self.keys, start, out);
                proto::head(RANGE_END, self.keys.size, out);
                self.keys.put(start + self.range, out);
                proto::number(LIMIT, self.limit, out);
            }
            None => get(&self.keys, self.keys.pick(index, dice), out),
        }
        serializable(self.serializable, out);
    }
}

/// Appends whether the server that is asked may answer by itself.
pub(super) fn serializable(yes: bool, out: &mut BytesMut) {
    proto::number(SERIALIZABLE, yes.into(), out);
}

/// Appends a RangeRequest for one key.
pub(super) fn get(keys: &Keys, key: u64, out: &mut BytesMut) {
    proto::head(KEY, keys.size, out);
    keys.put(key, out);
}

/// How many bytes [`get`] appends.
pub(super) fn size(keys: &Keys) -> usize {
    proto::field_size(KEY, keys.size)
}

/// What `bench get` does.
pub(super) fn requests(flags: &Get) -> Result<Box<dyn Requests>, Usage> {
    let fixed = flags.key.as_ref().map(|key| {
        let mut out = BytesMut::new();
        proto::bytes(KEY, key.as_bytes(), &mut out);
        if let Some(end) = &flags.range_end {
            proto::bytes(RANGE_END, end.as_bytes(), &mut out);
        }
        proto::number(LIMIT, flags.limit.unsigned_abs(), &mut out);
        out.freeze()
    });
    let keys = Keys::new(&flags.keys)?;
    if flags.range > keys.space {
        return Err(Usage(format!(
            "a range of {} keys needs as many: raise --key-space-size",
            flags.range
        )));
    }
    // A range that ends with the last key ends before the number that follows it.
    if flags.range > 1 && digits(keys.space) as usize > keys.size {
        return Err(Usage(format!(
            "--key-size {} leaves no key behind the last one, where a range could end",
            keys.size
        )));
    }
    Ok(Box::new(Gets {
        keys,
        fixed,
        range: flags.range,
        limit: flags.limit.unsigned_abs(),
        serializable: flags.consistency == Consistency::S,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flags::{KeyFlags, Volume};
    use prost::Message;
    use quorate_client::proto::RangeRequest;

    fn flags(key: Option<&str>, range_end: Option<&str>) -> Get {
        Get {
            key: key.map(str::to_owned),
            range_end: range_end.map(str::to_owned),
            volume: Volume { total: 1, rate: 0 },
            keys: KeyFlags {
                key_size: 4,
                key_space_size: 10,
                sequential_keys: true,
            },
            consistency: Consistency::S,
            range: 1,
            limit: 500,
            fill: false,
            val_size: 8,
        }
    }

    fn encoded(flags: &Get) -> RangeRequest {
        let mut out = BytesMut::new();
        let requests = requests(flags).expect("valid flags");
        requests.encode(3, 0, &mut Dice::new(0), &mut out);
        RangeRequest::decode(&out[..]).expect("valid protobuf")
    }

    #[test]
    fn the_encoding_is_that_of_protobuf() {
        let one = RangeRequest {
            key: "0003".into(),
            serializable: true,
            ..Default::default()
        };
        assert_eq!(encoded(&flags(None, None)), one);
        let range = RangeRequest {
            key: "a".into(),
            range_end: "b".into(),
            limit: 500,
            serializable: true,
            ..Default::default()
        };
        assert_eq!(encoded(&flags(Some("a"), Some("b"))), range);
    }

    #[test]
    fn a_range_of_neighbours_ends_behind_the_last_of_them() {
        let mut flags = flags(None, None);
        flags.range = 4;
        // The fourth request would begin with key 3; ten keys have seven places for four neighbours.
        let range = encoded(&flags);
        assert_eq!(
            (&range.key[..], &range.range_end[..]),
            (&b"0003"[..], &b"0007"[..])
        );
        assert_eq!((range.limit, range.serializable), (500, true));
        flags.range = 10;
        let range = encoded(&flags);
        assert_eq!(
            (&range.key[..], &range.range_end[..]),
            (&b"0000"[..], &b"0010"[..])
        );
    }

    #[test]
    fn a_range_that_cannot_be_is_refused() {
        let mut flags = flags(None, None);
        flags.range = 11;
        let error = requests(&flags).err().expect("ten keys only");
        assert!(error.to_string().contains("--key-space-size"), "{error}");
        flags.range = 2;
        flags.keys.key_size = 1;
        let error = requests(&flags).err().expect("no key behind 9");
        assert!(error.to_string().contains("--key-size 1"), "{error}");
    }
}
