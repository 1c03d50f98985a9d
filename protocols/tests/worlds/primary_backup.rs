//! Primary-backup, its view service replicated by Raft or alone.

use quorate_core::Protocol as _;
use quorate_lab::suites::primary_backup::KNOWN;
use quorate_protocols::primary_backup::PrimaryBackup;
use quorate_protocols::raft::Raft;
use quorate_sim::adversary::Adversary;
use quorate_sim::random::{self, Hurt};

use super::harness;

#[test]
fn scripts() {
    harness::scripts(&KNOWN);
}

#[test]
fn random_schedules_keep_every_promise_and_end_in_progress() {
    // An impatient view service makes more views.
    let hurt = Hurt {
        options: "patience=2".to_string(),
        ..Hurt::default()
    };
    let runs = harness::schedules(&KNOWN, 150, &hurt);
    let decided: u64 = runs.iter().map(|run| run.decided).sum();
    let epochs: u64 = runs.iter().map(|run| run.epoch).sum();
    println!("decided {decided}, epochs {epochs}");
    assert!(decided > 0 && epochs > 0, "the schedules are not idle");
}

/// One process is the view service. Nothing is ever lost with it, but nothing changes while it is down.
#[test]
fn random_schedules_with_a_lone_view_service_keep_every_promise() {
    let hurt = Hurt {
        options: "service=n1".to_string(),
        // Not one that may be gone for good: that could be the service.
        adversary: Some(Adversary::of(PrimaryBackup::<Raft>::MODEL)),
        ..Hurt::default()
    };
    harness::schedules(&KNOWN, 100, &hurt);
}

/// A replica that lost records makes up for them, whatever else happens meanwhile.
#[test]
fn random_schedules_with_damaged_disks_keep_every_promise_and_end_in_progress() {
    let hurt = Hurt {
        damaged_disks: true,
        ..Hurt::default()
    };
    let runs = harness::schedules(&KNOWN, 100, &hurt);
    let damages: u64 = runs.iter().map(|run| run.counts.damages).sum();
    println!("damages {damages}");
    assert!(damages > 0, "disks were damaged");
}

#[test]
fn outside_the_model_a_disk_that_forgets_is_caught() {
    let hurt = Hurt {
        lying_disks: true,
        ..Hurt::default()
    };
    harness::caught(&KNOWN, 300, &hurt);
}

/// Asynchronous replication promises less than total order does (checklist C5).
#[test]
fn asynchronous_replication_loses_what_was_acknowledged() {
    harness::found_with(&KNOWN, "mode=async", 300);
}

#[test]
fn a_seed_decides_everything() {
    for seed in 0..10 {
        let run = || random::run(&KNOWN.suite, seed, &Hurt::default());
        assert_eq!(run(), run());
    }
}

#[test]
fn each_museum_script_shows_its_flaw_and_nothing_without_it() {
    harness::museum(&KNOWN);
}

#[test]
fn a_search_finds_the_common_flaws_at_once() {
    for flaw in ["early-ack", "same-view"] {
        let hurt = Hurt {
            options: format!("flaw={flaw}"),
            shrink: false,
            // Whoever has forgotten must come back to be missed.
            adversary: Some(Adversary::of(PrimaryBackup::<Raft>::MODEL)),
            ..Hurt::default()
        };
        let mut runs = (0..400).map(|seed| random::run(&KNOWN.suite, seed, &hurt));
        assert!(runs.any(|run| run.is_err()), "{flaw} was not found");
    }
}
