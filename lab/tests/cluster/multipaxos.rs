//! Whole replicas of Multi-Paxos.

use quorate_lab::suites::multipaxos::SUITE;
use quorate_sim::cluster::{Hurt, Plan, run, run_plan};

use crate::{hurt, planned};

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
    let (flexible, majority) = (
        planned(&SUITE, &plan("threshold:2")),
        planned(&SUITE, &plan("majority")),
    );
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
