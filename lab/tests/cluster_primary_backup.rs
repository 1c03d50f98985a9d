//! Whole replicas of primary-backup in the simulated world of clusters.

use quorate_lab::suites::primary_backup::SUITE;
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
    for seed in 0..15 {
        let summary = run(&SUITE, seed, &hurt()).unwrap_or_else(|failure| panic!("{failure}"));
        answered += summary.answered;
        crashes += summary.crashes + summary.kills + summary.ends;
        checkpoints += summary.checkpoints;
    }
    assert!(
        answered > 500 && crashes > 10,
        "the runs are not idle: {answered} answered, {crashes} crashes, {checkpoints} checkpoints"
    );
}

#[test]
fn damaged_logs_are_found_and_made_up_for() {
    let damage = Hurt {
        damage: true,
        ..hurt()
    };
    for seed in 100..106 {
        let once = run(&SUITE, seed, &damage).unwrap_or_else(|failure| panic!("{failure}"));
        let twice = run(&SUITE, seed, &damage).unwrap_or_else(|failure| panic!("{failure}"));
        assert_eq!(once, twice, "a seed decides everything");
    }
}
