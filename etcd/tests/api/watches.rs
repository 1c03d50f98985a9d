//! Watches.

use super::harness::*;
use bytes::Bytes;
use quorate_etcd::proto::etcdserverpb as pb;

use pb::watch_create_request::FilterType;

#[tokio::test]
async fn created_comes_first_and_ids_count_up() {
    let server = Server::start().await;
    server.put("k", "old").await;
    let mut watcher = server.watch();
    for expected in 0..3 {
        assert_eq!(watcher.created(watch("k")).await, expected);
    }
    let given = pb::WatchCreateRequest {
        watch_id: 4,
        ..watch("k")
    };
    assert_eq!(watcher.created(given).await, 4);
    assert_eq!(watcher.created(watch("k")).await, 3);
    assert_eq!(watcher.created(watch("k")).await, 5, "4 is taken");
    server.stop().await;
}

#[tokio::test]
async fn each_watch_hears_of_its_keys() {
    let server = Server::start().await;
    let mut watcher = server.watch();
    watcher.created(watch("b")).await;
    watcher.created(watch_range("a", "c", 0)).await;
    watcher.created(watch_range("b", "\0", 0)).await;
    watcher.created(watch_range("", "\0", 0)).await;
    for key in ["a", "b", "c"] {
        server.put(key, "v").await;
    }
    let mut events = watcher.events(8).await;
    events.sort();
    let expected = [
        (0, "b", 3),
        (1, "a", 2),
        (1, "b", 3),
        (2, "b", 3),
        (2, "c", 4),
        (3, "a", 2),
        (3, "b", 3),
        (3, "c", 4),
    ];
    assert_eq!(
        events,
        expected.map(|(id, key, rev)| (id, key.to_owned(), rev, false))
    );
    server.stop().await;
}

#[tokio::test]
async fn an_empty_key_is_the_smallest_one() {
    let server = Server::start().await;
    let mut watcher = server.watch();
    watcher.created(watch("")).await;
    server.put("k", "v").await;
    server.put("\0", "v").await;
    assert_eq!(watcher.events(1).await, [(0, "\0".into(), 3, false)]);
    server.stop().await;
}

#[tokio::test]
async fn the_past_comes_before_the_present() {
    let server = Server::start().await;
    for n in 0..50 {
        server.put("k", &n.to_string()).await; // up to 51
    }
    let mut watcher = server.watch();
    watcher.created(watch_range("k", "", 10)).await;
    for n in 0..50 {
        server.put("k", &n.to_string()).await; // up to 101
    }
    let events = watcher.events(92).await;
    let expected: Vec<_> = (10..=101)
        .map(|rev| (0, "k".to_owned(), rev, false))
        .collect();
    assert_eq!(events, expected);
    server.stop().await;
}

#[tokio::test]
async fn a_start_in_the_future_is_waited_for() {
    let server = Server::start().await;
    let mut watcher = server.watch();
    watcher.created(watch_range("k", "", 4)).await;
    for n in 0..4 {
        server.put("k", &n.to_string()).await;
    }
    let expected = [(0, "k".to_owned(), 4, false), (0, "k".to_owned(), 5, false)];
    assert_eq!(watcher.events(2).await, expected);
    server.stop().await;
}

#[tokio::test]
async fn events_of_one_revision_come_together() {
    let server = Server::start().await;
    let mut watcher = server.watch();
    watcher.created(watch_range("\0", "\0", 0)).await;
    server
        .txn(all(vec![op_put("b", "1"), op_put("a", "2")]))
        .await;
    let response = watcher.next().await;
    assert_eq!(response.header.unwrap().revision, 2);
    let events: Vec<_> = response.events.into_iter().map(|e| brief(0, e)).collect();
    let expected = ["b", "a"].map(|key| (0, key.to_owned(), 2, false));
    assert_eq!(events, expected, "in the order of the operations");
    server.stop().await;
}

#[tokio::test]
async fn fragments_if_asked_for() {
    let server = Server::start().await;
    let mut watcher = server.watch();
    let request = pb::WatchCreateRequest {
        fragment: true,
        ..watch_range("\0", "\0", 0)
    };
    watcher.created(request).await;
    // More than one response may hold, put by several requests before anybody reads.
    let value = "x".repeat(500_000);
    for n in 0..8 {
        server.put(&format!("k{n}"), &value).await;
    }
    let mut seen = 0;
    while seen < 8 {
        let response = watcher.next().await;
        let bytes: usize = response
            .events
            .iter()
            .map(prost::Message::encoded_len)
            .sum();
        assert!(bytes <= 2 << 20, "{bytes}");
        seen += response.events.len();
    }
    server.stop().await;
}

#[tokio::test]
async fn a_deletion_has_only_key_and_revision() {
    let server = Server::start().await;
    server.put("k", "v").await;
    let mut watcher = server.watch();
    watcher.created(watch("k")).await;
    let request = pb::WatchCreateRequest {
        prev_kv: true,
        ..watch("k")
    };
    watcher.created(request).await;
    server.delete("k").await;
    let mut events = Vec::new();
    while events.len() < 2 {
        let response = watcher.next().await;
        let id = response.watch_id;
        events.extend(response.events.into_iter().map(|event| (id, event)));
    }
    events.sort_by_key(|(id, _)| *id);
    for (_, event) in &events {
        let kv = event.kv.as_ref().unwrap();
        assert_eq!(
            (event.r#type, &kv.key[..], kv.mod_revision),
            (1, &b"k"[..], 3)
        );
        assert_eq!(
            (kv.create_revision, kv.version, &kv.value),
            (0, 0, &Bytes::new())
        );
    }
    assert_eq!(events[0].1.prev_kv, None);
    let prev = events[1].1.prev_kv.as_ref().unwrap();
    assert_eq!(
        (&prev.value[..], prev.create_revision, prev.version),
        (&b"v"[..], 2, 1)
    );
    server.stop().await;
}

#[tokio::test]
async fn filters() {
    let server = Server::start().await;
    let mut watcher = server.watch();
    for filter in [FilterType::Noput, FilterType::Nodelete] {
        let request = pb::WatchCreateRequest {
            filters: vec![filter.into()],
            ..watch("k")
        };
        watcher.created(request).await;
    }
    server.put("k", "v").await;
    server.delete("k").await;
    let mut events = watcher.events(2).await;
    events.sort();
    assert_eq!(
        events,
        [(0, "k".into(), 3, true), (1, "k".into(), 2, false)]
    );
    server.stop().await;
}

#[tokio::test]
async fn refusals_leave_the_stream_alive() {
    let server = Server::start().await;
    let mut watcher = server.watch();
    let given = pb::WatchCreateRequest {
        watch_id: 3,
        ..watch("k")
    };
    watcher.created(given.clone()).await;
    let refused_ones = [
        (
            given,
            "mvcc: duplicate watch ID provided on the WatchStream",
        ),
        (watch_range("b", "a", 0), "mvcc: watcher range is empty"),
        (watch_range("b", "b", 0), "mvcc: watcher range is empty"),
    ];
    for (request, reason) in refused_ones {
        watcher.create(request).await;
        let response = watcher.next().await;
        assert!(response.created && response.canceled);
        assert_eq!(
            (response.watch_id, response.cancel_reason.as_str()),
            (-1, reason)
        );
    }
    server.put("k", "v").await;
    assert_eq!(watcher.events(1).await, [(3, "k".into(), 2, false)]);
    server.stop().await;
}

#[tokio::test]
async fn cancellation() {
    let server = Server::start().await;
    let mut watcher = server.watch();
    watcher.created(watch("k")).await;
    watcher.created(watch("k")).await;
    watcher.cancel(77).await; // There is none: no answer.
    watcher.cancel(0).await;
    let response = watcher.next().await;
    assert!(response.canceled && !response.created);
    assert_eq!(
        (response.watch_id, response.cancel_reason.as_str()),
        (0, "")
    );
    assert_eq!(response.compact_revision, 0);
    server.put("k", "v").await;
    assert_eq!(watcher.events(1).await, [(1, "k".into(), 2, false)]);
    server.stop().await;
}

#[tokio::test]
async fn progress_on_demand() {
    let server = Server::start().await;
    for n in 0..5 {
        server.put("other", &n.to_string()).await; // up to 6
    }
    let mut watcher = server.watch();
    // On a quiet key and in the past: it must come to be in sync all the same.
    watcher.created(watch_range("quiet", "", 2)).await;
    eventually(async || {
        // A real etcd only answers when all is in sync, so it is asked again.
        watcher.progress().await;
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
        true
    })
    .await;
    let response = watcher.next().await;
    assert_eq!(
        (response.watch_id, response.header.unwrap().revision),
        (-1, 6)
    );
    assert!(response.events.is_empty() && !response.created && !response.canceled);
    server.stop().await;
}

#[tokio::test]
async fn progress_does_not_overtake_events() {
    let server = Server::start().await;
    let mut watcher = server.watch();
    watcher.created(watch_range("\0", "\0", 0)).await;
    let (mut told, mut puts, mut progressed) = (1, 0, 0);
    while puts < 200 {
        for _ in 0..10 {
            server.put("k", "v").await;
            puts += 1;
        }
        watcher.progress().await;
        while told < puts + 1 {
            let response = watcher.next().await;
            let revision = response.header.unwrap().revision;
            if response.events.is_empty() {
                assert!(
                    revision <= told,
                    "progress {revision} after events up to {told}"
                );
                assert!(revision >= progressed);
                progressed = revision;
            }
            for event in response.events {
                let revision = event.kv.unwrap().mod_revision;
                assert_eq!(revision, told + 1, "each once, in order");
                told = revision;
            }
        }
    }
    server.stop().await;
}

#[tokio::test]
async fn a_negative_start_is_compacted() {
    let server = Server::start().await;
    if server.is_real() {
        return; // 3.5 accepts it and answers nonsense; 3.6.6 refuses it.
    }
    let mut watcher = server.watch();
    watcher.create(watch_range("k", "", -1)).await;
    let mut response = watcher.next().await;
    if !response.canceled {
        response = watcher.next().await;
    }
    assert!(response.canceled);
    assert_eq!(
        response.cancel_reason,
        "etcdserver: mvcc: required revision has been compacted"
    );
    server.stop().await;
}

#[tokio::test]
async fn many_watches_on_many_streams() {
    let server = Server::start().await;
    let mut watchers = Vec::new();
    for _ in 0..20 {
        let mut watcher = server.watch();
        for n in 0..20 {
            watcher.created(watch(&format!("k{n}"))).await;
        }
        watchers.push(watcher);
    }
    for n in 0..20 {
        server.put(&format!("k{n}"), "v").await;
    }
    for watcher in &mut watchers {
        let mut events = watcher.events(20).await;
        events.sort();
        let expected: Vec<_> = (0..20)
            .map(|n| (n, format!("k{n}"), n + 2, false))
            .collect();
        assert_eq!(events, expected);
    }
    server.stop().await;
}

/// A client that does not read for long is caught up from history, without a gap.
#[tokio::test]
async fn a_slow_client_misses_nothing() {
    let server = Server::start().await;
    let mut watcher = server.watch();
    watcher.created(watch_range("\0", "\0", 0)).await;
    let value = "x".repeat(100_000);
    for n in 0..200 {
        server.put(&format!("k{n}"), &value).await;
    }
    let events = watcher.events(200).await;
    let expected: Vec<_> = (0..200)
        .map(|n| (0, format!("k{n}"), n + 2, false))
        .collect();
    assert_eq!(events, expected);
    server.stop().await;
}

#[tokio::test]
async fn a_stream_ends_when_the_server_stops() {
    let server = Server::start().await;
    if server.is_real() {
        return;
    }
    let mut watcher = server.watch();
    watcher.created(watch("k")).await;
    server.stop().await;
    let status = watcher.try_next().await.unwrap_err();
    assert_eq!(status.code(), tonic::Code::Unavailable);
}
