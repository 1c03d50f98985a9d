//! Multi-Paxos; tests of single steps are in `src/multipaxos/paper.rs`.

use quorate_core::Protocol;
use quorate_lab::suites::multipaxos::KNOWN;
use quorate_protocols::multipaxos::MultiPaxos;
use quorate_sim::adversary::Adversary;
use quorate_sim::random::{self, Hurt};

use super::harness;

#[test]
fn scripts() {
    harness::scripts(&KNOWN);
}

#[test]
fn random_schedules_keep_every_promise_and_end_in_progress() {
    let runs = harness::schedules(&KNOWN, 150, &Hurt::default());
    let decided: u64 = runs.iter().map(|run| run.decided).sum();
    let epochs: u64 = runs.iter().map(|run| run.epoch).sum();
    println!("decided {decided}, epochs {epochs}");
    assert!(decided > 0 && epochs > 0, "the schedules are not idle");
}

/// A replica that lost records makes up for them, whatever else happens meanwhile.
#[test]
fn random_schedules_with_damaged_disks_keep_every_promise_and_end_in_progress() {
    let hurt = Hurt {
        damaged_disks: true,
        ..Hurt::default()
    };
    let runs = harness::schedules(&KNOWN, 120, &hurt);
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
        // It takes long, and `caught` runs the script again as it is.
        shrink: false,
        ..Hurt::default()
    };
    harness::caught(&KNOWN, 200, &hurt);
}

/// Quorums that are no majorities, in worlds in which everybody comes back in the end.
#[test]
fn random_schedules_with_flexible_quorums_keep_every_promise_and_end_in_progress() {
    for (phase1, phase2, seeds) in [
        ("grid:1x3", "grid-read:1x3", 60),
        ("grid-read:2x2", "grid:2x2", 200),
        ("threshold:4", "threshold:2", 200),
    ] {
        let hurt = Hurt {
            options: format!("phase1={phase1} phase2={phase2}"),
            adversary: Some(Adversary::of(MultiPaxos::MODEL)),
            ..Hurt::default()
        };
        let mut runs = 0;
        for seed in 0..seeds {
            match random::run(&KNOWN.suite, seed, &hurt) {
                Ok(_) => runs += 1,
                Err(failure) if failure.reason.contains("does not fit") => {} // Of another size.
                Err(failure) => panic!("{failure}"),
            }
        }
        assert!(runs > 10, "{phase1}: only {runs} clusters were of its size");
    }
}

#[test]
fn each_museum_script_shows_its_flaw_and_nothing_without_it() {
    harness::museum(&KNOWN);
}

#[test]
fn a_search_finds_the_common_flaws_at_once() {
    for flaw in ["accept-without-promise", "any-value", "read-too-soon"] {
        harness::found(&KNOWN, flaw, 300);
    }
}
