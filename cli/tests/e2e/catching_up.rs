//! A member that was away for so long that the log it missed is gone: it gets a snapshot.

use crate::harness::client::bounded;
use crate::harness::cluster::{Cluster, Settings};
use crate::harness::{disk, eventually, server};
use crate::history::load::{Load, PREFIX};
use crate::history::verdict::judge;
use crate::history::watcher::Watcher;

/// Two files of a log and a bit; much less than what is written below.
const LOG_BYTES_MAX: u64 = 150 << 20;
/// Under this come values that only fill the log.
const FILLER: &str = "filler/";

fn small_log() -> Settings {
    Settings {
        small_log: true,
        ..Settings::default()
    }
}

/// Writes several times as much as a small log keeps.
async fn fill(cluster: &Cluster, at: usize, round: usize) {
    let mut client = cluster.client(at).await;
    for number in 0..300 {
        let key = format!("{FILLER}{}", number % 50);
        let value = format!("{round}-{number}-").repeat(2000);
        bounded(client.put(key, value, None))
            .await
            .expect("acknowledged");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_follower_that_was_away_for_long_catches_up_by_snapshot() {
    let mut cluster = Cluster::start_with(3, small_log()).await;
    let load = Load::begin(&cluster.endpoints());
    for round in 0..2 {
        let leader = cluster.leader().await;
        let away = (leader + 1) % 3;
        load.progress(30).await;
        cluster.members[away].kill();
        fill(&cluster, leader, round).await;
        load.progress(30).await;
        cluster.start_one(away).await;
        expect_same_everywhere(&cluster).await;
    }
    // What came by snapshot must last: everyone starts from what is on the disks.
    load.progress(30).await;
    cluster.kill_all();
    judge(&mut cluster, load, Vec::new()).await;
    expect_same_everywhere(&cluster).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_follower_is_killed_while_it_catches_up() {
    let mut cluster = Cluster::start_with(3, small_log()).await;
    let load = Load::begin(&cluster.endpoints());
    let leader = cluster.leader().await;
    let away = (leader + 1) % 3;
    cluster.members[away].kill();
    fill(&cluster, leader, 0).await;
    // At another moment of the transfer each time.
    for moment in [20, 60, 120, 250, 500] {
        cluster.members[away].start();
        tokio::time::sleep(std::time::Duration::from_millis(moment)).await;
        cluster.members[away].kill();
        load.progress(5).await;
    }
    cluster.start_one(away).await;
    expect_same_everywhere(&cluster).await;
    judge(&mut cluster, load, Vec::new()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn watches_go_on_where_they_were_although_the_member_got_a_snapshot() {
    let mut cluster = Cluster::start_with(3, small_log()).await;
    let load = Load::begin(&cluster.endpoints());
    let leader = cluster.leader().await;
    let away = (leader + 1) % 3;
    // They know no other member, so they must go on at the one that was away.
    let only = [cluster.members[away].client_url()];
    let killed = Watcher::begin("watcher of a killed member", &only, PREFIX, 1);
    load.progress(50).await;
    cluster.members[away].kill();
    fill(&cluster, leader, 0).await;
    load.progress(30).await;
    cluster.start_one(away).await;

    // The same with a process that slept instead: its streams are still open when it wakes up.
    let paused = Watcher::begin("watcher of a paused member", &only, PREFIX, 1);
    load.progress(50).await;
    cluster.members[away].pause();
    let leader = cluster.leader_besides(&[away]).await;
    fill(&cluster, leader, 1).await;
    load.progress(30).await;
    cluster.members[away].resume();
    cluster.member_ready(away).await;
    load.progress(30).await;
    judge(&mut cluster, load, vec![killed, paused]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_log_grows_without_bound() {
    let mut cluster = Cluster::start_with(1, small_log()).await;
    let mut client = cluster.client(0).await;
    // Enough for several of the files that a log consists of.
    for number in 0..280 {
        let value = format!("{number:08}").repeat(1 << 17);
        bounded(client.put("large", value, None))
            .await
            .expect("acknowledged");
        if number % 50 == 0 {
            bounded(client.compact(number + 2, None))
                .await
                .expect("compacted");
        }
    }
    // Eventually, since it is cleaned up behind the writers.
    let folder = cluster.members[0].folder.clone();
    eventually("the log is small again", async || {
        (disk::log_bytes(&folder) <= LOG_BYTES_MAX).then_some(())
    })
    .await;
    cluster.members[0].kill();
    cluster.start_all().await;
    let mut client = cluster.client(0).await;
    let newest = bounded(client.get("large", None)).await.expect("it serves");
    // An etcd 3.5.1 of one member acknowledges before it has written: 14370.
    let is_there = newest.kvs()[0].value().starts_with(b"00000279");
    assert!(
        is_there || !server::is_ours(),
        "an acknowledged write is missing"
    );
}

/// Every member has the same filler.
async fn expect_same_everywhere(cluster: &Cluster) {
    let mut first = None;
    for at in 0..cluster.members.len() {
        let mut client = cluster.client(at).await;
        let all = etcd_client::GetOptions::new().with_prefix();
        let answer = bounded(client.get(FILLER, Some(all)))
            .await
            .expect("it serves");
        let rows = crate::history::state(answer.kvs());
        let first = first.get_or_insert_with(|| rows.clone());
        assert!(
            *first == rows,
            "{} has other rows",
            cluster.members[at].name
        );
    }
}
