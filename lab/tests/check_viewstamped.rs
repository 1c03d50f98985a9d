//! Viewstamped Replication under the checker: small worlds with the exact numbers of their states.

use quorate_check::world::{Limits, World};
use quorate_check::{Explorer, Extent};
use quorate_core::NodeId;
use quorate_lab::suites::viewstamped::KNOWN;
use quorate_protocols::viewstamped::{Config, Memory};

fn exhausted(limits: Limits, memory: Memory) -> u64 {
    let nodes = [1, 2, 3].map(NodeId);
    let config = Config {
        memory,
        ..Config::new(nodes)
    };
    explored(&nodes, config, limits)
}

fn explored(nodes: &[NodeId], config: Config, limits: Limits) -> u64 {
    let judge = KNOWN.judges[0].1();
    let world = World::new(nodes, config, limits, judge);
    let world = world.expect("it claims to withstand it");
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
    assert_eq!(exhausted(silences(1), Memory::Durable), 368);
    assert_eq!(exhausted(silences(2), Memory::Durable), 9_140);
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
    assert_eq!(exhausted(prompt, Memory::Durable), 199);
    assert_eq!(exhausted(operation, Memory::Durable), 432);
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

/// The first `members` of these nodes take part, until somebody is asked for others.
fn changed(nodes: u64, members: u64, request: &str, limits: Limits) -> u64 {
    let nodes: Vec<_> = (1..=nodes).map(NodeId).collect();
    let limits = Limits {
        requests: vec![request.to_string()],
        prompt_disks: true,
        ..limits
    };
    let members = nodes.iter().copied().filter(|id| id.0 <= members);
    let config = Config::new(members.collect::<Vec<_>>());
    explored(&nodes, config, limits)
}

#[test]
fn others_take_part_in_every_order_of_mail() {
    let heartbeat = Limits {
        fires_of: vec![("Heartbeat".to_string(), 1)],
        ..Limits::default()
    };
    assert_eq!(changed(2, 2, "reconfigure 7 n1", silences(0)), 244);
    let learner = "reconfigure 7 n1 learning n2";
    assert_eq!(changed(2, 1, learner, silences(0)), 8_351);
    // Who is to vote must have heard of the request.
    let grown = changed(2, 1, "reconfigure 7 n1 n2", heartbeat.clone());
    assert_eq!(grown, 1_534);
    assert_eq!(changed(2, 1, "reconfigure 7 n2", heartbeat), 140);
}

#[test]
fn one_crashes_while_others_take_part() {
    let crash = Limits {
        crashes: 1,
        ..silences(0)
    };
    assert_eq!(changed(2, 2, "reconfigure 7 n1", crash), 5_539);
}
