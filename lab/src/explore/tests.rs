//! Conversations.

use quorate_sim::script;

use super::{Ended, Explorer, dialog};
use crate::draw::End;
use crate::draw::text::Style;
use crate::suites::raft;

fn explorer(commands: &[&str]) -> Explorer<'static, quorate_protocols::raft::Raft> {
    let commands = commands.iter().map(ToString::to_string).collect();
    let explorer = Explorer::new(&raft::SUITE, commands, raft::KNOWN.claims.asks);
    explorer.unwrap_or_else(|(line, reason)| panic!("{line}: {reason}"))
}

fn talk(lines: &str, terminal: bool) -> (Ended, String) {
    let mut explorer = explorer(&["cluster 3"]);
    let mut out = Vec::new();
    let ended = dialog(
        &mut explorer,
        lines.as_bytes(),
        &mut out,
        terminal,
        Style::default(),
    );
    let ended = ended.expect("memory takes everything");
    (ended, String::from_utf8(out).expect("it is text"))
}

#[test]
fn everything_that_can_happen_is_a_choice_and_can_be_made() {
    let mut explorer = explorer(&["cluster 3"]);
    // Always the first choice, which is the oldest mail if there is any; a disk at once.
    for _ in 0..60 {
        let choices = explorer.choices();
        for choice in &choices {
            let taken = explorer.take(&choice.command);
            assert!(taken.is_ok(), "{choice:?}: {taken:?}");
            explorer.back(1).expect("one step was made");
        }
        assert_eq!(
            explorer.choices(),
            choices,
            "a step back is as if it had not been"
        );
        let sync = choices.iter().find(|choice| choice.group == "disks");
        let next = sync.unwrap_or(&choices[0]);
        explorer.take(&next.command).expect("it is a choice");
    }
    let status = explorer.take("status").expect("it is a command").join("\n");
    assert!(status.contains("leader"), "{status}");
    assert!(explorer.violations().is_empty());
}

#[test]
fn the_path_is_a_golden_script() {
    let mut explorer = explorer(&["cluster 3"]);
    for command in [
        "fire n1 Election",
        "deliver n1 n2",
        "drop n1 n3",
        "crash n3",
        "settle",
    ] {
        explorer.take(command).expect(command);
    }
    let saved = explorer.script();
    assert_eq!(script::run(&raft::SUITE, &saved).as_ref(), Ok(&saved));
    assert!(
        saved.contains("drop n1 n3\n") && saved.contains("n1 -> n2: PreVote"),
        "{saved}"
    );
    let diagram = explorer.diagram();
    let lost = diagram
        .mail
        .iter()
        .filter(|mail| matches!(mail.end, End::Lost(..)));
    assert!(lost.count() >= 1, "the picture shows what was dropped");
}

#[test]
fn going_back_too_far_is_refused() {
    let mut explorer = explorer(&["cluster 3", "fire n1 Election"]);
    assert!(explorer.back(2).is_err());
    assert!(explorer.back(1).is_ok());
    let script = explorer.script();
    assert!(script.starts_with("cluster 3\n----\n"), "{script}");
    assert!(!script.contains("fire"), "{script}");
}

#[test]
fn a_conversation_from_a_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("path.txt");
    let lines = format!(
        "# Comments are skipped.\n1\nback\nfire n1 Election\nduplicate 1\ndrop 2\nshow\nlist\nsave {}\n",
        file.display()
    );
    let (ended, out) = talk(&lines, false);
    assert!(matches!(ended, Ended::Well(true)), "{ended:?}\n{out}");
    assert!(
        out.contains("> fire n1 Election\n"),
        "questions are seen: {out}"
    );
    assert!(out.contains("◷ Election"), "the picture is seen: {out}");
    let saved = std::fs::read_to_string(file).expect("the path was saved");
    let wanted = "cluster 3\nfire n1 Election\nduplicate n1 n2 PreVote\ndrop n1 n3 PreVote\n----\n";
    assert!(saved.starts_with(wanted), "{saved}");
}

#[test]
fn what_makes_no_sense_ends_a_file_and_not_a_person() {
    let cases = [
        ("99", "there are choices 1 to"),
        ("0", "there are choices 1 to"),
        ("fire n1 Electoin", "perhaps Election"),
        ("deliver n1 n9", "n9"),
        ("back", "only 0 steps"),
        ("back x", "not a number"),
        ("drop 1", "is no mail"),
        ("setle", "perhaps settle"),
        ("bakc 2", "perhaps back"),
        ("read", "`read n1`"),
        ("brodcast n1 x", "perhaps broadcast"),
        ("cluster 5", "already"),
        ("save /nowhere/at/all", "/nowhere/at/all"),
    ];
    for (line, hint) in cases {
        let (ended, _) = talk(&format!("list\n{line}\nfire n1 Election\n"), false);
        let Ended::Badly(2, reason) = ended else {
            panic!("{line}: {ended:?}");
        };
        assert!(reason.contains(hint), "{line}: {reason}");
        let (ended, out) = talk(&format!("{line}\nfire n1 Election\n"), true);
        assert!(matches!(ended, Ended::Well(true)), "{line}: {ended:?}");
        assert!(
            out.contains(hint) && out.contains("PreVote"),
            "{line}: {out}"
        );
    }
}
