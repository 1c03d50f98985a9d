//! A cluster of three under load, while its members are killed, paused and asked to end.

use crate::harness::client::{self, bounded};
use crate::harness::cluster::{Cluster, ELECTION_TIMEOUT};
use crate::harness::{eventually, rounds, server, within};
use crate::history::load::{Load, PREFIX};
use crate::history::verdict::judge;
use crate::history::watcher::Watcher;

/// How many election timeouts a cluster may take to serve again after it lost its leader. A few are
/// enough on a quiet machine; the tests' machine is not.
const ELECTIONS_MAX: u32 = 20;

/// A watcher at each member; when that member is lost, it goes on at the next.
fn watchers(cluster: &Cluster) -> Vec<Watcher> {
    let mut endpoints = cluster.endpoints();
    let mut watchers = Vec::new();
    for member in &cluster.members {
        watchers.push(Watcher::begin(
            &format!("watcher of {}", member.name),
            &endpoints,
            PREFIX,
            1,
        ));
        endpoints.rotate_left(1);
    }
    watchers
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_leader_is_killed_again_and_again() {
    let mut cluster = Cluster::start(3).await;
    let load = Load::begin(&cluster.endpoints());
    let watchers = watchers(&cluster);
    for _ in 0..rounds(5) {
        load.progress(100).await;
        let leader = cluster.leader().await;
        cluster.members[leader].kill();
        load.progress(50).await;
        cluster.members[leader].start();
    }
    load.progress(100).await;
    judge(&mut cluster, load, watchers).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_members_are_killed_at_once() {
    let mut cluster = Cluster::start(3).await;
    let load = Load::begin(&cluster.endpoints());
    let watchers = watchers(&cluster);
    for _ in 0..rounds(3) {
        load.progress(100).await;
        cluster.kill_all();
        for member in &mut cluster.members {
            member.start();
        }
    }
    load.progress(100).await;
    judge(&mut cluster, load, watchers).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_leader_is_paused_for_longer_than_its_lead() {
    let mut cluster = Cluster::start(3).await;
    let load = Load::begin(&cluster.endpoints());
    let watchers = watchers(&cluster);
    for _ in 0..rounds(3) {
        load.progress(100).await;
        let leader = cluster.leader().await;
        cluster.members[leader].pause();
        // Others lead and write, then the old leader wakes up with reads in its hands.
        cluster.leader_besides(&[leader]).await;
        load.progress(50).await;
        tokio::time::sleep(ELECTION_TIMEOUT).await;
        cluster.members[leader].resume();
    }
    load.progress(100).await;
    judge(&mut cluster, load, watchers).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_follower_is_killed_and_paused() {
    let mut cluster = Cluster::start(3).await;
    let load = Load::begin(&cluster.endpoints());
    let watchers = watchers(&cluster);
    for round in 0..rounds(4) {
        load.progress(50).await;
        let follower = (cluster.leader().await + 1 + round % 2) % 3;
        if round % 4 < 2 {
            cluster.members[follower].kill();
            load.progress(50).await;
            cluster.members[follower].start();
        } else {
            cluster.members[follower].pause();
            load.progress(50).await;
            tokio::time::sleep(ELECTION_TIMEOUT * 2).await;
            cluster.members[follower].resume();
        }
    }
    load.progress(50).await;
    judge(&mut cluster, load, watchers).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_of_three_gone_means_no_service_and_no_loss() {
    let mut cluster = Cluster::start(3).await;
    let load = Load::begin(&cluster.endpoints());
    load.progress(100).await;
    let leader = cluster.leader().await;
    let others = [(leader + 1) % 3, (leader + 2) % 3];
    for other in others {
        cluster.members[other].kill();
    }
    // A leader that is alone can neither write nor vouch for what it reads.
    let mut client = cluster.client(leader).await;
    tokio::time::sleep(ELECTION_TIMEOUT * 2).await;
    assert!(bounded(client.put("alone", "x", None)).await.is_err());
    assert!(bounded(client.get("alone", None)).await.is_err());
    for other in others {
        cluster.members[other].start();
    }
    load.progress(100).await;
    judge(&mut cluster, load, Vec::new()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_serves_again_soon_after_the_leader_is_lost() {
    let mut cluster = Cluster::start(3).await;
    for _ in 0..2 {
        let leader = cluster.leader().await;
        let mut client = cluster.client((leader + 1) % 3).await;
        cluster.members[leader].kill();
        let served = within(ELECTION_TIMEOUT * ELECTIONS_MAX, async || {
            bounded(client.put("again", "served", None)).await.ok()
        });
        assert!(
            served.await.is_some(),
            "no service {ELECTIONS_MAX} election timeouts after a leader was lost"
        );
        cluster.start_one(leader).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_that_is_asked_to_end_hands_over_first() {
    let mut cluster = Cluster::start(3).await;
    let load = Load::begin(&cluster.endpoints());
    let watchers = watchers(&cluster);
    for _ in 0..rounds(3) {
        load.progress(50).await;
        let leader = cluster.leader().await;
        let mut other = cluster.client((leader + 1) % 3).await;
        let before = bounded(other.status())
            .await
            .expect("it serves")
            .raft_term();
        let status = cluster.members[leader].terminate();
        if server::is_ours() {
            assert_eq!(status.code(), Some(0), "a clean end");
            // The hand-over is done when the process has ended: nobody had to wait for a timeout.
            let after = bounded(other.status()).await.expect("it serves");
            assert_ne!(after.leader(), 0, "there is a leader at once");
            assert!(after.raft_term() > before, "another one leads");
        }
        load.progress(50).await;
        cluster.start_one(leader).await;
    }
    judge(&mut cluster, load, watchers).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_member_answers_every_request() {
    let cluster = Cluster::start(3).await;
    for at in 0..3 {
        let mut writer = cluster.client(at).await;
        let mut reader = client::connect(&cluster.members[(at + 1) % 3].client_url()).await;
        bounded(writer.put("who", format!("{at}"), None))
            .await
            .expect("acknowledged");
        let seen = bounded(reader.get("who", None)).await.expect("answered");
        assert_eq!(seen.kvs()[0].value(), format!("{at}").as_bytes());
        let lease = bounded(writer.lease_grant(60, None))
            .await
            .expect("granted");
        let left = bounded(reader.lease_time_to_live(lease.id(), None))
            .await
            .expect("answered");
        assert!(left.ttl() > 0, "a lease is known everywhere");
        // A member may serve before it has told the others its name.
        eventually("everybody has told its name", async || {
            let members = bounded(writer.member_list()).await.expect("answered");
            let members = members.members().iter();
            let mut names: Vec<&str> = members.map(|member| member.name()).collect();
            names.sort_unstable();
            (names == ["n1", "n2", "n3"]).then_some(())
        })
        .await;
    }
}
