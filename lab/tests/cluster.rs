//! Whole replicas of Raft in the simulated world of clusters.

use quorate_lab::suites::raft::SUITE;
use quorate_sim::cluster::{Plan, Summary, run_plan};

fn run(text: &str) -> Summary {
    let plan: Plan = text.parse().expect("a plan");
    run_plan(&SUITE, &plan).unwrap_or_else(|reason| panic!("{plan}{reason}"))
}

#[test]
fn three_replicas_serve_clients() {
    let summary = run("cluster seed=1 hurt_ms=10000");
    println!("{summary:?}");
    assert!(summary.answered > 1000, "{summary:?}");
}
