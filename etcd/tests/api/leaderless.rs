//! What a member says when its cluster has no leader.

use super::harness::*;
use super::plain_http::http;
use quorate_etcd::proto::etcdserverpb as pb;
use tonic::Code::{FailedPrecondition, Unavailable};
use tonic::Request;

/// A request of a client that would rather ask another member than wait.
fn insisting<T>(message: T) -> Request<T> {
    let mut request = Request::new(message);
    let metadata = request.metadata_mut();
    metadata.insert("hasleader", "true".parse().unwrap());
    request
}

#[tokio::test]
async fn requests_that_insist_on_a_leader() {
    let server = Server::start_leaderless().await;
    let expected = refusal(Unavailable, "no leader");
    let outcome = server.kv().put(insisting(put("k", "v"))).await;
    assert_eq!(refused(outcome), expected);
    let serializable = pb::RangeRequest {
        serializable: true,
        ..get("k")
    };
    let outcome = server.kv().range(insisting(serializable)).await;
    assert_eq!(refused(outcome), expected);
    let mut watch = pb::watch_client::WatchClient::new(server.channel());
    let outcome = watch.watch(insisting(futures::stream::empty())).await;
    assert_eq!(refused(outcome.map(|_| ())), expected);
    let outcome = server
        .lease()
        .lease_keep_alive(insisting(futures::stream::empty()))
        .await;
    assert_eq!(refused(outcome.map(|_| ())), expected);
    server.stop().await;
}

#[tokio::test]
async fn requests_that_do_not_insist() {
    let server = Server::start_leaderless().await;
    let serializable = pb::RangeRequest {
        serializable: true,
        ..get("k")
    };
    server.range(serializable).await;
    server
        .cluster()
        .member_list(pb::MemberListRequest::default())
        .await
        .unwrap();
    // How old what is here may be is not known, so it is not young enough for anybody.
    let mut aged = Request::new(get("k"));
    let age = "3600000".parse().unwrap();
    aged.metadata_mut().insert("quorate-max-age-ms", age);
    let outcome = refused(server.kv().range(aged).await);
    assert_eq!(outcome, refusal(Unavailable, "no leader"));
    // These wait for a while before they give up.
    let outcome = refused(server.kv().range(get("k")).await);
    assert_eq!(outcome, refusal(Unavailable, "no leader"));
    let outcome = refused(server.kv().put(put("k", "v")).await);
    assert_eq!(outcome, refusal(Unavailable, "no leader"));
    server.stop().await;
}

#[tokio::test]
async fn status_and_health() {
    let server = Server::start_leaderless().await;
    let status = server
        .maintenance()
        .status(pb::StatusRequest {})
        .await
        .unwrap();
    let status = status.into_inner();
    assert_eq!(
        (status.leader, &status.errors[..]),
        (0, &["etcdserver: no leader".to_owned()][..])
    );
    let request = pb::MoveLeaderRequest { target_id: 1 };
    let outcome = refused(server.maintenance().move_leader(request).await);
    assert_eq!(outcome, refusal(FailedPrecondition, "not leader"));
    let (line, body) = http(&server, "GET /health HTTP/1.1").await;
    assert_eq!(line, "HTTP/1.1 503 Service Unavailable");
    assert_eq!(body, r#"{"health":"false","reason":"RAFT NO LEADER"}"#);
    let (line, _) = http(&server, "GET /health?serializable=true HTTP/1.1").await;
    assert_eq!(line, "HTTP/1.1 200 OK");
    let (_, body) = http(&server, "GET /metrics HTTP/1.1").await;
    assert!(body.contains("etcd_server_has_leader 0"), "{body}");
    server.stop().await;
}
