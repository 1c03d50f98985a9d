//! `quorate-lab sim`, as a person or a program uses it.

use std::process::{Command, Output};

use quorate_lab::suites::raft::SUITE;
use quorate_sim::script;
use serde_json::Value;

fn sim(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_quorate-lab"))
        .arg("sim")
        .args(arguments)
        .output()
        .expect("the lab runs")
}

/// What was said about input that makes no sense.
fn refused(arguments: &[&str]) -> String {
    let output = sim(arguments);
    assert_eq!(output.status.code(), Some(2), "{arguments:?}");
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn a_search_that_finds_nothing_reports_what_it_did() {
    let output = sim(&["raft", "--seeds", "10", "--first", "100"]);
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}");
    assert!(
        text.contains("seeds       10 (100 to 109): no promise was broken"),
        "{text}"
    );
    assert!(
        text.contains("crashes") && text.contains("operations/s"),
        "{text}"
    );
}

#[test]
fn a_museum_bug_is_found_and_reported_as_a_script_that_shows_it() {
    let output = sim(&["raft", "--flaw", "rude-canvass", "--seeds", "400", "--json"]);
    assert_eq!(output.status.code(), Some(1));
    let report: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(
        (&report["protocol"], &report["world"]),
        (&"raft".into(), &"schedule".into())
    );
    let found = &report["violations"][0];
    let (text, reason) = (found["script"].as_str(), found["reason"].as_str());
    let (text, reason) = text.zip(reason).expect("a script and a reason");
    let again = script::run(&SUITE, text).expect("it is a script");
    assert_eq!(again, text);
    assert!(
        again.trim_end().ends_with(&format!("violated: {reason}")),
        "{again}"
    );
    assert!(
        again
            .lines()
            .next()
            .is_some_and(|line| line.starts_with("# Seed "))
    );
}

#[test]
fn an_adversary_can_be_chosen_unless_it_is_too_harsh() {
    let mild = [
        "raft",
        "--seeds",
        "5",
        "--model",
        "crash-stop,reliable,fifo,synchronous",
    ];
    assert!(sim(&mild).status.success());
    let error = refused(&["raft", "--model", "byzantine"]);
    assert!(
        error.contains("byzantine is more than crash-recovery"),
        "{error}"
    );
    assert!(error.contains("--outside-model"), "{error}");
    let outside = [
        "raft",
        "--model",
        "byzantine",
        "--outside-model",
        "--seeds",
        "500",
        "--whole",
    ];
    let caught = sim(&outside);
    assert_eq!(
        caught.status.code(),
        Some(1),
        "liars are more than Raft withstands"
    );
}

#[test]
fn unknown_names_are_answered_with_the_nearest() {
    let answers = [
        (
            &["rfat"][..],
            "no protocol is called `rfat`; the nearest is `raft`",
        ),
        (&["raft", "--flaw", "figure8"], "the nearest is `figure-8`"),
        (
            &["raft", "--option", "widow=3"],
            "no such option: widow; perhaps window",
        ),
        (&["raft", "--option", "window=x"], "not a number: window=x"),
        (
            &["raft", "--model", "crash-strop"],
            "no such adversary: crash-strop; perhaps crash-stop",
        ),
        (&["raft", "--seeds", "0"], "at least 1"),
        (&["raft", "--world", "clutser"], "cluster"),
        (
            &["raft", "--flaw", "snapshot-drops-sessions"],
            "a flaw of the service, which only --world cluster has",
        ),
        (
            &["raft", "--world", "cluster", "--model", "byzantine"],
            "--world schedule",
        ),
    ];
    for (arguments, answer) in answers {
        let error = refused(arguments);
        assert!(error.contains(answer), "{arguments:?}: {error}");
    }
}
