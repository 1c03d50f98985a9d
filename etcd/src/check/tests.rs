use super::*;
use crate::proto::etcdserverpb::Compare;
use bytes::Bytes;

const OPS_MAX: usize = 128;

fn op(request: Request) -> RequestOp {
    RequestOp {
        request: Some(request),
    }
}

fn put_op(key: &'static str) -> RequestOp {
    op(Request::RequestPut(PutRequest {
        key: key.into(),
        ..Default::default()
    }))
}

fn delete_op(key: &'static str, end: &'static str) -> RequestOp {
    op(Request::RequestDeleteRange(DeleteRangeRequest {
        key: key.into(),
        range_end: end.into(),
        ..Default::default()
    }))
}

fn nested(success: Vec<RequestOp>, failure: Vec<RequestOp>) -> RequestOp {
    op(Request::RequestTxn(then(success, failure)))
}

fn then(success: Vec<RequestOp>, failure: Vec<RequestOp>) -> TxnRequest {
    TxnRequest {
        success,
        failure,
        ..Default::default()
    }
}

/// The outcome for these operations in the first branch, which must be that in the second too.
fn outcome(ops: Vec<RequestOp>) -> Result<(), Refusal> {
    let success = txn(&then(ops.clone(), vec![]), OPS_MAX);
    let failure = txn(&then(vec![], ops), OPS_MAX);
    assert_eq!(success, failure);
    success
}

#[test]
fn duplicate_keys() {
    const DUPLICATE: Result<(), Refusal> = Err(error::DUPLICATE_KEY);
    assert_eq!(outcome(vec![put_op("a"), put_op("a")]), DUPLICATE);
    assert_eq!(outcome(vec![put_op("a"), put_op("b")]), Ok(()));
    assert_eq!(outcome(vec![put_op("a"), delete_op("a", "")]), DUPLICATE);
    assert_eq!(outcome(vec![delete_op("a", ""), put_op("a")]), DUPLICATE);
    assert_eq!(outcome(vec![delete_op("a", "c"), put_op("b")]), DUPLICATE);
    assert_eq!(outcome(vec![delete_op("a", "c"), put_op("c")]), Ok(()));
    assert_eq!(outcome(vec![delete_op("c", "a"), put_op("b")]), Ok(()));
    let twice = vec![delete_op("a", ""), delete_op("a", "")];
    assert_eq!(outcome(twice), Ok(()), "two deletes of one key are fine");
}

#[test]
fn duplicate_keys_across_levels() {
    const DUPLICATE: Result<(), Refusal> = Err(error::DUPLICATE_KEY);
    let inner = |ops| nested(ops, vec![]);
    assert_eq!(
        outcome(vec![put_op("a"), inner(vec![put_op("a")])]),
        DUPLICATE
    );
    assert_eq!(
        outcome(vec![inner(vec![put_op("a")]), put_op("a")]),
        DUPLICATE
    );
    let deleted_outside = vec![inner(vec![put_op("a")]), delete_op("a", "b")];
    assert_eq!(outcome(deleted_outside), DUPLICATE);
    let deleted_inside = vec![inner(vec![delete_op("a", "b")]), put_op("a")];
    assert_eq!(outcome(deleted_inside), DUPLICATE);
    let siblings = vec![inner(vec![put_op("a")]), inner(vec![put_op("a")])];
    assert_eq!(outcome(siblings), DUPLICATE);
    let siblings = vec![inner(vec![put_op("a")]), inner(vec![delete_op("a", "")])];
    assert_eq!(outcome(siblings), Ok(()), "an earlier put");
    let siblings = vec![inner(vec![delete_op("a", "")]), inner(vec![put_op("a")])];
    assert_eq!(outcome(siblings), DUPLICATE, "a later one");
    let deep = vec![inner(vec![inner(vec![put_op("a")])]), put_op("a")];
    assert_eq!(outcome(deep), DUPLICATE);
    let branches = vec![nested(vec![put_op("a")], vec![put_op("a")])];
    assert_eq!(outcome(branches), Ok(()), "branches exclude each other");
    let branches = vec![nested(vec![put_op("a")], vec![delete_op("a", "")])];
    assert_eq!(outcome(branches), Ok(()));
    let and_outside = vec![
        nested(vec![put_op("a")], vec![put_op("a")]),
        nested(vec![], vec![put_op("a")]),
    ];
    assert_eq!(outcome(and_outside), DUPLICATE);
}

#[test]
fn both_branches_may_write_the_same() {
    let request = then(vec![put_op("a")], vec![put_op("a")]);
    assert_eq!(txn(&request, OPS_MAX), Ok(()));
}

#[test]
fn an_operation_without_content_is_a_missing_key() {
    let empty = RequestOp { request: None };
    assert_eq!(outcome(vec![empty.clone()]), Err(error::KEY_NOT_FOUND));
    let inside = nested(vec![], vec![empty]);
    assert_eq!(outcome(vec![inside]), Err(error::KEY_NOT_FOUND));
}

#[test]
fn empty_keys_in_both_branches() {
    for empty in [
        put_op(""),
        delete_op("", "x"),
        op(Request::RequestRange(RangeRequest::default())),
    ] {
        assert_eq!(outcome(vec![empty]), Err(error::EMPTY_KEY));
    }
    let request = TxnRequest {
        compare: vec![Compare::default()],
        ..Default::default()
    };
    assert_eq!(txn(&request, OPS_MAX), Err(error::EMPTY_KEY));
}

#[test]
fn form_comes_before_duplicates() {
    let ops = vec![put_op("a"), put_op("a"), put_op("")];
    assert_eq!(outcome(ops), Err(error::EMPTY_KEY));
}

#[test]
fn operations_are_counted_per_level() {
    let reads = |n: usize| vec![delete_op("k", ""); n];
    assert_eq!(outcome(reads(OPS_MAX)), Ok(()));
    assert_eq!(outcome(reads(OPS_MAX + 1)), Err(error::TOO_MANY_OPS));
    let mut ops = reads(9);
    ops.push(nested(reads(OPS_MAX - 10), vec![]));
    assert_eq!(outcome(ops.clone()), Ok(()));
    ops.push(nested(vec![], reads(OPS_MAX - 10)));
    assert_eq!(
        outcome(ops),
        Err(error::TOO_MANY_OPS),
        "11 taken, 118 wanted"
    );
    let compares = TxnRequest {
        compare: vec![
            Compare {
                key: "k".into(),
                ..Default::default()
            };
            OPS_MAX + 1
        ],
        ..Default::default()
    };
    assert_eq!(txn(&compares, OPS_MAX), Err(error::TOO_MANY_OPS));
}

#[test]
fn nesting_is_bounded() {
    let mut request = then(vec![], vec![]);
    for _ in 1..NESTING_MAX {
        request = then(vec![op(Request::RequestTxn(request))], vec![]);
    }
    assert_eq!(txn(&request, usize::MAX), Ok(()));
    request = then(vec![op(Request::RequestTxn(request))], vec![]);
    assert_eq!(txn(&request, usize::MAX), Err(error::TOO_MANY_OPS));
}

#[test]
fn put_options() {
    let put_with = |change: fn(&mut PutRequest)| {
        let mut request = PutRequest {
            key: "k".into(),
            ..Default::default()
        };
        change(&mut request);
        put(&request)
    };
    assert_eq!(put_with(|_| {}), Ok(()));
    assert_eq!(put_with(|p| p.key.clear()), Err(error::EMPTY_KEY));
    assert_eq!(put_with(|p| p.ignore_value = true), Ok(()));
    let both = put_with(|p| (p.ignore_value, p.value) = (true, "v".into()));
    assert_eq!(both, Err(error::VALUE_PROVIDED));
    let both = put_with(|p| (p.ignore_lease, p.lease) = (true, -1));
    assert_eq!(both, Err(error::LEASE_PROVIDED));
}

#[test]
fn sort_options() {
    for (sort_order, sort_target, expected) in [
        (0, 0, Ok(())),
        (2, 4, Ok(())),
        (3, 0, Err(error::INVALID_SORT)),
        (-1, 0, Err(error::INVALID_SORT)),
        (0, 5, Err(error::INVALID_SORT)),
        (0, i32::MIN, Err(error::INVALID_SORT)),
    ] {
        let request = RangeRequest {
            key: "k".into(),
            sort_order,
            sort_target,
            ..Default::default()
        };
        assert_eq!(range(&request), expected);
        let outcome = outcome(vec![op(Request::RequestRange(request))]);
        assert_eq!(outcome, expected);
    }
}

/// Against the obvious list of intervals, on every small set of small keys.
#[test]
fn intervals_agree_with_a_list() {
    let keys: Vec<Bytes> = ["a", "aa", "b", "bb", "c", "d"].map(Bytes::from).to_vec();
    let ends = [&keys[..], &[Bytes::new(), Bytes::from_static(&[0])]].concat();
    let mut choices = Vec::new();
    for key in &keys {
        for end in &ends {
            choices.push((key.clone(), end.clone()));
        }
    }
    let contains = |(key, end): &(Bytes, Bytes), probe: &Bytes| match end.is_empty() {
        true => probe == key,
        false => key <= probe && probe < end,
    };
    let mut state = 1_u64;
    for _ in 0..20_000 {
        let mut list = Vec::new();
        let mut set = Intervals::default();
        for _ in 0..4 {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            let choice = &choices[(state >> 33) as usize % choices.len()];
            set.add(&choice.0, &choice.1);
            list.push(choice);
            for probe in keys.iter().chain([&Bytes::from("e")]) {
                let expected = list.iter().any(|interval| contains(interval, probe));
                assert_eq!(set.contain(probe), expected, "{list:?} {probe:?}");
            }
        }
    }
}
