//! What happens when there is no room: everyone refuses to add, until somebody made room and says so. And
//! members that compare what they hold.

use etcd_client::{
    AlarmAction, AlarmOptions, AlarmType, Client, CompactionOptions, DeleteOptions, Error,
    PutOptions,
};

use crate::harness::client::{bounded, code_and_text, revision};
use crate::harness::cluster::{Cluster, Settings};
use crate::harness::{eventually, server};

const RESOURCE_EXHAUSTED: i32 = 8;
const MIB: usize = 1 << 20;

async fn put(client: &mut Client, key: &str, value: &str) -> Result<i64, Error> {
    let put = client.put(key, value, None::<PutOptions>);
    let response = bounded(put).await?;
    Ok(revision(response.header()))
}

/// Who has an alarm for want of room.
async fn alarms(client: &mut Client) -> Option<Vec<u64>> {
    let get = client.alarm(AlarmAction::Get, AlarmType::Nospace, None);
    let response = bounded(get).await.ok()?;
    let alarms = response.alarms().iter();
    Some(alarms.map(|alarm| alarm.member_id()).collect())
}

/// Everyone refuses to add anything, and reads.
async fn refused_by_all(cluster: &Cluster) {
    for at in 0..cluster.members.len() {
        let mut client = cluster.client(at).await;
        let refusal = eventually("an answer", async || {
            let outcome = put(&mut client, "more", "x").await;
            // Somebody who was just started waits for a leader.
            match outcome.expect_err("there is no room") {
                Error::GRpcStatus(status) if i32::from(status.code()) == 14 => None,
                error => Some(code_and_text(&error)),
            }
        })
        .await;
        let text = "etcdserver: mvcc: database space exceeded".to_owned();
        assert_eq!(refusal, (RESOURCE_EXHAUSTED, text));
        bounded(client.get("k0", None)).await.expect("reads go on");
    }
}

async fn disarm(client: &mut Client, members: &[u64]) {
    for &member in members {
        let mut options = AlarmOptions::new();
        options.with_member(member);
        let disarm = client.alarm(AlarmAction::Deactivate, AlarmType::Nospace, Some(options));
        bounded(disarm).await.expect("it is disarmed");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_store_takes_nothing_until_room_is_made_and_the_alarm_disarmed() {
    let settings = Settings {
        flags: vec![format!("--quota-backend-bytes={}", 8 * MIB)],
        ..Settings::default()
    };
    let mut cluster = Cluster::start_with(3, settings).await;
    let mut client = cluster.client(0).await;
    let value = "v".repeat(MIB);
    let mut count = 0;
    while put(&mut client, &format!("k{count}"), &value).await.is_ok() {
        count += 1;
        assert!(count < 20, "it takes more than it may");
    }
    let raised = eventually("an alarm", async || {
        alarms(&mut client)
            .await
            .filter(|alarms| !alarms.is_empty())
    })
    .await;
    refused_by_all(&cluster).await;
    cluster.kill_all();
    cluster.start_all().await;
    refused_by_all(&cluster).await;

    let delete = DeleteOptions::new().with_range("l");
    let deleted = bounded(client.delete("k", Some(delete))).await;
    let deleted = deleted.expect("deletes go on");
    assert_eq!(deleted.deleted(), count);
    let options = CompactionOptions::new().with_physical();
    let compacted = client.compact(revision(deleted.header()), Some(options));
    compacted.await.expect("compaction goes on");
    for at in 0..3 {
        let mut client = cluster.client(at).await;
        client.defragment().await.expect("it answers");
    }
    disarm(&mut client, &raised).await;
    assert_eq!(alarms(&mut client).await, Some(vec![]));
    eventually("room", async || put(&mut client, "k0", &value).await.ok()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_of_one_member_is_known_to_all() {
    if !server::is_ours() {
        return;
    }
    let mut cluster = Cluster::start(3).await;
    let mut client = cluster.client(0).await;
    put(&mut client, "k0", "1").await.expect("there is room");
    // One that finds its disk too full, whatever there is.
    cluster.members[1].terminate();
    cluster.members[1].set_flag("disk-reserve-bytes", "1000000000000000000");
    cluster.start_one(1).await;
    let raised = eventually("an alarm", async || {
        alarms(&mut client)
            .await
            .filter(|alarms| !alarms.is_empty())
    })
    .await;
    refused_by_all(&cluster).await;
    cluster.members[1].terminate();
    cluster.members[1].set_flag("disk-reserve-bytes", "1");
    cluster.start_one(1).await;
    disarm(&mut client, &raised).await;
    eventually("room", async || put(&mut client, "k1", "1").await.ok()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn members_that_hold_the_same_have_the_same_hash_and_no_alarm() {
    let mut cluster = Cluster::start(3).await;
    let mut client = cluster.client(0).await;
    let mut newest = 0;
    for number in 0..20 {
        let key = format!("k{}", number % 7);
        newest = put(&mut client, &key, &number.to_string())
            .await
            .expect("a put");
    }
    let mut hashes = Vec::new();
    for at in 0..3 {
        let mut client = cluster.client(at).await;
        let hash = eventually("a hash", async || client.hash_kv(newest).await.ok()).await;
        hashes.push(hash.hash());
    }
    assert!(hashes.iter().all(|hash| *hash == hashes[0]), "{hashes:?}");
    if server::is_ours() {
        // It does not matter how each has them, and in which run it was told.
        bounded(client.compact(newest, None))
            .await
            .expect("a compaction");
        cluster.members[2].kill();
        cluster.start_one(2).await;
        let mut client = cluster.client(2).await;
        let hash = eventually("a hash", async || client.hash_kv(newest).await.ok()).await;
        assert_eq!(hash.hash(), hashes[0]);
    }
    let all = client.alarm(AlarmAction::Get, AlarmType::Corrupt, None);
    assert!(bounded(all).await.expect("an answer").alarms().is_empty());
}
