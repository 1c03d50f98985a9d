//! The command line, as a person or a program uses it.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};

fn lab(arguments: &[&str], input: &str) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_quorate-lab"))
        .args(arguments)
        .env("COLUMNS", "110")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the lab starts");
    let mut stdin = child.stdin.take().expect("its input is a pipe");
    // Who refuses at once reads nothing.
    let _ = stdin.write_all(input.as_bytes());
    drop(stdin);
    child.wait_with_output().expect("the lab ends")
}

fn out(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// What was said about input that makes no sense: exit status 2, and one line.
fn refused(arguments: &[&str], input: &str) -> String {
    let output = lab(arguments, input);
    assert_eq!(output.status.code(), Some(2), "{arguments:?}");
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn scenes_are_listed_and_all_of_them_end_as_expected() {
    let list = lab(&["list"], "");
    assert!(list.status.success());
    assert!(out(&list).contains("raft/leader-crash"));
    let all = lab(&["run", "--all"], "");
    assert!(all.status.success(), "{}", out(&all));
    assert_eq!(out(&all).lines().count(), out(&list).lines().count());
    let list = lab(&["list", "--json"], "");
    let list: serde_json::Value = serde_json::from_slice(&list.stdout).expect("JSON");
    assert!(list.as_array().is_some_and(|list| list.len() > 10));
}

#[test]
fn a_run_shows_story_picture_and_verdicts_and_draws_files() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name).display().to_string();
    let (svg, html) = (path("a.svg"), path("a.html"));
    let run = lab(
        &[
            "run",
            "raft/stale-read-broken",
            "--svg",
            &svg,
            "--html",
            &html,
        ],
        "",
    );
    assert!(run.status.success());
    let shown = out(&run);
    for part in [
        "linearizable",
        "◷ Election",
        "cut: n1 | n2 n3",
        "VIOLATED",
        "as expected",
    ] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    let read = |file: &str| std::fs::read_to_string(Path::new(file)).expect("it was written");
    assert!(read(&svg).starts_with("<svg") && read(&html).starts_with("<!doctype html>"));

    let json = lab(&["run", "raft/stale-read-broken", "--json"], "");
    let file = path("run.json");
    std::fs::write(&file, &json.stdout).expect("a file");
    let drawn = lab(&["draw", &file], "");
    assert!(out(&drawn).contains("cut: n1 | n2 n3"));
}

#[test]
fn verdicts_that_are_not_as_expected_fail() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("scene.txt").display().to_string();
    let scene = "title: T\nprotocol: raft\nexpect: agreement false\nscript:\ncluster 1\n";
    std::fs::write(&file, scene).expect("a file");
    let run = lab(&["run", &file], "");
    assert_eq!(run.status.code(), Some(1));
    assert!(out(&run).contains("NOT EXPECTED"));
}

#[test]
fn names_that_mean_nothing_are_answered_with_the_nearest() {
    let error = refused(&["run", "raft/figure-9"], "");
    assert!(error.contains("the nearest is `raft/figure-8`"), "{error}");
    let error = refused(&["explore", "rfat"], "");
    assert!(error.contains("the nearest is `raft`"), "{error}");
    let error = refused(&["explore", "raft", "--with", "windw=3"], "");
    assert!(error.contains("perhaps window"), "{error}");
    let error = refused(&["draw", "no-such-file"], "");
    assert!(error.contains("no-such-file"), "{error}");
    let error = refused(
        &["explore", "raft"],
        "fire n1 Election\ndeliver n1 n2 PreVoet\n",
    );
    assert!(error.contains("input:2: "), "{error}");
}

#[test]
fn a_person_or_a_pipe_can_drive() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("path.txt").display().to_string();
    let driven = lab(
        &["explore", "raft"],
        &format!("1\n1\nback\nshow\nsave {file}\n"),
    );
    assert!(driven.status.success(), "{driven:?}");
    assert!(out(&driven).contains("◷ Election"));
    // What was saved can be drawn, and driven on.
    let drawn = lab(&["draw", &file], "");
    assert!(out(&drawn).contains("◷ Election"), "{drawn:?}");
    let driven = lab(
        &["explore", "raft", "--script", &file],
        "deliver n1 n2\nquit\n",
    );
    assert!(out(&driven).contains("n2 -> n1: PreGranted"), "{driven:?}");
}

#[test]
fn what_clients_of_a_cluster_saw_can_be_verified() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("clients.jsonl").display().to_string();
    let run = ["sim", "raft", "--seeds", "1", "--history", &file];
    let cluster = ["--world", "cluster", "--first", "10"];
    let sim = lab(&[&run[..], &cluster[..]].concat(), "");
    assert!(sim.status.success(), "{}", out(&sim));
    let operations = std::fs::read_to_string(&file).expect("it was written");
    assert!(operations.lines().count() > 100);
    let verdict = lab(&["verify", &file], "");
    assert!(verdict.status.success(), "{}", out(&verdict));
    // An answer that nobody could have given is noticed.
    let spoilt = operations.replacen("\"found\":", "\"found\":1000000", 1);
    assert_ne!(spoilt, operations);
    let verdict = lab(
        &["verify", "-"],
        &spoilt.replacen("1000000null", "1000000", 1),
    );
    assert_eq!(verdict.status.code(), Some(1), "{}", out(&verdict));
    let two = ["sim", "raft", "--seeds", "2", "--history", &file];
    let several = refused(&[&two[..], &cluster[..]].concat(), "");
    assert!(several.contains("--seeds 1"), "{several}");
    let schedule = refused(&run, "");
    assert!(schedule.contains("--world cluster"), "{schedule}");
}

#[test]
fn the_plan_of_a_violation_runs_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("plan.txt").display().to_string();
    let cluster = ["sim", "raft", "--world", "cluster"];
    let flaw = [
        "--flaw",
        "snapshot-drops-sessions",
        "--seeds",
        "100",
        "--json",
    ];
    let found = lab(&[&cluster[..], &flaw].concat(), "");
    assert_eq!(found.status.code(), Some(1));
    let found: serde_json::Value = serde_json::from_slice(&found.stdout).expect("JSON");
    let violation = &found["violations"][0];
    let plan = violation["script"].as_str().expect("a plan");
    std::fs::write(&file, plan).expect("a file");
    let run = [&cluster[..], &["--plan", &file, "--json"]].concat();
    let again = lab(&run, "");
    assert_eq!(again.status.code(), Some(1));
    let again: serde_json::Value = serde_json::from_slice(&again.stdout).expect("JSON");
    assert_eq!(again["violations"][0]["reason"], violation["reason"]);

    std::fs::write(&file, format!("{plan}\nnonsense\n")).expect("a file");
    let said = refused(&run, "");
    let line = plan.lines().count() + 2;
    assert!(said.contains(&format!("line {line}")), "{said}");
    let said = refused(&["sim", "raft", "--plan", &file], "");
    assert!(said.contains("--world cluster"), "{said}");
}
