//! Raft; tests of single steps are in `src/raft/paper.rs`.

use quorate_lab::suites::raft::KNOWN;
use quorate_sim::random::{self, Hurt};

use super::harness;

#[test]
fn scripts() {
    harness::scripts(&KNOWN);
}

#[test]
fn random_schedules_keep_every_promise_and_end_in_progress() {
    let runs = harness::schedules(&KNOWN, 200, &Hurt::default());
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
    let runs = harness::schedules(&KNOWN, 150, &hurt);
    let damages: u64 = runs.iter().map(|run| run.counts.damages).sum();
    println!("damages {damages}");
    assert!(damages > 0, "disks were damaged");
}

/// Where nearly all lose something at once, but nothing that is nowhere else, they put it back from one another.
#[test]
fn random_schedules_in_which_nearly_all_logs_have_holes_in_the_end_go_on() {
    let hurt = Hurt {
        damaged_disks: true,
        holes: true,
        shrink: false,
        ..Hurt::default()
    };
    let runs = harness::schedules(&KNOWN, 30, &hurt);
    let damages: u64 = runs.iter().map(|run| run.counts.damages).sum();
    println!("damages {damages}");
    assert!(damages > 0, "logs had holes");
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

#[test]
fn each_museum_script_shows_its_flaw_and_nothing_without_it() {
    harness::museum(&KNOWN);
}

#[test]
fn a_search_finds_the_common_flaws_at_once() {
    for flaw in ["rude-canvass", "any-log"] {
        harness::found(&KNOWN, flaw, 400);
    }
}
