//! Gets and puts by turns.

use bytes::{Bytes, BytesMut};

use super::{get, put};
use crate::Usage;
use crate::flags::{Consistency, Mixed};
use crate::keys::{Dice, Keys};
use crate::runner::Requests;
use crate::wire::Call;

struct Mix {
    keys: Keys,
    value: Bytes,
    reads_percent: u64,
    serializable: bool,
}

impl Mix {
    /// Whether the request with this index is a get: by chance, and always the same.
    fn reads(&self, index: u64) -> bool {
        Dice::new(index).below(100) < self.reads_percent
    }
}

impl Requests for Mix {
    fn call(&self, index: u64) -> Call {
        match self.reads(index) {
            true => Call::Range,
            false => Call::Put,
        }
    }

    fn encode(&self, index: u64, _client: usize, dice: &mut Dice, out: &mut BytesMut) {
        let key = self.keys.pick(index, dice);
        if self.reads(index) {
            get::get(&self.keys, key, out);
            get::serializable(self.serializable, out);
        } else {
            put::put(&self.keys, key, &self.value, out);
        }
    }
}

/// What `bench mixed` does.
pub(super) fn requests(flags: &Mixed) -> Result<Box<dyn Requests>, Usage> {
    Ok(Box::new(Mix {
        keys: Keys::new(&flags.keys)?,
        value: put::value(flags.val_size),
        reads_percent: flags.reads.into(),
        serializable: flags.consistency == Consistency::S,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flags::{KeyFlags, Volume};
    use prost::Message;
    use quorate_client::proto::{PutRequest, RangeRequest};

    #[test]
    fn so_many_in_a_hundred_are_gets_and_all_are_what_they_say() {
        let flags = Mixed {
            volume: Volume { total: 1, rate: 0 },
            keys: KeyFlags {
                key_size: 4,
                key_space_size: 10,
                sequential_keys: true,
            },
            reads: 75,
            consistency: Consistency::S,
            val_size: 16,
        };
        let mix = requests(&flags).expect("valid flags");
        let mut gets = 0;
        for index in 0..10_000 {
            let mut out = BytesMut::new();
            mix.encode(index, 0, &mut Dice::new(0), &mut out);
            match mix.call(index) {
                Call::Range => {
                    let get = RangeRequest::decode(&out[..]).expect("valid protobuf");
                    assert!(get.serializable && get.key.len() == 4);
                    gets += 1;
                }
                Call::Put => {
                    let put = PutRequest::decode(&out[..]).expect("valid protobuf");
                    assert_eq!(put.value.len(), 16);
                }
                other => panic!("{other:?}"),
            }
        }
        assert!((7_300..7_700).contains(&gets), "{gets}");
    }
}
