//! Free space is used again, or given back, and nobody has to wait for it.

use std::sync::Arc;

use super::disk::SimDisk;
use super::*;
use crate::store::{Defragmentation, Worked};

const VALUE_BYTES: usize = 2000;

fn bench(disk: &SimDisk) -> Bench {
    let options = Options {
        flush_after: None,
        copy_step_bytes: 5_000,
        files: Some(Arc::new(disk.clone())),
        ..Options::new("nowhere")
    };
    Bench::on(Machine::open(options).expect("it opens").0)
}

fn fill(bench: &mut Bench, round: usize) {
    for number in 0..400 {
        let value = format!("{round} {number} ").repeat(VALUE_BYTES / 8);
        bench.put(&format!("key {number:03}"), &value);
    }
    bench.settle();
}

fn on_disk(bench: &Bench) -> u64 {
    bench.view().size().expect("the disk works").on_disk
}

/// The store with many freed pages, and what it holds.
fn hollow(disk: &SimDisk) -> Bench {
    let mut bench = bench(disk);
    for round in 0..4 {
        fill(&mut bench, round);
    }
    bench.delete("key 010", "key 390");
    let newest = bench.view().revision();
    bench.compact(newest).expect("it is new");
    bench.settle();
    bench
}

#[test]
fn space_that_compaction_freed_is_used_again() {
    let disk = SimDisk::new(1);
    let mut bench = bench(&disk);
    let mut largest = 0;
    for round in 0..12 {
        fill(&mut bench, round);
        let newest = bench.view().revision();
        bench.compact(newest).expect("it is new");
        bench.settle();
        if round == 3 {
            largest = on_disk(&bench);
        }
    }
    assert!(on_disk(&bench) <= largest, "{} {largest}", on_disk(&bench));
}

#[test]
fn space_is_given_back_while_everything_goes_on() {
    let disk = SimDisk::new(1);
    let mut bench = hollow(&disk);
    let before = on_disk(&bench);
    let kept = bench.view();
    let kept_rows = kept.range(&at("a", "z", 0)).expect("a read");
    let upkeep = bench.machine.upkeep();
    assert_eq!(upkeep.defragmentation(), Defragmentation::Idle);
    upkeep.defragment();
    let flusher = bench.machine.flusher();
    let (mut steps, mut flushed) = (0, 0);
    loop {
        // Between any two steps something is written, read, deleted, compacted and flushed.
        let key = format!("key {:03}", steps % 20);
        bench.put(&key, &format!("new {steps}"));
        bench.delete(&format!("key {:03}", 390 + steps % 10), "");
        bench
            .apply(Command::LeaseGrant {
                id: 1 + steps as i64,
                ttl: 9,
            })
            .expect("a lease");
        if steps == 3 {
            let newest = bench.view().revision();
            bench.compact(newest - 2).expect("it is new");
        }
        flusher.ask();
        bench.machine.publish();
        while matches!(flusher.run_once(), Ok(Worked::Flushed(_))) {
            flushed += 1;
        }
        assert_eq!(bench.pairs(&key, "", 0)[0].1, format!("new {steps}"));
        assert_eq!(kept.range(&at("a", "z", 0)), Ok(kept_rows.clone()));
        steps += 1;
        if let Defragmentation::Done { from, to } = upkeep.defragmentation() {
            assert!(to < from / 4, "{from} {to}");
            break;
        }
    }
    assert!(steps > 4 && flushed >= steps, "{steps} {flushed}");
    bench.settle();
    assert!(on_disk(&bench) < before / 4);
    let view = bench.view();
    assert!(view.compaction_finished(view.compacted()));
    let (rows, leases, digest) = (bench.pairs("a", "z", 0), view.leases(), view.digest());
    let history = view.history(&keys("a", "z"), view.compacted(), 1 << 20);
    drop((bench, kept, view, upkeep, flusher));
    // The same again, from the disk.
    let bench = self::bench(&disk);
    let view = bench.view();
    assert_eq!((bench.pairs("a", "z", 0), view.leases()), (rows, leases));
    assert_eq!(view.digest(), digest);
    assert_eq!(
        view.history(&keys("a", "z"), view.compacted(), 1 << 20),
        history
    );
}

#[test]
fn a_copy_that_cannot_be_made_harms_nothing() {
    let disk = SimDisk::new(1);
    let mut bench = hollow(&disk);
    let rows = bench.pairs("a", "z", 0);
    let upkeep = bench.machine.upkeep();
    upkeep.defragment();
    let flusher = bench.machine.flusher();
    assert_eq!(flusher.run_once(), Ok(Worked::Swept));
    assert!(matches!(
        upkeep.defragmentation(),
        Defragmentation::Copying { .. }
    ));
    disk.refuse("compact.redb");
    while flusher.run_once().expect("the store is well") != Worked::Nothing {}
    let came = upkeep.defragmentation();
    assert!(matches!(came, Defragmentation::Failed(_)), "{came:?}");
    bench.put("key", "value");
    bench.settle();
    assert_eq!(bench.pairs("a", "key ", 0).len(), 1);
    assert_eq!(bench.pairs("key 0", "z", 0), rows);
}
