//! Every scene ends as it says, and a scene that makes no sense is refused with its line.

use quorate_core::NodeId;
use quorate_sim::trace::{Event, Loss, What};

use super::{Scene, Wrong, find, local, names, run};

fn outcome(name: &str) -> super::Outcome {
    let scene = find(name).expect("there is such a scene");
    run(&scene).unwrap_or_else(|wrong| panic!("{name}:{}: {}", wrong.line, wrong.reason))
}

#[test]
fn every_scene_ends_as_expected() {
    for name in names() {
        let scene = find(name).expect("its name is in the list");
        assert!(!scene.source.is_empty(), "{name} has a source");
        assert!(!scene.story.is_empty(), "{name} has a story");
        let outcome = outcome(name);
        let surprises: Vec<_> = outcome
            .sheet
            .iter()
            .filter(|verdict| verdict.holds != verdict.expected)
            .collect();
        assert!(surprises.is_empty(), "{name}: {surprises:#?}");
        for diagram in outcome.diagrams() {
            assert!(!diagram.moments.is_empty(), "{name} shows something");
        }
    }
}

fn holds(outcome: &super::Outcome, property: &str) -> bool {
    let mut sheet = outcome.sheet.iter();
    let verdict = sheet.find(|verdict| verdict.property == property);
    verdict.expect("the sheet has this property").holds
}

/// D1: all linked, one crashed, one cut off.
#[test]
fn the_service_stays_available_in_all_three_opening_pictures() {
    let outcome = outcome("raft/opening-pictures");
    assert_eq!(outcome.worlds.len(), 3);
    assert!(holds(&outcome, "every request is answered"));
    assert!(holds(&outcome, "agreement"));
}

/// A9: the local traces of those on the other side are the same bytes.
#[test]
fn who_is_cut_off_and_who_crashed_look_the_same_to_the_others() {
    let outcome = outcome("raft/partition-or-crash");
    let [crash, partition] = outcome.worlds.as_slice() else {
        panic!("two worlds");
    };
    let (crash, partition) = (&crash.recording.trace, &partition.recording.trace);
    assert_ne!(crash, partition, "the worlds are different");
    for node in [NodeId(2), NodeId(3)] {
        let (one, two) = (local::seen(crash, node), local::seen(partition, node));
        assert!(one.lines().count() > 20, "they see a lot: {one}");
        assert_eq!(one.as_bytes(), two.as_bytes());
    }
}

/// A10: a detector may be wrong, and nothing is broken by it.
#[test]
fn false_suspicion_is_safe() {
    let outcome = outcome("raft/false-suspicion");
    assert!(outcome.sheet.iter().all(|verdict| verdict.holds));
    let trace = &outcome.worlds[0].recording.trace;
    let crashed = |what: &What| matches!(what, What::Crashed { .. });
    assert!(
        !trace.events.iter().any(|event| crashed(&event.what)),
        "all are alive"
    );
}

#[test]
fn figure_8_is_safe_with_the_rule_and_broken_without_it() {
    assert!(holds(&outcome("raft/figure-8"), "agreement"));
    assert!(!holds(&outcome("raft/figure-8-broken"), "agreement"));
}

/// D12, E7: the same faults side by side. The one that collected the votes, or led, crashes at the same
/// point, and nothing else goes wrong.
#[test]
fn where_two_phase_commit_is_blocked_paxos_commit_and_a_quorum_go_on() {
    let names = [
        "two-phase-commit/blocked",
        "paxos-commit/not-blocked",
        "raft/not-blocked",
    ];
    let [blocked, paxos, raft] = names.map(outcome);
    for outcome in [&blocked, &paxos, &raft] {
        let trace = &outcome.worlds[0].recording.trace;
        let fault = |what: &What| match what {
            What::Crashed { node, .. } => Some(*node),
            What::Cut { .. }
            | What::Lost {
                why: Loss::Dropped, ..
            } => Some(NodeId(0)),
            _ => None,
        };
        let faults = trace.events.iter().filter_map(|event| fault(&event.what));
        assert_eq!(faults.collect::<Vec<_>>(), [NodeId(1)]);
        assert!(holds(outcome, "agreement"));
    }
    assert!(!holds(&blocked, "nobody is blocked"));
    assert!(holds(&paxos, "nobody is blocked"));
    assert!(holds(&raft, "every request is answered"));
    for outcome in [&paxos, &raft] {
        let trace = &outcome.worlds[0].recording.trace;
        let mut late = trace.events.iter().rev();
        let decides = |what: &What| matches!(what, What::Output { decision: true, .. });
        let crash = late.position(|event| matches!(event.what, What::Crashed { .. }));
        let after = trace.events.iter().rev().take(crash.expect("n1 crashes"));
        let decided = after.filter(|event| decides(&event.what)).count();
        assert!(decided >= 2, "both that are left go on");
    }
}

/// E7: unanimity is not consensus. A majority is enough for the one, and not for the other.
#[test]
fn the_flatmates_cannot_outvote_who_is_away() {
    let outcome = outcome("two-phase-commit/flatmates");
    let [home, away, outvoted] = outcome.worlds.as_slice() else {
        panic!("three worlds");
    };
    let decided = |told: &super::tell::Told, wanted: &str| {
        let outputs = told.recording.trace.events.iter();
        let wanted = |event: &&Event| match &event.what {
            What::Output { text, .. } => text == wanted,
            _ => false,
        };
        outputs.filter(wanted).count()
    };
    assert_eq!(decided(home, "Decide(Commit)"), 3);
    assert_eq!(decided(away, "Decide(Abort)"), 2);
    assert!(home.violations.is_empty() && away.violations.is_empty());
    assert!(decided(outvoted, "Decide(Commit)") > 0);
    assert!(!outvoted.violations.is_empty());
}

fn refused(text: &str) -> Wrong {
    let scene = Scene::parse("test", text);
    match scene.and_then(|scene| run(&scene)) {
        Ok(outcome) => panic!("accepted: {:?}", outcome.sheet),
        Err(wrong) => wrong,
    }
}

/// A scene with these lines before its script and these in it, which begins in line 7.
fn scene(header: &str, script: &str) -> String {
    format!("title: T\nsource: S\nprotocol: raft\n{header}\nstory: S.\nscript:\n{script}")
}

#[test]
fn what_makes_no_sense_is_refused_with_its_line() {
    let cases = [
        (
            "titel: T\nscript:\n".to_string(),
            1,
            "no line `titel`; perhaps title",
        ),
        (
            "title: T\nprotocol: raft\n".to_string(),
            2,
            "ends with a line `script:`",
        ),
        (
            "protocol: raft\nscript:\n".to_string(),
            1,
            "needs a line `title:`",
        ),
        (
            scene("expect: agreement maybe", "cluster 3"),
            4,
            "`true` or `false`",
        ),
        (
            scene("expect: agreemant false", "cluster 3"),
            1,
            "perhaps agreement",
        ),
        (scene("alike: x9", "cluster 3"), 4, "found x9"),
        (scene("", "cluster 3\nfire n4 Election"), 8, "n4"),
        (
            scene("", "cluster 3\n\nfire n1 Electoin"),
            9,
            "perhaps Election",
        ),
        (
            scene("", "cluster 3\nfire n1 Election\ndeliver n1 n2 PreVoet"),
            9,
            "PreVote",
        ),
        (
            scene("", "cluster 3\npartitoin n1 | n2 n3"),
            8,
            "perhaps partition",
        ),
        (scene("", "cluster 3 windwo=3"), 7, "perhaps window"),
        (scene("", "cluster 3 flaw=figure8"), 7, "figure-8"),
        (scene("", "crash n1"), 7, "cluster"),
        (scene("", "cluster 3\ncrash n1\ncrash n1"), 9, "n1 is down"),
    ];
    for (text, line, hint) in cases {
        let wrong = refused(&text);
        assert!(wrong.reason.contains(hint), "{hint}: {wrong:?}");
        assert_eq!(wrong.line, line, "{wrong:?} in\n{text}");
    }
    let raft = scene("", "cluster 3").replace("protocol: raft", "protocol: raff");
    assert!(refused(&raft).reason.contains("the nearest is `raft`"));
}

#[test]
fn an_unknown_scene_is_answered_with_the_nearest() {
    let unknown = find("raft/leader-crush").expect_err("there is no such scene");
    assert!(
        unknown.to_string().contains("raft/leader-crash"),
        "{unknown}"
    );
}

#[test]
fn a_run_is_a_json_document() {
    let scene = find("raft/figure-8-broken").expect("there is such a scene");
    let outcome = run(&scene).expect("it runs");
    let document = super::json::run(&scene, &outcome);
    assert_eq!(document["format"], "quorate-run");
    assert_eq!(document["version"], 1);
    assert_eq!(document["as_expected"], true);
    let events = document["worlds"][0]["events"].as_array();
    let events = events.expect("a world has events");
    assert_eq!(events.len(), outcome.worlds[0].recording.trace.events.len());
    assert!(events.iter().any(|event| event["event"] == "violated"));
    let sheet = document["verdicts"].as_array().expect("a sheet");
    let agreement = sheet.iter().find(|row| row["property"] == "agreement");
    assert_eq!(agreement.expect("agreement")["holds"], false);
}

#[test]
fn a_run_can_be_read_again() {
    for name in names() {
        let scene = find(name).expect("its name is in the list");
        let outcome = outcome(name);
        let document = super::json::run(&scene, &outcome).to_string();
        let (head, recordings) = super::json::read(&document).expect("it was just written");
        assert_eq!(head.title, scene.title);
        assert_eq!(head.verdicts.len(), outcome.sheet.len());
        assert_eq!(recordings.len(), outcome.worlds.len());
        for (read, told) in recordings.iter().zip(&outcome.worlds) {
            assert_eq!(read.trace, told.recording.trace);
            assert_eq!(read.notes, told.recording.notes);
            assert_eq!(read.quiet, told.recording.quiet);
        }
    }
}

#[test]
fn documents_that_are_none_say_where_and_why() {
    let with = |version: u64, event: &str| {
        format!(
            "{{\"format\": \"quorate-run\", \"version\": {version}, \
             \"worlds\": [{{\"members\": [\"n1\"], \"events\": [{event}]}}]}}"
        )
    };
    let fired =
        |node: &str| format!("{{\"event\": \"fired\", \"node\": \"{node}\", \"timer\": \"T\"}}");
    assert!(super::json::read(&with(1, &fired("n1"))).is_ok());
    let cases = [
        ("{\n{".to_string(), "line 2"),
        ("[]".to_string(), "quorate-run"),
        ("{\"format\": \"other\"}".to_string(), "found `other`"),
        (
            with(2, ""),
            "this is version 2 of the format quorate-run; expected version 1",
        ),
        (
            with(1, &fired("n2")),
            "worlds[0].events[0]: n2 is none of the members",
        ),
        (
            with(1, &fired("x")),
            "expected `node`, a process like n1, found \"x\"",
        ),
        (with(1, "{\"event\": \"fierd\"}"), "perhaps fired"),
        (
            with(1, "{\"event\": \"fired\"}"),
            "worlds[0].events[0]: expected `node`",
        ),
        (
            with(
                1,
                "{\"event\": \"received\", \"mail\": 7, \"node\": \"n1\"}",
            ),
            "mail 7 was never sent",
        ),
    ];
    for (text, hint) in cases {
        let reason = super::json::read(&text).expect_err(&text);
        assert!(reason.contains(hint), "{hint}: {reason}");
    }
}
