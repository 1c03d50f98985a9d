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
fn a_replica_with_a_damaged_log_comes_back_as_a_spare_and_joins() {
    let plan = "cluster seed=4 members=3 hurt_ms=2500 clients=4\n\
                900.000 crash n2\n\
                901.000 rot n2 log\n\
                950.000 start n2\n";
    // Not every bit that rots matters.
    let damaged =
        (0..8).map(|seed| planned(&plan.replace("seed=4", &format!("seed={seed}"))).damaged);
    assert!(damaged.sum::<u64>() > 0, "some of it is noticed");
}

/// Whichever of three stops, the others go on, and do not lose what was acknowledged.
#[test]
fn head_middle_and_tail_are_each_survived() {
    let before = planned("cluster seed=7 members=3 hurt_ms=2000 clients=4").answered;
    for member in 1..=3 {
        let plan =
            format!("cluster seed=7 members=3 hurt_ms=6000 clients=4\n2000.000 crash n{member}\n");
        let answered = planned(&plan).answered;
        assert!(
            answered > 2 * before,
            "{answered} with n{member} gone, {before} before"
        );
    }
}
