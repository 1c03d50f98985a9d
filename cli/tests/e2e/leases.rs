//! Leases, whose time goes on whoever leads.

use std::time::{Duration, Instant};

use etcd_client::{EventType, LeaseGrantOptions, LeaseTimeToLiveOptions, PutOptions, WatchOptions};

use crate::harness::client::{Client, bounded};
use crate::harness::cluster::Cluster;
use crate::harness::{PATIENCE, eventually, server};

async fn exists(client: &mut Client, key: &str) -> Option<bool> {
    let found = bounded(client.get(key, None)).await.ok()?;
    Some(!found.kvs().is_empty())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lease_outlives_its_leader_and_then_expires() {
    const TTL: i64 = 4;
    let mut cluster = Cluster::start(3).await;
    let leader = cluster.leader().await;
    let mut client = cluster.client((leader + 1) % 3).await;
    let short = bounded(client.lease_grant(TTL, None))
        .await
        .expect("granted")
        .id();
    let long = bounded(client.lease_grant(600, None))
        .await
        .expect("granted")
        .id();
    for (key, lease) in [("short/b", short), ("short/a", short), ("long", long)] {
        let options = PutOptions::new().with_lease(lease);
        bounded(client.put(key, "x", Some(options)))
            .await
            .expect("acknowledged");
    }
    // Nothing can expire before this much time after the last renewal began.
    let renewed = Instant::now();
    let (_keeper, _renewals) = bounded(client.lease_keep_alive(short))
        .await
        .expect("renewed");

    cluster.members[leader].kill();
    let gone = eventually("the lease expires under the next leader", async || {
        let answer = exists(&mut client, "short/a").await?;
        (!answer).then(Instant::now)
    })
    .await;
    assert!(
        gone - renewed >= Duration::from_secs(TTL as u64),
        "expired early, after {:?}",
        gone - renewed
    );
    assert_eq!(
        exists(&mut client, "short/b").await,
        Some(false),
        "all its keys go at once"
    );
    assert_eq!(exists(&mut client, "long").await, Some(true));
    let left = bounded(client.lease_time_to_live(short, None))
        .await
        .expect("answered");
    assert_eq!(left.ttl(), -1, "the lease itself is gone");
    let left = LeaseTimeToLiveOptions::new().with_keys();
    let left = bounded(client.lease_time_to_live(long, Some(left)))
        .await
        .expect("answered");
    assert!(left.ttl() > 300 && left.granted_ttl() == 600);
    assert_eq!(left.keys(), [b"long".to_vec()]);

    // One revision deleted both keys, in the order of the keys.
    let options = WatchOptions::new().with_prefix().with_start_revision(1);
    let (_watcher, mut stream) = bounded(client.watch("short/", Some(options)))
        .await
        .expect("created");
    let mut deleted = Vec::new();
    while deleted.len() < 2 {
        let message = tokio::time::timeout(PATIENCE, stream.message()).await;
        let message = message
            .expect("history comes")
            .expect("no error")
            .expect("no end");
        for event in message
            .events()
            .iter()
            .filter(|event| event.event_type() == EventType::Delete)
        {
            let kv = event.kv().expect("a row");
            deleted.push((kv.mod_revision(), kv.key_str().expect("ASCII").to_owned()));
        }
    }
    assert_eq!(deleted[0].0, deleted[1].0);
    assert_eq!(
        [deleted[0].1.as_str(), &deleted[1].1],
        ["short/a", "short/b"]
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lease_that_is_renewed_stays_through_restarts_of_everyone() {
    let mut cluster = Cluster::start(3).await;
    let mut client = cluster.client(0).await;
    // Negative ids are ids; etcd 3.5.1 loses them when it is started again.
    let id = if server::is_ours() { -77 } else { 77 };
    let options = LeaseGrantOptions::new().with_id(id);
    let lease = bounded(client.lease_grant(4, Some(options)))
        .await
        .expect("granted")
        .id();
    assert_eq!(lease, id);
    let options = PutOptions::new().with_lease(lease);
    bounded(client.put("kept", "x", Some(options)))
        .await
        .expect("acknowledged");
    for _ in 0..4 {
        cluster.kill_all();
        cluster.start_all().await;
        let mut client = cluster.client(1).await;
        let (_keeper, _renewals) = bounded(client.lease_keep_alive(lease))
            .await
            .expect("still there");
        assert_eq!(exists(&mut client, "kept").await, Some(true));
    }
    let mut client = cluster.client(2).await;
    bounded(client.lease_revoke(lease)).await.expect("revoked");
    assert_eq!(exists(&mut client, "kept").await, Some(false));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_paused_leader_does_not_let_leases_expire_early() {
    const TTL: u64 = 5;
    let cluster = Cluster::start(3).await;
    let leader = cluster.leader().await;
    let mut client = cluster.client((leader + 1) % 3).await;
    let lease = bounded(client.lease_grant(TTL as i64, None))
        .await
        .expect("granted")
        .id();
    let options = PutOptions::new().with_lease(lease);
    bounded(client.put("k", "x", Some(options)))
        .await
        .expect("acknowledged");
    cluster.members[leader].pause();
    cluster.leader_besides(&[leader]).await;
    // The new leader renews it; the old one wakes up late and must not know better.
    tokio::time::sleep(Duration::from_secs(2)).await;
    let renewed = Instant::now();
    let (_keeper, _renewals) = bounded(client.lease_keep_alive(lease))
        .await
        .expect("renewed");
    tokio::time::sleep(Duration::from_secs(2)).await;
    cluster.members[leader].resume();
    let gone = eventually("the lease expires", async || {
        let answer = exists(&mut client, "k").await?;
        (!answer).then(Instant::now)
    })
    .await;
    assert!(
        gone - renewed >= Duration::from_secs(TTL),
        "expired early, after {:?}",
        gone - renewed
    );
}
