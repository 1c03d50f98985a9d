//! Requests that cannot be served: etcd's code and text for each, and nothing has happened.

use etcd_client::{
    Client, Compare, CompareOp, DeleteOptions, Error, GetOptions, LeaseGrantOptions, PutOptions,
    Txn, TxnOp,
};

use crate::harness::client::{bounded, code_and_text, revision};
use crate::harness::cluster::Cluster;
use crate::harness::server;

const INVALID: i32 = 3;
const NOT_FOUND: i32 = 5;
const EXHAUSTED: i32 = 8;
const PRECONDITION: i32 = 9;
const OUT_OF_RANGE: i32 = 11;
const UNIMPLEMENTED: i32 = 12;

#[track_caller]
fn expect<T>(answer: Result<T, Error>, code: i32, text: &str) {
    let Err(error) = answer else {
        panic!("expected the error {text:?}");
    };
    assert_eq!(code_and_text(&error), (code, format!("etcdserver: {text}")));
}

async fn put(
    client: &mut Client,
    key: &str,
    value: &str,
    options: PutOptions,
) -> Result<(), Error> {
    bounded(client.put(key, value, Some(options)))
        .await
        .map(|_| ())
}

async fn txn(client: &mut Client, txn: Txn) -> Result<(), Error> {
    bounded(client.txn(txn)).await.map(|_| ())
}

/// Asks a follower, so that what is checked before and after forwarding is checked.
async fn start() -> (Cluster, Client) {
    let cluster = Cluster::start(3).await;
    let follower = (cluster.leader().await + 1) % 3;
    let client = cluster.client(follower).await;
    (cluster, client)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn puts_gets_and_deletes_that_make_no_sense() {
    let (_cluster, mut client) = start().await;
    let client = &mut client;
    let before = bounded(client.put("a", "1", None))
        .await
        .expect("acknowledged");
    expect(
        put(client, "", "1", PutOptions::new()).await,
        INVALID,
        "key is not provided",
    );
    expect(
        put(client, "a", "1", PutOptions::new().with_ignore_value()).await,
        INVALID,
        "value is provided",
    );
    expect(
        put(
            client,
            "a",
            "1",
            PutOptions::new().with_lease(7).with_ignore_lease(),
        )
        .await,
        INVALID,
        "lease is provided",
    );
    expect(
        put(client, "missing", "", PutOptions::new().with_ignore_value()).await,
        INVALID,
        "key not found",
    );
    expect(
        put(
            client,
            "missing",
            "1",
            PutOptions::new().with_ignore_lease(),
        )
        .await,
        INVALID,
        "key not found",
    );
    expect(
        put(client, "a", "1", PutOptions::new().with_lease(7)).await,
        NOT_FOUND,
        "requested lease not found",
    );
    expect(
        bounded(client.get("", None)).await,
        INVALID,
        "key is not provided",
    );
    expect(
        bounded(client.delete("", None::<DeleteOptions>)).await,
        INVALID,
        "key is not provided",
    );

    let future = GetOptions::new().with_revision(1000);
    expect(
        bounded(client.get("a", Some(future))).await,
        OUT_OF_RANGE,
        "mvcc: required revision is a future revision",
    );
    expect(
        bounded(client.compact(1000, None)).await,
        OUT_OF_RANGE,
        "mvcc: required revision is a future revision",
    );
    let now = revision(before.header());
    bounded(client.compact(now, None)).await.expect("compacted");
    expect(
        bounded(client.compact(now, None)).await,
        OUT_OF_RANGE,
        "mvcc: required revision has been compacted",
    );
    let past = GetOptions::new().with_revision(now - 1);
    expect(
        bounded(client.get("a", Some(past))).await,
        OUT_OF_RANGE,
        "mvcc: required revision has been compacted",
    );

    let after = bounded(client.get("a", None)).await.expect("answered");
    assert_eq!(revision(after.header()), now, "nothing has happened");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn transactions_that_make_no_sense() {
    let (_cluster, mut client) = start().await;
    let client = &mut client;
    let before = bounded(client.put("a", "1", None))
        .await
        .expect("acknowledged");
    let gets = |count: usize| vec![TxnOp::get("a", None); count];
    txn(client, Txn::new().and_then(gets(128)))
        .await
        .expect("just so");
    expect(
        txn(client, Txn::new().and_then(gets(129))).await,
        INVALID,
        "too many operations in txn request",
    );
    expect(
        txn(client, Txn::new().or_else(gets(129))).await,
        INVALID,
        "too many operations in txn request",
    );
    let compares = vec![Compare::version("a", CompareOp::Equal, 1); 129];
    expect(
        txn(client, Txn::new().when(compares)).await,
        INVALID,
        "too many operations in txn request",
    );

    let twice = [TxnOp::put("k", "1", None), TxnOp::put("k", "2", None)];
    expect(
        txn(client, Txn::new().and_then(twice)).await,
        INVALID,
        "duplicate key given in txn request",
    );
    let gone = [TxnOp::put("k", "1", None), TxnOp::delete("k", None)];
    expect(
        txn(client, Txn::new().or_else(gone)).await,
        INVALID,
        "duplicate key given in txn request",
    );
    let nested = Txn::new().and_then([TxnOp::put("k", "2", None)]);
    let nested = [TxnOp::put("k", "1", None), TxnOp::txn(nested)];
    expect(
        txn(client, Txn::new().and_then(nested)).await,
        INVALID,
        "duplicate key given in txn request",
    );

    // Both branches are looked at, whichever would be taken.
    let unnamed = [TxnOp::put("", "1", None)];
    expect(
        txn(client, Txn::new().and_then(unnamed.clone())).await,
        INVALID,
        "key is not provided",
    );
    expect(
        txn(client, Txn::new().or_else(unnamed)).await,
        INVALID,
        "key is not provided",
    );
    let compare = [Compare::version("", CompareOp::Equal, 0)];
    expect(
        txn(client, Txn::new().when(compare)).await,
        INVALID,
        "key is not provided",
    );

    // Nothing of a transaction happens if one of its operations cannot.
    let lease = PutOptions::new().with_lease(7);
    let ops = [
        TxnOp::put("k", "1", None),
        TxnOp::put("l", "1", Some(lease)),
    ];
    expect(
        txn(client, Txn::new().and_then(ops)).await,
        NOT_FOUND,
        "requested lease not found",
    );
    let future = GetOptions::new().with_revision(1000);
    let ops = [TxnOp::put("k", "1", None), TxnOp::get("a", Some(future))];
    expect(
        txn(client, Txn::new().and_then(ops)).await,
        OUT_OF_RANGE,
        "mvcc: required revision is a future revision",
    );

    let after = bounded(client.get("k", None)).await.expect("answered");
    assert!(after.kvs().is_empty());
    assert_eq!(
        revision(after.header()),
        revision(before.header()),
        "nothing has happened"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn leases_that_make_no_sense() {
    let (_cluster, mut client) = start().await;
    let client = &mut client;
    let id = LeaseGrantOptions::new().with_id(7);
    bounded(client.lease_grant(60, Some(id.clone())))
        .await
        .expect("granted");
    expect(
        bounded(client.lease_grant(60, Some(id))).await,
        PRECONDITION,
        "lease already exists",
    );
    expect(
        bounded(client.lease_grant(9_000_000_001, None)).await,
        OUT_OF_RANGE,
        "too large lease TTL",
    );
    expect(
        bounded(client.lease_revoke(8)).await,
        NOT_FOUND,
        "requested lease not found",
    );
    let short = bounded(client.lease_grant(-5, None))
        .await
        .expect("raised to the least");
    assert!(short.ttl() > 0);
    // Answers, not errors.
    let left = bounded(client.lease_time_to_live(8, None))
        .await
        .expect("answered");
    assert_eq!((left.ttl(), left.id()), (-1, 8));
    let kept = bounded(client.lease_keep_alive(8)).await;
    assert!(
        matches!(kept, Err(Error::LeaseKeepAliveError(_))),
        "a time to live of 0"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_that_are_too_large() {
    let (cluster, mut client) = start().await;
    let just = "x".repeat(1_572_864 - 100);
    bounded(client.put("large", just.as_str(), None))
        .await
        .expect("just so");
    let more = "x".repeat(1_572_864 + 10);
    expect(
        bounded(client.put("large", more, None)).await,
        INVALID,
        "request is too large",
    );
    // Above the limit of gRPC itself.
    for bytes in [3 << 20, 20 << 20] {
        let much = "x".repeat(bytes);
        let refused = bounded(client.put("large", much, None))
            .await
            .expect_err("too large");
        assert_eq!(code_and_text(&refused).0, EXHAUSTED, "{refused}");
    }
    for at in 0..3 {
        let found = bounded(cluster.client(at).await.get("large", None))
            .await
            .expect("answered");
        assert_eq!(found.kvs()[0].value(), just.as_bytes());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_there_yet_says_so() {
    if !server::is_ours() {
        return;
    }
    let (_cluster, mut client) = start().await;
    let answers = [
        bounded(client.auth_enable()).await.map(|_| ()),
        bounded(client.user_list()).await.map(|_| ()),
        bounded(client.role_list()).await.map(|_| ()),
        bounded(client.lock("name", None)).await.map(|_| ()),
    ];
    for answer in answers {
        let (code, text) = code_and_text(&answer.expect_err("not there yet"));
        assert_eq!(code, UNIMPLEMENTED);
        assert!(!text.is_empty());
    }
}
