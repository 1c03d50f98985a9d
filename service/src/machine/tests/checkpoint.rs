//! Checkpoints on their way from one machine to another, and what may go wrong on that way; and
//! damage on the disk.

use std::io::{ErrorKind, Read, Write};
use std::sync::Arc;

use quorate_core::Choice;

use super::disk::SimDisk;
use super::random::carry;
use super::*;

/// A machine on a disk of its own.
fn machine(disk: &SimDisk) -> Machine {
    let options = Options {
        files: Some(Arc::new(disk.clone())),
        ..Options::new("nowhere")
    };
    Machine::open(options).expect("it opens").0
}

/// Some rows, of which the last are on disk too.
fn sender(bench: &mut Bench) -> (Checkpoint, Vec<u8>) {
    let grant = Command::LeaseGrant { id: 4, ttl: 10 };
    bench.apply(grant).expect("it is new");
    for key in ["a", "b", "c"] {
        let attached = Put {
            lease: 4,
            ..put(key, "1")
        };
        bench.apply(Command::Put(attached)).expect("a put");
    }
    bench.delete("b", "");
    bench.settle();
    stream(&bench.machine)
}

fn stream(machine: &Machine) -> (Checkpoint, Vec<u8>) {
    let (checkpoint, mut export) = machine.checkpoints().open().expect("it can be read");
    let mut bytes = Vec::new();
    export.read_to_end(&mut bytes).expect("it can be read");
    (checkpoint, bytes)
}

#[test]
fn a_checkpoint_takes_the_place_of_the_state() {
    let mut bench = Bench::new();
    sender(&mut bench);
    let disk = SimDisk::new(1);
    let mut other = machine(&disk);
    let before = other.views().view();
    let checkpoint = carry(&bench.machine, &other, 10);
    // Nothing changes before it is installed, and views from before stay what they were.
    assert_eq!(other.views().view().revision(), 1);
    other.install(checkpoint).expect("it was staged");
    assert_eq!(before.revision(), 1);
    assert_eq!(
        before.range(&at("\0", "\0", 0)).map(|reply| reply.count),
        Ok(0)
    );
    let (one, two) = (bench.view(), other.views().view());
    assert_eq!(one.checkpoint(), two.checkpoint());
    assert_eq!(one.digest(), two.digest());
    assert_eq!(one.range(&at("\0", "\0", 0)), two.range(&at("\0", "\0", 0)));
    assert_eq!(one.lease(4), two.lease(4));
    assert_eq!(other.durable(), checkpoint);
    // It is installed for good, and once.
    other.install(checkpoint).expect("it is there already");
    drop((other, two, before));
    let reopened = machine(&disk);
    assert_eq!(reopened.views().view().digest(), bench.view().digest());
}

#[test]
fn a_staged_checkpoint_waits_for_the_next_start() {
    let mut bench = Bench::new();
    sender(&mut bench);
    let disk = SimDisk::new(1);
    let checkpoint = carry(&bench.machine, &machine(&disk), 1000);
    disk.crash();
    let mut other = machine(&disk);
    assert_eq!(other.views().view().revision(), 1);
    other.install(checkpoint).expect("it was staged");
    assert_eq!(other.views().view().revision(), 5);
}

#[test]
fn a_stream_that_is_not_whole_is_refused_and_leaves_nothing() {
    let mut bench = Bench::new();
    let (checkpoint, bytes) = sender(&mut bench);
    let disk = SimDisk::new(1);
    let mut other = machine(&disk);
    let mut try_it = |bytes: &[u8]| -> bool {
        let mut import = other
            .checkpoints()
            .receive(checkpoint)
            .expect("there is room");
        let taken = import.write_all(bytes).and_then(|()| import.finish());
        let installed = other.install(checkpoint);
        assert_eq!(taken.is_ok(), installed.is_ok());
        taken.is_ok()
    };
    let mut choice = Choice::Seeded(3);
    for _ in 0..60 {
        let cut = choice.choose(bytes.len() as u32) as usize;
        assert!(!try_it(&bytes[..cut]), "cut at {cut}");
        let mut changed = bytes.clone();
        changed[cut] ^= 1 << choice.choose(8);
        assert!(!try_it(&changed), "changed at {cut}");
        let mut longer = bytes.clone();
        longer.extend_from_slice(&bytes[..cut + 1]);
        assert!(!try_it(&longer), "extended by {cut}");
    }
    assert!(try_it(&bytes));
}

#[test]
fn a_stream_without_one_of_its_chunks_is_refused() {
    let mut bench = Bench::new();
    let (checkpoint, bytes) = sender(&mut bench);
    let mut chunks = Vec::new();
    let mut rest = &bytes[..];
    while let Some(len) = rest.first_chunk::<4>() {
        let (chunk, behind) = rest.split_at(8 + u32::from_le_bytes(*len) as usize);
        chunks.push(chunk);
        rest = behind;
    }
    // Header, rows, events, leases, lease keys, state, end.
    assert_eq!(chunks.len(), 7);
    let disk = SimDisk::new(1);
    let other = machine(&disk);
    for left_out in 0..chunks.len() {
        let mut import = other
            .checkpoints()
            .receive(checkpoint)
            .expect("there is room");
        let mut taken = Ok(());
        for (at, chunk) in chunks.iter().enumerate() {
            if at != left_out {
                taken = taken.and_then(|()| import.write_all(chunk));
            }
        }
        assert!(taken.and_then(|()| import.finish()).is_err(), "{left_out}");
    }
}

/// Chunks whose checksums hold, so that what is inside is looked at.
#[test]
fn nonsense_with_good_checksums_is_refused_without_a_panic() {
    let mut bench = Bench::new();
    let (checkpoint, bytes) = sender(&mut bench);
    let disk = SimDisk::new(1);
    let other = machine(&disk);
    let mut choice = Choice::Seeded(5);
    for _ in 0..300 {
        let mut changed = bytes.clone();
        let mut at = 0;
        while let Some(len) = changed[at..].first_chunk::<4>() {
            let end = at + 8 + u32::from_le_bytes(*len) as usize;
            if choice.choose(3) == 0 {
                let inside = choice.choose((end - at - 8) as u32) as usize;
                changed[at + 8 + inside] ^= 1 << choice.choose(8);
                let crc = crc32c::crc32c(&changed[at + 8..end]);
                changed[at + 4..at + 8].copy_from_slice(&crc.to_le_bytes());
            }
            at = end;
        }
        let mut import = other
            .checkpoints()
            .receive(checkpoint)
            .expect("there is room");
        let taken = import.write_all(&changed).and_then(|()| import.finish());
        assert!(taken.is_err() || changed == bytes);
    }
}

#[test]
fn a_checkpoint_of_another_position_is_refused() {
    let mut bench = Bench::new();
    let (checkpoint, bytes) = sender(&mut bench);
    let disk = SimDisk::new(1);
    let other = machine(&disk);
    let wrong = Checkpoint {
        position: checkpoint.position + 1,
        ..checkpoint
    };
    let mut import = other.checkpoints().receive(wrong).expect("there is room");
    assert!(import.write_all(&bytes).is_err());
    assert!(import.finish().is_err());
}

#[test]
fn there_is_room_for_one_checkpoint_at_a_time() {
    let bench = Bench::new();
    let checkpoints = bench.machine.checkpoints();
    let first = checkpoints.receive(Checkpoint::default());
    let second = checkpoints.receive(Checkpoint::default());
    let busy = second.expect_err("there is no room").kind();
    assert_eq!(busy, ErrorKind::ResourceBusy);
    drop(first);
    assert!(checkpoints.receive(Checkpoint::default()).is_ok());
}

#[test]
fn a_checkpoint_that_was_not_received_cannot_be_installed() {
    let mut bench = Bench::new();
    let missing = Checkpoint {
        position: 9,
        epoch: 1,
    };
    assert!(matches!(
        bench.machine.install(missing),
        Err(Error::Storage(_))
    ));
}

/// A slow reader of a checkpoint keeps pages from being used again: not for ever.
#[test]
fn a_checkpoint_is_given_up_when_the_file_grows_too_much() {
    let disk = SimDisk::new(1);
    let options = Options {
        files: Some(Arc::new(disk.clone())),
        export_growth_bytes_max: 1 << 20,
        ..Options::new("nowhere")
    };
    let (machine, _) = Machine::open(options).expect("it opens");
    let mut bench = Bench::on(machine);
    bench.put("a", "1");
    bench.settle();
    let (_, mut export) = bench.machine.checkpoints().open().expect("it can be read");
    let mut byte = [0];
    export.read_exact(&mut byte).expect("it can be read");
    let value = "v".repeat(1 << 20);
    for key in 0..8 {
        bench.put(&key.to_string(), &value);
        bench.settle();
    }
    let mut rest = Vec::new();
    let error = export.read_to_end(&mut rest).expect_err("it has grown");
    assert!(error.to_string().contains("grew too much"), "{error}");
    drop(export);
    let (_, mut newer) = bench.machine.checkpoints().open().expect("it can be read");
    newer.read_to_end(&mut rest).expect("it can be read");
}

#[test]
fn damage_at_rest_is_found_when_it_is_read_and_the_store_is_set_aside() {
    let disk = SimDisk::new(1);
    let options = Options {
        // What is read comes from the disk.
        cache_bytes: 0,
        files: Some(Arc::new(disk.clone())),
        ..Options::new("nowhere")
    };
    let mut bench = Bench::on(Machine::open(options).expect("it opens").0);
    bench.put("a sound one", "fine");
    for number in 0..9 {
        bench.put(&format!("between {number}"), &"x".repeat(3000));
    }
    bench.put("hurt", "a value like no other");
    bench.settle();
    assert!(disk.damage(b"a value like no other") > 0);
    assert_eq!(bench.pairs("a sound one", "", 0).len(), 1);
    for range in [at("hurt", "", 0), at("a", "z", 0)] {
        assert!(
            matches!(bench.range(range), Err(Error::Damaged(what)) if what.contains("store.redb"))
        );
    }
    let history = bench.view().history(&keys("a", "z"), 1, 100_000);
    assert!(matches!(history, Err(Error::Damaged(_))));
    // A damaged row does not travel, and who carries the state to disk gives up.
    let (_, mut export) = bench.machine.checkpoints().open().expect("it opens");
    assert!(export.read_to_end(&mut Vec::new()).is_err());
    let worked = bench.machine.flusher().run_once();
    assert!(matches!(worked, Err(Error::Damaged(_))), "{worked:?}");
    drop(bench);
    // Whoever starts next begins with nothing, until it has something.
    for _ in 0..2 {
        let mut bench = Bench::on(machine(&disk));
        assert!(bench.machine.is_rebuilding().expect("the disk works"));
        assert_eq!(bench.machine.meta.checkpoint, Checkpoint::default());
        bench.put("new", "value");
    }
    let mut bench = Bench::on(machine(&disk));
    bench.put("new", "value");
    bench.settle();
    assert!(!bench.machine.is_rebuilding().expect("the disk works"));
}

#[test]
fn what_a_new_log_never_had_is_remembered() {
    let disk = SimDisk::new(1);
    let mut bench = Bench::on(machine(&disk));
    bench.machine.on_new_log().expect("the disk works");
    assert!(!bench.machine.log_begins_later().expect("the disk works"));
    bench.put("a", "1");
    bench.settle();
    drop(bench);
    // With a store that has something, a log without anything begins later.
    let opened = machine(&disk);
    opened.on_new_log().expect("the disk works");
    drop(opened);
    crate::store::Files::remove(&disk, "store.redb").expect("it was there");
    assert!(machine(&disk).log_begins_later().expect("the disk works"));
}

#[test]
fn a_store_that_is_not_there_although_it_should_is_rebuilt_too() {
    let disk = SimDisk::new(1);
    let expected = |expected| Options {
        expected,
        files: Some(Arc::new(disk.clone())),
        ..Options::new("nowhere")
    };
    let (machine, _) = Machine::open(expected(false)).expect("it opens");
    assert!(!machine.is_rebuilding().expect("the disk works"));
    drop(machine);
    crate::store::Files::remove(&disk, "store.redb").expect("it was there");
    let (machine, _) = Machine::open(expected(true)).expect("it opens");
    assert!(machine.is_rebuilding().expect("the disk works"));
}

#[test]
fn a_payload_that_is_not_what_was_broadcast_is_found() {
    let mut bench = Bench::new();
    let mut out = Outcome::default();
    let bytes = codec::encode(&Batch {
        origin: NodeId(1),
        incarnation: 1,
        sequence: 1,
        commands: vec![Command::Put(put("a", "1"))],
    });
    let changed = Payload::from_vec(bytes.as_bytes().to_vec(), bytes.checksum() ^ 1);
    let applied = bench.machine.apply(1, 1, &changed, true, &mut out);
    assert!(matches!(applied, Err(Error::Damaged(_))));
    let nonsense = vec![9; 40];
    let crc = crc32c::crc32c(&nonsense);
    let nonsense = Payload::from_vec(nonsense, crc);
    let applied = bench.machine.apply(1, 1, &nonsense, true, &mut out);
    assert!(matches!(applied, Err(Error::Damaged(_))));
}
