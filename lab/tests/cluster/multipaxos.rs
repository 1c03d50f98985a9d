//! Whole replicas of Multi-Paxos.

use quorate_lab::suites::multipaxos::SUITE;

use crate::leases::reads_are_stale;
use crate::planned;

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

/// The leader counts on a lease for as long as it was given.
#[test]
fn a_lease_that_ignores_drift_is_found_out() {
    assert!(reads_are_stale(
        &SUITE,
        600_000,
        " option.flaw=lease-ignores-drift"
    ));
}
