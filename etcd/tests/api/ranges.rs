//! Reads of many keys.

use super::harness::*;
use bytes::Bytes;
use quorate_etcd::proto::etcdserverpb as pb;
use tonic::Code::{InvalidArgument, OutOfRange};

fn keys(response: &pb::RangeResponse) -> Vec<String> {
    let keys = response.kvs.iter().map(|kv| kv.key.to_vec());
    keys.map(|key| String::from_utf8(key).unwrap()).collect()
}

/// Keys a to f, put in another order; c twice.
async fn six_keys() -> Server {
    let server = Server::start().await;
    for (key, value) in [
        ("d", "5"), // 2
        ("a", "3"), // 3
        ("c", "9"), // 4
        ("b", "1"), // 5
        ("f", "2"), // 6
        ("e", "6"), // 7
        ("c", "4"), // 8
    ] {
        server.put(key, value).await;
    }
    server
}

#[tokio::test]
async fn ends_of_ranges() {
    let server = six_keys().await;
    let range = |key, end| server.range(get_range(key, end));
    assert_eq!(keys(&range("b", "").await), ["b"]);
    assert_eq!(keys(&range("b", "d").await), ["b", "c"]);
    assert_eq!(keys(&range("e", "\0").await), ["e", "f"]);
    assert_eq!(keys(&range("\0", "\0").await).len(), 6);
    for (key, end) in [("c", "b"), ("c", "c")] {
        let response = range(key, end).await;
        assert_eq!(
            (response.count, response.kvs.len()),
            (0, 0),
            "empty, no error"
        );
    }
    let outcome = server.kv().range(get_range("", "\0")).await;
    assert_eq!(
        refused(outcome),
        refusal(InvalidArgument, "key is not provided")
    );
    server.stop().await;
}

#[tokio::test]
async fn limit_more_and_count() {
    let server = six_keys().await;
    let range = |limit| {
        server.range(pb::RangeRequest {
            limit,
            ..get_range("a", "\0")
        })
    };
    for (limit, len, more) in [(0, 6, false), (2, 2, true), (6, 6, false), (7, 6, false)] {
        let response = range(limit).await;
        assert_eq!(
            (response.kvs.len(), response.more),
            (len, more),
            "limit {limit}"
        );
        assert_eq!(response.count, 6, "of the whole range");
    }
    let response = range(-1).await;
    assert_eq!((response.kvs.len(), response.more), (6, false), "no limit");
    server.stop().await;
}

#[tokio::test]
async fn filters_are_before_the_limit_and_not_in_the_count() {
    let server = six_keys().await;
    let range = |change: fn(&mut pb::RangeRequest)| {
        let mut request = get_range("a", "\0");
        change(&mut request);
        server.range(request)
    };
    let response = range(|r| (r.min_mod_revision, r.limit) = (6, 1)).await;
    assert_eq!(keys(&response), ["c"]);
    assert_eq!((response.count, response.more), (6, true));
    let response = range(|r| r.max_mod_revision = 3).await;
    assert_eq!(
        (keys(&response), response.more),
        (vec!["a".into(), "d".into()], false)
    );
    let response = range(|r| r.min_create_revision = 6).await;
    assert_eq!(keys(&response), ["e", "f"]);
    let response = range(|r| r.max_create_revision = 2).await;
    assert_eq!(keys(&response), ["d"]);
    let response = range(|r| (r.min_mod_revision, r.max_mod_revision) = (4, 5)).await;
    assert_eq!(
        keys(&response),
        ["b"],
        "c was created at 4 and modified at 8"
    );
    server.stop().await;
}

#[tokio::test]
async fn count_only_and_keys_only() {
    let server = six_keys().await;
    let request = pb::RangeRequest {
        count_only: true,
        limit: 2,
        ..get_range("a", "\0")
    };
    let response = server.range(request).await;
    assert_eq!(
        (response.count, response.more, response.kvs.len()),
        (6, false, 0)
    );
    let request = pb::RangeRequest {
        keys_only: true,
        ..get_range("a", "b")
    };
    let row = server.range(request).await.kvs.remove(0);
    assert_eq!(
        (row.value, row.mod_revision, row.version),
        (Bytes::new(), 3, 1)
    );
    server.stop().await;
}

#[tokio::test]
async fn orders() {
    let server = six_keys().await;
    let (none, ascend, descend) = (0, 1, 2);
    let (key, version, create, modified, value) = (0, 1, 2, 3, 4);
    for (sort_order, sort_target, expected) in [
        (none, key, "abcdef"),
        (ascend, key, "abcdef"),
        (descend, key, "fedcba"),
        (none, version, "abdefc"),
        (ascend, create, "dacbfe"),
        (none, create, "dacbfe"),
        (descend, create, "efbcad"),
        (none, modified, "dabfec"),
        (descend, modified, "cefbad"),
        (ascend, value, "bfacde"),
        (descend, value, "edcafb"),
    ] {
        for keys_only in [false, true] {
            let request = pb::RangeRequest {
                sort_order,
                sort_target,
                keys_only,
                ..get_range("a", "\0")
            };
            let found = keys(&server.range(request).await).concat();
            assert_eq!(
                found, expected,
                "order {sort_order} of {sort_target}, {keys_only}"
            );
        }
    }
    let request = pb::RangeRequest {
        sort_order: descend,
        sort_target: value,
        limit: 2,
        ..get_range("a", "\0")
    };
    let response = server.range(request).await;
    assert_eq!(
        (keys(&response).concat(), response.more),
        ("ed".to_owned(), true)
    );
    server.stop().await;
}

#[tokio::test]
async fn unknown_orders_are_refused() {
    let server = Server::start().await;
    if server.is_real() {
        return; // It dies.
    }
    for (sort_order, sort_target) in [(3, 0), (0, 5), (-1, 0), (1, i32::MAX)] {
        let request = pb::RangeRequest {
            sort_order,
            sort_target,
            ..get_range("a", "\0")
        };
        let outcome = refused(server.kv().range(request).await);
        assert_eq!(outcome, refusal(InvalidArgument, "invalid sort option"));
    }
    server.stop().await;
}

#[tokio::test]
async fn reads_of_the_past() {
    let server = six_keys().await;
    let at = |key: &str, revision| {
        let request = pb::RangeRequest {
            revision,
            ..get(key)
        };
        let mut kv = server.kv();
        async move { kv.range(request).await }
    };
    let value = |response: &pb::RangeResponse| response.kvs[0].value.clone();
    let old = at("c", 4).await.unwrap().into_inner();
    assert_eq!((value(&old), old.header.unwrap().revision), ("9".into(), 8));
    assert_eq!(value(&at("c", 8).await.unwrap().into_inner()), "4");
    assert_eq!(value(&at("c", 0).await.unwrap().into_inner()), "4");
    assert_eq!(
        value(&at("c", -5).await.unwrap().into_inner()),
        "4",
        "the newest"
    );
    assert_eq!(at("e", 6).await.unwrap().into_inner().count, 0);
    let future = refusal(OutOfRange, "mvcc: required revision is a future revision");
    assert_eq!(refused(at("c", 9).await), future);
    server.stop().await;
}

#[tokio::test]
async fn serializable_reads() {
    let server = six_keys().await;
    let request = pb::RangeRequest {
        serializable: true,
        ..get("a")
    };
    assert_eq!(server.range(request).await.kvs[0].value, "3");
    server.stop().await;
}

/// A list in pages, as Kubernetes reads it.
#[tokio::test]
async fn pages_at_one_revision() {
    let server = six_keys().await;
    let mut request = pb::RangeRequest {
        limit: 4,
        ..get_range("a", "g")
    };
    let first = server.range(request.clone()).await;
    assert_eq!((first.kvs.len(), first.more, first.count), (4, true, 6));
    request.revision = first.header.unwrap().revision;
    let mut next = first.kvs[3].key.to_vec();
    next.push(0);
    request.key = next.into();
    server.put("e2", "new").await;
    let second = server.range(request).await;
    assert_eq!(keys(&second), ["e", "f"]);
    assert_eq!((second.more, second.count), (false, 2));
    server.stop().await;
}

#[tokio::test]
async fn large_answers() {
    let server = Server::start().await;
    let value = "x".repeat(1 << 20);
    for n in 0..8 {
        server.put(&format!("large/{n}"), &value).await;
    }
    let response = server.range(get_range("large/", "large0")).await;
    assert_eq!(response.kvs.len(), 8);
    assert!(response.kvs.iter().all(|kv| kv.value.len() == value.len()));
    server.stop().await;
}
