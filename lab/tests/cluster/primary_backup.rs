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

/// n7 is to replace everybody, and crashes before it has anything of the view service. It is started again with
/// the newest servers, which is n7 alone, and must not found a view service of its own because of that.
#[test]
fn who_is_to_replace_everybody_founds_nothing_of_its_own() {
    let plan = "cluster seed=126 members=5 spares=4 core=5 think_us=5000 patience_ms=9000 keys=2 txns=5 \
                value_bytes=1000 delay_us=5000 fifo=0 bound_us=100000 gst_ms=20000 sync_us=20 flush_ms=1 \
                leases=3 glances=4 option.bytes=1000 option.flight=3 option.message=1 option.patience=5 \
                option.retention=1048576 option.retry=0 option.window=1\n\
                4780.055 remove n1\n\
                4789.155 remove n2\n\
                4938.432 remove n5\n\
                4983.940 remove n4\n\
                5060.716 remove n6\n\
                5244.287 add n7\n\
                9106.340 kill n4\n\
                9179.791 start n6\n\
                9218.402 start n1\n\
                12637.827 kill n1\n\
                12764.294 promote n8\n\
                12841.686 kill n4\n\
                12853.505 start n4\n\
                12881.566 start n1\n\
                12966.032 crash n1\n\
                13225.153 crash n4\n\
                13231.513 start n5\n\
                16318.632 start n8\n\
                16339.833 crash n7\n";
    planned(&SUITE, plan);
}
