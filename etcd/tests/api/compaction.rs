//! Compaction.

use super::harness::*;
use quorate_etcd::proto::etcdserverpb as pb;
use tonic::Code::OutOfRange;

const COMPACTED: &str = "mvcc: required revision has been compacted";
const FUTURE: &str = "mvcc: required revision is a future revision";

fn at(key: &str, revision: i64) -> pb::RangeRequest {
    pb::RangeRequest {
        revision,
        ..get(key)
    }
}

#[tokio::test]
async fn what_can_be_compacted() {
    let server = Server::start().await;
    for n in 0..4 {
        server.put("k", &n.to_string()).await;
    }
    let compact = |revision| server.compact(revision);
    assert_eq!(refused(compact(6).await), refusal(OutOfRange, FUTURE));
    let response = compact(3).await.unwrap();
    assert_eq!(response.header.unwrap().revision, 5);
    for gone in [3, 2, 1, 0, -1] {
        let outcome = refused(compact(gone).await);
        assert_eq!(outcome, refusal(OutOfRange, COMPACTED), "{gone}");
    }
    compact(5).await.unwrap();
    assert_eq!(refused(compact(5).await), refusal(OutOfRange, COMPACTED));
    server.stop().await;
}

#[tokio::test]
async fn compacting_nothing_works_once() {
    let server = Server::start().await;
    server.put("k", "v").await;
    server.compact(0).await.unwrap();
    assert_eq!(
        refused(server.compact(0).await),
        refusal(OutOfRange, COMPACTED)
    );
    assert_eq!(server.range(at("k", 1)).await.count, 0);
    server.stop().await;
}

#[tokio::test]
async fn what_can_be_read_after_it() {
    let server = Server::start().await;
    server.put("k", "2").await;
    server.put("k", "3").await;
    server.put("gone", "4").await;
    server.delete("gone").await; // 5
    server.put("k", "6").await;
    server.compact(5).await.unwrap();
    let response = server.range(at("k", 5)).await;
    assert_eq!(
        response.kvs[0].value, "3",
        "the value that was live is kept"
    );
    assert_eq!(server.range(at("gone", 5)).await.count, 0);
    assert_eq!(server.range(at("k", 6)).await.kvs[0].value, "6");
    for revision in [1, 4] {
        let outcome = refused(server.kv().range(at("k", revision)).await);
        assert_eq!(outcome, refusal(OutOfRange, COMPACTED));
    }
    server.stop().await;
}

#[tokio::test]
async fn a_watch_from_the_compacted_revision_hears_of_its_delete() {
    let server = Server::start().await;
    if server.is_real() {
        return; // 3.5.1 forgets it.
    }
    server.put("k", "v").await; // 2
    server.delete("k").await; // 3
    server.put("other", "v").await; // 4
    server.compact(3).await.unwrap();
    let mut watcher = server.watch();
    watcher.created(watch_range("k", "", 3)).await;
    assert_eq!(watcher.events(1).await, [(0, "k".into(), 3, true)]);
    server.stop().await;
}

#[tokio::test]
async fn a_watch_from_before_it_is_told_where_to_start() {
    let server = Server::start().await;
    for n in 0..5 {
        server.put("k", &n.to_string()).await;
    }
    server.compact(4).await.unwrap();
    let mut watcher = server.watch();
    let id = watcher.created(watch_range("k", "", 2)).await;
    let response = watcher.next().await;
    assert_eq!(response.watch_id, id);
    assert!(response.canceled && !response.created);
    assert_eq!(response.compact_revision, 4);
    if !server.is_real() {
        assert_eq!(response.cancel_reason, format!("etcdserver: {COMPACTED}"));
    }
    let id = watcher.created(watch_range("k", "", 5)).await;
    let expected = [
        (id, "k".to_owned(), 5, false),
        (id, "k".to_owned(), 6, false),
    ];
    assert_eq!(watcher.events(2).await, expected, "the stream lives on");
    server.stop().await;
}

#[tokio::test]
async fn a_watch_survives_a_compaction() {
    let server = Server::start().await;
    let mut watcher = server.watch();
    watcher.created(watch("k")).await;
    server.put("k", "1").await;
    assert_eq!(watcher.events(1).await, [(0, "k".into(), 2, false)]);
    server.compact(2).await.unwrap();
    server.put("k", "2").await;
    assert_eq!(watcher.events(1).await, [(0, "k".into(), 3, false)]);
    server.stop().await;
}

#[tokio::test]
async fn a_previous_row_that_is_compacted_is_absent() {
    let server = Server::start().await;
    server.put("k", "2").await;
    server.put("k", "3").await;
    server.put("k", "4").await;
    server.compact(3).await.unwrap();
    let mut watcher = server.watch();
    let request = pb::WatchCreateRequest {
        prev_kv: true,
        ..watch_range("k", "", 3)
    };
    watcher.created(request).await;
    let mut events = Vec::new();
    while events.len() < 2 {
        events.extend(watcher.next().await.events);
    }
    assert_eq!(events[0].prev_kv, None, "revision 2 is gone");
    assert_eq!(events[1].prev_kv.as_ref().unwrap().value, "3");
    server.stop().await;
}
