//! A member that has come to hold something else than the others.

use bytes::Bytes;
use etcd_client::{AlarmAction, AlarmType, Client};
use quorate_core::NodeId;
use quorate_service::codec::{Batch, encode};
use quorate_service::command::{Command, Put};
use quorate_service::machine::{Machine, Options, Outcome};
use quorate_service::store::Worked;

use crate::harness::client::{bounded, code_and_text, revision};
use crate::harness::cluster::Cluster;
use crate::harness::member::Member;
use crate::harness::{eventually, server};

const DATA_LOSS: i32 = 15;

/// The store of a stopped member applies something that nobody ordered, as if it were the next thing:
/// what bugs have done to replicas elsewhere. Every checksum is right.
fn lead_astray(member: &Member) {
    let dir = member.folder.join("store");
    let (mut machine, checkpoint) = Machine::open(Options::new(dir)).expect("it opens");
    let batch = Batch {
        origin: NodeId(4711),
        incarnation: 1,
        sequence: 1,
        commands: vec![Command::Put(Put {
            key: Bytes::from_static(b"never ordered"),
            value: Bytes::from_static(b"x"),
            ..Put::default()
        })],
    };
    let next = checkpoint.position + 1;
    let mut outcome = Outcome::default();
    machine
        .apply(next, checkpoint.epoch, &encode(&batch), false, &mut outcome)
        .expect("it is applied");
    let flusher = machine.flusher();
    flusher.ask();
    machine.publish();
    while flusher.run_once().expect("the disk works") != Worked::Nothing {}
    assert_eq!(machine.durable().position, next);
}

async fn corrupt(client: &mut Client) -> Option<Vec<u64>> {
    let get = client.alarm(AlarmAction::Get, AlarmType::Corrupt, None);
    let response = bounded(get).await.ok()?;
    let alarms = response.alarms().iter();
    Some(alarms.map(|alarm| alarm.member_id()).collect())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_holds_something_else_is_named_and_rebuilt_from_the_others() {
    if !server::is_ours() {
        return;
    }
    let mut cluster = Cluster::start(3).await;
    let mut client = cluster.client(0).await;
    bounded(client.put("a", "1", None)).await.expect("a put");
    let mut astray = cluster.client(2).await;
    let response = bounded(astray.status()).await.expect("a status");
    let id = response.header().expect("it has one").member_id();
    cluster.members[2].terminate();
    lead_astray(&cluster.members[2]);
    cluster.members[2].start();

    // The next comparison finds it.
    let named = eventually("it is named", async || {
        let _ = bounded(client.put("a", "2", None)).await;
        corrupt(&mut client).await.filter(|named| !named.is_empty())
    })
    .await;
    assert_eq!(named, [id]);
    // It shows nothing of what it holds, and begins again without it, by itself.
    let mut refusals = 0;
    eventually("it agrees again", async || {
        match bounded(astray.get("never ordered", None)).await {
            Ok(found) => assert_eq!(found.count(), 0, "it shows what it holds"),
            Err(error @ etcd_client::Error::GRpcStatus(_)) => {
                let (code, text) = code_and_text(&error);
                if code == DATA_LOSS {
                    assert_eq!(text, "etcdserver: corrupt cluster");
                    refusals += 1;
                }
            }
            Err(_) => {}
        }
        let put = bounded(client.put("a", "3", None)).await;
        put.expect("the others go on");
        corrupt(&mut client).await.filter(Vec::is_empty)
    })
    .await;
    assert!(refusals > 0, "it is heard before it begins again");
    assert!(cluster.members[2].has_said("a majority"));
    cluster.member_ready(2).await;
    let newest = bounded(client.put("a", "4", None)).await.expect("a put");
    let newest = revision(newest.header());
    let mut hashes = Vec::new();
    for at in 0..3 {
        let mut client = cluster.client(at).await;
        let hash = eventually("a hash", async || client.hash_kv(newest).await.ok()).await;
        hashes.push(hash.hash());
    }
    assert!(hashes.iter().all(|hash| *hash == hashes[0]), "{hashes:?}");
    let stray = bounded(astray.get("never ordered", None)).await;
    assert_eq!(stray.expect("it serves").count(), 0);
}
