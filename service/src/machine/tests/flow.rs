//! Positions, duplicates, layers and flushing.

use super::*;
use crate::command::Member;
use crate::store::Worked;

fn batch(incarnation: u64, sequence: u64, key: &str) -> Payload {
    codec::encode(&Batch {
        origin: NodeId(1),
        incarnation,
        sequence,
        commands: vec![Command::Put(put(key, "1"))],
    })
}

#[test]
fn a_batch_is_applied_at_most_once_also_across_restarts() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let open = || Machine::open(Options::new(dir.path())).expect("it opens").0;
    let mut out = Outcome::default();
    let mut machine = open();
    for (position, payload, duplicate) in [
        (1, batch(1, 1, "a"), false),
        (2, batch(1, 2, "b"), false),
        (3, batch(1, 1, "a"), true),
        (4, batch(1, 2, "b"), true),
        (5, batch(2, 1, "c"), false),
        (6, batch(1, 3, "late"), true),
    ] {
        machine
            .apply(position, 1, &payload, true, &mut out)
            .expect("it is applied");
        assert_eq!(out.duplicate, duplicate, "position {position}");
        assert_eq!(out.replies.len(), usize::from(!duplicate));
        assert_eq!(out.events.len(), usize::from(!duplicate));
    }
    machine.flusher().ask();
    machine.publish();
    assert!(matches!(
        machine.flusher().run_once(),
        Ok(Worked::Flushed(Checkpoint { position: 6, .. }))
    ));
    drop(machine);
    let mut machine = open();
    machine
        .apply(7, 1, &batch(2, 1, "c"), true, &mut out)
        .expect("it is applied");
    assert!(out.duplicate);
    assert_eq!(machine.views().view().revision(), 4);
}

#[test]
fn transactions_as_deep_as_can_be_encoded_are_applied() {
    let mut bench = Bench::new();
    let mut txn = Txn {
        success: vec![Op::Put(put("deep", "1"))],
        ..Txn::default()
    };
    for _ in 1..codec::TXN_DEPTH_MAX {
        txn = Txn {
            success: vec![Op::Txn(txn)],
            ..Txn::default()
        };
    }
    bench.apply(Command::Txn(txn)).expect("it runs");
    assert_eq!(bench.pairs("deep", "", 0).len(), 1);
}

#[test]
fn an_empty_payload_moves_the_position() {
    let mut bench = Bench::new();
    let mut out = Outcome::default();
    let empty = Payload::empty();
    bench
        .machine
        .apply(1, 3, &empty, false, &mut out)
        .expect("it is applied");
    assert_eq!(out, Outcome::default());
    bench.settle();
    let expected = Checkpoint {
        position: 1,
        epoch: 3,
    };
    assert_eq!(bench.machine.durable(), expected);
}

#[test]
fn what_is_applied_is_seen_when_it_is_published() {
    let mut bench = Bench::new();
    let mut out = Outcome::default();
    let before = bench.view();
    bench
        .machine
        .apply(1, 1, &batch(1, 1, "a"), false, &mut out)
        .expect("it is applied");
    assert!(out.replies.is_empty(), "they were not wanted");
    assert_eq!(bench.view().revision(), 1);
    assert_eq!(bench.pairs("a", "", 0), []);
    bench.machine.publish();
    assert_eq!(bench.pairs("a", "", 0).len(), 1);
    assert_eq!(
        before.range(&at("a", "", 0)).map(|reply| reply.count),
        Ok(0)
    );
}

#[test]
fn entries_that_change_nothing_do_not_keep_the_log_from_being_cut() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let options = Options {
        layer_positions: 10,
        flush_after: None,
        ..Options::new(dir.path())
    };
    let (mut machine, _) = Machine::open(options).expect("it opens");
    let flusher = machine.flusher();
    let mut flushed = Vec::new();
    for position in 1..=25 {
        machine
            .apply(
                position,
                3,
                &Payload::empty(),
                false,
                &mut Outcome::default(),
            )
            .expect("it is applied");
        machine.publish();
        if let crate::store::Worked::Flushed(checkpoint) =
            flusher.run_once().expect("the disk works")
        {
            flushed.push(checkpoint.position);
        }
    }
    assert_eq!(flushed, [10, 20]);
}

/// With nobody else to flush, the apply thread does it before a third layer would wait.
#[test]
fn publishing_waits_when_two_layers_wait_to_be_written() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let options = Options {
        layer_bytes: 1,
        ..Options::new(dir.path())
    };
    let (machine, _) = Machine::open(options).expect("it opens");
    let mut bench = Bench::on(machine);
    for round in 1..20 {
        bench.put(&round.to_string(), "v");
        let waiting = lock(&bench.machine.shared.turn).frozen.len();
        assert!(waiting <= FROZEN_MAX);
        let behind = round - bench.machine.durable().position;
        assert!(behind <= FROZEN_MAX as u64, "{behind} behind");
    }
    assert_eq!(bench.pairs("0", "a", 0).len(), 19);
}

/// Under a load with which flushing can only just keep up, space is freed all the same.
#[test]
fn space_is_freed_under_any_load() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let options = Options {
        layer_bytes: 1,
        sweep_events: 2,
        ..Options::new(dir.path())
    };
    let (machine, _) = Machine::open(options).expect("it opens");
    let mut bench = Bench::on(machine);
    for _ in 0..20 {
        bench.put("a", "1");
    }
    bench.compact(15).expect("it exists");
    // Nobody flushes but the apply thread, and only when it has to.
    let mut rounds = 0;
    while !bench.view().compaction_finished(15) {
        bench.put("a", "2");
        rounds += 1;
        assert!(rounds < 40, "the sweep does not come to an end");
    }
}

/// A failing disk is reported by the flusher, and by apply when it has to wait for it.
#[test]
fn nothing_is_applied_after_the_disk_failed() {
    let disk = super::disk::SimDisk::new(1);
    let options = Options {
        layer_bytes: 1,
        files: Some(Arc::new(disk.clone())),
        ..Options::new("nowhere")
    };
    let (machine, _) = Machine::open(options).expect("it opens");
    let mut bench = Bench::on(machine);
    bench.put("a", "1");
    bench.put("b", "1");
    disk.set_power(0);
    let failed = bench.machine.flusher().run_once();
    assert!(matches!(failed, Err(Error::Storage(_))));
    assert_eq!(bench.machine.flusher().run_once(), failed);
    bench.put("c", "1");
    let refused = bench.apply(Command::Put(put("d", "1")));
    assert!(matches!(refused, Err(Error::Storage(_))));
}

#[test]
fn the_agreed_state_survives_a_restart() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let member = Member {
        id: 7,
        peer_urls: vec!["http://peer".into()],
        ..Member::default()
    };
    let options = Options {
        members: vec![member.clone()],
        ..Options::new(dir.path())
    };
    let (machine, _) = Machine::open(options.clone()).expect("it opens");
    let mut bench = Bench::on(machine);
    let named = Member {
        name: "seven".into(),
        client_urls: vec!["http://client".into()],
        ..member
    };
    let announced = Member {
        peer_urls: Vec::new(),
        ..named.clone()
    };
    bench
        .apply(Command::Publish(announced))
        .expect("it is told");
    bench.put("a", "1");
    bench.put("a", "2");
    bench.compact(3).expect("it exists");
    let tick = Command::Tick {
        epoch: 3,
        elapsed_ms: 700,
    };
    bench.apply(tick).expect("it ticks");
    let grant = Command::LeaseGrant { id: -9, ttl: 5 };
    bench.apply(grant).expect("it is new");
    let before = bench.view();
    assert_eq!(before.members().list, std::slice::from_ref(&named));
    let (digest, lease) = (before.digest(), before.lease(-9));
    // A view keeps the file open.
    drop(before);
    bench.settle();
    drop(bench);
    let later = Options {
        members: Vec::new(),
        ..options
    };
    let (machine, _) = Machine::open(later).expect("it opens");
    let view = machine.views().view();
    assert_eq!(view.members().list, [named]);
    assert_eq!(view.digest(), digest);
    assert_eq!(view.compacted(), 3);
    assert_eq!(view.clock_ms(), 700);
    assert_eq!(view.lease(-9), lease);
    assert!(view.compaction_finished(3));
}

#[test]
fn space_is_counted_and_freed() {
    let mut bench = Bench::new();
    for round in 0..50 {
        bench.put("a", &round.to_string().repeat(500));
    }
    bench.settle();
    let before = bench.view().size().expect("the disk works");
    assert!(
        before.in_use > 40_000 && before.on_disk > before.in_use,
        "{before:?}"
    );
    assert!(!bench.view().compaction_finished(51));
    bench.compact(51).expect("it exists");
    assert!(!bench.view().compaction_finished(51));
    bench.settle();
    assert!(bench.view().compaction_finished(51));
    let after = bench.view().size().expect("the disk works");
    assert!(after.in_use < 2_000, "{after:?}");
}

/// Overwriting one key again and again, with compaction, does not make the file grow for ever.
#[test]
fn the_file_stops_growing_when_space_is_freed() {
    let mut bench = Bench::new();
    let value = "v".repeat(10_000);
    let mut largest = 0;
    for round in 0..60 {
        for key in 0..10 {
            bench.put(&key.to_string(), &value);
        }
        let revision = bench.view().revision();
        bench.compact(revision).expect("it exists");
        bench.settle();
        let size = bench.view().size().expect("the disk works").on_disk;
        if round == 20 {
            largest = size;
        }
        assert!(
            round <= 20 || size <= 2 * largest,
            "{size} after {round} rounds"
        );
    }
}

/// Readers see whole states while layers are frozen, written and swept below them.
#[test]
fn readers_are_not_disturbed() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let options = Options {
        layer_bytes: 20_000,
        sweep_events: 20,
        ..Options::new(dir.path())
    };
    let (machine, _) = Machine::open(options).expect("it opens");
    let mut bench = Bench::on(machine);
    let done = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let mut threads = Vec::new();
    for _ in 0..2 {
        let (views, done) = (bench.machine.views(), done.clone());
        threads.push(std::thread::spawn(move || {
            while !done.load(Ordering::Relaxed) {
                let view = views.view();
                let reply = view.range(&at("k", "l", 0)).expect("it can be read");
                // Every transaction writes all keys, so all have the newest revision.
                let newest = view.revision();
                assert!(reply.kvs.iter().all(|kv| kv.mod_revision == newest));
                let from = view.compacted().max(1);
                let range = keys("k", "l");
                let (revisions, _) = view.history(&range, from, 10_000).expect("it is kept");
                assert!(revisions.iter().all(|revision| revision.events.len() == 8));
            }
        }));
    }
    let (flusher, stop) = (bench.machine.flusher(), done.clone());
    threads.push(std::thread::spawn(move || {
        while !stop.load(Ordering::Relaxed) {
            flusher.run_once().expect("the disk works");
        }
    }));
    for round in 0..400 {
        let ops = (0..8).map(|key| Op::Put(put(&format!("k{key}"), &round.to_string())));
        bench.txn(vec![], ops.collect(), vec![]).expect("it runs");
        if round % 50 == 49 {
            let revision = bench.view().revision();
            bench.compact(revision - 20).expect("it exists");
        }
    }
    done.store(true, Ordering::Relaxed);
    for thread in threads {
        thread.join().expect("no reader saw anything wrong");
    }
}
