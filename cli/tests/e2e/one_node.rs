//! A cluster of one, through crashes and with a damaged disk.

use std::time::Duration;

use etcd_client::WatchOptions;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::harness::client::{Client, bounded, revision};
use crate::harness::cluster::Cluster;
use crate::harness::disk::Segment;
use crate::harness::{eventually, rounds, server};
use crate::history::load::{Load, PREFIX};
use crate::history::state;
use crate::history::verdict::judge;
use crate::history::watcher::Watcher;

/// A key and its value, numbered.
fn pair(number: usize) -> (String, String) {
    (
        format!("key-{number:05}"),
        format!("value-{number:05}-{}", number * 7919),
    )
}

async fn write(client: &mut Client, numbers: std::ops::Range<usize>) {
    for number in numbers {
        let (key, value) = pair(number);
        bounded(client.put(key, value, None))
            .await
            .expect("a put is acknowledged");
    }
}

async fn expect_all(client: &mut Client, numbers: std::ops::Range<usize>) {
    for number in numbers {
        let (key, value) = pair(number);
        let found = bounded(client.get(key.as_str(), None))
            .await
            .expect("the member serves");
        let found = found
            .kvs()
            .first()
            .unwrap_or_else(|| panic!("{key} was acknowledged and is missing"));
        assert_eq!(found.value(), value.as_bytes(), "{key}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_put_is_there_after_a_clean_restart() {
    let mut cluster = Cluster::start(1).await;
    let mut client = cluster.client(0).await;
    write(&mut client, 0..100).await;
    let before = bounded(client.get("key-00000", None))
        .await
        .expect("it serves");
    // A watch that is open does not keep the process.
    let watch = client.watch("key", Some(WatchOptions::new().with_prefix()));
    let _open = bounded(watch).await.expect("a watch starts");

    let status = cluster.members[0].terminate();
    if server::is_ours() {
        assert_eq!(status.code(), Some(0), "a clean end");
    }
    cluster.start_all().await;

    let mut client = cluster.client(0).await;
    expect_all(&mut client, 0..100).await;
    let after = bounded(client.get("key-00000", None))
        .await
        .expect("it serves");
    assert_eq!(state(after.kvs()), state(before.kvs()));
    assert_eq!(revision(after.header()), revision(before.header()));
    write(&mut client, 100..101).await;
    let next = bounded(client.get("key-00100", None))
        .await
        .expect("it serves");
    assert_eq!(revision(next.header()), revision(before.header()) + 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_acknowledged_is_lost_when_it_is_killed_again_and_again() {
    let mut cluster = Cluster::start(1).await;
    let load = Load::begin(&cluster.endpoints());
    let watcher = Watcher::begin("a watcher", &cluster.endpoints(), PREFIX, 1);
    for _ in 0..rounds(5) {
        load.progress(100).await;
        cluster.members[0].kill();
        cluster.members[0].start();
    }
    load.progress(100).await;
    judge(&mut cluster, load, vec![watcher]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_torn_tail_of_the_log_is_dropped_and_nothing_else() {
    if !server::is_ours() {
        return;
    }
    let mut cluster = Cluster::start(1).await;
    let mut random = StdRng::seed_from_u64(1);
    for round in 0..6 {
        let mut client = cluster.client(0).await;
        expect_all(&mut client, 0..round * 20).await;
        write(&mut client, round * 20..round * 20 + 20).await;
        let segment = when_quiet(&cluster).await;
        cluster.members[0].kill();
        let used = segment.used();
        match round % 3 {
            // A write that got nowhere.
            0 => {
                let mut garbage = vec![0; 3000];
                random.fill_bytes(&mut garbage);
                segment.append(&garbage);
            }
            // The last frame of an idle log says what was durable and holds nothing itself.
            1 => segment.cut(used - 10),
            _ => segment.append(b"QfrM and then the power failed"),
        }
        cluster.start_all().await;
    }
    expect_all(&mut cluster.client(0).await, 0..120).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn damage_in_what_was_acknowledged_is_reported_and_never_dropped() {
    if !server::is_ours() {
        return;
    }
    let mut cluster = Cluster::start(1).await;
    write(&mut cluster.client(0).await, 0..50).await;
    when_quiet(&cluster).await;
    cluster.members[0].kill();
    let (_, value) = pair(20);
    let (segment, at) = Segment::with(&cluster.members[0].folder, value.as_bytes());
    for place in [at + 3, segment.frame_before(at) + 12] {
        segment.flip(place);
        let said = cluster.members[0].start_and_fail();
        assert!(said.to_lowercase().contains("damaged"), "{said}");
        assert!(!said.contains("panicked"), "{said}");
        segment.restore(place);
    }
    // It was only looked at, so nothing is lost once the bits are right again.
    cluster.start_all().await;
    expect_all(&mut cluster.client(0).await, 0..50).await;
}

/// Waits until the log has nothing more to write: its newest segment.
async fn when_quiet(cluster: &Cluster) -> Segment {
    let folder = &cluster.members[0].folder;
    eventually("the log comes to rest", async || {
        let before = Segment::newest(folder).used();
        tokio::time::sleep(Duration::from_millis(400)).await;
        let segment = Segment::newest(folder);
        (segment.used() == before).then_some(segment)
    })
    .await
}
