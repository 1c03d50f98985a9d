//! Alarms, the quota, hashes, compaction by itself, and what probes ask.

use std::time::Duration;

use super::harness::*;
use super::plain_http::http;
use quorate_etcd::proto::etcdserverpb as pb;
use tonic::Code::{DataLoss, FailedPrecondition, InvalidArgument, OutOfRange, ResourceExhausted};
use tonic::Status;

use pb::AlarmType;
use pb::alarm_request::AlarmAction;
use pb::downgrade_request::DowngradeAction;

async fn alarm(
    server: &Server,
    action: AlarmAction,
    member_id: u64,
    alarm: AlarmType,
) -> Result<Vec<(u64, AlarmType)>, Status> {
    let request = pb::AlarmRequest {
        action: action.into(),
        member_id,
        alarm: alarm.into(),
    };
    let response = server.maintenance().alarm(request).await?.into_inner();
    assert!(response.header.is_some());
    let alarms = response.alarms.iter();
    Ok(alarms.map(|it| (it.member_id, it.alarm())).collect())
}

async fn alarms(server: &Server) -> Vec<(u64, AlarmType)> {
    alarm(server, AlarmAction::Get, 0, AlarmType::None)
        .await
        .unwrap()
}

async fn status(server: &Server) -> pb::StatusResponse {
    let response = server.maintenance().status(pb::StatusRequest {}).await;
    response.unwrap().into_inner()
}

fn no_space() -> (tonic::Code, String) {
    refusal(ResourceExhausted, "mvcc: database space exceeded")
}

#[tokio::test]
async fn an_alarm_for_space() {
    let server = Server::start().await;
    let me = server.member_id().await;
    server.put("a", "1").await;
    server.put("b", "1").await;
    assert_eq!(alarms(&server).await, []);
    let raised = vec![(me, AlarmType::Nospace)];
    let outcome = alarm(&server, AlarmAction::Activate, me, AlarmType::Nospace).await;
    assert_eq!(outcome.unwrap(), raised);
    assert_eq!(alarms(&server).await, raised);
    let none = alarm(&server, AlarmAction::Get, 0, AlarmType::Corrupt).await;
    assert_eq!(none.unwrap(), []);

    assert_eq!(refused(server.kv().put(put("c", "1")).await), no_space());
    let with_put = txn(vec![], vec![op_get("a")], vec![op_put("c", "1")]);
    assert_eq!(refused(server.kv().txn(with_put).await), no_space());
    assert_eq!(refused(server.grant(7, 60).await), no_space());
    // What adds nothing goes on.
    assert!(server.row("a").await.is_some());
    server.txn(all(vec![op_delete("b", ""), op_get("a")])).await;
    let revision = server.delete("a").await;
    server.compact(revision).await.unwrap();

    let errors = status(&server).await.errors;
    assert_eq!(errors, [format!("memberID:{me} alarm:NOSPACE ")]);
    let (head, body) = http(&server, "GET /health HTTP/1.1").await;
    assert!(head.contains(" 503 "), "{head}");
    assert!(body.contains("ALARM NOSPACE"), "{body}");
    let (head, _) = http(&server, "GET /health?exclude=NOSPACE HTTP/1.1").await;
    assert!(head.contains(" 200 "), "{head}");

    let disarm = || alarm(&server, AlarmAction::Deactivate, me, AlarmType::Nospace);
    assert_eq!(disarm().await.unwrap(), raised);
    assert_eq!(disarm().await.unwrap(), []);
    assert_eq!(alarms(&server).await, []);
    server.put("c", "1").await;
    assert_eq!(status(&server).await.errors, [""; 0]);
    server.stop().await;
}

#[tokio::test]
async fn an_alarm_for_corruption() {
    let server = Server::start().await;
    let me = server.member_id().await;
    server.put("a", "1").await;
    let mut watcher = server.watch();
    watcher.created(watch("a")).await;
    let renewals = futures::stream::pending::<pb::LeaseKeepAliveRequest>();
    let renewed = server.lease().lease_keep_alive(renewals).await;
    let mut renewed = renewed.unwrap().into_inner();
    let raise = alarm(&server, AlarmAction::Activate, me, AlarmType::Corrupt).await;
    assert_eq!(raise.unwrap(), [(me, AlarmType::Corrupt)]);
    let corrupt = refusal(DataLoss, "corrupt cluster");
    // Its streams go on.
    if !server.is_real() {
        assert_eq!(refused(watcher.try_next().await), corrupt);
        assert_eq!(refused(renewed.message().await), corrupt);
    }
    assert_eq!(refused(server.kv().put(put("a", "2")).await), corrupt);
    assert_eq!(refused(server.grant(7, 60).await), corrupt);
    // It shows its rows all the same.
    if !server.is_real() {
        let serializable = pb::RangeRequest {
            serializable: true,
            ..get("a")
        };
        assert_eq!(refused(server.kv().range(serializable).await), corrupt);
        assert_eq!(refused(server.kv().range(get("a")).await), corrupt);
        let (head, body) = http(&server, "GET /readyz HTTP/1.1").await;
        assert!(head.contains(" 503 "), "{head}");
        assert!(
            body.contains("[-]data_corruption failed: alarm activated: CORRUPT\n"),
            "{body}"
        );
    }
    let disarm = alarm(&server, AlarmAction::Deactivate, me, AlarmType::Corrupt).await;
    assert_eq!(disarm.unwrap(), [(me, AlarmType::Corrupt)]);
    assert_eq!(server.row("a").await.unwrap().value, "1");
    server.stop().await;
}

#[tokio::test]
async fn alarms_that_nobody_knows() {
    let server = Server::start().await;
    if server.is_real() {
        return; // It ends its process.
    }
    let outcome = alarm(&server, AlarmAction::Activate, 1, AlarmType::None).await;
    assert_eq!(
        refused(outcome),
        refusal(InvalidArgument, "alarm type is not known")
    );
    server.put("still", "there").await;
    server.stop().await;
}

#[tokio::test]
async fn the_quota_raises_an_alarm_and_room_can_be_made() {
    const QUOTA: u64 = 8 << 20;
    let server = Server::start_with(Limits {
        quota_bytes: Some(QUOTA),
        ..Limits::default()
    })
    .await;
    let me = server.member_id().await;
    let value = "v".repeat(1 << 20);
    let mut count = 0;
    let outcome = loop {
        match server.kv().put(put(&format!("k{count}"), &value)).await {
            Ok(_) => count += 1,
            Err(status) => break refused::<()>(Err(status)),
        }
        assert!(count < 20, "it holds more than it may");
    };
    assert_eq!(outcome, no_space());
    assert!(count >= 2);
    eventually(async || alarms(&server).await == [(me, AlarmType::Nospace)]).await;
    // Now nothing is added, however small.
    assert_eq!(refused(server.kv().put(put("a", "1")).await), no_space());
    server.kv().delete_range(delete("k", "l")).await.unwrap();
    let revision = server.revision().await;
    server.compact(revision).await.unwrap();
    let defragment = pb::DefragmentRequest {};
    let response = server.maintenance().defragment(defragment).await.unwrap();
    assert!(response.into_inner().header.is_none());
    let disarm = alarm(&server, AlarmAction::Deactivate, me, AlarmType::Nospace).await;
    assert_eq!(disarm.unwrap(), [(me, AlarmType::Nospace)]);
    eventually(async || server.kv().put(put("a", &value)).await.is_ok()).await;
    if !server.is_real() {
        assert_eq!(status(&server).await.db_size_quota, QUOTA.cast_signed());
    }
    server.stop().await;
}

async fn hash(server: &Server, revision: i64) -> Result<(u32, i64), Status> {
    let request = pb::HashKvRequest { revision };
    let response = server.maintenance().hash_kv(request).await?.into_inner();
    Ok((response.hash, response.compact_revision))
}

#[tokio::test]
async fn hashes() {
    let server = Server::start().await;
    server.put("a", "1").await;
    let two = hash(&server, 0).await.unwrap();
    let three = server.put("a", "2").await;
    assert_ne!(hash(&server, 0).await.unwrap().0, two.0);
    assert_eq!(hash(&server, 2).await.unwrap().0, two.0);
    let then = hash(&server, three).await.unwrap().0;
    assert_eq!(
        refused(hash(&server, three + 1).await),
        refusal(OutOfRange, "mvcc: required revision is a future revision")
    );
    server.compact(three).await.unwrap();
    assert_eq!(
        refused(hash(&server, 2).await),
        refusal(OutOfRange, "mvcc: required revision has been compacted")
    );
    // It has no hash at the very revision that was compacted.
    if !server.is_real() {
        assert_eq!(hash(&server, three).await.unwrap(), (then, three));
    }
    let response = server.maintenance().hash(pb::HashRequest {}).await.unwrap();
    assert!(response.into_inner().header.is_some());
    server.stop().await;
}

#[tokio::test]
async fn downgrades_are_answered() {
    let server = Server::start().await;
    let downgrade = async |action: DowngradeAction, version: &str| {
        let request = pb::DowngradeRequest {
            action: action.into(),
            version: version.to_owned(),
        };
        refused(server.maintenance().downgrade(request).await)
    };
    assert_eq!(
        downgrade(DowngradeAction::Validate, "x").await,
        refusal(InvalidArgument, "wrong downgrade target version format")
    );
    assert_eq!(
        downgrade(DowngradeAction::Validate, "9.9.0").await,
        refusal(InvalidArgument, "invalid downgrade target version")
    );
    assert_eq!(
        downgrade(DowngradeAction::Cancel, "").await,
        refusal(FailedPrecondition, "no inflight downgrade job")
    );
    server.stop().await;
}

#[tokio::test]
async fn history_is_forgotten_by_itself() {
    let server = Server::start_with(Limits {
        retention: Some(Duration::from_secs(1)),
        ..Limits::default()
    })
    .await;
    for _ in 0..5 {
        server.put("a", "1").await;
    }
    eventually(async || hash(&server, 0).await.unwrap().1 >= 6).await;
    assert_eq!(server.row("a").await.unwrap().version, 5);
    let old = pb::RangeRequest {
        revision: 2,
        ..get("a")
    };
    assert_eq!(
        refused(server.kv().range(old).await),
        refusal(OutOfRange, "mvcc: required revision has been compacted")
    );
    server.stop().await;
}

#[tokio::test]
async fn probes() {
    let server = Server::start().await;
    if server.is_real() {
        return; // The one that we have is too old for them.
    }
    let get = async |path: &str| http(&server, &format!("GET {path} HTTP/1.1")).await;
    for path in [
        "/livez",
        "/readyz",
        "/readyz/linearizable_read",
        "/livez/serializable_read",
    ] {
        let (head, body) = get(path).await;
        assert!(head.contains(" 200 "), "{path}: {head}");
        assert_eq!(body, "ok\n", "{path}");
    }
    let (_, body) = get("/readyz?verbose&exclude=whole").await;
    let lines = [
        "[+]data_corruption ok",
        "[+]linearizable_read ok",
        "[+]non_learner ok",
        "[+]serializable_read ok",
        "ok",
    ];
    assert_eq!(body.lines().collect::<Vec<_>>(), lines);
    let (head, _) = get("/readyz/nothing").await;
    assert!(head.contains(" 404 "), "{head}");
    server.stop().await;
}

#[tokio::test]
async fn how_old_what_is_read_may_be() {
    let server = Server::start().await;
    let aged = |age: &str| {
        let mut request = tonic::Request::new(get("a"));
        let metadata = request.metadata_mut();
        metadata.insert("quorate-max-age-ms", age.parse().unwrap());
        request
    };
    server.put("a", "1").await;
    // A server that does not know the key answers with the newest, which is young enough.
    for age in ["0", "60000"] {
        let response = server.kv().range(aged(age)).await.unwrap().into_inner();
        assert_eq!(response.kvs[0].value, "1");
    }
    if !server.is_real() {
        let (code, text) = refused(server.kv().range(aged("soon")).await);
        assert_eq!(code, InvalidArgument);
        assert!(text.contains("milliseconds"), "{text}");
    }
    server.stop().await;
}
