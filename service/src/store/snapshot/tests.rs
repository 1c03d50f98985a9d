//! Backups that are damaged are refused, and those that are not become stores.

use std::path::Path;

use bytes::Bytes;
use quorate_core::NodeId;

use super::*;
use crate::codec::{self, Batch};
use crate::command::{Command, KeyRange, Put, Range};
use crate::error::Error;
use crate::machine::{Machine, Options, Outcome};

fn machine(directory: &Path) -> Machine {
    Machine::open(Options::new(directory)).expect("it opens").0
}

fn apply(machine: &mut Machine, position: u64, command: Command) {
    let batch = Batch {
        origin: NodeId(1),
        incarnation: 1,
        sequence: position,
        commands: vec![command],
    };
    let mut out = Outcome::default();
    machine
        .apply(position, 7, &codec::encode(&batch), false, &mut out)
        .expect("it applies");
}

fn put(machine: &mut Machine, position: u64, key: &str, value: &str) {
    let put = Put {
        key: Bytes::copy_from_slice(key.as_bytes()),
        value: Bytes::copy_from_slice(value.as_bytes()),
        ..Put::default()
    };
    apply(machine, position, Command::Put(put));
}

/// The snapshot of a small store, and of what it holds.
fn snapshot(directory: &Path) -> Vec<u8> {
    let mut machine = machine(directory);
    apply(&mut machine, 1, Command::LeaseGrant { id: 5, ttl: 60 });
    put(&mut machine, 2, "a", "1");
    put(&mut machine, 3, "a", "2");
    put(&mut machine, 4, "b", &"long ".repeat(200_000));
    let upkeep = machine.upkeep();
    assert_eq!(upkeep.ask().position, 0, "nothing was published");
    machine.publish();
    assert_eq!(upkeep.ask().position, 4);
    machine.publish();
    let flusher = machine.flusher();
    flusher.run_once().expect("the disk works");
    assert_eq!(upkeep.durable().position, 4);
    let mut snapshot = upkeep.snapshot().expect("it can be read");
    assert_eq!(
        (snapshot.revision(), snapshot.checkpoint().position),
        (4, 4)
    );
    // What comes later is not in it.
    put(&mut machine, 5, "a", "3");
    flusher.ask();
    machine.publish();
    flusher.run_once().expect("the disk works");
    let mut bytes = Vec::new();
    snapshot.read_to_end(&mut bytes).expect("it can be read");
    assert_eq!(bytes.len() as u64, snapshot.len());
    assert_eq!(snapshot.len() % ALIGNMENT, HASH_BYTES);
    bytes
}

fn restoring() -> Restoring {
    let member = |id| Member {
        id,
        ..Member::default()
    };
    Restoring {
        members: vec![member(3), member(1)],
        revision_bump: 0,
        compacted: false,
        skip_hash: false,
    }
}

fn value_at(machine: &Machine, key: &str, revision: i64) -> Result<Option<Bytes>, Error> {
    let range = Range {
        range: KeyRange {
            key: Bytes::copy_from_slice(key.as_bytes()),
            end: Bytes::new(),
        },
        revision,
        ..Range::default()
    };
    let reply = machine.views().view().range(&range)?;
    Ok(reply.kvs.first().map(|kv| kv.value.clone()))
}

#[test]
fn a_new_cluster_begins_where_the_snapshot_ends() {
    let folder = tempfile::tempdir().expect("a folder");
    let bytes = snapshot(&folder.path().join("old"));
    let contents = inspect(&bytes[..], false).expect("it is whole");
    assert_eq!((contents.revision, contents.rows), (4, 3));
    let new = folder.path().join("new");
    let restored = restore(&bytes[..], new.clone(), restoring()).expect("it is whole");
    assert_eq!(restored, contents);
    let (machine, checkpoint) = Machine::open(Options::new(&new)).expect("it opens");
    assert_eq!((checkpoint.position, checkpoint.epoch), (4, 0));
    let view = machine.views().view();
    let ids: Vec<u64> = view.members().list.iter().map(|member| member.id).collect();
    assert_eq!(ids, [1, 3]);
    assert_eq!((view.revision(), view.compacted()), (4, -1));
    assert_eq!(view.leases(), [5]);
    assert_eq!(value_at(&machine, "a", 0), Ok(Some("2".into())));
    assert_eq!(value_at(&machine, "a", 2), Ok(Some("1".into())));
    // A second time there is something that must not be overwritten.
    let again = restore(&bytes[..], new, restoring()).expect_err("it is there");
    assert_eq!(again.kind(), io::ErrorKind::AlreadyExists);
}

#[test]
fn revisions_that_were_told_before_are_compacted() {
    let folder = tempfile::tempdir().expect("a folder");
    let bytes = snapshot(&folder.path().join("old"));
    let new = folder.path().join("new");
    let bumped = Restoring {
        revision_bump: 1_000_000,
        compacted: true,
        ..restoring()
    };
    restore(&bytes[..], new.clone(), bumped).expect("it is whole");
    let mut machine = machine(&new);
    let view = machine.views().view();
    assert_eq!((view.revision(), view.compacted()), (1_000_004, 1_000_004));
    let everything = KeyRange {
        key: Bytes::from_static(b"\0"),
        end: Bytes::from_static(b"\0"),
    };
    let told = view.history(&everything, 5, 1000);
    let compacted = Error::Compacted {
        compacted: 1_000_004,
    };
    assert_eq!(told, Err(compacted));
    // Space is freed, and what is current stays.
    put(&mut machine, 5, "c", "new");
    machine.flusher().ask();
    machine.publish();
    while machine.flusher().run_once().expect("the disk works") != crate::store::Worked::Nothing {}
    assert!(machine.views().view().compaction_finished(1_000_004));
    assert_eq!(value_at(&machine, "a", 0), Ok(Some("2".into())));
    assert_eq!(value_at(&machine, "c", 1_000_005), Ok(Some("new".into())));
}

#[test]
fn a_damaged_snapshot_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let bytes = snapshot(&folder.path().join("old"));
    for at in (0..bytes.len()).step_by(bytes.len() / 50) {
        let mut changed = bytes.clone();
        changed[at] ^= 2;
        inspect(&changed[..], false).expect_err("a bit is wrong");
        inspect(&bytes[..at], false).expect_err("the end is missing");
    }
    let hashless = &bytes[..bytes.len() - HASH_BYTES as usize];
    inspect(hashless, false).expect_err("the hash is missing");
    inspect(hashless, true).expect("that is what was asked for");
}
