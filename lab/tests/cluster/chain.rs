//! Whole replicas of chain replication.

use quorate_lab::suites::chain::SUITE;

use crate::planned;

/// Whichever of three stops, the others go on, and do not lose what was acknowledged.
#[test]
fn head_middle_and_tail_are_each_survived() {
    let before = planned(&SUITE, "cluster seed=7 members=3 hurt_ms=2000 clients=4").answered;
    for member in 1..=3 {
        let plan =
            format!("cluster seed=7 members=3 hurt_ms=6000 clients=4\n2000.000 crash n{member}\n");
        let answered = planned(&SUITE, &plan).answered;
        assert!(
            answered > 2 * before,
            "{answered} with n{member} gone, {before} before"
        );
    }
}

/// Five replicas in a row, links of 40 ms that now and then stall for a second, and one entry at a time on each: all
/// links work at once, or what piles up is never worked off.
#[test]
fn all_links_of_a_slow_chain_work_at_once() {
    let plan = "cluster seed=535 members=5 core=5 patience_ms=300 delay_us=40000 fifo=0 \
                option.bytes=1048576 option.flight=1 option.message=1";
    planned(&SUITE, plan);
}
