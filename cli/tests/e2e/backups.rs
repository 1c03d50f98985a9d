//! A backup is taken while clients write, and a new cluster begins with it.

use std::path::Path;
use std::process::Command;

use etcd_client::{GetOptions, GetResponse, WatchOptions};

use crate::harness::client::bounded;
use crate::harness::cluster::{Cluster, Settings, initial_cluster};
use crate::harness::{protocol, server};
use crate::history::load::Load;
use crate::history::verdict::judge;

/// How far the new cluster goes ahead.
const BUMP: i64 = 1_000_000;

/// Runs `quorate snapshot`; what it printed.
fn snapshot(arguments: &[&str]) -> Result<String, String> {
    let mut command = Command::new(server::quorate().get_program());
    let output = command.arg("snapshot").args(arguments).output();
    let output = output.expect("the binary runs");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    match output.status.success() {
        true => Ok(text(&output.stdout)),
        false => Err(text(&output.stderr)),
    }
}

/// Makes the data directories of a planned cluster.
fn restore(file: &Path, cluster: &Cluster, protocol: &str) {
    let all = initial_cluster(&cluster.members);
    for member in &cluster.members {
        snapshot(&[
            "restore",
            &file.display().to_string(),
            &format!("--data-dir={}", member.folder.display()),
            &format!("--name={}", member.name),
            &format!("--initial-cluster={all}"),
            &format!("--initial-advertise-peer-urls={}", member.peer_url()),
            &format!("--protocol={protocol}"),
            &format!("--bump-revision={BUMP}"),
            "--mark-compacted",
        ])
        .expect("it is restored");
    }
}

/// Everything that is there, as of a revision.
async fn everything(cluster: &Cluster, at: usize, revision: i64) -> GetResponse {
    let mut client = cluster.client(at).await;
    let options = GetOptions::new().with_all_keys().with_revision(revision);
    let read = bounded(client.get("", Some(options))).await;
    read.expect("it can be read")
}

/// A key with its value, the revisions of its creation and of its last change, and its version.
type Row = (Vec<u8>, Vec<u8>, i64, i64, i64);

/// What a client can tell apart, but for what a revision bump changes.
fn rows(response: &GetResponse) -> Vec<Row> {
    let kvs = response.kvs().iter();
    kvs.map(|kv| {
        let (key, value) = (kv.key().to_vec(), kv.value().to_vec());
        (
            key,
            value,
            kv.create_revision(),
            kv.mod_revision(),
            kv.version(),
        )
    })
    .collect()
}

async fn carry_over(from: &Cluster, file: &Path, to: &str, wanted: &GetResponse) {
    let mut new = Cluster::plan(
        3,
        Settings {
            flags: vec![format!("--protocol={to}")],
            ..Settings::default()
        },
    );
    restore(file, &new, to);
    new.start_all().await;
    let revision = wanted.header().map_or(0, |header| header.revision());
    for at in 0..3 {
        let found = everything(&new, at, 0).await;
        assert!(
            rows(&found) == rows(wanted),
            "{to}: other rows than in the backup"
        );
        let now = found.header().map_or(0, |header| header.revision());
        assert!(now >= BUMP && now > revision, "{to}: revision {now}");
    }
    // Whoever watched the old cluster is told that it has missed something.
    let mut client = new.client(1).await;
    let options = WatchOptions::new().with_start_revision(7);
    let watch = bounded(client.watch("load/", Some(options))).await;
    let (_watcher, mut watch) = watch.expect("a watch");
    loop {
        let told = bounded(watch.message()).await;
        let told = told.expect("an answer").expect("an answer");
        if told.canceled() {
            assert!(told.compact_revision() >= BUMP, "{told:?}");
            break;
        }
        assert!(told.events().is_empty(), "{told:?}");
    }
    // The new cluster is a cluster, and the old one is none the wiser.
    let load = Load::begin_as("new", &new.endpoints());
    load.progress(20).await;
    new.members[2].kill();
    load.progress(20).await;
    // What it began with is in no log: the others have it.
    let store = new.members[2].folder.join("store").join("store.redb");
    std::fs::remove_file(store).expect("it is there");
    new.start_one(2).await;
    assert!(new.members[2].has_said("rebuilt from the other members"));
    let (mine, theirs) = (everything(&new, 2, 0).await, everything(&new, 0, 0).await);
    let old = |response: &GetResponse| {
        let mut rows = rows(response);
        rows.retain(|row| row.3 <= revision);
        rows
    };
    assert!(
        old(&mine) == old(&theirs),
        "{to}: other rows after a rebuild"
    );
    new.kill_all();
    new.start_all().await;
    load.progress(20).await;
    drop(load);
    assert!(from.endpoints() != new.endpoints());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_under_load_becomes_a_cluster_of_another_protocol() {
    if !server::is_ours() {
        return;
    }
    let mut cluster = Cluster::start(3).await;
    let load = Load::begin(&cluster.endpoints());
    load.progress(200).await;
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("backup");
    let name = file.display().to_string();
    let endpoint = format!("--endpoints={}", cluster.members[1].client_url());
    snapshot(&["save", &name, &endpoint]).expect("it is saved");
    load.progress(50).await;
    let told = snapshot(&["status", &name, "-w", "json"]).expect("it is whole");
    let told: serde_json::Value = serde_json::from_str(&told).expect("one object");
    let revision = told["revision"].as_i64().expect("a number");
    assert!(
        revision > 1 && told["totalKey"].as_i64() > Some(1),
        "{told}"
    );
    let wanted = everything(&cluster, 0, revision).await;
    let all = [
        "raft",
        "multipaxos",
        "viewstamped",
        "primary-backup",
        "chain",
    ];
    let mine = protocol().unwrap_or_else(|| "raft".to_owned());
    let others = all.into_iter().filter(|name| *name != mine);
    // One is enough where time is short; any factor tries them all.
    let count = if std::env::var_os("QUORATE_E2E_FACTOR").is_some() {
        all.len()
    } else {
        1
    };
    for other in others.take(count) {
        carry_over(&cluster, &file, other, &wanted).await;
    }
    judge(&mut cluster, load, Vec::new()).await;
}

#[test]
fn what_is_no_backup_is_refused_and_nothing_is_left() {
    if !server::is_ours() {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("backup");
    let name = file.display().to_string();
    std::fs::write(&file, "no backup at all, and far too short").expect("it is written");
    let data = folder.path().join("data");
    let restored = snapshot(&["restore", &name, &format!("--data-dir={}", data.display())]);
    let said = restored.expect_err("it is none");
    assert!(said.contains("cannot be used"), "{said}");
    assert!(!data.exists(), "a directory was left");
    let said = snapshot(&["status", &name]).expect_err("it is none");
    assert!(said.contains("cannot be used"), "{said}");
    // Where something is, nothing is restored.
    std::fs::create_dir(&data).expect("a folder");
    std::fs::write(data.join("precious"), "data").expect("it is written");
    let restored = snapshot(&["restore", &name, &format!("--data-dir={}", data.display())]);
    assert!(restored.expect_err("it is there").contains("is not empty"));
    assert!(data.join("precious").exists());
}
