//! Leases.

use super::harness::*;
use quorate_etcd::proto::etcdserverpb as pb;
use tonic::Code::{FailedPrecondition, NotFound, OutOfRange};

const NOT_FOUND: &str = "requested lease not found";

async fn put_with_lease(server: &Server, key: &str, lease: i64) -> i64 {
    let request = pb::PutRequest {
        lease,
        ..put(key, "v")
    };
    let response = server.kv().put(request).await.unwrap();
    response.into_inner().header.unwrap().revision
}

async fn ids(server: &Server) -> Vec<i64> {
    let response = server.lease().lease_leases(pb::LeaseLeasesRequest {}).await;
    let leases = response.unwrap().into_inner().leases;
    let mut ids: Vec<_> = leases.iter().map(|lease| lease.id).collect();
    ids.sort_unstable();
    ids
}

/// Renews leases on one stream and answers what comes back: id, TTL, revision.
async fn keep_alive(server: &Server, ids: &[i64]) -> Vec<(i64, i64, i64)> {
    let requests: Vec<_> = ids
        .iter()
        .map(|&id| pb::LeaseKeepAliveRequest { id })
        .collect();
    let requests = futures::stream::iter(requests);
    let responses = server.lease().lease_keep_alive(requests).await;
    let mut responses = responses.unwrap().into_inner();
    let mut all = Vec::new();
    while let Some(response) = responses.message().await.unwrap() {
        all.push((response.id, response.ttl, response.header.unwrap().revision));
    }
    all
}

#[tokio::test]
async fn grants() {
    let server = Server::start().await;
    let granted = server.grant(7, 60).await.unwrap();
    assert_eq!(
        (granted.id, granted.ttl, granted.error.as_str()),
        (7, 60, "")
    );
    assert_eq!(granted.header.unwrap().revision, 1, "takes no revision");
    let outcome = refused(server.grant(7, 60).await);
    assert_eq!(outcome, refusal(FailedPrecondition, "lease already exists"));
    let picked = server.grant(0, 60).await.unwrap();
    assert!(picked.id > 0);
    assert_ne!(server.grant(0, 60).await.unwrap().id, picked.id);
    server.grant(-5, 60).await.unwrap();
    assert_eq!(ids(&server).await.len(), 4);
    assert!(ids(&server).await.contains(&-5));
    server.stop().await;
}

#[tokio::test]
async fn times_to_live_have_bounds() {
    let server = Server::start().await;
    for asked in [1, 0, -10, i64::MIN, 2] {
        let granted = server.grant(0, asked).await.unwrap();
        assert_eq!(granted.ttl, 2, "{asked} is raised");
    }
    let longest = server.grant(0, 9_000_000_000).await.unwrap();
    assert_eq!(longest.ttl, 9_000_000_000);
    for too_long in [9_000_000_001, i64::MAX] {
        let outcome = refused(server.grant(0, too_long).await);
        assert_eq!(outcome, refusal(OutOfRange, "too large lease TTL"));
    }
    server.stop().await;
}

#[tokio::test]
async fn revocation_deletes_the_keys_in_one_revision() {
    let server = Server::start().await;
    server.grant(7, 60).await.unwrap();
    for key in ["b", "a", "c"] {
        put_with_lease(&server, key, 7).await; // up to 4
    }
    let mut watcher = server.watch();
    watcher.created(watch_range("\0", "\0", 5)).await;
    let response = server.revoke(7).await.unwrap();
    assert_eq!(response.header.unwrap().revision, 5);
    let expected = ["a", "b", "c"].map(|key| (0, key.to_owned(), 5, true));
    assert_eq!(watcher.events(3).await, expected, "in key order");
    assert_eq!(
        refused(server.revoke(7).await),
        refusal(NotFound, NOT_FOUND)
    );
    server.stop().await;
}

#[tokio::test]
async fn revocation_without_keys_takes_no_revision() {
    let server = Server::start().await;
    server.grant(7, 60).await.unwrap();
    let response = server.revoke(7).await.unwrap();
    assert_eq!(response.header.unwrap().revision, 1);
    assert_eq!(ids(&server).await, []);
    assert_eq!(
        refused(server.revoke(0).await),
        refusal(NotFound, NOT_FOUND)
    );
    server.stop().await;
}

#[tokio::test]
async fn a_detached_key_survives() {
    let server = Server::start().await;
    server.grant(7, 60).await.unwrap();
    server.grant(8, 60).await.unwrap();
    put_with_lease(&server, "kept", 7).await;
    put_with_lease(&server, "moved", 7).await;
    put_with_lease(&server, "lost", 7).await;
    server.put("kept", "v").await;
    put_with_lease(&server, "moved", 8).await;
    server.revoke(7).await.unwrap();
    assert!(server.row("kept").await.is_some());
    assert!(server.row("moved").await.is_some());
    assert!(server.row("lost").await.is_none());
    server.stop().await;
}

#[tokio::test]
async fn time_to_live() {
    let server = Server::start().await;
    server.grant(7, 60).await.unwrap();
    put_with_lease(&server, "b", 7).await;
    put_with_lease(&server, "a", 7).await;
    let response = server.time_to_live(7).await;
    assert_eq!((response.id, response.granted_ttl), (7, 60));
    assert!((1..=60).contains(&response.ttl), "{}", response.ttl);
    let mut keys = response.keys;
    keys.sort();
    assert_eq!(keys, ["a", "b"]);
    let request = pb::LeaseTimeToLiveRequest { id: 7, keys: false };
    let response = server.lease().lease_time_to_live(request).await.unwrap();
    assert!(response.into_inner().keys.is_empty());
    server.stop().await;
}

#[tokio::test]
async fn an_unknown_lease_has_minus_one_left() {
    let server = Server::start().await;
    let response = server.time_to_live(99).await;
    assert_eq!(
        (response.id, response.ttl, response.granted_ttl),
        (99, -1, 0)
    );
    server.stop().await;
}

#[tokio::test]
async fn keep_alive_answers_in_order() {
    let server = Server::start().await;
    server.grant(7, 60).await.unwrap();
    server.grant(8, 50).await.unwrap();
    server.put("k", "v").await;
    let answers = keep_alive(&server, &[7, 99, 8, 7]).await;
    assert_eq!(answers, [(7, 60, 2), (99, 0, 2), (8, 50, 2), (7, 60, 2)]);
    server.stop().await;
}

#[tokio::test]
async fn a_lease_that_nobody_renews_expires() {
    let server = Server::start().await;
    server.grant(7, 2).await.unwrap();
    let revision = put_with_lease(&server, "k", 7).await;
    let mut watcher = server.watch();
    let request = pb::WatchCreateRequest {
        prev_kv: true,
        ..watch("k")
    };
    watcher.created(request).await;
    let mut response = watcher.next().await;
    let event = response.events.remove(0);
    assert_eq!(event.r#type, 1);
    assert_eq!(event.kv.unwrap().mod_revision, revision + 1);
    assert_eq!(event.prev_kv.unwrap().value, "v");
    assert_eq!(server.time_to_live(7).await.ttl, -1);
    assert_eq!(ids(&server).await, []);
    server.stop().await;
}

#[tokio::test]
async fn a_lease_that_is_renewed_lives() {
    let server = Server::start().await;
    server.grant(7, 3).await.unwrap();
    server.grant(8, 3).await.unwrap();
    put_with_lease(&server, "renewed", 7).await;
    put_with_lease(&server, "forgotten", 8).await;
    eventually(async || {
        keep_alive(&server, &[7]).await;
        server.row("forgotten").await.is_none()
    })
    .await;
    assert!(server.row("renewed").await.is_some());
    server.stop().await;
}
