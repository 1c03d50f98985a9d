//! The museum of famous bugs: searches find each by themselves, and what they found is kept as a script.
//! With the flaw it breaks a promise; without it the same schedule keeps all of them.

use std::fs;
use std::path::PathBuf;

use quorate_lab::suites::raft::SUITE;
use quorate_protocols::raft::Flaw;
use quorate_sim::random::{self, Hurt};
use quorate_sim::script::{self, Session};

fn exhibit(flaw: Flaw) -> (PathBuf, String) {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/raft/scripts/museum");
    let file = PathBuf::from(folder)
        .join(flaw.name())
        .with_extension("txt");
    let text = fs::read_to_string(&file).expect("every flaw has a script of its name");
    (file, text)
}

#[test]
fn each_script_shows_its_flaw() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/raft/scripts/museum");
    if let Err(differences) = script::run_folder(&SUITE, folder) {
        panic!("{differences}");
    }
    for flaw in Flaw::ALL {
        let (_, text) = exhibit(flaw);
        assert!(text.contains(&format!("flaw={}", flaw.name())));
        let violated = text.lines().filter(|line| line.starts_with("violated"));
        assert_eq!(violated.count(), 1, "{}", flaw.name());
    }
}

#[test]
fn without_the_flaw_the_same_schedule_keeps_every_promise() {
    for flaw in Flaw::ALL {
        let (file, text) = exhibit(flaw);
        let mut session = Session::new(&SUITE);
        let mut trace = false;
        for line in text.lines() {
            trace = line == "----" || (trace && !line.is_empty());
            if trace || line.starts_with('#') {
                continue;
            }
            let words = line.split_whitespace();
            let words: Vec<_> = words.filter(|word| !word.starts_with("flaw=")).collect();
            if !words.is_empty() {
                // Mail that only the flaw would have sent is not there.
                let _ = session.command(&words);
            }
        }
        session.command(&["progress"]).expect("it is a command");
        let violations = session.violations();
        assert!(violations.is_empty(), "{}: {violations:?}", file.display());
    }
}

/// The flaws that the first few hundred seeds find; `docs/testing.md` has the numbers of all.
#[test]
fn a_search_finds_the_common_ones_at_once() {
    for flaw in [Flaw::RudeCanvass, Flaw::AnyLog] {
        let hurt = Hurt {
            options: format!("flaw={}", flaw.name()),
            shrink: false,
            ..Hurt::default()
        };
        let mut runs = (0..400).map(|seed| random::run(&SUITE, seed, &hurt));
        let found = runs.find_map(Result::err);
        assert!(found.is_some(), "{} was not found", flaw.name());
    }
}
