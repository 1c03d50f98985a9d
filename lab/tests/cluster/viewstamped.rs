//! Whole replicas of Viewstamped Replication.

use quorate_lab::suites::viewstamped::SUITE;

use crate::planned;

/// n2 takes the place of n1, and before that is in force n3 is to join: it is started with voters who do not
/// take part yet, and must learn of the one who does.
#[test]
fn who_joins_while_members_change_is_brought_up_to_date() {
    let plan = "cluster seed=191 members=1 spares=4 hurt_ms=5000 core=1 clients=1 reads=0 loss=1000 \
                option.message=150\n\
                92.085 add n2\n\
                690.020 remove n1\n\
                2273.548 add n3\n";
    planned(&SUITE, plan);
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
    let summary = planned(&SUITE, plan);
    assert!(summary.answered > 300, "{summary:?}");
}
