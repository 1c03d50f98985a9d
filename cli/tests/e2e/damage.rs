//! A member whose log lost what it had acknowledged makes up for it from the others.

use std::fs;

use crate::harness::client::bounded;
use crate::harness::cluster::Cluster;
use crate::harness::disk::Segment;
use crate::harness::{eventually, rounds, server};
use crate::history::load::Load;
use crate::history::verdict::judge;

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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_of_three_damaged_members_invent_nothing() {
    if !server::is_ours() {
        return;
    }
    let mut cluster = Cluster::start(3).await;
    let value = "what two of them will have lost";
    let mut client = cluster.client(0).await;
    bounded(client.put("spot", value, None))
        .await
        .expect("a put is acknowledged");
    for at in 0..3 {
        // A linearizable read, so that each has it.
        let mut client = cluster.client(at).await;
        bounded(client.get("spot", None)).await.expect("it serves");
    }
    bounded(client.put("behind", "it", None))
        .await
        .expect("a put is acknowledged");
    for member in &cluster.members[..2] {
        eventually("it is in the log", async || {
            Segment::find(&member.folder, value.as_bytes())
        })
        .await;
    }
    cluster.kill_all();
    for at in 0..2 {
        let (segment, at) = Segment::with(&cluster.members[at].folder, value.as_bytes());
        segment.flip(at + 3);
    }
    for member in &mut cluster.members {
        member.start();
    }
    let mut witness = cluster.client(2).await;
    let read = bounded(witness.get("spot", None)).await;
    assert!(
        read.is_err(),
        "nobody can know whether that is the last value"
    );
    assert!(
        cluster
            .members
            .iter_mut()
            .all(|member| member.ended().is_none())
    );
}
