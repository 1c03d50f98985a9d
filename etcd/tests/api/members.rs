//! Who is a member, how it is, who leads.

use super::harness::*;
use quorate_etcd::proto::etcdserverpb as pb;
use tonic::Code::{FailedPrecondition, InvalidArgument, NotFound};
use tonic::Status;

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

fn urls(urls: &[&str]) -> Vec<String> {
    urls.iter().map(|&url| url.to_owned()).collect()
}

async fn add(
    server: &Server,
    url: &str,
    is_learner: bool,
) -> Result<pb::MemberAddResponse, Status> {
    let request = pb::MemberAddRequest {
        peer_ur_ls: urls(&[url]),
        is_learner,
    };
    Ok(server.cluster().member_add(request).await?.into_inner())
}

async fn remove(server: &Server, id: u64) -> Result<pb::MemberRemoveResponse, Status> {
    let request = pb::MemberRemoveRequest { id };
    Ok(server.cluster().member_remove(request).await?.into_inner())
}

async fn update(
    server: &Server,
    id: u64,
    peer_ur_ls: Vec<String>,
) -> Result<pb::MemberUpdateResponse, Status> {
    let request = pb::MemberUpdateRequest { id, peer_ur_ls };
    Ok(server.cluster().member_update(request).await?.into_inner())
}

async fn promote(server: &Server, id: u64) -> Result<pb::MemberPromoteResponse, Status> {
    let request = pb::MemberPromoteRequest { id };
    Ok(server.cluster().member_promote(request).await?.into_inner())
}

#[tokio::test]
async fn changes_of_members_that_are_refused() {
    let server = Server::start().await;
    let me = server.member_id().await;
    let bad_urls = refusal(InvalidArgument, "given member URLs are invalid");
    let mut all = vec![
        vec![],
        urls(&["127.0.0.1:1"]),
        urls(&["http://127.0.0.1"]),
        urls(&["http://127.0.0.1:1", "ftp://a:1"]),
        urls(&["http://127.0.0.1:1/path"]),
    ];
    if server.is_real() {
        // It takes one of them, and from then on waits for a member that nobody reaches.
        all.clear();
    }
    for bad in all {
        let request = pb::MemberAddRequest {
            peer_ur_ls: bad.clone(),
            is_learner: false,
        };
        let outcome = server.cluster().member_add(request).await;
        assert_eq!(refused(outcome), bad_urls, "{bad:?}");
        // It takes any.
        if !server.is_real() {
            assert_eq!(refused(update(&server, me, bad).await), bad_urls);
        }
    }
    let not_found = refusal(NotFound, "member not found");
    let good = urls(&["http://127.0.0.1:1"]);
    assert_eq!(refused(remove(&server, 77).await), not_found);
    assert_eq!(refused(update(&server, 77, good).await), not_found);
    assert_eq!(refused(promote(&server, 77).await), not_found);
    assert_eq!(
        refused(promote(&server, me).await),
        refusal(FailedPrecondition, "can only promote a learner member")
    );
    let text = "re-configuration failed due to not enough started members";
    let (code, found) = refused(remove(&server, me).await);
    assert_eq!(found, format!("etcdserver: {text}"));
    // 3.5.1 knows no code for it yet.
    assert!(code == FailedPrecondition || server.is_real());
    let mut cluster = server.cluster();
    let list = cluster.member_list(pb::MemberListRequest::default()).await;
    let own = list.unwrap().into_inner().members.remove(0).peer_ur_ls;
    assert_eq!(
        refused(add(&server, &own[0], false).await),
        refusal(FailedPrecondition, "Peer URLs already exists")
    );
    server.stop().await;
}

#[tokio::test]
async fn a_learner_comes_and_goes() {
    let server = Server::start().await;
    let me = server.member_id().await;
    let added = add(&server, "http://127.0.0.1:1", true).await.unwrap();
    let learner = added.member.unwrap();
    assert!(learner.is_learner && learner.name.is_empty() && ![0, me].contains(&learner.id));
    assert_eq!(
        (added.members.len(), added.header.unwrap().member_id),
        (2, me)
    );
    assert!(added.members.contains(&learner));
    assert_eq!(
        refused(add(&server, "http://127.0.0.1:2", true).await),
        refusal(FailedPrecondition, "too many learner members in cluster")
    );
    // It never ran.
    let text = "can only promote a learner member which is in sync with leader";
    assert_eq!(
        refused(promote(&server, learner.id).await),
        refusal(FailedPrecondition, text)
    );
    // It makes a member of the learner, and then waits for it.
    if !server.is_real() {
        let elsewhere = urls(&["http://127.0.0.1:3"]);
        let updated = update(&server, learner.id, elsewhere.clone())
            .await
            .unwrap();
        let found = updated
            .members
            .iter()
            .find(|member| member.id == learner.id);
        assert_eq!(found.unwrap().peer_ur_ls, elsewhere);
        assert_eq!(
            refused(update(&server, me, elsewhere).await),
            refusal(FailedPrecondition, "Peer URLs already exists")
        );
    }
    let removed = remove(&server, learner.id).await.unwrap();
    assert_eq!(removed.members.len(), 1);
    assert_eq!(
        refused(remove(&server, learner.id).await),
        refusal(NotFound, "member not found")
    );
    server.put("k", "v").await;
    server.stop().await;
}
