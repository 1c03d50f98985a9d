//! Whether requests are well-formed: everything that can be said without looking at the state, in
//! the order in which etcd says it, since a request may be wrong in two ways.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound::{Included, Unbounded};

use crate::error::{self, Refusal};
use crate::proto::etcdserverpb::{
    DeleteRangeRequest, PutRequest, RangeRequest, RequestOp, TxnRequest, range_request,
    request_op::Request,
};

/// How deep transactions may nest. Protobuf's own limit is close to it, so this is what says so first.
const NESTING_MAX: usize = 32;

/// Checks a read.
pub(crate) fn range(request: &RangeRequest) -> Result<(), Refusal> {
    if request.key.is_empty() {
        return Err(error::EMPTY_KEY);
    }
    let order = range_request::SortOrder::try_from(request.sort_order);
    let target = range_request::SortTarget::try_from(request.sort_target);
    if order.is_err() || target.is_err() {
        return Err(error::INVALID_SORT);
    }
    Ok(())
}

/// Checks a put.
pub(crate) fn put(request: &PutRequest) -> Result<(), Refusal> {
    if request.key.is_empty() {
        return Err(error::EMPTY_KEY);
    }
    if request.ignore_value && !request.value.is_empty() {
        return Err(error::VALUE_PROVIDED);
    }
    if request.ignore_lease && request.lease != 0 {
        return Err(error::LEASE_PROVIDED);
    }
    Ok(())
}

/// Checks a delete.
pub(crate) fn delete_range(request: &DeleteRangeRequest) -> Result<(), Refusal> {
    if request.key.is_empty() {
        return Err(error::EMPTY_KEY);
    }
    Ok(())
}

/// Checks a transaction: first the form of everything in it, then that no branch writes a key
/// twice.
pub(crate) fn txn(request: &TxnRequest, ops_max: usize) -> Result<(), Refusal> {
    form(request, ops_max, NESTING_MAX)?;
    writes(&request.success)?;
    writes(&request.failure)?;
    Ok(())
}

/// A transaction may have as many comparisons, and as many operations in each branch, as the one
/// around it has left.
fn form(request: &TxnRequest, ops_max: usize, nesting_max: usize) -> Result<(), Refusal> {
    let ops = request
        .compare
        .len()
        .max(request.success.len())
        .max(request.failure.len());
    if ops > ops_max || nesting_max == 0 {
        return Err(error::TOO_MANY_OPS);
    }
    if request.compare.iter().any(|compare| compare.key.is_empty()) {
        return Err(error::EMPTY_KEY);
    }
    for op in request.success.iter().chain(&request.failure) {
        match &op.request {
            Some(Request::RequestRange(inner)) => range(inner)?,
            Some(Request::RequestPut(inner)) => put(inner)?,
            Some(Request::RequestDeleteRange(inner)) => delete_range(inner)?,
            Some(Request::RequestTxn(inner)) => form(inner, ops_max - ops, nesting_max - 1)?,
            None => return Err(error::KEY_NOT_FOUND),
        }
    }
    Ok(())
}

/// What a list of operations writes, whichever way its nested transactions go.
#[derive(Default)]
struct Writes<'a> {
    puts: BTreeSet<&'a [u8]>,
    deletes: Intervals<'a>,
}

/// Collects what the operations write, and refuses a key that could be put twice, or put and
/// deleted. The branches of one nested transaction exclude each other, so they may share keys.
///
/// Nested transactions count in their order: what a later one deletes may have been put by an
/// earlier one. And a delete whose end is not behind its key does not count, although it may be one to
/// the very end. Both look like oversights, but they are etcd's rules, and such transactions have a
/// meaning.
fn writes(ops: &[RequestOp]) -> Result<Writes<'_>, Refusal> {
    let mut all = Writes::default();
    for op in ops {
        if let Some(Request::RequestDeleteRange(delete)) = &op.request {
            all.deletes.add(&delete.key, &delete.range_end);
        }
    }
    for op in ops {
        if let Some(Request::RequestTxn(nested)) = &op.request {
            let success = writes(&nested.success)?;
            let failure = writes(&nested.failure)?;
            for &key in success.puts.iter().chain(&failure.puts) {
                if all.puts.contains(key) || all.deletes.contain(key) {
                    return Err(error::DUPLICATE_KEY);
                }
            }
            all.puts.extend(success.puts);
            all.puts.extend(failure.puts);
            all.deletes.merge(success.deletes);
            all.deletes.merge(failure.deletes);
        }
    }
    for op in ops {
        let Some(Request::RequestPut(put)) = &op.request else {
            continue;
        };
        if all.deletes.contain(&put.key) || !all.puts.insert(&put.key[..]) {
            return Err(error::DUPLICATE_KEY);
        }
    }
    Ok(all)
}

/// A set of keys made of intervals. They are disjoint, so that a request of many overlapping deletes
/// costs no more than it is long.
#[derive(Default)]
struct Intervals<'a>(BTreeMap<&'a [u8], End<'a>>);

/// The end of an interval.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum End<'a> {
    /// Up to, but not including, this key.
    Before(&'a [u8]),
    /// Including this key and nothing behind it.
    With(&'a [u8]),
}

impl End<'_> {
    /// Whether a key that is not before the interval is in it.
    fn covers(self, key: &[u8]) -> bool {
        match self {
            End::Before(end) => key < end,
            End::With(end) => key <= end,
        }
    }

    /// Whether the interval ends no later than another.
    fn within(self, other: End<'_>) -> bool {
        match (self, other) {
            (End::With(a), End::Before(b)) => a < b,
            (End::Before(a), End::With(b)) => a <= b,
            (End::Before(a), End::Before(b)) | (End::With(a), End::With(b)) => a <= b,
        }
    }
}

impl<'a> Intervals<'a> {
    /// Adds what a delete with this `key` and `range_end` counts for.
    fn add(&mut self, key: &'a [u8], range_end: &'a [u8]) {
        match range_end {
            [] => self.insert(key, End::With(key)),
            end if end > key => self.insert(key, End::Before(end)),
            _ => {}
        }
    }

    fn insert(&mut self, begin: &'a [u8], end: End<'a>) {
        let (mut begin, mut end) = (begin, end);
        if let Some((before, its_end)) = self.up_to(begin)
            && its_end.covers(begin)
        {
            if end.within(its_end) {
                return;
            }
            begin = before;
        }
        while let Some((&inside, &its_end)) =
            self.0.range::<[u8], _>((Included(begin), Unbounded)).next()
            && end.covers(inside)
        {
            if end.within(its_end) {
                end = its_end;
            }
            self.0.remove(inside);
        }
        self.0.insert(begin, end);
    }

    /// The last interval that does not begin behind the key.
    fn up_to(&self, key: &[u8]) -> Option<(&'a [u8], End<'a>)> {
        let mut range = self.0.range::<[u8], _>((Unbounded, Included(key)));
        range.next_back().map(|(&begin, &end)| (begin, end))
    }

    fn merge(&mut self, other: Intervals<'a>) {
        for (begin, end) in other.0 {
            self.insert(begin, end);
        }
    }

    fn contain(&self, key: &[u8]) -> bool {
        self.up_to(key).is_some_and(|(_, end)| end.covers(key))
    }
}

#[cfg(test)]
mod tests;
