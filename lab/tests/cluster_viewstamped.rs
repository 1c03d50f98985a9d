//! Whole replicas of Viewstamped Replication in the simulated world of clusters.

use quorate_lab::suites::viewstamped::SUITE;
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
    assert!(summary.answered > 500, "{summary:?}");
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
        answered > 1000 && crashes > 10 && checkpoints > 0,
        "the runs are not idle"
    );
}

#[test]
fn damaged_logs_are_found_and_recovered_from_others() {
    let plan = "cluster seed=4 members=3 hurt_ms=2500 clients=4\n\
                900.000 crash n2\n\
                901.000 rot n2 log\n\
                950.000 start n2\n";
    // Not every bit that rots matters.
    let damaged =
        (0..8).map(|seed| planned(&plan.replace("seed=4", &format!("seed={seed}"))).damaged);
    assert!(damaged.sum::<u64>() > 0, "some of it is noticed");
}

/// Durable replicas may all be gone at once, and the primary may change before and after.
#[test]
fn all_of_them_crash_and_come_back() {
    let plan = "cluster seed=2 members=3 hurt_ms=3000 clients=4\n\
                800.000 transfer n1\n\
                1200.000 crash n1\n\
                1200.000 crash n2\n\
                1200.000 crash n3\n\
                1400.000 start n1\n\
                1400.000 start n2\n\
                1400.000 start n3\n";
    let summary = planned(plan);
    assert!(summary.answered > 300, "{summary:?}");
}
