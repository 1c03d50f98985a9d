//! A member whose log lost what it had acknowledged makes up for it from the others.

use std::fs;

use crate::harness::client::bounded;
use crate::harness::cluster::Cluster;
use crate::harness::disk::Segment;
use crate::harness::{self, eventually, rounds, server};
use crate::history::load::Load;
use crate::history::verdict::judge;
use crate::observing::page;

/// How often a member has said that its log is damaged.
fn complaints(cluster: &Cluster, at: usize) -> usize {
    let said = fs::read_to_string(&cluster.members[at].log).expect("its output is there");
    said.matches("this member acknowledged cannot be read")
        .count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_member_with_a_damaged_log_recovers_from_the_others() {
    if !server::is_ours() {
        return;
    }
    let mut cluster = Cluster::start(3).await;
    let load = Load::begin(&cluster.endpoints());
    for round in 0..rounds(2) {
        // Leader and follower in turn.
        let victim = (cluster.leader().await + round) % 3;
        let other = (victim + 1) % 3;
        let value = format!("what will be damaged in round {round}");
        let mut client = cluster.client(victim).await;
        bounded(client.put("spot", value.clone(), None))
            .await
            .expect("a put is acknowledged");
        load.progress(50).await;
        cluster.members[victim].kill();
        let (segment, at) = Segment::with(&cluster.members[victim].folder, value.as_bytes());
        segment.flip(at + 3);
        let before = complaints(&cluster, victim);
        cluster.start_one(victim).await;
        assert_eq!(complaints(&cluster, victim), before + 1, "it says so");
        // Without another member its vote and its disk are needed.
        cluster.members[other].kill();
        load.progress(20).await;
        cluster.start_one(other).await;
        // What was damaged is not needed any more.
        cluster.members[victim].kill();
        cluster.start_one(victim).await;
        assert_eq!(complaints(&cluster, victim), before + 1, "it is mended");
    }
    judge(&mut cluster, load, Vec::new()).await;
}

/// Three members, each of which has these values in its log, one behind the other and then one more; and all down.
async fn with_values(values: &[&str]) -> Cluster {
    let mut cluster = Cluster::start(3).await;
    let mut client = cluster.client(0).await;
    for (key, value) in values.iter().chain(&["what follows"]).enumerate() {
        bounded(client.put(format!("key {key}"), *value, None))
            .await
            .expect("a put is acknowledged");
    }
    for member in &cluster.members {
        for value in values {
            eventually("it is in the log", async || {
                Segment::find(&member.folder, value.as_bytes())
            })
            .await;
        }
    }
    cluster.kill_all();
    cluster
}

fn spoil(cluster: &Cluster, at: usize, value: &str) {
    let (segment, at) = Segment::with(&cluster.members[at].folder, value.as_bytes());
    segment.flip(at + 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_of_three_members_that_lost_different_entries_put_them_back() {
    // Other protocols need a quorum that lost nothing.
    if !server::is_ours() || harness::protocol().is_some_and(|name| name != "raft") {
        return;
    }
    let values = [
        "what the first will have lost",
        "what the second will have lost",
    ];
    let mut cluster = with_values(&values).await;
    for (at, value) in values.iter().enumerate() {
        spoil(&cluster, at, value);
    }
    cluster.start_all().await;
    for at in 0..3 {
        let mut client = cluster.client(at).await;
        for (key, value) in values.iter().enumerate() {
            let read = bounded(client.get(format!("key {key}"), None)).await;
            let read = read.expect("it serves");
            assert_eq!(read.kvs()[0].value_str().expect("it is text"), *value);
        }
        let (_, metrics) = page(cluster.members[at].client_port, "/metrics").await;
        let repaired = !metrics.contains("\nquorate_log_repaired_entries 0\n");
        let says = cluster.members[at].has_said("the write-ahead log is whole again");
        assert_eq!((repaired, says), (at < 2, at < 2), "member {at}: {metrics}");
        assert_eq!(complaints(&cluster, at), usize::from(at < 2));
    }
    // Now any two of them will do.
    cluster.members[2].kill();
    let mut client = cluster.client(0).await;
    bounded(client.put("key", "after all that", None))
        .await
        .expect("they are a quorum");
    cluster.members[0].kill();
    cluster.start_one(0).await;
    assert_eq!(complaints(&cluster, 0), 1, "it is mended");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_all_members_lost_is_not_invented() {
    if !server::is_ours() {
        return;
    }
    let value = "what all of them will have lost";
    let mut cluster = with_values(&[value]).await;
    for at in 0..3 {
        spoil(&cluster, at, value);
        cluster.members[at].start();
    }
    let mut witness = cluster.client(2).await;
    let read = bounded(witness.get("key 0", None)).await;
    assert!(
        read.is_err(),
        "nobody can know whether that is the last value"
    );
    let mut members = cluster.members.iter_mut();
    assert!(members.all(|member| member.ended().is_none()));
}
