//! Paxos commit; tests of single steps are in `src/paxos_commit/paper.rs`.

use quorate_core::Protocol;
use quorate_lab::suites::paxos_commit::KNOWN;
use quorate_protocols::paxos_commit::PaxosCommit;
use quorate_sim::adversary::Adversary;
use quorate_sim::random::{self, Hurt};

use super::harness;

#[test]
fn scripts() {
    harness::scripts(&KNOWN);
}

#[test]
fn random_schedules_keep_every_promise_and_end_in_progress() {
    let runs = harness::schedules(&KNOWN, 250, &Hurt::default());
    let decided: u64 = runs.iter().map(|run| run.decided).sum();
    assert_eq!(decided, 250, "each run decides");
}

/// Two-phase commit is blocked here, if it is the coordinator that stops for good.
#[test]
fn random_schedules_in_which_some_stop_for_good_end_in_a_decision() {
    let claimed = PaxosCommit::MODEL;
    let crash_stop = Adversary::parse(["crash-stop"], claimed).expect("it makes sense");
    let hurt = Hurt {
        adversary: Some(crash_stop),
        ..Hurt::default()
    };
    let runs = harness::schedules(&KNOWN, 250, &hurt);
    let decided: u64 = runs.iter().map(|run| run.decided).sum();
    assert_eq!(decided, 250, "each run decides");
}

/// Whoever lost records takes part in nothing and learns.
#[test]
fn random_schedules_with_damaged_disks_keep_every_promise_and_end_in_progress() {
    let hurt = Hurt {
        damaged_disks: true,
        ..Hurt::default()
    };
    let runs = harness::schedules(&KNOWN, 150, &hurt);
    let damages: u64 = runs.iter().map(|run| run.counts.damages).sum();
    println!("damages {damages}");
    assert!(damages > 0, "disks were damaged");
}

#[test]
fn a_seed_decides_everything() {
    for seed in 0..10 {
        let run = || random::run(&KNOWN.suite, seed, &Hurt::default());
        assert_eq!(run(), run());
    }
}

#[test]
fn outside_the_model_a_disk_that_forgets_is_caught() {
    let hurt = Hurt {
        lying_disks: true,
        ..Hurt::default()
    };
    harness::caught(&KNOWN, 2000, &hurt);
}

#[test]
fn each_museum_script_shows_its_flaw_and_nothing_without_it() {
    harness::museum(&KNOWN);
}

#[test]
fn a_search_finds_a_presumed_yes_at_once() {
    harness::found(&KNOWN, "presumed-yes", 400);
}
