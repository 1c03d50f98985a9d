//! Whole replicas of primary-backup.

use quorate_lab::suites::primary_backup::SUITE;

use crate::planned;

/// Links stall for longer than the detection time of half a second, again and again. Views follow one
/// another until those who were taken for dead wrongly have won enough time for all.
#[test]
fn views_stay_where_links_stall_for_longer_than_servers_are_waited_for() {
    let plan = "cluster seed=52 members=5 hurt_ms=10000 core=5 clients=2 patience_ms=9000 keys=8 reads=20 \
                txns=20 delay_us=40000 loss=200 duplicate=1000 sync_us=200 wake_us=5 leases=3 \
                option.message=150 option.patience=5 option.window=1";
    planned(&SUITE, plan);
}
