//! Partitions of a real network, under load: the kernel drops what members send one another. Left out, with a
//! note, where network namespaces are not to be had.

use crate::harness::cluster::{Cluster, ELECTION_TIMEOUT};
use crate::harness::network::Network;
use crate::harness::{rounds, server};
use crate::history::load::{Load, PREFIX};
use crate::history::verdict::judge;
use crate::history::watcher::Watcher;

/// Five members that are under load, if there can be a network for them.
async fn under_load() -> Option<(Cluster, Load, Watcher)> {
    if !server::is_ours() {
        return None;
    }
    let cluster = Cluster::start_in(Network::make(5)?).await;
    let load = Load::begin(&cluster.endpoints());
    let watcher = Watcher::begin("a watcher", &cluster.endpoints(), PREFIX, 1);
    load.progress(50).await;
    Some((cluster, load, watcher))
}

/// All but these of five.
fn besides(some: &[usize]) -> Vec<usize> {
    (0..5).filter(|at| !some.contains(at)).collect()
}

/// Ends the trouble, and judges.
async fn heal(mut cluster: Cluster, load: Load, watcher: Watcher) {
    cluster.network().heal();
    cluster.ready().await;
    load.progress(50).await;
    judge(&mut cluster, load, vec![watcher]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_majority_goes_on_without_the_side_of_the_old_leader() {
    let Some((cluster, load, watcher)) = under_load().await else {
        return;
    };
    for _ in 0..rounds(1) {
        let leader = cluster.leader().await;
        let few = [leader, (leader + 1) % 5];
        cluster.network().part(&few, &besides(&few));
        cluster.leader_besides(&few).await;
        load.progress(50).await;
        cluster.network().heal();
        load.progress(50).await;
    }
    heal(cluster, load, watcher).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_that_hears_nobody_gives_way() {
    let Some((cluster, load, watcher)) = under_load().await else {
        return;
    };
    for _ in 0..rounds(1) {
        let leader = cluster.leader().await;
        for other in besides(&[leader]) {
            cluster.network().cut(other, leader);
        }
        cluster.leader_besides(&[leader]).await;
        load.progress(50).await;
        cluster.network().heal();
        load.progress(50).await;
    }
    heal(cluster, load, watcher).await;
}

/// Two sides that meet in one member: it hears everybody, and nobody else has a quorum without it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bridge_between_two_sides_is_enough() {
    let Some((cluster, load, watcher)) = under_load().await else {
        return;
    };
    for round in 0..rounds(1) {
        let bridge = (cluster.leader().await + 1 + round) % 5;
        let others = besides(&[bridge]);
        cluster.network().part(&others[..2], &others[2..]);
        tokio::time::sleep(ELECTION_TIMEOUT * 4).await;
        load.progress(50).await;
        cluster.network().heal();
        load.progress(50).await;
    }
    heal(cluster, load, watcher).await;
}

/// What stopped a large control plane for six hours in 2020: a single pair that does not hear one another.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_broken_pair_does_not_stop_the_rest() {
    let Some((cluster, load, watcher)) = under_load().await else {
        return;
    };
    for _ in 0..rounds(1) {
        let leader = cluster.leader().await;
        cluster.network().part(&[leader], &[(leader + 1) % 5]);
        tokio::time::sleep(ELECTION_TIMEOUT * 4).await;
        load.progress(50).await;
        cluster.network().heal();
        load.progress(50).await;
    }
    heal(cluster, load, watcher).await;
}
