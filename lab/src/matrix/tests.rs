//! What the slides say of strategies, said again by measurements.

use quorate_problems::replicated::Machine;
use quorate_protocols::strategies::{Access, Execution, Masters, Order, Reply};

use super::{Cell, Matrix, Tried, failovers, measure, time_or_space};

fn cell(execution: Execution, reply: Reply) -> Cell {
    Cell {
        execution,
        reply,
        masters: Masters::Single,
        order: Order::Free,
        access: Access::Replica,
    }
}

#[test]
fn synchronous_waits_for_the_slowest_and_loses_nothing_asynchronous_the_other_way_round() {
    let synchronous = cell(Execution::Active, Reply::Synchronous);
    let waits = measure(&synchronous, Machine::Counter, 1);
    let asynchronous = cell(Execution::Passive, Reply::Asynchronous);
    let goes_on = measure(&asynchronous, Machine::Counter, 1);
    // There and back; the slow replica is five times as far (C4).
    assert_eq!((waits.latency, waits.latency_slow), (2.0, 10.0));
    assert_eq!(
        (goes_on.latency, goes_on.latency_slow),
        (0.0, 0.0),
        "independent of the network (C5)"
    );
    assert_eq!((waits.lost_updates, waits.stale_versions), (0, 0));
    assert!(goes_on.lost_updates > 0 && goes_on.lost_delays > 1.0);
    assert!(goes_on.stale_versions > 0);
    // Passive replication is not balanced (C3).
    assert!(
        waits.executions.iter().all(|count| *count > 0.9),
        "{waits:?}"
    );
    assert!(goes_on.executions[0] > 0.9 && goes_on.executions[1..] == [0.0, 0.0]);
    let broken = |text: &Option<String>| text.is_some();
    assert_eq!(waits.broken_quiet, None);
    assert_eq!(waits.broken_crash, None);
    assert!(
        broken(&waits.broken_cut),
        "both sides go on: outside the model"
    );
    assert!(broken(&goes_on.broken_crash));
    assert!(waits.available_crash > 0.5, "the next takes over");
}

#[test]
fn a_proxy_costs_two_delays_and_locks_cost_more_than_an_order() {
    let mut proxied = cell(Execution::Passive, Reply::Synchronous);
    proxied.access = Access::Proxy;
    assert_eq!(measure(&proxied, Machine::Counter, 1).latency, 4.0);
    let mut agreed = cell(Execution::Active, Reply::Synchronous);
    (agreed.masters, agreed.order) = (Masters::Multi, Order::Agreed);
    let mut locks = agreed.clone();
    locks.order = Order::Locks;
    let agreed = measure(&agreed, Machine::Counter, 1);
    let locks = measure(&locks, Machine::Counter, 1);
    assert!(agreed.messages < locks.messages);
    // To the sequencer, to all, and their acknowledgements; a lock is one round trip more, one way less.
    assert_eq!((agreed.latency, locks.latency), (3.0, 4.0));
    for measured in [agreed, locks] {
        assert_eq!((measured.broken_quiet, measured.broken_crash), (None, None));
    }
}

#[test]
fn every_cell_runs_or_is_refused_and_primary_and_backup_keep_their_bounds() {
    let cells = Cell::all();
    let refused = cells.iter().filter(|cell| {
        let tried = cell.tried();
        !tried.iter().any(|tried| matches!(tried, Tried::Runs(..)))
    });
    assert_eq!((cells.len(), refused.count()), (36, 14));
    let found = Matrix {
        seeds: 1,
        rows: Vec::new(),
        refused: Vec::new(),
        failovers: failovers(1),
        time_or_space: time_or_space(1),
    };
    assert!(found.is_as_promised(), "{}", found.text());
    let [nothing, time, space, unwatched] = &found.time_or_space[..] else {
        panic!("four ways")
    };
    assert!(nothing.lost > 0 && time.lost == 0 && space.lost == 0);
    // Until it is started again one machine answers nothing (A12).
    assert!(time.available == 0.0 && space.available > 0.5);
    // Durable without failover, and not available (T23 of the checklist).
    assert!(unwatched.lost == 0 && unwatched.available < space.available / 2.0);
}
