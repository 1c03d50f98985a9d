//! What is at rest is looked at, although nobody asks for it.

use std::sync::Arc;

use super::disk::SimDisk;
use super::*;
use crate::store::Worked;
use crate::store::shared::lock;
use crate::store::tables::{Base, ROWS};

/// Goes on until there is nothing to do.
fn look(machine: &Machine) -> Result<(), Error> {
    let before = machine.upkeep().scrubs();
    machine.upkeep().scrub();
    while machine.flusher().run_once()? != Worked::Nothing {}
    assert_eq!(machine.upkeep().scrubs(), before + 1);
    Ok(())
}

fn filled(disk: &SimDisk) -> Bench {
    let options = Options {
        cache_bytes: 0,
        files: Some(Arc::new(disk.clone())),
        ..Options::new("nowhere")
    };
    let mut bench = Bench::on(Machine::open(options).expect("it opens").0);
    for number in 0..600 {
        let value = format!("{number} ").repeat(1000);
        bench.put(&format!("key {:03}", number % 250), &value);
        bench.flushes = number % 100 == 0;
    }
    bench.delete("key 100", "key 120");
    bench.put("key 101", "a value like no other");
    bench.settle();
    bench
}

#[test]
fn what_is_at_rest_adds_up() {
    let disk = SimDisk::new(1);
    let mut bench = filled(&disk);
    assert_eq!(look(&bench.machine), Ok(()));
    bench.compact(500).expect("it is new");
    bench.settle();
    // What comes while it is looked at does not count.
    let upkeep = bench.machine.upkeep();
    upkeep.scrub();
    assert_eq!(bench.machine.flusher().run_once(), Ok(Worked::Looked));
    bench.put("key 003", "new");
    bench.delete("key 200", "key 210");
    bench.settle();
    assert_eq!(upkeep.scrubs(), 2);
    assert_eq!(look(&bench.machine), Ok(()));
}

#[test]
fn damage_is_found_before_somebody_needs_what_is_damaged() {
    let disk = SimDisk::new(1);
    let bench = filled(&disk);
    assert!(disk.damage(b"a value like no other") > 0);
    let found = look(&bench.machine);
    assert!(matches!(found, Err(Error::Damaged(_))), "{found:?}");
}

#[test]
fn a_row_that_has_gone_is_missed() {
    let disk = SimDisk::new(1);
    let bench = filled(&disk);
    // The versions of the last key are the last rows, the current one before those that are not.
    let found = loop {
        let mut disk = lock(&bench.machine.shared.disk);
        let write = disk.db.begin_write().expect("a transaction");
        {
            let mut rows = write.open_table(ROWS).expect("a table");
            assert!(rows.pop_last().expect("a row").is_some());
        }
        write.commit().expect("it is written");
        disk.base = Arc::new(Base::open(&disk.db).expect("it opens"));
        drop(disk);
        if let Err(found) = look(&bench.machine) {
            break found;
        }
    };
    assert!(
        matches!(&found, Error::Damaged(what) if what.contains("add up")),
        "{found}"
    );
}
