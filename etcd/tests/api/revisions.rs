//! Revisions, versions, and what a header says.

use super::harness::*;
use quorate_etcd::proto::etcdserverpb as pb;

#[tokio::test]
async fn the_store_starts_at_revision_1() {
    let server = Server::start().await;
    assert_eq!(server.revision().await, 1);
    assert_eq!(server.put("k", "v").await, 2);
    assert_eq!(server.revision().await, 2);
    server.stop().await;
}

#[tokio::test]
async fn a_put_makes_a_row() {
    let server = Server::start().await;
    let first = server.put("k", "one").await;
    let second = server.put("k", "two").await;
    let row = server.row("k").await.unwrap();
    assert_eq!(row.value, "two");
    assert_eq!(row.create_revision, first);
    assert_eq!(row.mod_revision, second);
    assert_eq!((row.version, row.lease), (2, 0));
    let response = server.range(get("k")).await;
    assert_eq!((response.count, response.more), (1, false));
    server.stop().await;
}

#[tokio::test]
async fn a_delete_of_nothing_takes_no_revision() {
    let server = Server::start().await;
    server.put("k", "v").await;
    let response = server.kv().delete_range(delete("none", "")).await;
    let response = response.unwrap().into_inner();
    assert_eq!(response.deleted, 0);
    assert_eq!(response.header.unwrap().revision, 2);
    assert_eq!(server.delete("k").await, 3);
    server.stop().await;
}

#[tokio::test]
async fn after_a_delete_version_and_creation_start_anew() {
    let server = Server::start().await;
    server.put("k", "v").await;
    server.put("k", "v").await;
    server.delete("k").await;
    assert_eq!(server.row("k").await, None);
    let again = server.put("k", "v").await;
    let row = server.row("k").await.unwrap();
    assert_eq!((row.version, row.create_revision), (1, again));
    server.stop().await;
}

#[tokio::test]
async fn previous_rows_are_answered_if_asked_for() {
    let server = Server::start().await;
    let with_prev = |value: &str| pb::PutRequest {
        prev_kv: true,
        ..put("k", value)
    };
    let put = |request| async { server.kv().put(request).await.unwrap().into_inner().prev_kv };
    assert_eq!(put(with_prev("one")).await, None);
    let prev = put(with_prev("two")).await.unwrap();
    assert_eq!((&prev.value[..], prev.version), (&b"one"[..], 1));
    server.put("k2", "other").await;
    let request = pb::DeleteRangeRequest {
        prev_kv: true,
        ..delete("k", "l")
    };
    let response = server.kv().delete_range(request).await.unwrap();
    let response = response.into_inner();
    assert_eq!(response.deleted, 2);
    let values: Vec<_> = response.prev_kvs.iter().map(|kv| &kv.value[..]).collect();
    assert_eq!(values, [b"two".as_slice(), b"other"]);
    server.stop().await;
}

#[tokio::test]
async fn value_and_lease_can_be_kept() {
    let server = Server::start().await;
    server.grant(7, 100).await.unwrap();
    let request = pb::PutRequest {
        lease: 7,
        ..put("k", "v")
    };
    server.kv().put(request).await.unwrap();
    let keep_value = pb::PutRequest {
        ignore_value: true,
        lease: 7,
        ..put("k", "")
    };
    server.kv().put(keep_value.clone()).await.unwrap();
    let row = server.row("k").await.unwrap();
    assert_eq!((&row.value[..], row.lease, row.version), (&b"v"[..], 7, 2));
    let keep_lease = pb::PutRequest {
        ignore_lease: true,
        ..put("k", "w")
    };
    server.kv().put(keep_lease).await.unwrap();
    let row = server.row("k").await.unwrap();
    assert_eq!((&row.value[..], row.lease, row.version), (&b"w"[..], 7, 3));
    server.put("k", "x").await;
    let row = server.row("k").await.unwrap();
    assert_eq!(
        (row.lease, row.version),
        (0, 4),
        "a put without lease detaches"
    );
    server.stop().await;
}

#[tokio::test]
async fn refusals_of_puts() {
    use tonic::Code::{InvalidArgument, NotFound};
    let server = Server::start().await;
    let put_with = |change: fn(&mut pb::PutRequest)| {
        let mut request = put("k", "v");
        change(&mut request);
        let mut kv = server.kv();
        async move { refused(kv.put(request).await) }
    };
    assert_eq!(
        put_with(|p| p.key.clear()).await,
        refusal(InvalidArgument, "key is not provided")
    );
    assert_eq!(
        put_with(|p| p.ignore_value = true).await,
        refusal(InvalidArgument, "value is provided")
    );
    assert_eq!(
        put_with(|p| (p.ignore_lease, p.lease) = (true, 7)).await,
        refusal(InvalidArgument, "lease is provided")
    );
    assert_eq!(
        put_with(|p| p.lease = 7).await,
        refusal(NotFound, "requested lease not found")
    );
    assert_eq!(
        put_with(|p| (p.ignore_value, p.value) = (true, "".into())).await,
        refusal(InvalidArgument, "key not found")
    );
    assert_eq!(
        put_with(|p| p.ignore_lease = true).await,
        refusal(InvalidArgument, "key not found")
    );
    assert_eq!(server.revision().await, 1, "nothing had an effect");
    server.stop().await;
}

#[tokio::test]
async fn headers_say_who_answered_and_where_the_store_stood() {
    let server = Server::start().await;
    let header = server.range(get("k")).await.header.unwrap();
    let request = pb::MemberListRequest::default();
    let members = server.cluster().member_list(request).await;
    let members = members.unwrap().into_inner().members;
    assert_eq!(header.member_id, members[0].id);
    assert_ne!(header.cluster_id, 0);
    assert!(header.raft_term >= 1);
    server.put("a", "1").await;
    let old = pb::RangeRequest {
        revision: 1,
        ..get("a")
    };
    server.put("a", "2").await;
    let response = server.range(old).await;
    assert_eq!((response.count, response.header.unwrap().revision), (0, 3));
    server.stop().await;
}
