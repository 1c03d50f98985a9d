//! What is not there yet says so.

use super::harness::*;
use quorate_etcd::proto::etcdserverpb as pb;
use quorate_etcd::proto::{v3electionpb, v3lockpb};
use tonic::Code::Unimplemented;

#[track_caller]
fn missing<T: std::fmt::Debug>(outcome: Result<T, tonic::Status>, call: &str) {
    let (code, text) = refused(outcome);
    assert_eq!(code, Unimplemented);
    assert!(
        text.contains(call) && text.contains("not there yet"),
        "{text}"
    );
}

#[tokio::test]
async fn calls_that_are_not_there_yet() {
    let server = Server::start().await;
    if server.is_real() {
        return;
    }
    missing(server.kv().range_stream(get("k")).await, "RangeStream");

    let mut auth = pb::auth_client::AuthClient::new(server.channel());
    missing(
        auth.auth_enable(pb::AuthEnableRequest {}).await,
        "Auth.AuthEnable",
    );
    missing(
        auth.user_add(pb::AuthUserAddRequest::default()).await,
        "Auth.UserAdd",
    );
    let status = auth.auth_status(pb::AuthStatusRequest {}).await.unwrap();
    assert!(!status.into_inner().enabled);

    let mut lock = v3lockpb::lock_client::LockClient::new(server.channel());
    missing(
        lock.lock(v3lockpb::LockRequest::default()).await,
        "Lock.Lock",
    );
    let mut election = v3electionpb::election_client::ElectionClient::new(server.channel());
    let campaign = election
        .campaign(v3electionpb::CampaignRequest::default())
        .await;
    missing(campaign, "Election.Campaign");
    let observe = election
        .observe(v3electionpb::LeaderRequest::default())
        .await;
    missing(observe, "Election.Observe");
    server.stop().await;
}
