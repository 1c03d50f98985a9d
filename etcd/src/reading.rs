//! Transactions that only read. They need no place in the log: once the state here is new enough, they
//! are answered from it like any read, by the rules that the machine has for transactions.

use std::cmp::Ordering;

use quorate_service::command::{Compare, Op, Operand, Range, Relation, Txn};
use quorate_service::error::Error;
use quorate_service::reply::{KeyValue, OpReply, TxnReply};
use quorate_service::store::View;

use crate::proto::etcdserverpb::request_op::Request;
use crate::proto::etcdserverpb::{RangeRequest, RequestOp, TxnRequest};

/// Whether nothing in it writes, whichever way it goes.
pub(crate) fn is_reading(request: &TxnRequest) -> bool {
    every_operation(request, &|op| matches!(op, Some(Request::RequestRange(_))))
}

/// Whether a state that may be old will do: all of its reads say so. One that only compares is not
/// taken to say so.
pub(crate) fn is_serializable(request: &TxnRequest) -> bool {
    let reads = request.success.len() + request.failure.len();
    reads > 0
        && every_operation(request, &|op| match op {
            Some(Request::RequestRange(RangeRequest { serializable, .. })) => *serializable,
            _ => false,
        })
}

fn every_operation(request: &TxnRequest, holds: &impl Fn(&Option<Request>) -> bool) -> bool {
    let operations = request.success.iter().chain(&request.failure);
    let mut requests = operations.map(|RequestOp { request }| request);
    requests.all(|request| match request {
        Some(Request::RequestTxn(nested)) => every_operation(nested, holds),
        request => holds(request),
    })
}

/// Whether it reads more than single keys.
pub(crate) fn may_take_long(txn: &Txn) -> bool {
    let of_op = |op: &Op| match op {
        Op::Range(range) => !range.range.end.is_empty(),
        Op::Txn(nested) => may_take_long(nested),
        Op::Put(_) | Op::DeleteRange(_) => true,
    };
    let mut compares = txn.compares.iter();
    compares.any(|compare| !compare.range.end.is_empty())
        || txn.success.iter().chain(&txn.failure).any(of_op)
}

/// Answers a transaction that only reads.
pub(crate) fn txn(view: &View, txn: &Txn) -> Result<TxnReply, Error> {
    let mut succeeded = true;
    for compare in &txn.compares {
        succeeded = succeeded && holds(view, compare)?;
    }
    let ops = if succeeded {
        &txn.success
    } else {
        &txn.failure
    };
    let mut replies = Vec::with_capacity(ops.len());
    for op in ops {
        let reply = match op {
            Op::Range(range) => {
                check(view, range)?;
                OpReply::Range(view.range(range)?)
            }
            Op::Txn(nested) => OpReply::Txn(self::txn(view, nested)?),
            // It was made sure that there are none.
            Op::Put(_) | Op::DeleteRange(_) => continue,
        };
        replies.push((view.revision(), reply));
    }
    Ok(TxnReply { succeeded, replies })
}

/// Unlike outside of transactions, a negative revision is not the newest.
fn check(view: &View, range: &Range) -> Result<(), Error> {
    if range.revision < 0 {
        let compacted = view.compacted();
        return Err(Error::Compacted { compacted });
    }
    Ok(())
}

/// Whether a comparison holds for every key in its range.
fn holds(view: &View, compare: &Compare) -> Result<bool, Error> {
    let rows = view.range(&Range {
        range: compare.range.clone(),
        keys_only: !matches!(compare.operand, Operand::Value(_)),
        ..Range::default()
    })?;
    if rows.kvs.is_empty() {
        // There is no value, so nothing holds of it; everything else is 0.
        let is_value = matches!(compare.operand, Operand::Value(_));
        return Ok(!is_value && relates(compare, &KeyValue::default()));
    }
    Ok(rows.kvs.iter().all(|row| relates(compare, row)))
}

fn relates(compare: &Compare, row: &KeyValue) -> bool {
    let order = match &compare.operand {
        Operand::Version(version) => row.version.cmp(version),
        Operand::Create(revision) => row.create_revision.cmp(revision),
        Operand::Mod(revision) => row.mod_revision.cmp(revision),
        Operand::Value(value) => row.value.cmp(value),
        Operand::Lease(lease) => row.lease.cmp(lease),
    };
    match compare.relation {
        Relation::Equal => order == Ordering::Equal,
        Relation::Greater => order == Ordering::Greater,
        Relation::Less => order == Ordering::Less,
        Relation::NotEqual => order != Ordering::Equal,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::etcdserverpb::PutRequest;

    fn read(serializable: bool) -> RequestOp {
        RequestOp {
            request: Some(Request::RequestRange(RangeRequest {
                serializable,
                ..Default::default()
            })),
        }
    }

    fn txn_of(success: Vec<RequestOp>, failure: Vec<RequestOp>) -> TxnRequest {
        TxnRequest {
            success,
            failure,
            ..Default::default()
        }
    }

    #[test]
    fn what_only_reads() {
        let put = RequestOp {
            request: Some(Request::RequestPut(PutRequest::default())),
        };
        let nested = |ops| RequestOp {
            request: Some(Request::RequestTxn(txn_of(ops, vec![]))),
        };
        assert!(is_reading(&txn_of(vec![], vec![])));
        assert!(is_reading(&txn_of(vec![read(false)], vec![read(true)])));
        assert!(is_reading(&txn_of(vec![nested(vec![read(false)])], vec![])));
        assert!(!is_reading(&txn_of(vec![read(false)], vec![put.clone()])));
        assert!(!is_reading(&txn_of(vec![nested(vec![put])], vec![])));
    }

    #[test]
    fn what_may_be_old() {
        assert!(is_serializable(&txn_of(vec![read(true)], vec![read(true)])));
        assert!(!is_serializable(&txn_of(
            vec![read(true)],
            vec![read(false)]
        )));
        assert!(!is_serializable(&txn_of(vec![], vec![])));
    }
}
