//! Whole replicas of Multi-Paxos in the simulated world of clusters.

use quorate_lab::suites::multipaxos::SUITE;
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
    for seed in 0..12 {
        let summary = run(&SUITE, seed, &hurt()).unwrap_or_else(|failure| panic!("{failure}"));
        answered += summary.answered;
        crashes += summary.crashes + summary.kills + summary.ends;
        checkpoints += summary.checkpoints;
    }
    assert!(
        answered > 1000 && crashes > 5 && checkpoints > 0,
        "the runs are not idle"
    );
}

#[test]
fn damaged_logs_are_found_and_recovered_from_peers() {
    let plan = "cluster seed=4 members=3 hurt_ms=2500 clients=4\n\
                900.000 crash n2\n\
                901.000 rot n2 log\n\
                950.000 start n2\n";
    // Not every bit that rots matters.
    let damaged =
        (0..6).map(|seed| planned(&plan.replace("seed=4", &format!("seed={seed}"))).damaged);
    assert!(damaged.sum::<u64>() > 0, "some of it is noticed");
}

/// Two of four accept a command, so two may be slow; majorities would need three.
#[test]
fn with_flexible_quorums_a_slow_half_slows_nobody() {
    let plan = |phase2: &str| {
        let mut plan =
            "cluster seed=1 members=4 core=4 hurt_ms=2000 clients=4 think_us=10000\n".to_string();
        plan = plan.replace("\n", &format!(" option.phase2={phase2}\n"));
        for slow in ["n3", "n4"] {
            plan += &format!("0 pause {slow}\n0 slow-disk {slow} 30000us\n");
        }
        plan += "700 resume n3\n700 resume n4\n";
        plan
    };
    let (flexible, majority) = (planned(&plan("threshold:2")), planned(&plan("majority")));
    assert!(
        flexible.answered > majority.answered * 3 / 2,
        "{flexible:?} {majority:?}"
    );
}

/// With leases, and clocks that drift by no more than was said.
#[test]
fn leases_hold_while_clocks_drift() {
    let leased = Hurt {
        options: "lease=900 drift=600000".to_string(),
        ..hurt()
    };
    let mut answered = 0;
    for seed in 200..206 {
        let summary = run(&SUITE, seed, &leased).unwrap_or_else(|failure| panic!("{failure}"));
        answered += summary.answered;
    }
    assert!(answered > 500, "the runs are not idle");
}

/// The leader's clock is slow, the others' are fast, and it is cut off: it must not count on its lease for
/// as long as it was given.
#[test]
fn a_lease_that_ignores_drift_is_found_out() {
    let plan = |flaw: &str| -> Plan {
        let plan = format!(
            "cluster seed=2 hurt_ms=6000 clients=8 reads=60 keys=1 think_us=2000 patience_ms=300 \
             option.lease=900 option.drift=600000{flaw}\n\
             1800 clock n3 500000ppm\n1800 clock n1 2000000ppm\n1800 clock n2 2000000ppm\n\
             2500 cut n3 n1\n2500 cut n3 n2\n2500 cut n1 n3\n2500 cut n2 n3\n4500 heal\n"
        );
        plan.parse().expect("a plan")
    };
    let broken = run_plan(&SUITE, &plan(" option.flaw=lease-ignores-drift"));
    let broken = broken.expect_err("a read misses what was written");
    assert!(broken.reason.starts_with("read"), "{}", broken.reason);
    run_plan(&SUITE, &plan("")).expect("with the drift counted it holds");
}
