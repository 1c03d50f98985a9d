//! What holds under every protocol.

use quorate_core::Protocol;
use quorate_problems::total_order::TotalOrder;
use quorate_sim::Suite;
use quorate_sim::cluster::{Hurt, run};

use crate::{hurt, planned};

/// Runs everything below under each of these. So many seeds must send so many snapshots at least.
macro_rules! protocols {
    ($($name:ident: $seeds:literal seeds, $snapshots:literal snapshots;)+) => {
        $(mod $name {
            use quorate_lab::suites::$name::SUITE;

            #[test]
            fn three_replicas_serve_clients() {
                super::three_replicas_serve_clients(&SUITE);
            }

            #[test]
            fn seeds_keep_every_promise_and_end_in_progress() {
                super::seeds_keep_every_promise(&SUITE, $seeds, $snapshots);
            }

            #[test]
            fn damaged_logs_are_found_and_made_up_for() {
                super::damaged_logs_are_made_up_for(&SUITE);
            }

            #[test]
            fn a_rolling_restart_costs_a_client_one_retry() {
                super::a_rolling_restart_costs_one_retry(&SUITE);
            }

            #[test]
            fn a_disk_that_stalls_for_a_moment_takes_the_lead_from_nobody() {
                super::a_stall_takes_the_lead_from_nobody(&SUITE);
            }

            #[test]
            fn a_seed_decides_everything() {
                super::a_seed_decides_everything(&SUITE);
            }
        })+
    };
}

protocols! {
    raft: 20 seeds, 1 snapshots;
    multipaxos: 12 seeds, 1 snapshots;
    viewstamped: 15 seeds, 1 snapshots;
    primary_backup: 15 seeds, 0 snapshots;
    chain: 20 seeds, 1 snapshots;
}

fn three_replicas_serve_clients<P>(suite: &Suite<P>)
where
    P: Protocol<Problem = TotalOrder>,
{
    let summary = planned(suite, "cluster seed=1 hurt_ms=1000");
    assert!(summary.answered > 300, "{summary:?}");
    assert_eq!(
        (summary.lost, summary.refused),
        (0, 0),
        "nothing goes wrong"
    );
}

fn seeds_keep_every_promise<P>(suite: &Suite<P>, seeds: u64, snapshots: u64)
where
    P: Protocol<Problem = TotalOrder>,
{
    let (mut answered, mut crashes, mut checkpoints) = (0, 0, 0);
    for seed in 0..seeds {
        let summary = run(suite, seed, &hurt()).unwrap_or_else(|failure| panic!("{failure}"));
        answered += summary.answered;
        crashes += summary.crashes + summary.kills + summary.ends;
        checkpoints += summary.checkpoints;
    }
    assert!(
        answered > 500 && crashes > 5 && checkpoints >= snapshots,
        "the runs are idle: {answered} answered, {crashes} crashes, {checkpoints} checkpoints"
    );
}

fn damaged_logs_are_made_up_for<P>(suite: &Suite<P>)
where
    P: Protocol<Problem = TotalOrder>,
{
    let plan = "cluster seed=4 members=3 hurt_ms=2500 clients=4\n\
                900.000 crash n2\n\
                901.000 rot n2 log\n\
                950.000 start n2\n";
    // Not every bit that rots matters.
    let damaged =
        (0..6).map(|seed| planned(suite, &plan.replace("seed=4", &format!("seed={seed}"))).damaged);
    assert!(damaged.sum::<u64>() > 0, "some of it is noticed");
}

/// Each in turn hands leadership over, if it leads, and is stopped and started again.
fn a_rolling_restart_costs_one_retry<P>(suite: &Suite<P>)
where
    P: Protocol<Problem = TotalOrder>,
{
    let mut plan = "cluster seed=5 hurt_ms=11000 clients=6 think_us=30000 core=3\n".to_owned();
    for member in 1..=3 {
        let at = member * 3000;
        plan += &format!("{at} transfer n{member}\n");
        plan += &format!("{} kill n{member}\n", at + 400);
        plan += &format!("{} start n{member}\n", at + 900);
    }
    let summary = planned(suite, &plan);
    assert_eq!(summary.kills, 3, "{summary:?}");
    assert!(summary.lost + summary.refused > 0, "{summary:?}");
    assert!(
        summary.row <= 1 && summary.answered > 500,
        "somebody had to try three times: {summary:?}"
    );
}

/// The disk of each in turn takes longer than an election would, once. Leases and watches go on as well.
fn a_stall_takes_the_lead_from_nobody<P>(suite: &Suite<P>)
where
    P: Protocol<Problem = TotalOrder>,
{
    let calm = "cluster seed=6 hurt_ms=9000 clients=4 think_us=30000 leases=2 watchers=2\n";
    let mut plan = calm.to_owned();
    for member in 1..=3 {
        let at = member * 2000;
        plan += &format!("{at} slow-disk n{member} 1500000us\n");
        plan += &format!("{} slow-disk n{member} 0us\n", at + 100);
    }
    let (calm, stalled) = (planned(suite, calm), planned(suite, &plan));
    assert_eq!(stalled.epoch, calm.epoch, "{stalled:?}");
    assert_eq!((stalled.lost, stalled.refused), (0, 0), "{stalled:?}");
    assert!(stalled.leases > 3, "{stalled:?}");
}

fn a_seed_decides_everything<P>(suite: &Suite<P>)
where
    P: Protocol<Problem = TotalOrder>,
{
    let damage = Hurt {
        damage: true,
        ..hurt()
    };
    for seed in 100..103 {
        let once = run(suite, seed, &damage).unwrap_or_else(|failure| panic!("{failure}"));
        let twice = run(suite, seed, &damage).unwrap_or_else(|failure| panic!("{failure}"));
        assert_eq!(once, twice);
    }
}

/// Tests of protocols that change their members: they grow, shrink, replace and lose whom they must.
macro_rules! members_change {
    ($($name:ident;)+) => {
        mod members {
            $(mod $name {
                use quorate_lab::suites::$name::SUITE;

                #[test]
                fn one_grows_to_five_and_shrinks_back() {
                    super::super::one_grows_to_five_and_shrinks_back(&SUITE);
                }

                #[test]
                fn a_lost_machine_is_replaced() {
                    super::super::a_lost_machine_is_replaced(&SUITE);
                }
            })+
        }
    };
}

members_change! {
    raft;
    multipaxos;
    viewstamped;
}

/// Under load, and down again to another one than it began with.
fn one_grows_to_five_and_shrinks_back<P>(suite: &Suite<P>)
where
    P: Protocol<Problem = TotalOrder>,
{
    let plan = "cluster seed=1 members=1 core=1 spares=4 hurt_ms=13000 clients=4 think_us=30000\n\
                1000 add n2\n\
                2000 add-learner n3\n\
                3000 promote n3\n\
                4000 add n4\n\
                5000 add n5\n\
                7000 remove n1\n\
                8500 remove n2\n\
                10000 remove n4\n\
                11000 remove n3\n";
    let summary = planned(suite, plan);
    assert_eq!(summary.changes, 9, "{summary:?}");
    assert!(summary.answered > 500, "{summary:?}");
    // Those that were removed end when they hear of it.
    assert!(summary.kills >= 3, "{summary:?}");
}

/// Whichever it is: also the one that leads.
fn a_lost_machine_is_replaced<P>(suite: &Suite<P>)
where
    P: Protocol<Problem = TotalOrder>,
{
    for lost in 1..=3 {
        let plan = format!(
            "cluster seed=2 spares=1 core=3 hurt_ms=6000 clients=4 think_us=30000 flush_ms=10\n\
             1500 lose n{lost}\n\
             2500 add n4\n\
             3500 remove n{lost}\n"
        );
        let summary = planned(suite, &plan);
        assert_eq!((summary.changes, summary.crashes), (2, 1), "{summary:?}");
        assert!(summary.answered > 200, "{summary:?}");
    }
}

#[test]
fn seeds_change_members_of_raft() {
    let mut changes = 0;
    for seed in 300..316 {
        let summary = run(&quorate_lab::suites::raft::SUITE, seed, &hurt());
        let summary = summary.unwrap_or_else(|failure| panic!("{failure}"));
        changes += summary.changes;
    }
    assert!(changes > 5, "there were {changes} changes");
}
