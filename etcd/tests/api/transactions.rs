//! Transactions.

use super::harness::*;
use bytes::Bytes;
use quorate_etcd::proto::etcdserverpb as pb;
use tonic::Code::{InvalidArgument, NotFound, OutOfRange};

use pb::compare::CompareResult::{Equal, Greater, Less, NotEqual};
use pb::compare::TargetUnion::{CreateRevision, Lease, ModRevision, Value, Version};

const COMPACTED: &str = "mvcc: required revision has been compacted";
const FUTURE: &str = "mvcc: required revision is a future revision";
const DUPLICATE: &str = "duplicate key given in txn request";

/// Whether a comparison holds, for a transaction that only reads and for one that may write.
async fn holds(server: &Server, comparison: pb::Compare) -> bool {
    let reading = txn(vec![comparison.clone()], vec![], vec![]);
    let writing = txn(
        vec![comparison],
        vec![op_delete("nothing", "")],
        vec![op_delete("nothing", "")],
    );
    let answer = server.txn(reading).await.succeeded;
    assert_eq!(server.txn(writing).await.succeeded, answer);
    answer
}

#[tokio::test]
async fn one_revision_however_many_operations() {
    let server = Server::start().await;
    let request = all(vec![op_put("a", "1"), op_put("b", "2"), op_delete("c", "")]);
    let response = server.txn(request).await;
    assert_eq!(response.header.unwrap().revision, 2);
    for key in ["a", "b"] {
        assert_eq!(server.row(key).await.unwrap().mod_revision, 2);
    }
    assert_eq!(server.revision().await, 2);
    server.stop().await;
}

#[tokio::test]
async fn without_effect_no_revision() {
    let server = Server::start().await;
    server.put("k", "v").await;
    for ops in [vec![op_get("k")], vec![op_delete("none", "")], vec![]] {
        let response = server.txn(all(ops)).await;
        assert!(response.succeeded);
        assert_eq!(response.header.unwrap().revision, 2);
    }
    assert_eq!(server.revision().await, 2);
    server.stop().await;
}

#[tokio::test]
async fn later_operations_see_earlier_ones() {
    let server = Server::start().await;
    server.put("d", "deleted").await;
    for n in 0..7 {
        server.put("k", &n.to_string()).await; // up to 9
    }
    let ops = vec![
        op_get("k"),
        op_put("k", "new"),
        op_get("k"),
        op_delete("d", ""),
        op_get("d"),
    ];
    let response = server.txn(all(ops)).await;
    assert_eq!(response.header.unwrap().revision, 10);
    let inner = answers(response);
    let before = as_range(&inner[0]);
    assert_eq!(
        (&before.kvs[0].value[..], before.header.unwrap().revision),
        (&b"6"[..], 9)
    );
    assert_eq!(as_put(&inner[1]).header.unwrap().revision, 10);
    let after = as_range(&inner[2]);
    assert_eq!(
        (&after.kvs[0].value[..], after.header.unwrap().revision),
        (&b"new"[..], 10)
    );
    assert_eq!(after.kvs[0].mod_revision, 10);
    assert_eq!(as_delete(&inner[3]).deleted, 1);
    assert_eq!(as_range(&inner[4]).count, 0);
    server.stop().await;
}

#[tokio::test]
async fn duplicate_keys() {
    let server = Server::start().await;
    let nested = |success, failure| op_txn(txn(vec![], success, failure));
    let refused_ones = [
        vec![op_put("a", ""), op_put("a", "")],
        vec![op_put("a", ""), op_delete("a", "")],
        vec![op_delete("a", ""), op_put("a", "")],
        vec![op_delete("a", "c"), op_put("b", "")],
        vec![op_put("a", ""), nested(vec![op_put("a", "")], vec![])],
        vec![nested(vec![], vec![op_put("a", "")]), op_put("a", "")],
        vec![op_delete("a", "b"), nested(vec![op_put("a", "")], vec![])],
        vec![nested(vec![op_delete("a", "b")], vec![]), op_put("a", "")],
        vec![
            nested(vec![op_put("a", "")], vec![]),
            nested(vec![op_put("a", "")], vec![]),
        ],
        vec![
            nested(vec![op_delete("a", "")], vec![]),
            nested(vec![op_put("a", "")], vec![]),
        ],
    ];
    for (n, ops) in refused_ones.into_iter().enumerate() {
        for request in [all(ops.clone()), txn(vec![], vec![], ops)] {
            let outcome = refused(server.kv().txn(request).await);
            assert_eq!(outcome, refusal(InvalidArgument, DUPLICATE), "case {n}");
        }
    }
    let fine_ones = [
        vec![op_delete("a", "c"), op_put("c", "")],
        vec![nested(vec![op_put("a", "")], vec![op_put("a", "")])],
        vec![nested(vec![op_put("a", "")], vec![op_delete("a", "")])],
        vec![op_put("b", ""), op_delete("c", "a")],
    ];
    for (n, ops) in fine_ones.into_iter().enumerate() {
        let outcome = server.kv().txn(all(ops)).await;
        assert!(outcome.is_ok(), "case {n}: {outcome:?}");
    }
    let same_in_both = txn(vec![], vec![op_put("a", "1")], vec![op_put("a", "2")]);
    server.txn(same_in_both).await;
    server.stop().await;
}

/// A delete whose end is not behind its key does not count, and a nested delete may follow a nested
/// put. Then one key changes twice at one revision, in the order of the operations.
#[tokio::test]
async fn duplicates_that_are_none() {
    let server = Server::start().await;
    let nested = |ops| op_txn(all(ops));
    let mut watcher = server.watch();
    watcher.created(watch_range("\0", "\0", 0)).await;
    server.put("b", "old").await; // 2
    let put_then = |delete| vec![nested(vec![op_put("b", "")]), nested(vec![delete])];
    for (ops, left) in [
        (vec![op_delete("a", "\0"), op_put("b", "")], true), // 3
        (vec![op_put("b", ""), op_delete("a", "\0")], false), // 4
        (put_then(op_delete("b", "")), false),               // 5
        (put_then(op_delete("a", "c")), false),              // 6
    ] {
        server.txn(all(ops)).await;
        assert_eq!(server.row("b").await.is_some(), left);
    }
    let (put, deleted) = (false, true);
    let expected = [
        (2, put),
        (3, deleted),
        (3, put),
        (4, put),
        (4, deleted),
        (5, put),
        (5, deleted),
        (6, put),
        (6, deleted),
    ];
    let brief = |(_, _, revision, deleted)| (revision, deleted);
    let changes: Vec<_> = watcher.events(9).await.into_iter().map(brief).collect();
    assert_eq!(changes, expected);
    let mut from_history = server.watch();
    from_history.created(watch_range("\0", "\0", 2)).await;
    let again: Vec<_> = from_history
        .events(9)
        .await
        .into_iter()
        .map(brief)
        .collect();
    assert_eq!(again, expected, "history tells the same");
    for ops in [
        vec![op_delete("b", "\0"), op_put("b", "")],
        vec![op_delete("b", "a"), op_put("b", "")],
    ] {
        server.txn(all(ops)).await;
    }
    server.stop().await;
}

#[tokio::test]
async fn two_deletes_of_one_key_are_fine() {
    let server = Server::start().await;
    server.put("k", "v").await;
    let response = server
        .txn(all(vec![op_delete("k", ""), op_delete("k", "")]))
        .await;
    assert_eq!(response.header.unwrap().revision, 3);
    let deleted: Vec<_> = answers(response)
        .iter()
        .map(|r| as_delete(r).deleted)
        .collect();
    assert_eq!(deleted, [1, 0]);
    server.stop().await;
}

#[tokio::test]
async fn every_comparison() {
    let server = Server::start().await;
    server.grant(7, 100).await.unwrap();
    let request = pb::PutRequest {
        lease: 7,
        ..put("k", "m")
    };
    server.kv().put(request.clone()).await.unwrap(); // 2
    server.kv().put(request).await.unwrap(); // 3, version 2
    let targets = [
        (Version(1), Version(2), Version(3)),
        (CreateRevision(1), CreateRevision(2), CreateRevision(3)),
        (ModRevision(2), ModRevision(3), ModRevision(4)),
        (Value("l".into()), Value("m".into()), Value("n".into())),
        (Lease(6), Lease(7), Lease(8)),
    ];
    for (smaller, same, larger) in targets {
        for (relation, with_smaller, with_same, with_larger) in [
            (Equal, false, true, false),
            (NotEqual, true, false, true),
            (Greater, true, false, false),
            (Less, false, false, true),
        ] {
            for (with, expected) in [
                (&smaller, with_smaller),
                (&same, with_same),
                (&larger, with_larger),
            ] {
                let comparison = compare("k", relation, with.clone());
                let found = holds(&server, comparison).await;
                assert_eq!(found, expected, "{relation:?} {with:?}");
            }
        }
    }
    server.stop().await;
}

#[tokio::test]
async fn comparisons_with_a_key_that_is_not_there() {
    let server = Server::start().await;
    for relation in [Equal, NotEqual, Greater, Less] {
        let value = compare("none", relation, Value(Bytes::new()));
        assert!(
            !holds(&server, value).await,
            "{relation:?} of values is false"
        );
        let value = compare("none", relation, Value("x".into()));
        assert!(
            !holds(&server, value).await,
            "{relation:?} of values is false"
        );
    }
    for zero in [Version(0), CreateRevision(0), ModRevision(0), Lease(0)] {
        assert!(holds(&server, compare("none", Equal, zero.clone())).await);
        assert!(!holds(&server, compare("none", Less, zero)).await);
    }
    for one in [Version(1), CreateRevision(1), ModRevision(1), Lease(1)] {
        assert!(holds(&server, compare("none", Less, one)).await);
    }
    server.stop().await;
}

#[tokio::test]
async fn comparisons_of_ranges() {
    let server = Server::start().await;
    server.put("a1", "x").await; // 2
    server.put("a2", "x").await; // 3
    let range = |relation, with, end: &'static str| pb::Compare {
        range_end: end.into(),
        ..compare("a", relation, with)
    };
    assert!(holds(&server, range(Equal, Value("x".into()), "b")).await);
    assert!(holds(&server, range(Less, ModRevision(4), "b")).await);
    assert!(
        !holds(&server, range(Less, ModRevision(3), "b")).await,
        "not every key"
    );
    server.put("b", "y").await;
    assert!(!holds(&server, range(Equal, Value("x".into()), "\0")).await);
    let nothing = |relation, with| pb::Compare {
        range_end: "y".into(),
        ..compare("x", relation, with)
    };
    assert!(
        holds(&server, nothing(Equal, Version(0))).await,
        "one key of zeros"
    );
    assert!(!holds(&server, nothing(Greater, Version(0))).await);
    assert!(!holds(&server, nothing(NotEqual, Value("x".into()))).await);
    server.stop().await;
}

#[tokio::test]
async fn branches() {
    let server = Server::start().await;
    let create = |value: &str| {
        txn(
            vec![compare("k", Equal, ModRevision(0))],
            vec![op_put("k", value)],
            vec![op_get("k")],
        )
    };
    let response = server.txn(create("one")).await;
    assert!(response.succeeded);
    assert_eq!(response.header.unwrap().revision, 2);
    let response = server.txn(create("two")).await;
    assert!(!response.succeeded);
    assert_eq!(response.header.unwrap().revision, 2);
    assert_eq!(as_range(&answers(response)[0]).kvs[0].value, "one");
    let both = txn(
        vec![
            compare("k", Equal, ModRevision(2)),
            compare("k", Equal, Version(2)),
        ],
        vec![],
        vec![],
    );
    assert!(!server.txn(both).await.succeeded, "all must hold");
    server.stop().await;
}

#[tokio::test]
async fn nested_transactions_compare_with_the_state_before() {
    let server = Server::start().await;
    server.put("k", "old").await;
    let inner = txn(
        vec![compare("k", Equal, Value("old".into()))],
        vec![op_put("then", "1"), op_get("k")],
        vec![op_put("else", "1")],
    );
    let response = server
        .txn(all(vec![op_put("k", "new"), op_txn(inner)]))
        .await;
    assert_eq!(response.header.unwrap().revision, 3);
    let outer = answers(response);
    let inner = as_txn(&outer[1]);
    assert!(inner.succeeded, "what the outer one did does not matter");
    let inner = answers(inner.clone());
    assert_eq!(as_range(&inner[1]).kvs[0].value, "new", "but it is seen");
    assert_eq!(server.row("then").await.unwrap().mod_revision, 3);
    assert_eq!(server.row("else").await, None);
    server.stop().await;
}

#[tokio::test]
async fn nested_transactions_that_only_read() {
    let server = Server::start().await;
    server.put("k", "v").await;
    let inner = txn(
        vec![compare("k", Equal, Value("other".into()))],
        vec![],
        vec![op_get("k"), op_get_at("k", 1)],
    );
    let response = server.txn(all(vec![op_get("k"), op_txn(inner)])).await;
    assert_eq!(response.header.unwrap().revision, 2);
    let outer = answers(response);
    assert_eq!(as_range(&outer[0]).header.unwrap().revision, 2);
    let inner = as_txn(&outer[1]);
    assert!(!inner.succeeded);
    let inner = answers(inner.clone());
    assert_eq!(as_range(&inner[0]).kvs[0].value, "v");
    assert_eq!(as_range(&inner[1]).count, 0);
    server.stop().await;
}

#[tokio::test]
async fn refusals_for_both_branches() {
    let server = Server::start().await;
    let empty = pb::RequestOp { request: None };
    for (ops, text) in [
        (vec![op_put("", "")], "key is not provided"),
        (vec![op_get("")], "key is not provided"),
        (vec![op_delete("", "")], "key is not provided"),
        (vec![empty.clone()], "key not found"),
        (vec![op_txn(all(vec![empty]))], "key not found"),
        (vec![op_get("k"); 129], "too many operations in txn request"),
    ] {
        for request in [all(ops.clone()), txn(vec![], vec![], ops)] {
            let outcome = refused(server.kv().txn(request).await);
            assert_eq!(outcome, refusal(InvalidArgument, text));
        }
    }
    let no_key = txn(vec![compare("", Equal, Version(0))], vec![], vec![]);
    let outcome = refused(server.kv().txn(no_key).await);
    assert_eq!(outcome, refusal(InvalidArgument, "key is not provided"));
    server.txn(all(vec![op_get("k"); 128])).await;
    server.stop().await;
}

#[tokio::test]
async fn a_nested_transaction_has_what_its_parent_left() {
    let server = Server::start().await;
    let parent = |inner: usize| {
        let mut ops = vec![op_get("k"); 27];
        ops.push(op_txn(all(vec![op_get("k"); inner])));
        all(ops)
    };
    server.txn(parent(100)).await;
    let outcome = refused(server.kv().txn(parent(101)).await);
    let text = "too many operations in txn request";
    assert_eq!(outcome, refusal(InvalidArgument, text));
    server.stop().await;
}

#[tokio::test]
async fn only_the_branch_taken_is_checked_against_the_state() {
    let server = Server::start().await;
    server.put("k", "v").await;
    let with_lease = || {
        op(pb::request_op::Request::RequestPut(pb::PutRequest {
            lease: 99,
            ..put("k", "w")
        }))
    };
    let keep_value = || {
        op(pb::request_op::Request::RequestPut(pb::PutRequest {
            ignore_value: true,
            ..put("none", "")
        }))
    };
    for (bad, code, text) in [
        (with_lease(), NotFound, "requested lease not found"),
        (keep_value(), InvalidArgument, "key not found"),
        (op_get_at("k", 3), OutOfRange, FUTURE),
        // Of -1 an etcd that was never compacted thinks that it is the newest.
        (op_get_at("k", -2), OutOfRange, COMPACTED),
    ] {
        for taken in [vec![op_put("other", "x"), bad.clone()], vec![bad.clone()]] {
            let outcome = refused(server.kv().txn(all(taken)).await);
            assert_eq!(outcome, refusal(code, text));
        }
        let not_taken = txn(vec![], vec![op_get("k")], vec![bad]);
        assert!(server.txn(not_taken).await.succeeded);
    }
    assert_eq!(server.row("other").await, None, "no effect before an error");
    assert_eq!(server.revision().await, 2);
    server.stop().await;
}

#[tokio::test]
async fn the_revision_of_the_transaction_itself_is_in_the_future() {
    let server = Server::start().await;
    server.put("k", "v").await;
    let ops = vec![op_put("k", "w"), op_get_at("k", 3)];
    let outcome = refused(server.kv().txn(all(ops)).await);
    assert_eq!(outcome, refusal(OutOfRange, FUTURE));
    let ops = vec![op_put("k", "w"), op_get_at("k", 2)];
    let response = server.txn(all(ops)).await;
    assert_eq!(as_range(&answers(response)[1]).kvs[0].value, "v");
    server.stop().await;
}

#[tokio::test]
async fn unknown_comparisons_are_refused() {
    let server = Server::start().await;
    if server.is_real() {
        return; // It takes them for something that is always equal.
    }
    for (result, target) in [(4, 0), (0, 5), (-1, 0)] {
        let comparison = pb::Compare {
            result,
            target,
            key: "k".into(),
            ..Default::default()
        };
        let outcome = server.kv().txn(txn(vec![comparison], vec![], vec![])).await;
        assert_eq!(refused(outcome).0, InvalidArgument);
    }
    server.stop().await;
}
