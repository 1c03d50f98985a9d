//! In steady state a command costs no allocation, from the request to its delivery by all three replicas:
//! steps reuse their buffers, entries travel alone, and payloads are shared.
//!
//! The replicas are whole nodes, driven as a server drives them, with links and disks that reuse their
//! memory too. Heartbeats and compactions are part of it, and so is the view service inside a protocol, with its
//! own heartbeats and pings, and what it writes down again when the log is cut.

mod steady;

use quorate_core::{NodeId, Protocol};
use quorate_problems::total_order::TotalOrder;
use quorate_protocols::{chain, multipaxos, primary_backup, raft, viewstamped};

use steady::Cluster;

/// How much of the log they keep all the same.
const RETENTION_BYTES: u64 = 8 << 10;
/// How many commands it takes until every buffer is as large as it gets.
const WARM_UP: u64 = 4_000;
/// How many commands must then cost nothing.
const MEASURED: u64 = 2_000;

fn costs_nothing<P>(config: fn(Vec<NodeId>) -> P::Config)
where
    P: Protocol<Problem = TotalOrder>,
{
    let mut cluster = Cluster::<P>::start(config);
    cluster.order(WARM_UP);
    let before = cluster.compactions();
    let counted = allocation_counter::measure(|| cluster.order(MEASURED));
    let compactions = cluster.compactions() - before;
    assert!(compactions > 0, "logs were cut meanwhile");
    let allocations = counted.count_total;
    assert_eq!(
        allocations, 0,
        "for {MEASURED} commands and {compactions} compactions"
    );
    assert_eq!(cluster.delivered(), [WARM_UP + MEASURED; 3]);
}

/// A counter that sees nothing would make every other test here pass.
#[test]
fn the_counter_sees_an_allocation() {
    let counted = allocation_counter::measure(|| drop(std::hint::black_box(Box::new(1))));
    assert_eq!(counted.count_total, 1);
}

#[test]
fn raft() {
    costs_nothing::<raft::Raft>(|members| raft::Config {
        retention_bytes: RETENTION_BYTES,
        ..raft::Config::new(members)
    });
}

#[test]
fn multipaxos() {
    costs_nothing::<multipaxos::MultiPaxos>(|members| multipaxos::Config {
        retention_bytes: RETENTION_BYTES,
        ..multipaxos::Config::new(members)
    });
}

#[test]
fn viewstamped() {
    costs_nothing::<viewstamped::Viewstamped>(|members| viewstamped::Config {
        retention_bytes: RETENTION_BYTES,
        ..viewstamped::Config::new(members)
    });
}

#[test]
fn primary_backup() {
    costs_nothing::<primary_backup::PrimaryBackup>(|members| primary_backup::Config {
        retention_bytes: RETENTION_BYTES,
        ..primary_backup::Config::new(members)
    });
}

#[test]
fn chain() {
    costs_nothing::<chain::Chain>(|members| chain::Config {
        retention_bytes: RETENTION_BYTES,
        ..chain::Config::new(members)
    });
}
