//! Viewstamped Replication; tests of single steps are in `src/viewstamped/paper.rs`.

use quorate_lab::suites::viewstamped::KNOWN;
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
    assert!(decided > 150 && epochs > 150, "the schedules are not idle");
}

/// A replica that lost records recovers as the paper's do, with a nonce.
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
        ..Hurt::default()
    };
    harness::caught(&KNOWN, 200, &hurt);
}

/// Replicas that keep nothing, as in the paper, of which no more than a minority is away at once.
#[test]
fn random_schedules_of_volatile_replicas_keep_every_promise_and_end_in_progress() {
    let hurt = Hurt {
        options: "memory=volatile minority".to_string(),
        ..Hurt::default()
    };
    let runs = harness::schedules(&KNOWN, 120, &hurt);
    let crashes: u64 = runs.iter().map(|run| run.counts.crashes).sum();
    assert!(crashes > 100, "replicas recovered");
}

#[test]
fn outside_the_model_a_majority_that_forgets_is_caught() {
    let hurt = Hurt {
        options: "memory=volatile".to_string(),
        ..Hurt::default()
    };
    harness::caught(&KNOWN, 200, &hurt);
}

#[test]
fn each_museum_script_shows_its_flaw_and_nothing_without_it() {
    harness::museum(&KNOWN);
}

#[test]
fn a_search_finds_the_common_flaws_at_once() {
    for flaw in ["blind-resume", "resumed-primary"] {
        harness::found(&KNOWN, flaw, 50);
    }
}

/// Flaws of reconfiguration, where a single replica is to be joined by others.
#[test]
fn a_search_finds_the_flaws_of_reconfiguration() {
    for flaw in ["hasty-epoch", "endless-epoch", "forgotten-epoch"] {
        harness::found_with(&KNOWN, &format!("flaw={flaw} members=1"), 300);
    }
}
