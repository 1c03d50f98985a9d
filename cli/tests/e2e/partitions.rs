//! Lines that carry words one way only, or none, under load.

use crate::harness::client::bounded;
use crate::harness::cluster::{Cluster, ELECTION_TIMEOUT, Settings};
use crate::harness::proxy::Line;
use crate::harness::{eventually, has_views, rounds, server};
use crate::history::load::Load;
use crate::history::load::PREFIX;
use crate::history::verdict::judge;
use crate::history::watcher::Watcher;

async fn start() -> Cluster {
    let settings = Settings {
        proxies: true,
        ..Settings::default()
    };
    Cluster::start_with(3, settings).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_that_is_not_answered_gives_way() {
    if !server::is_ours() {
        // An etcd's streams are opened by the one who listens, so this breaks another direction.
        return;
    }
    let mut cluster = start().await;
    let load = Load::begin(&cluster.endpoints());
    let watcher = Watcher::begin("a watcher", &cluster.endpoints(), PREFIX, 1);
    for round in 0..rounds(2) {
        load.progress(50).await;
        let leader = cluster.leader().await;
        // It is heard by all, and hears nobody: the others must not follow it for ever.
        let line = [Line::Silent, Line::Down][round % 2];
        cluster.proxies[leader].set(line);
        cluster.leader_besides(&[leader]).await;
        // Nor may it answer reads from its own memory.
        load.progress(50).await;
        cluster.proxies[leader].set(Line::Up);
        cluster.member_ready(leader).await;
    }
    load.progress(50).await;
    judge(&mut cluster, load, vec![watcher]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_follower_that_hears_nobody_disturbs_nobody() {
    let mut cluster = start().await;
    let load = Load::begin(&cluster.endpoints());
    load.progress(30).await;
    let leader = cluster.leader().await;
    let term = term(&cluster, leader).await;
    let deaf = (leader + 1) % 3;
    for line in [Line::Silent, Line::Down] {
        cluster.proxies[deaf].set(line);
        // It would like to be elected, again and again.
        tokio::time::sleep(ELECTION_TIMEOUT * 5).await;
        load.progress(30).await;
        cluster.proxies[deaf].set(Line::Up);
        cluster.member_ready(deaf).await;
    }
    // Where views name their members, who is deaf is left out and taken in again, each time in a new
    // view; and if it answered for the view service, somebody else does from then on.
    if !has_views() {
        assert_eq!(cluster.leader().await, leader, "the same one leads");
        assert_eq!(
            self::term(&cluster, leader).await,
            term,
            "there was no election"
        );
    }
    judge(&mut cluster, load, Vec::new()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn when_all_lines_break_nothing_is_served_and_nothing_lost() {
    let mut cluster = start().await;
    let load = Load::begin(&cluster.endpoints());
    let watcher = Watcher::begin("a watcher", &cluster.endpoints(), PREFIX, 1);
    for line in [Line::Silent, Line::Down] {
        load.progress(50).await;
        for proxy in &cluster.proxies {
            proxy.set(line);
        }
        tokio::time::sleep(ELECTION_TIMEOUT * 3).await;
        let mut client = cluster.client(0).await;
        assert!(
            bounded(client.get("alone", None)).await.is_err(),
            "nobody can vouch for a read"
        );
        for proxy in &cluster.proxies {
            proxy.set(Line::Up);
        }
    }
    load.progress(50).await;
    judge(&mut cluster, load, vec![watcher]).await;
}

async fn term(cluster: &Cluster, at: usize) -> u64 {
    let mut client = cluster.client(at).await;
    let status = eventually("a member tells its status", async || {
        bounded(client.status()).await.ok()
    });
    status.await.raft_term()
}
