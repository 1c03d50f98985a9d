//! Whole replicas of Raft.

use quorate_core::{Faults, Links, Model, Protocol as _, Timing};
use quorate_lab::suites::raft::SUITE;
use quorate_problems::key_value::Input;
use quorate_protocols::raft::Raft;
use quorate_sim::Failure;
use quorate_sim::cluster::{Flaw, Hurt, Plan, run, run_plan, run_recorded};

use crate::{hurt, planned};

/// The first seed that finds a flaw.
fn found(hurt: &Hurt) -> Failure {
    let mut seeds = 0..60;
    let found = seeds.find_map(|seed| run(&SUITE, seed, hurt).err());
    found.expect("sixty seeds find it")
}

#[test]
fn the_flaws_of_the_service_are_found_and_the_plan_says_how() {
    // The others take disks that are full or slow, and clocks: `disks.rs` has a plan for each.
    for flaw in [Flaw::DuplicateAppliedTwice, Flaw::SnapshotDropsSessions] {
        let flawed = Hurt {
            flaw: Some(flaw),
            // One of them is made small too.
            shrink: flaw == Flaw::DuplicateAppliedTwice,
            ..hurt()
        };
        let failure = found(&flawed);
        let plan: Plan = failure.script.parse().expect("a failure is a plan");
        let broken = run_plan(&SUITE, &plan).expect_err("it shows the flaw again");
        assert_eq!(broken.reason, failure.reason);
        let mut mended = plan;
        mended.settings.flaw = None;
        run_plan(&SUITE, &mended).expect("without the flaw all is well");
    }
}

#[test]
fn a_text_that_is_no_plan_says_where_and_what_was_expected() {
    for (text, complaint) in [
        ("", "line 1: expected a line that begins with cluster"),
        (
            "cluster members=3\n5 crash n4",
            "line 2: there is no n4: the cluster has 3 members",
        ),
        (
            "cluster members=70",
            "line 1: members must be 1 to 9, found 70",
        ),
        ("cluster colour=3", "line 1: no such setting: colour"),
        (
            "cluster\n\n7 crash",
            "line 3: expected a node, found the end of the line",
        ),
        (
            "cluster\nsoon crash n1",
            "line 2: expected milliseconds such as 1200.500, found soon",
        ),
        (
            "cluster\n5 crash n1\n4 start n1",
            "line 3: it comes before the line above it",
        ),
        (
            "cluster\n5 explode n1",
            "line 2: nothing called explode can go wrong",
        ),
    ] {
        let error = text.parse::<Plan>().expect_err("it is no plan").to_string();
        assert!(error.starts_with(complaint), "{error}");
    }
    let text = "cluster seed=5 members=5 option.window=2\n1.500 crash n5\n2.000 cut n1 n2\n";
    assert_eq!(text.parse::<Plan>().expect("a plan").to_string(), text);
}

/// Half of the acknowledged writes took no longer than this, in simulated microseconds: those that
/// were asked for once everybody was there, and before the cluster was healed.
fn median_write(plan: &str) -> u64 {
    let plan: Plan = plan.parse().expect("a plan");
    let (outcome, clients) = run_recorded(&SUITE, &plan);
    outcome.unwrap_or_else(|broken| panic!("{plan}{}", broken.reason));
    let counted = 1_500_000_000..plan.settings.hurt_ms * 1_000_000;
    let writes = clients.operations().iter();
    let writes = writes.filter(|one| matches!(one.input, Input::Put(..)));
    let answered = writes.filter(|one| counted.contains(&one.call) && one.returned.is_some());
    let mut took: Vec<u64> = answered.map(|one| (one.end() - one.call) / 1000).collect();
    assert!(took.len() > 30, "{plan}has only {} writes", took.len());
    took.sort_unstable();
    took[took.len() / 2]
}

/// A plan in which the last `slow` of so many members have slow disks and links. They join late, so
/// that none of a minority leads: a slow leader slows everybody, in all protocols that have one.
fn with_slow(members: u64, slow: u64, seed: u64) -> String {
    let mut plan = format!("cluster seed={seed} members={members} core={members} hurt_ms=3000");
    plan += " clients=15 think_us=10000 reads=20\n";
    let lame = members - slow + 1..=members;
    for lame in lame.clone() {
        plan += &format!("0 pause n{lame}\n0 slow-disk n{lame} 30000us\n");
        for other in (1..=members).filter(|other| *other != lame) {
            plan += &format!("0 slow-link n{lame} n{other} 30000us\n");
            plan += &format!("0 slow-link n{other} n{lame} 30000us\n");
        }
    }
    plan.extend(lame.map(|lame| format!("700 resume n{lame}\n")));
    plan
}

#[test]
fn a_slow_minority_slows_nobody_and_a_slow_majority_does() {
    for (members, seed) in [(3, 1), (3, 2), (5, 1), (5, 2)] {
        let quorum = members / 2 + 1;
        let medians = [0, members - quorum, quorum];
        let medians = medians.map(|slow| median_write(&with_slow(members, slow, seed)));
        let [usual, minority, majority] = medians;
        assert!(minority < 2 * usual, "{members} members: {medians:?}");
        assert!(majority > 5 * usual, "{members} members: {medians:?}");
    }
}

/// What a plan is refused for by a protocol with this claim, if it is.
fn refusal(plan: &str, claimed: Model) -> Option<String> {
    let plan: Plan = plan.parse().expect("a plan");
    plan.admit(claimed).err()
}

#[test]
fn a_plan_beyond_the_protocols_claim_is_refused_unless_it_is_told() {
    let mildest = Model {
        faults: Faults::FailStop,
        links: Links {
            lose: false,
            duplicate: false,
            reorder: false,
        },
        timing: Timing::Lockstep,
    };
    let calm = "cluster bound_us=1000 round_us=1000";
    assert_eq!(refusal(calm, mildest), None);
    for (plan, complaint) in [
        (format!("{calm} loss=1"), "the network loses mail"),
        (format!("{calm}\n1 cut n1 n2"), "the network loses mail"),
        (format!("{calm} core=2\n"), "the network loses mail"),
        (format!("{calm} duplicate=1"), "the network doubles mail"),
        (format!("{calm} fifo=0"), "the network reorders mail"),
        (
            format!("{calm}\n1 crash n3"),
            "crash-recovery is more than fail-stop",
        ),
        (
            format!("{calm}\n1 fail-sync n1 log"),
            "crash-recovery is more than",
        ),
        (
            format!("{calm} core=2\n1 kill n3"),
            "crash-stop is more than fail-stop",
        ),
        (
            format!("{calm}\n1 pause n3"),
            "partially-synchronous promises less than lockstep",
        ),
        (
            "cluster bound_us=1000".to_owned(),
            "synchronous promises less than lockstep",
        ),
    ] {
        let reason = refusal(&plan, mildest).unwrap_or_else(|| panic!("{plan} was let in"));
        assert!(reason.contains(complaint), "{plan}: {reason}");
        let told = plan.replacen("cluster", "cluster outside_model=1", 1);
        assert_eq!(refusal(&told, mildest), None);
        assert_eq!(refusal(&plan, Raft::MODEL), None, "Raft claims all of that");
    }
}

#[test]
fn leases_end_and_what_was_superseded_is_forgotten_while_things_go_wrong() {
    let plan = "cluster seed=3 hurt_ms=9000 think_us=20000 leases=3 compact_ms=100 flush_ms=10\n\
                2500.000 crash n1\n\
                3000.000 start n1\n\
                4000.000 cut n2 n1\n\
                4000.000 cut n1 n2\n\
                5500.000 heal\n\
                6000.000 clock n3 2000000ppm\n\
                6500.000 transfer n2\n";
    let summary = planned(&SUITE, plan);
    assert!(summary.leases > 5 && summary.expired > 3, "{summary:?}");
    assert!(summary.compactions > 20, "{summary:?}");
    assert_eq!(
        summary,
        planned(&SUITE, plan),
        "they too are decided by the plan"
    );
}

/// Seed 758 found it: a renewal did not count in full after the leader had changed.
#[test]
fn an_old_leaders_tick_ends_no_lease_early() {
    let plan = "\
cluster seed=758 clients=2 think_us=20000 reads=80 txns=5 delay_us=50 loss=200 fifo=0 wake_us=5 \
apply_us=500 leases=3 option.flight=1 option.message=1
16447.322 pause n1
17498.633 cut n3 n2
19027.569 join n3 n2
";
    let summary = planned(&SUITE, plan);
    assert!(summary.leases > 0, "{summary:?}");
}

/// Old parts of the logs of a majority rot, then all lose power. With what is left of each they put all of them
/// together again. `SEEDS=0..400` says how many, `HOLES` at how many places of each.
#[test]
fn most_logs_rot_in_the_middle_and_all_come_back() {
    let range = std::env::var("SEEDS").unwrap_or("0..6".to_owned());
    let (from, to) = range.split_once("..").expect("SEEDS=from..to");
    let (mut damaged, mut places) = (0, 0);
    for seed in from.parse::<u64>().expect("a number")..to.parse().expect("a number") {
        let mut plan = format!(
            "cluster seed={seed} members=3 core=3 hurt_ms=3500 clients=4 flush_ms=1000 segment_bytes=16384\n"
        );
        // What is written for a second from now on is behind it.
        for place in 0..seed % 4 + 1 {
            let node = 1 + (seed + place) % 2;
            plan += &format!("{} rot n{node} log\n", 800 + 200 * place);
            places += 1;
        }
        for node in 1..=3 {
            plan += &format!("{}.{node} crash n{node}\n", 2500);
        }
        for node in 1..=3 {
            plan += &format!("{} start n{node}\n", 2600 + 100 * node);
        }
        damaged += planned(&SUITE, &plan).damaged;
    }
    println!("{places} places, {damaged} starts on damaged logs");
    assert!(damaged > 0, "some of it is noticed");
}
