//! Whole replicas in the simulated world of clusters.

mod chain;
mod disks;
mod every;
mod leases;
mod multipaxos;
mod primary_backup;
mod raft;
mod viewstamped;

use quorate_core::Protocol;
use quorate_problems::total_order::TotalOrder;
use quorate_sim::Suite;
use quorate_sim::cluster::{Hurt, Plan, Summary, run_plan};

/// What a plan comes to that breaks no promise.
fn planned<P>(suite: &Suite<P>, text: &str) -> Summary
where
    P: Protocol<Problem = TotalOrder>,
{
    let plan: Plan = text.parse().expect("a plan");
    run_plan(suite, &plan).unwrap_or_else(|broken| panic!("{plan}{}", broken.reason))
}

/// Short runs: a test build is slow.
fn hurt() -> Hurt {
    Hurt {
        ms_max: 3000,
        ..Hurt::default()
    }
}
