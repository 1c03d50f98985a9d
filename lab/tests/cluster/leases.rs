//! Reads that a leader answers by a lease.

use quorate_core::Protocol;
use quorate_lab::suites::{multipaxos, raft};
use quorate_problems::total_order::TotalOrder;
use quorate_sim::Suite;
use quorate_sim::cluster::{Hurt, Plan, run, run_plan};

use crate::hurt;

/// Plans in which one clock is slow, the others are fast, and whoever has the slow one is cut off: one plan
/// for each, since one of them leads. It must not count on its lease for as long as it was given.
fn drifting(seed: u64, drift_ppm: u32, more: &str) -> [Plan; 3] {
    [[1, 2, 3], [2, 3, 1], [3, 1, 2]].map(|[slow, one, other]| {
        let plan = format!(
            "cluster seed={seed} hurt_ms=6000 clients=8 reads=60 keys=1 think_us=2000 patience_ms=300 \
             option.lease=900 option.drift={drift_ppm}{more}\n\
             1800 clock n{slow} 500000ppm\n\
             1800 clock n{one} 2000000ppm\n\
             1800 clock n{other} 2000000ppm\n\
             2500 cut n{slow} n{one}\n2500 cut n{slow} n{other}\n\
             2500 cut n{one} n{slow}\n2500 cut n{other} n{slow}\n\
             4500 heal\n"
        );
        plan.parse().expect("a plan")
    })
}

/// Somebody's clients read what had been written over.
pub(crate) fn reads_are_stale<P>(suite: &Suite<P>, drift_ppm: u32, more: &str) -> bool
where
    P: Protocol<Problem = TotalOrder>,
{
    let mut plans = (2..5).flat_map(|seed| drifting(seed, drift_ppm, more));
    plans.any(|plan| {
        let broken = run_plan(suite, &plan).err();
        broken.is_some_and(|broken| broken.reason.starts_with("read"))
    })
}

/// Leases hold while clocks drift by no more than was said.
fn hold_while_clocks_drift<P>(suite: &Suite<P>)
where
    P: Protocol<Problem = TotalOrder>,
{
    let leased = Hurt {
        options: "lease=900 drift=600000".to_string(),
        ..hurt()
    };
    let mut answered = 0;
    for seed in 200..206 {
        let summary = run(suite, seed, &leased).unwrap_or_else(|failure| panic!("{failure}"));
        answered += summary.answered;
    }
    assert!(answered > 500, "the runs are not idle");
    for plan in drifting(2, 600_000, "") {
        run_plan(suite, &plan).unwrap_or_else(|broken| panic!("{plan}{}", broken.reason));
    }
}

#[test]
fn of_raft_hold_while_clocks_drift() {
    hold_while_clocks_drift(&raft::SUITE);
}

#[test]
fn of_multi_paxos_hold_while_clocks_drift() {
    hold_while_clocks_drift(&multipaxos::SUITE);
}
