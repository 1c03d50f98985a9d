//! Raft in the simulated worlds: its golden scripts, and random schedules. Tests of single steps are
//! in `src/raft/paper.rs`.

use std::ops::Range;

use quorate_lab::suites::raft::SUITE;
use quorate_sim::random::{self, Hurt};
use quorate_sim::script;

#[test]
fn scripts() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/raft/scripts");
    if let Err(differences) = script::run_folder(&SUITE, folder) {
        panic!("{differences}");
    }
}

/// Seeds to run: `SEEDS=1000..2000` in the environment says which.
fn seeds(default: Range<u64>) -> Range<u64> {
    let Ok(text) = std::env::var("SEEDS") else {
        return default;
    };
    let (from, to) = text.split_once("..").expect("SEEDS=from..to");
    from.parse().expect("a number")..to.parse().expect("a number")
}

#[test]
fn random_schedules_keep_every_promise_and_end_in_progress() {
    let (mut decided, mut epochs, mut crashes) = (0, 0, 0);
    for seed in seeds(0..200) {
        match random::run(&SUITE, seed, &Hurt::default()) {
            Ok(summary) => {
                decided += summary.decided;
                epochs += summary.epoch;
                crashes += summary.counts.crashes;
            }
            Err(failure) => panic!("{failure}"),
        }
    }
    println!("decided {decided}, epochs {epochs}, crashes {crashes}");
    assert!(decided > 0 && epochs > 0, "the schedules are not idle");
}

/// A replica that lost records makes up for them, whatever else happens meanwhile.
#[test]
fn random_schedules_with_damaged_disks_keep_every_promise_and_end_in_progress() {
    let hurt = Hurt {
        damaged_disks: true,
        ..Hurt::default()
    };
    let mut damages = 0;
    for seed in seeds(0..150) {
        match random::run(&SUITE, seed, &hurt) {
            Ok(summary) => damages += summary.counts.damages,
            Err(failure) => panic!("{failure}"),
        }
    }
    println!("damages {damages}");
    assert!(damages > 0, "disks were damaged");
}

#[test]
fn a_seed_decides_everything() {
    for seed in 0..10 {
        let run = || random::run(&SUITE, seed, &Hurt::default());
        assert_eq!(run(), run());
    }
}

#[test]
fn outside_the_model_a_disk_that_forgets_is_caught() {
    let hurt = Hurt {
        lying_disks: true,
        ..Hurt::default()
    };
    let mut runs = (0..200).map(|seed| random::run(&SUITE, seed, &hurt));
    let failure = runs.find_map(Result::err);
    let failure = failure.expect("nobody noticed that promises were forgotten");
    // The report is a regression test: a script that shows the same again.
    let again = script::run(&SUITE, &failure.script).expect("it is a script");
    assert_eq!(again, failure.script);
    let shown = format!("violated: {}", failure.reason);
    assert_eq!(again.lines().last(), Some(shown.as_str()));
}
