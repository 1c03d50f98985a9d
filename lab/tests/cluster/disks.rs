//! Disks that are full, slow or hold too little, and reads that may be so old, under every protocol.

use quorate_core::Protocol;
use quorate_lab::suites::{chain, multipaxos, primary_backup, raft, viewstamped};
use quorate_problems::total_order::TotalOrder;
use quorate_sim::Suite;
use quorate_sim::cluster::{Flaw, Plan, run_plan};

use crate::planned;

/// Runs a test under every protocol.
macro_rules! under_all {
    ($test:path) => {
        $test(&raft::SUITE);
        $test(&multipaxos::SUITE);
        $test(&viewstamped::SUITE);
        $test(&primary_backup::SUITE);
        $test(&chain::SUITE);
    };
}

/// One disk after the other has less left than it should, and gets room again.
const FULL: &str = "cluster seed=7 hurt_ms=14000 clients=6 think_us=20000 reads=30 segment_bytes=16384 \
                    layer_bytes=16384 flush_ms=10 compact_ms=300 reserve_bytes=600000\n\
                    2000 full n1 500000bytes\n\
                    5000 mend n1\n\
                    7000 full n2 500000bytes\n\
                    10000 mend n2\n";

#[test]
fn a_full_disk_adds_nothing_serves_the_rest_and_is_disarmed() {
    fn serves_the_rest<P: Protocol<Problem = TotalOrder>>(suite: &Suite<P>) {
        let summary = planned(suite, FULL);
        assert!(summary.alarms > 0 && summary.no_room > 50, "{summary:?}");
        assert!(summary.disarmed >= 2, "{summary:?}");
        // What was kept in reserve is enough for what goes on.
        assert_eq!((summary.ends, summary.lost), (0, 0), "{summary:?}");
        assert!(summary.answered > 600, "{summary:?}");
    }
    under_all!(serves_the_rest);
}

#[test]
fn a_full_disk_that_takes_no_deletions_is_noticed() {
    let mut plan: Plan = FULL.parse().expect("a plan");
    plan.settings.flaw = Some(Flaw::NoRoomToDelete);
    let broken = run_plan(&raft::SUITE, &plan).expect_err("nobody can make room");
    assert!(broken.reason.starts_with("space"), "{}", broken.reason);
}

/// The disk of each in turn is slow for good; whoever leads has one of them.
fn slow(node: u64) -> String {
    format!(
        "cluster seed=8 hurt_ms=14000 clients=6 think_us=20000 core=3\n\
         2000 slow-disk n{node} 900000us\n"
    )
}

#[test]
fn a_leader_whose_disk_stays_slow_hands_over_once() {
    fn hands_over<P: Protocol<Problem = TotalOrder>>(suite: &Suite<P>) {
        let summaries = [1, 2, 3].map(|node| planned(suite, &slow(node)));
        let handed = summaries.map(|summary| summary.handed_over);
        assert!(
            handed.iter().sum::<u64>() >= 1 && handed.iter().all(|&times| times <= 1),
            "{handed:?}"
        );
    }
    under_all!(hands_over);
}

#[test]
fn leadership_that_is_handed_over_for_a_stall_is_noticed() {
    let broken = [1, 2, 3].map(|node| {
        let mut plan: Plan = slow(node).parse().expect("a plan");
        plan.settings.flaw = Some(Flaw::HastyHandOver);
        run_plan(&raft::SUITE, &plan).err()
    });
    let reasons: Vec<String> = broken.into_iter().flatten().map(|one| one.reason).collect();
    assert!(!reasons.is_empty(), "one of them leads");
    assert!(
        reasons.iter().all(|reason| reason.starts_with("slow disk")),
        "{reasons:?}"
    );
}

#[test]
fn reads_of_bounded_age_are_no_older_while_things_go_wrong() {
    fn are_no_older<P: Protocol<Problem = TotalOrder>>(suite: &Suite<P>) {
        let plan = "cluster seed=9 hurt_ms=8000 clients=4 think_us=20000 reads=20 aged=3 apply_us=500\n\
                    2000 clock n1 2000000ppm\n\
                    2500 clock n2 500000ppm\n\
                    3000 cut n3 n1\n3000 cut n3 n2\n\
                    4500 heal\n\
                    5000 pause n2\n\
                    5800 resume n2\n";
        let summary = planned(suite, plan);
        assert!(summary.aged > 300, "{summary:?}");
    }
    under_all!(are_no_older);
}

#[test]
fn a_state_that_is_dated_by_the_answer_is_noticed() {
    // What one of them learns takes a while to get there, and a confirmation too.
    let plan = |slow: u64| {
        let mut plan =
            "cluster seed=9 hurt_ms=4000 clients=6 think_us=5000 reads=0 aged=4\n".to_owned();
        for from in (1..=3).filter(|from| *from != slow) {
            plan += &format!("1500 slow-link n{from} n{slow} 100000us\n");
        }
        plan
    };
    let broken = [2, 3].map(|slow| {
        assert!(planned(&raft::SUITE, &plan(slow)).aged > 100);
        let mut plan: Plan = plan(slow).parse().expect("a plan");
        plan.settings.flaw = Some(Flaw::FreshWhenAnswered);
        run_plan(&raft::SUITE, &plan).err()
    });
    let reasons: Vec<String> = broken.into_iter().flatten().map(|one| one.reason).collect();
    assert!(!reasons.is_empty(), "one of them follows");
    assert!(
        reasons
            .iter()
            .all(|reason| reason.starts_with("reads of bounded age")),
        "{reasons:?}"
    );
}

/// Seed 57 of Raft found it: a machine that joins and whose disk is full has a log, and no store to go with it.
/// The next start took the store for lost, and a crash after that made damage of it.
#[test]
fn a_first_start_on_a_full_disk_is_no_damage() {
    for bytes in (10_000..150_000).step_by(20_000) {
        let plan = format!(
            "cluster seed=57 spares=2 hurt_ms=6000 clients=2 think_us=20000 segment_bytes=16384 layer_bytes=262144\n\
             500 full n4 {bytes}bytes\n\
             1000 add n4\n\
             2500 mend n4\n\
             4500 crash n4\n\
             4600 start n4\n"
        );
        let summary = planned(&raft::SUITE, &plan);
        assert_eq!((summary.damaged, summary.rebuilt), (0, 0), "{summary:?}");
    }
}

/// Seeds 22 of Raft and 52 of Multi-Paxos, with damaged disks: whoever has a state that is newer than its log
/// begins with the members of that state, which are no new list, and no reason to take itself for removed.
#[test]
fn a_replica_that_begins_with_the_members_of_its_state_says_nothing_new() {
    let plan = "cluster seed=22 spares=2 hurt_ms=10450 clients=1\n\
                3756.403 remove n3\n\
                7420.417 rot n1 log\n\
                7616.607 crash n1\n";
    assert_eq!(planned(&raft::SUITE, plan).changes, 1);
    let plan = "cluster seed=52 members=5 spares=4 hurt_ms=10000 core=5 clients=2 patience_ms=9000 keys=8 reads=20 \
                delay_us=40000 loss=200 duplicate=1000 sync_us=200 flush_ms=20 layer_bytes=1024 leases=3 \
                option.flight=1 option.retention=0 option.window=1\n\
                2636.371 remove n2\n\
                3147.379 add n7\n\
                7782.249 crash n7\n";
    assert_eq!(planned(&multipaxos::SUITE, plan).changes, 2);
}
