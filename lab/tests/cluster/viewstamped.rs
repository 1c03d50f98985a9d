//! Whole replicas of Viewstamped Replication.

use quorate_lab::suites::viewstamped::SUITE;

use crate::planned;

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
    let summary = planned(&SUITE, plan);
    assert!(summary.answered > 300, "{summary:?}");
}
