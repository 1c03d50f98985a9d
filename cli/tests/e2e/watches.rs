//! Watches through the third party's client: what is sent, in which order, and when it ends.

use std::collections::BTreeMap;

use etcd_client::{
    CompactionOptions, EventType, Txn, TxnOp, WatchFilterType, WatchOptions, WatchResponse,
    WatchStream,
};

use crate::harness::client::{bounded, revision};
use crate::harness::cluster::Cluster;
use crate::harness::{PATIENCE, server};
use crate::history::load::{Load, PREFIX};
use crate::history::verdict::judge;
use crate::history::watcher::Watcher;

async fn next(stream: &mut WatchStream) -> WatchResponse {
    let message = tokio::time::timeout(PATIENCE, stream.message()).await;
    message
        .expect("something comes")
        .expect("no error")
        .expect("no end")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_watchers_of_all_members_see_the_same() {
    let mut cluster = Cluster::start(3).await;
    let load = Load::begin(&cluster.endpoints());
    let mut watchers = Vec::new();
    // Some begin with the first revision, some with the newest, some in between; also with ones to come.
    for round in 0..4 {
        for member in &cluster.members {
            let newest = crate::history::verdict::newest(&cluster, 0).await;
            let from = [1, newest / 2 + 1, newest, newest + 50][round];
            let who = format!("watcher {round} of {} from {from}", member.name);
            watchers.push(Watcher::begin(&who, &[member.client_url()], PREFIX, from));
        }
        load.progress(60).await;
    }
    load.progress(100).await;
    judge(&mut cluster, load, watchers).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_carry_what_was_asked_for() {
    let cluster = Cluster::start(1).await;
    let mut client = cluster.client(0).await;
    let options = WatchOptions::new().with_prefix().with_prev_key();
    let (_watcher, mut stream) = bounded(client.watch("w/", Some(options)))
        .await
        .expect("created");
    let deletes = WatchOptions::new()
        .with_prefix()
        .with_filters([WatchFilterType::NoPut]);
    let (_filtered, mut only_deletes) = bounded(client.watch("w/", Some(deletes)))
        .await
        .expect("created");

    let first = bounded(client.put("w/a", "1", None))
        .await
        .expect("acknowledged");
    let both = Txn::new().and_then([TxnOp::put("w/a", "2", None), TxnOp::put("w/b", "2", None)]);
    bounded(client.txn(both)).await.expect("acknowledged");
    bounded(client.delete("w/a", None))
        .await
        .expect("acknowledged");

    let put = next(&mut stream).await;
    assert_eq!(put.events().len(), 1);
    assert!(put.events()[0].prev_kv().is_none());
    let kv = put.events()[0].kv().expect("a row");
    assert_eq!(kv.mod_revision(), revision(first.header()));

    // Both events of one transaction come together and have its revision.
    let both = next(&mut stream).await;
    let [a, b] = both.events() else {
        panic!("{both:?}")
    };
    assert_eq!(a.prev_kv().expect("asked for").value(), b"1");
    assert!(b.prev_kv().is_none());
    assert_eq!(
        a.kv().map(|kv| kv.mod_revision()),
        b.kv().map(|kv| kv.mod_revision())
    );

    for stream in [&mut stream, &mut only_deletes] {
        let gone = next(stream).await;
        let [event] = gone.events() else {
            panic!("{gone:?}")
        };
        assert_eq!(event.event_type(), EventType::Delete);
        let kv = event.kv().expect("a row");
        assert_eq!(
            (kv.key(), kv.value(), kv.create_revision()),
            (&b"w/a"[..], &b""[..], 0)
        );
        assert_eq!(kv.mod_revision(), revision(first.header()) + 2);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_watch_that_starts_in_the_past_or_future_misses_and_repeats_nothing() {
    let cluster = Cluster::start(1).await;
    let mut client = cluster.client(0).await;
    for number in 0..50 {
        bounded(client.put("k", format!("{number}"), None))
            .await
            .expect("acknowledged");
    }
    // The first put made revision 2.
    for from in [1, 2, 30, 60] {
        let options = WatchOptions::new().with_start_revision(from);
        let watch = bounded(client.watch("k", Some(options))).await;
        let (_watcher, mut stream) = watch.expect("created");
        let mut expected = from.max(2);
        if from == 60 {
            for number in 50..70 {
                bounded(client.put("k", format!("{number}"), None))
                    .await
                    .expect("acknowledged");
            }
        }
        let upto = if from == 60 { 71 } else { 51 };
        while expected <= upto {
            for event in next(&mut stream).await.events() {
                let kv = event.kv().expect("a row");
                assert_eq!(kv.mod_revision(), expected);
                assert_eq!(kv.value(), format!("{}", expected - 2).as_bytes());
                expected += 1;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_watch_of_what_was_compacted_is_told_so() {
    let cluster = Cluster::start(1).await;
    let mut client = cluster.client(0).await;
    for number in 0..20 {
        bounded(client.put("k", format!("{number}"), None))
            .await
            .expect("acknowledged");
    }
    bounded(client.delete("k", None))
        .await
        .expect("acknowledged");
    let options = CompactionOptions::new().with_physical();
    bounded(client.compact(22, Some(options)))
        .await
        .expect("compacted");

    let too_old = WatchOptions::new().with_start_revision(10);
    let (_watcher, mut stream) = bounded(client.watch("k", Some(too_old)))
        .await
        .expect("created");
    let told = next(&mut stream).await;
    assert!(told.canceled());
    assert_eq!(told.compact_revision(), 22);
    assert!(told.events().is_empty());

    // The newest revision is still there, also when it is a deletion, which etcd 3.5 forgets: 19179.
    if !server::is_ours() {
        return;
    }
    let at = WatchOptions::new().with_start_revision(22);
    let (_watcher, mut stream) = bounded(client.watch("k", Some(at))).await.expect("created");
    let gone = next(&mut stream).await;
    assert_eq!(gone.events()[0].event_type(), EventType::Delete);
    assert_eq!(gone.events()[0].kv().map(|kv| kv.mod_revision()), Some(22));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_watches_share_one_stream() {
    let cluster = Cluster::start(1).await;
    let mut client = cluster.client(0).await;
    let (mut watcher, mut stream) = bounded(client.watch("s/0", None)).await.expect("created");
    let mut keys = BTreeMap::from([(watcher.watch_id(), "s/0".to_owned())]);
    for number in 1..20 {
        let key = format!("s/{number}");
        watcher.watch(key.as_str(), None).await.expect("sent");
        let created = next(&mut stream).await;
        assert!(created.created());
        assert!(
            keys.insert(created.watch_id(), key).is_none(),
            "each has its own number"
        );
    }
    for number in (0..20).rev() {
        let key = format!("s/{number}");
        bounded(client.put(key.as_str(), "x", None))
            .await
            .expect("acknowledged");
        let told = next(&mut stream).await;
        assert_eq!(keys[&told.watch_id()], key);
        assert_eq!(
            told.events()[0].kv().map(|kv| kv.key()),
            Some(key.as_bytes())
        );
    }
    let of_seven = keys
        .iter()
        .find(|(_, key)| *key == "s/7")
        .map(|(id, _)| *id)
        .expect("it is there");
    watcher.cancel_by_id(of_seven).await.expect("sent");
    let told = next(&mut stream).await;
    assert!(
        told.canceled() && told.watch_id() == of_seven && told.cancel_reason().is_empty(),
        "{told:?}"
    );
    bounded(client.put("s/7", "y", None))
        .await
        .expect("acknowledged");
    bounded(client.put("s/8", "y", None))
        .await
        .expect("acknowledged");
    let told = next(&mut stream).await;
    assert_eq!(
        keys[&told.watch_id()],
        "s/8",
        "a watch that was cancelled is silent"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn progress_names_a_revision_up_to_which_everything_was_sent() {
    let cluster = Cluster::start(3).await;
    let mut client = cluster.client(0).await;
    let (mut watcher, mut stream) = bounded(client.watch("p", None)).await.expect("created");
    bounded(client.put("other", "x", None))
        .await
        .expect("acknowledged");
    let put = bounded(client.put("p", "x", None))
        .await
        .expect("acknowledged");
    let sent = next(&mut stream).await;
    assert_eq!(sent.events().len(), 1);
    watcher.request_progress().await.expect("sent");
    let progress = next(&mut stream).await;
    assert!(progress.events().is_empty());
    assert!(revision(progress.header()) >= revision(put.header()));
}
