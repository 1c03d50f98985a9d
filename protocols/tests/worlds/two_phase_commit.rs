//! Two-phase commit; tests of single steps are in `src/two_phase_commit/paper.rs`.
//!
//! It claims to be safe under crash-recovery and asynchrony, and not to end while its coordinator is
//! gone. So progress asks less of it than of others: whoever is left must know the outcome if anybody
//! does, and say that it is blocked if nobody does.

use quorate_core::Protocol;
use quorate_lab::suites::two_phase_commit::KNOWN;
use quorate_protocols::two_phase_commit::TwoPhaseCommit;
use quorate_sim::adversary::Adversary;
use quorate_sim::random::{self, Hurt};

use super::harness;

#[test]
fn scripts() {
    harness::scripts(&KNOWN);
}

#[test]
fn random_schedules_keep_every_promise_and_end_in_progress() {
    let runs = harness::schedules(&KNOWN, 300, &Hurt::default());
    let decided: u64 = runs.iter().map(|run| run.decided).sum();
    println!("decided {decided} of 300");
    assert!(decided > 200, "most runs decide");
}

/// Where whoever stops is gone for good, the coordinator may be among them.
#[test]
fn random_schedules_without_a_coordinator_end_blocked_and_never_in_disagreement() {
    let claimed = TwoPhaseCommit::MODEL;
    let crash_stop = Adversary::parse(["crash-stop"], claimed).expect("it makes sense");
    let hurt = Hurt {
        adversary: Some(crash_stop),
        ..Hurt::default()
    };
    let runs = harness::schedules(&KNOWN, 300, &hurt);
    let decided: u64 = runs.iter().map(|run| run.decided).sum();
    println!("decided {decided} of 300");
    assert!(decided > 0 && decided < 300, "some are blocked");
}

/// Whoever lost records takes part in nothing and learns, or is blocked with the others.
#[test]
fn random_schedules_with_damaged_disks_keep_every_promise() {
    let hurt = Hurt {
        damaged_disks: true,
        ..Hurt::default()
    };
    let runs = harness::schedules(&KNOWN, 200, &hurt);
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
fn a_search_finds_the_common_flaws_at_once() {
    for flaw in ["majority-commit", "heuristic-abort"] {
        harness::found(&KNOWN, flaw, 400);
    }
}
