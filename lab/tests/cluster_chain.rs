//! Whole replicas of chain replication in the simulated world of clusters.

use quorate_lab::suites::chain::SUITE;
use quorate_sim::cluster::{Hurt, Plan, Summary, run, run_plan};

fn planned(text: &str) -> Summary {
    let plan: Plan = text.parse().expect("a plan");
    run_plan(&SUITE, &plan).unwrap_or_else(|broken| panic!("{plan}{}", broken.reason))
}

/// Short runs: a test build is slow.
fn hurt() -> Hurt {
    Hurt {
        ms_max: 3000,
        ..Hurt::default()
    }
}

#[test]
fn three_replicas_serve_clients() {
    let summary = planned("cluster seed=1 hurt_ms=1000");
    assert!(summary.answered > 300, "{summary:?}");
    assert_eq!(
        (summary.lost, summary.refused),
        (0, 0),
        "nothing goes wrong"
    );
}

#[test]
fn seeds_keep_every_promise_and_end_in_progress() {
    let (mut answered, mut crashes, mut checkpoints) = (0, 0, 0);
    for seed in 0..20 {
        let summary = run(&SUITE, seed, &hurt()).unwrap_or_else(|failure| panic!("{failure}"));
        answered += summary.answered;
        crashes += summary.crashes + summary.kills + summary.ends;
        checkpoints += summary.checkpoints;
    }
    assert!(
        answered > 1000 && crashes > 10 && checkpoints > 0,
        "the runs are not idle"
    );
}

#[test]
fn seeds_with_damaged_disks_are_recovered_from() {
    let damage = Hurt {
        damage: true,
        ..hurt()
    };
    let runs = (100..112).map(|seed| run(&SUITE, seed, &damage));
    let runs = runs.map(|run| run.unwrap_or_else(|failure| panic!("{failure}")));
    let damaged: u64 = runs.map(|summary| summary.damaged).sum();
    assert!(damaged > 0, "some of it is noticed");
}

/// Whichever of three stops, the others go on, and do not lose what was acknowledged.
#[test]
fn head_middle_and_tail_are_each_survived() {
    for member in 1..=3 {
        let plan = format!(
            "cluster seed=7 members=3 core=2 hurt_ms=6000 clients=4\n2000.000 crash n{member}\n"
        );
        let summary = planned(&plan.replace(" core=2", ""));
        assert!(summary.answered > 1000, "{summary:?}");
    }
}
