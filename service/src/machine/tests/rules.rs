//! One test per rule that reimplementers of etcd get wrong.

use super::*;

/// Rule 1.
#[test]
fn the_store_starts_at_revision_1_and_the_first_put_is_2() {
    let mut bench = Bench::new();
    assert_eq!(bench.view().revision(), 1);
    assert_eq!(bench.put("a", "1"), 2);
    assert_eq!(bench.view().revision(), 2);
}

#[test]
fn rows_survive_flush_and_reopening() {
    let mut bench = Bench::new();
    bench.put("a", "1");
    bench.put("b", "2");
    bench.put("a", "3");
    bench.delete("b", "");
    bench.settle();
    let checkpoint = bench.machine.durable();
    assert_eq!(checkpoint.position, 4);
    drop(bench.machine);
    let (machine, survived) = Machine::open(Options::new(bench.dir.path())).expect("it opens");
    bench.machine = machine;
    assert_eq!(survived, checkpoint);
    assert_eq!(bench.pairs("a", "z", 0), [("a".into(), "3".into())]);
    assert_eq!(
        bench.pairs("a", "z", 3),
        [("a".into(), "1".into()), ("b".into(), "2".into())]
    );
    assert_eq!(bench.put("c", "4"), 6);
}
