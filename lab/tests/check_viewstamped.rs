//! Viewstamped Replication under the checker: small worlds with the exact numbers of their states.

use quorate_check::world::{Limits, World};
use quorate_check::{Explorer, Extent};
use quorate_core::NodeId;
use quorate_lab::suites::viewstamped::KNOWN;
use quorate_protocols::viewstamped::{Config, Memory, Viewstamped};

fn world(limits: Limits, memory: Memory) -> World<Viewstamped> {
    let members = [1, 2, 3].map(NodeId);
    let config = Config {
        memory,
        ..Config::new(members)
    };
    let judge = KNOWN.judges[0].1();
    let world = World::new(&members, config, limits, judge);
    world.expect("it claims to withstand it")
}

fn exhausted(limits: Limits, memory: Memory) -> u64 {
    let world = world(limits, memory);
    let report = Explorer::new(&world).breadth_first();
    assert_eq!(report.extent, Extent::Exhausted);
    let broken = report.counterexample().map(|(property, _)| property);
    assert!(broken.is_none(), "every promise is kept");
    report.distinct
}

/// So many replicas may miss their primary.
fn silences(count: u8) -> Limits {
    Limits {
        fires_of: vec![("Silence".to_string(), count)],
        ..Limits::default()
    }
}

#[test]
fn a_view_change_with_every_disk_and_every_order_of_mail() {
    assert_eq!(exhausted(silences(1), Memory::Durable), 92);
    assert_eq!(exhausted(silences(2), Memory::Durable), 6_642);
}

#[test]
fn a_view_change_of_replicas_that_keep_nothing() {
    assert_eq!(exhausted(silences(2), Memory::Volatile), 1_192);
}

#[test]
fn one_operation_with_every_disk_and_every_order_of_mail() {
    let operation = Limits {
        requests: vec!["broadcast x".to_string()],
        ..silences(0)
    };
    let prompt = Limits {
        prompt_disks: true,
        ..operation.clone()
    };
    assert_eq!(exhausted(prompt, Memory::Durable), 151);
    assert_eq!(exhausted(operation, Memory::Durable), 196);
}

#[test]
fn one_operation_and_one_recovery() {
    let recovery = Limits {
        requests: vec!["broadcast x".to_string()],
        crashes: 1,
        ..silences(0)
    };
    assert_eq!(exhausted(recovery, Memory::Volatile), 6_476);
}
