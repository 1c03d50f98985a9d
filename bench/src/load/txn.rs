//! Transactions that put, get, or compare and swap.

use bytes::{Bytes, BytesMut};

use super::{get, put};
use crate::Usage;
use crate::flags::Txn;
use crate::keys::{Dice, Keys};
use crate::proto;
use crate::runner::Requests;
use crate::wire::Call;

/// The fields of a TxnRequest.
const COMPARE: u32 = 1;
const SUCCESS: u32 = 2;
const FAILURE: u32 = 3;
/// The fields of a Compare. Its result is left out, which means that they must be equal.
const TARGET: u32 = 2;
const COMPARED_KEY: u32 = 3;
const COMPARED_VALUE: u32 = 7;
/// The target of a Compare: the value.
const TARGET_VALUE: u64 = 3;
/// The fields of a RequestOp.
const RANGE: u32 = 1;
const PUT: u32 = 2;

struct Txns {
    keys: Keys,
    value: Bytes,
    operations: u64,
    reads_percent: u64,
    compare: bool,
}

impl Txns {
    /// Appends the operation that gets a key.
    fn get(&self, field: u32, key: u64, out: &mut BytesMut) {
        let size = get::size(&self.keys);
        proto::head(field, proto::field_size(RANGE, size), out);
        proto::head(RANGE, size, out);
        get::get(&self.keys, key, out);
    }

    /// Appends the operation that puts a key.
    fn put(&self, key: u64, out: &mut BytesMut) {
        let size = put::size(&self.keys, &self.value);
        proto::head(SUCCESS, proto::field_size(PUT, size), out);
        proto::head(PUT, size, out);
        put::put(&self.keys, key, &self.value, out);
    }

    /// Appends that a key must hold the value that all our puts put.
    fn equal(&self, key: u64, out: &mut BytesMut) {
        let size = proto::number_size(TARGET, TARGET_VALUE)
            + proto::field_size(COMPARED_KEY, self.keys.size)
            + proto::field_size(COMPARED_VALUE, self.value.len());
        proto::head(COMPARE, size, out);
        proto::number(TARGET, TARGET_VALUE, out);
        proto::head(COMPARED_KEY, self.keys.size, out);
        self.keys.put(key, out);
        proto::bytes(COMPARED_VALUE, &self.value, out);
    }
}

impl Requests for Txns {
    fn call(&self, _index: u64) -> Call {
        Call::Txn
    }

    fn encode(&self, index: u64, _client: usize, dice: &mut Dice, out: &mut BytesMut) {
        let reads = dice.below(100) < self.reads_percent;
        let first = self.keys.pick(index, dice);
        for step in 0..self.operations {
            // Neighbours, since no key may be put twice in one transaction.
            let key = (first + step) % self.keys.space;
            if self.compare {
                self.equal(key, out);
                self.get(FAILURE, key, out);
            }
            if reads {
                self.get(SUCCESS, key, out);
            } else {
                self.put(key, out);
            }
        }
    }
}

/// What `bench txn` does.
pub(super) fn requests(flags: &Txn) -> Result<Box<dyn Requests>, Usage> {
    if u64::from(flags.txn_ops) > flags.keys.key_space_size {
        return Err(Usage(format!(
            "a transaction about {} keys needs as many: raise --key-space-size",
            flags.txn_ops
        )));
    }
    Ok(Box::new(Txns {
        keys: Keys::new(&flags.keys)?,
        value: put::value(flags.val_size),
        operations: flags.txn_ops.into(),
        reads_percent: flags.reads.into(),
        compare: flags.compare,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flags::{KeyFlags, Volume};
    use prost::Message;
    use quorate_client::proto::TxnRequest;
    use quorate_client::proto::compare::{CompareResult, CompareTarget, TargetUnion};
    use quorate_client::proto::request_op::Request;

    fn flags(txn_ops: u32, reads: u8) -> Txn {
        Txn {
            volume: Volume { total: 1, rate: 0 },
            keys: KeyFlags {
                key_size: 4,
                key_space_size: 3,
                sequential_keys: true,
            },
            val_size: 200,
            txn_ops,
            reads,
            compare: false,
        }
    }

    fn decoded(flags: &Txn) -> TxnRequest {
        let requests = requests(flags).expect("valid flags");
        let mut out = BytesMut::new();
        requests.encode(2, 0, &mut Dice::new(0), &mut out);
        TxnRequest::decode(&out[..]).expect("valid protobuf")
    }

    fn encoded(txn_ops: u32, reads: u8) -> Vec<Request> {
        let txn = decoded(&flags(txn_ops, reads));
        assert!(txn.compare.is_empty() && txn.failure.is_empty());
        txn.success
            .into_iter()
            .filter_map(|op| op.request)
            .collect()
    }

    #[test]
    fn the_encoding_is_that_of_protobuf() {
        let keys = |request: &Request| match request {
            Request::RequestPut(put) => {
                assert_eq!(put.value.len(), 200);
                put.key.clone()
            }
            Request::RequestRange(range) => range.key.clone(),
            other => panic!("{other:?}"),
        };
        let expected: Vec<Bytes> = vec!["0002".into(), "0000".into(), "0001".into()];
        let puts = encoded(3, 0);
        assert!(matches!(puts[0], Request::RequestPut(_)));
        assert_eq!(puts.iter().map(keys).collect::<Vec<_>>(), expected);
        let reads = encoded(3, 100);
        assert!(matches!(reads[0], Request::RequestRange(_)));
        assert_eq!(reads.iter().map(keys).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn compare_and_swap_gets_where_it_may_not_put() {
        let mut flags = flags(2, 0);
        flags.compare = true;
        let txn = decoded(&flags);
        let keys: Vec<Bytes> = txn.compare.iter().map(|one| one.key.clone()).collect();
        assert_eq!(keys, ["0002", "0000"]);
        for (compare, swap) in txn.compare.iter().zip(&txn.success) {
            assert_eq!(compare.result(), CompareResult::Equal);
            assert_eq!(compare.target(), CompareTarget::Value);
            let Some(Request::RequestPut(put)) = &swap.request else {
                panic!("{swap:?}");
            };
            assert_eq!(
                compare.target_union,
                Some(TargetUnion::Value(put.value.clone()))
            );
            assert_eq!(compare.key, put.key);
        }
        let otherwise = txn.failure.into_iter().filter_map(|op| op.request);
        assert!(
            otherwise
                .into_iter()
                .all(|request| matches!(request, Request::RequestRange(_)))
        );
    }

    #[test]
    fn more_operations_than_keys_are_refused() {
        assert!(requests(&flags(4, 0)).is_err());
    }
}
