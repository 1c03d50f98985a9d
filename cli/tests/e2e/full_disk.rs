//! The disk is full: nothing is added, what is there can be read and deleted, nothing that was acknowledged
//! is lost, and when there is room again everything goes on. The disk is a small tmpfs, which takes root.

use std::path::Path;
use std::process::Command;

use etcd_client::{AlarmAction, AlarmType, CompactionOptions, DeleteOptions, GetOptions};

use crate::harness::client::{Client, bounded, code_and_text, revision};
use crate::harness::cluster::{Cluster, Settings};
use crate::harness::{eventually, server};

/// How large the disk is: three segments of the log, the reserve, and some room for the store.
const DISK: &str = "size=360m";
/// How large values are.
const VALUE_BYTES: usize = 400_000;

/// A disk that goes away with it.
struct SmallDisk<'a>(&'a Path);

impl<'a> SmallDisk<'a> {
    fn mount(at: &'a Path) -> Option<SmallDisk<'a>> {
        std::fs::create_dir_all(at).expect("a folder");
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", DISK, "tmpfs"])
            .arg(at)
            .status();
        if !mounted.is_ok_and(|status| status.success()) {
            eprintln!("left out: only root can mount a small disk");
            return None;
        }
        Some(SmallDisk(at))
    }
}

impl Drop for SmallDisk<'_> {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.0).status();
    }
}

fn key(number: usize) -> String {
    format!("full/{number:04}")
}

fn value(number: usize) -> String {
    format!("{number:04}").repeat(VALUE_BYTES / 4)
}

/// How many of these keys are there, each with its value.
async fn count(client: &mut Client, limit: usize) -> usize {
    let mut found = 0;
    for number in 0..limit {
        let read = bounded(client.get(key(number), None)).await;
        let read = read.expect("it can be read");
        if let Some(kv) = read.kvs().first() {
            assert_eq!(kv.value(), value(number).as_bytes());
            found += 1;
        }
    }
    found
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_takes_no_more_and_loses_nothing() {
    if !server::is_ours() {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let at = folder.path().join("disk");
    let Some(disk) = SmallDisk::mount(&at) else {
        return;
    };
    let settings = Settings {
        small_log: true,
        ..Settings::default()
    };
    let mut cluster = Cluster::plan(1, settings);
    let data = disk.0.join("data");
    cluster.members[0].folder.clone_from(&data);
    cluster.members[0].set_flag("data-dir", &data.display().to_string());
    cluster.start_all().await;
    let mut client = cluster.client(0).await;

    // Until it takes no more.
    let mut written = 0;
    let refused = loop {
        match bounded(client.put(key(written), value(written), None)).await {
            Ok(_) => written += 1,
            Err(error) => break code_and_text(&error),
        }
        assert!(written < 2000, "it takes more than the disk holds");
    };
    assert!(refused.1.contains("database space exceeded"), "{refused:?}");
    assert_eq!(count(&mut client, written).await, written);

    // Somebody else takes what is left; it may end, and loses nothing.
    let filler = disk.0.join("filler");
    let filled = Command::new("dd")
        .args(["if=/dev/zero", "bs=1M", "count=4096"])
        .arg(format!("of={}", filler.display()))
        .output();
    assert!(!filled.expect("dd runs").status.success(), "it is full now");
    for number in 0..3 {
        let _ = bounded(client.delete(key(number), None)).await;
    }
    // There is not even room for a segment of the log, but for the spare one.
    cluster.members[0].kill();
    cluster.members[0].start();
    let mut client = cluster.client(0).await;
    eventually("it starts on a full disk and is read", async || {
        bounded(client.get(key(written - 1), None)).await.ok()
    })
    .await;
    assert!(cluster.members[0].has_said("the spare one is used"));
    cluster.members[0].kill();
    std::fs::remove_file(&filler).expect("it is there");
    cluster.start_all().await;
    let mut client = cluster.client(0).await;
    let left = count(&mut client, written).await;
    assert!(left >= written - 3, "{left} of {written}");

    // Deletions are taken, and give room.
    let prefix = DeleteOptions::new().with_prefix();
    let deleted = bounded(client.delete("full/", Some(prefix))).await;
    assert_eq!(deleted.expect("deletions are taken").deleted(), left as i64);
    let read = client.get("full/", Some(GetOptions::new().with_prefix()));
    let newest = revision(bounded(read).await.expect("a read").header());
    let physical = CompactionOptions::new().with_physical();
    bounded(client.compact(newest, Some(physical)))
        .await
        .expect("it is compacted");
    bounded(client.defragment()).await.expect("it is asked for");
    eventually("there is room again", async || {
        let none = client.alarm(AlarmAction::Deactivate, AlarmType::Nospace, None);
        bounded(none).await.ok()?;
        bounded(client.put("room", "again", None)).await.ok()
    })
    .await;
}
