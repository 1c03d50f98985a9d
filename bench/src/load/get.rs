//! Gets.

use bytes::{Bytes, BytesMut};

use crate::Usage;
use crate::flags::{Consistency, Get};
use crate::keys::{Dice, Keys};
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
    serializable: bool,
}

impl Requests for Gets {
    fn call(&self) -> Call {
        Call::Range
    }

    fn encode(&self, index: u64, _client: usize, dice: &mut Dice, out: &mut BytesMut) {
        match &self.fixed {
            Some(range) => out.extend_from_slice(range),
            None => get(&self.keys, self.keys.pick(index, dice), out),
        }
        proto::number(SERIALIZABLE, self.serializable.into(), out);
    }
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
    Ok(Box::new(Gets {
        keys: Keys::new(&flags.keys)?,
        fixed,
        serializable: flags.consistency == Consistency::S,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flags::{KeyFlags, Volume};
    use prost::Message;
    use quorate_client::proto::RangeRequest;

    fn encoded(key: Option<&str>, range_end: Option<&str>) -> RangeRequest {
        let flags = Get {
            key: key.map(str::to_owned),
            range_end: range_end.map(str::to_owned),
            volume: Volume { total: 1, rate: 0 },
            keys: KeyFlags {
                key_size: 4,
                key_space_size: 10,
                sequential_keys: true,
            },
            consistency: Consistency::S,
            limit: 500,
            fill: false,
            val_size: 8,
        };
        let mut out = BytesMut::new();
        let requests = requests(&flags).expect("valid flags");
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
        assert_eq!(encoded(None, None), one);
        let range = RangeRequest {
            key: "a".into(),
            range_end: "b".into(),
            limit: 500,
            serializable: true,
            ..Default::default()
        };
        assert_eq!(encoded(Some("a"), Some("b")), range);
    }
}
