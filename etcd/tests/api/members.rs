//! Who is a member, how it is, who leads.

use super::harness::*;
use quorate_etcd::proto::etcdserverpb as pb;
use tonic::Code::FailedPrecondition;

#[tokio::test]
async fn the_members() {
    let server = Server::start().await;
    for linearizable in [false, true] {
        let request = pb::MemberListRequest { linearizable };
        let response = server.cluster().member_list(request).await.unwrap();
        let response = response.into_inner();
        let header = response.header.unwrap();
        let [member] = &response.members[..] else {
            panic!("one member: {:?}", response.members);
        };
        assert_eq!((member.id, member.is_learner), (header.member_id, false));
        assert_eq!(member.name, "default");
        assert_eq!(
            member.client_ur_ls,
            [format!("http://{}", server.address())]
        );
        assert_eq!(member.peer_ur_ls.len(), 1);
    }
    server.stop().await;
}

#[tokio::test]
async fn status() {
    let server = Server::start().await;
    server.put("k", "v").await;
    let response = server.maintenance().status(pb::StatusRequest {}).await;
    let status = response.unwrap().into_inner();
    let header = status.header.unwrap();
    assert_eq!(header.revision, 2);
    assert_eq!(status.leader, header.member_id);
    assert_eq!(status.raft_term, header.raft_term);
    assert!(status.raft_index > 0 && status.raft_applied_index > 0);
    assert!(status.db_size > 0 && status.db_size_in_use > 0);
    assert!(status.errors.is_empty() && !status.is_learner);
    let parts: Vec<u32> = status
        .version
        .split('.')
        .map(|part| part.parse().unwrap())
        .collect();
    if !server.is_real() {
        assert!(parts >= vec![3, 5, 13], "Kubernetes looks at it");
    }
    server.stop().await;
}

#[tokio::test]
async fn there_are_no_alarms() {
    let server = Server::start().await;
    let response = server
        .maintenance()
        .alarm(pb::AlarmRequest::default())
        .await;
    let response = response.unwrap().into_inner();
    assert!(response.header.is_some() && response.alarms.is_empty());
    server.stop().await;
}

#[tokio::test]
async fn moving_the_lead() {
    let server = Server::start().await;
    let member_id = server.range(get("k")).await.header.unwrap().member_id;
    let move_to = |target_id| {
        let mut maintenance = server.maintenance();
        async move {
            maintenance
                .move_leader(pb::MoveLeaderRequest { target_id })
                .await
        }
    };
    let outcome = refused(move_to(member_id ^ 1).await);
    assert_eq!(
        outcome,
        refusal(FailedPrecondition, "bad leader transferee")
    );
    move_to(member_id).await.unwrap();
    server.stop().await;
}

#[tokio::test]
async fn a_client_may_insist_on_a_leader() {
    let server = Server::start().await;
    let mut request = tonic::Request::new(get("k"));
    request
        .metadata_mut()
        .insert("hasleader", "true".parse().unwrap());
    server.kv().range(request).await.unwrap();
    server.stop().await;
}
