//! The oracle bites: each kind of lie is found, and the truth is not called one.

use std::time::{Duration, Instant};

use super::clients;
use super::oracle::{Violation, check, check_watch};
use super::watcher::Watched;
use super::{Action, Answer, Call, Revision, Row, State};

/// A story told in seconds, from one moment on.
struct Story {
    start: Instant,
    calls: Vec<Call>,
}

impl Story {
    fn new() -> Story {
        Story {
            start: Instant::now(),
            calls: Vec::new(),
        }
    }

    fn call(mut self, begun: u64, ended: u64, action: Action, answer: Answer) -> Story {
        self.calls.push(Call {
            who: "test".to_owned(),
            begun: self.start + Duration::from_secs(begun),
            ended: self.start + Duration::from_secs(ended),
            action,
            answer,
        });
        self
    }

    fn verdict(&self, history: &[Revision]) -> Result<(), Violation> {
        check(history, &self.calls)
    }

    fn found(&self, history: &[Revision]) -> String {
        self.verdict(history).expect_err("the oracle finds it").0
    }
}

fn row(value: &str, modified: i64, created: i64, version: i64) -> Row {
    Row {
        value: value.to_owned(),
        modified,
        created,
        version,
    }
}

fn wrote(number: i64, key: &str, row: Row) -> Revision {
    Revision {
        number,
        changes: vec![(key.to_owned(), Some(row))],
    }
}

fn deleted(number: i64, key: &str) -> Revision {
    Revision {
        number,
        changes: vec![(key.to_owned(), None)],
    }
}

fn put(value: &str) -> Action {
    Action::Put {
        keys: vec!["a".to_owned()],
        value: value.to_owned(),
    }
}

fn read() -> Action {
    Action::Read {
        key: Some("a".to_owned()),
    }
}

fn swap(expected: i64, value: &str) -> Action {
    Action::Swap {
        key: "a".to_owned(),
        expected,
        value: value.to_owned(),
    }
}

fn delete() -> Action {
    Action::Delete {
        key: "a".to_owned(),
    }
}

fn changed(revision: i64) -> Answer {
    Answer::Changed { revision }
}

fn saw(revision: i64, row: Option<Row>) -> Answer {
    let rows = row.map(|row| ("a".to_owned(), row)).into_iter().collect();
    Answer::Saw { revision, rows }
}

/// a = x by revision 2, then y by 3.
fn two_puts() -> Vec<Revision> {
    vec![
        wrote(2, "a", row("x", 2, 2, 1)),
        wrote(3, "a", row("y", 3, 2, 2)),
    ]
}

fn two_puts_called() -> Story {
    Story::new()
        .call(0, 1, put("x"), changed(2))
        .call(2, 3, put("y"), changed(3))
}

#[test]
fn the_truth_passes() {
    let story = two_puts_called()
        .call(0, 2, read(), saw(1, None))
        .call(4, 5, read(), saw(3, Some(row("y", 3, 2, 2))))
        .call(4, 5, swap(2, "z"), saw(3, Some(row("y", 3, 2, 2))))
        .call(
            4,
            6,
            Action::ReadStale {
                key: Some("a".to_owned()),
            },
            saw(2, Some(row("x", 2, 2, 1))),
        )
        .call(4, 6, delete(), Answer::Unknown)
        .call(4, 6, put("w"), Answer::Unknown);
    assert_eq!(story.verdict(&two_puts()), Ok(()));
    let mut longer = two_puts();
    longer.push(deleted(4, "a"));
    longer.push(wrote(7, "a", row("w", 7, 7, 1)));
    assert_eq!(
        story.verdict(&longer),
        Ok(()),
        "what is unknown may have happened"
    );
}

#[test]
fn a_lost_write_is_found() {
    let found = two_puts_called().found(&two_puts()[..1]);
    assert!(found.contains("acknowledged write is missing"), "{found}");
}

#[test]
fn a_write_at_another_revision_is_found() {
    let story = Story::new()
        .call(0, 1, put("x"), changed(2))
        .call(2, 3, put("y"), changed(4));
    let found = story.found(&two_puts());
    assert!(found.contains("written by revision 3 instead"), "{found}");
}

#[test]
fn a_write_that_happens_twice_is_found() {
    let mut history = two_puts();
    history.push(wrote(4, "a", row("x", 4, 2, 3)));
    let found = two_puts_called().found(&history);
    assert!(found.contains("written twice"), "{found}");
}

#[test]
fn an_unknown_write_that_happens_twice_is_found() {
    let story = Story::new().call(0, 1, put("x"), Answer::Unknown);
    let history = [
        wrote(2, "a", row("x", 2, 2, 1)),
        wrote(3, "a", row("x", 3, 2, 2)),
    ];
    assert!(story.found(&history).contains("written twice"));
}

#[test]
fn a_repeated_revision_is_found() {
    let history = [
        wrote(2, "a", row("x", 2, 2, 1)),
        wrote(2, "a", row("y", 2, 2, 2)),
    ];
    assert!(two_puts_called().found(&history).contains("comes after"));
}

#[test]
fn an_invented_value_is_found() {
    let mut history = two_puts();
    history.push(wrote(4, "a", row("z", 4, 2, 3)));
    assert!(
        two_puts_called()
            .found(&history)
            .contains("nobody asked for")
    );
}

#[test]
fn half_a_transaction_is_found() {
    let both = Action::Put {
        keys: vec!["a".to_owned(), "b".to_owned()],
        value: "x".to_owned(),
    };
    let story = Story::new().call(0, 1, both, Answer::Unknown);
    assert!(
        story
            .found(&[wrote(2, "a", row("x", 2, 2, 1))])
            .contains("only")
    );
}

#[test]
fn wrong_versions_are_found() {
    let history = [
        wrote(2, "a", row("x", 2, 2, 1)),
        wrote(3, "a", row("y", 3, 2, 1)),
    ];
    assert!(two_puts_called().found(&history).contains("it was"));
}

#[test]
fn a_stale_read_is_found_by_its_revision() {
    let story = two_puts_called().call(4, 5, read(), saw(2, Some(row("x", 2, 2, 1))));
    let found = story.found(&two_puts());
    assert!(
        found.contains("revision 3 was known before this began"),
        "{found}"
    );
}

#[test]
fn a_stale_read_under_a_new_revision_is_found() {
    let story = two_puts_called().call(4, 5, read(), saw(3, Some(row("x", 2, 2, 1))));
    assert!(story.found(&two_puts()).contains("should have seen"));
}

#[test]
fn a_read_of_all_that_misses_a_key_is_found() {
    let all = Action::Read { key: None };
    let story = two_puts_called().call(
        4,
        5,
        all,
        Answer::Saw {
            revision: 3,
            rows: State::new(),
        },
    );
    assert!(story.found(&two_puts()).contains("should have seen"));
}

#[test]
fn a_write_that_took_an_old_revision_is_found() {
    // Revision 3 was acknowledged before the write that got revision 2 even began.
    let story = Story::new()
        .call(0, 1, put("y"), changed(3))
        .call(2, 3, put("x"), changed(2));
    assert!(
        story
            .found(&two_puts())
            .contains("was known before this began")
    );
}

#[test]
fn a_write_that_happened_before_it_was_asked_for_is_found() {
    let story = Story::new()
        .call(0, 1, put("y"), changed(3))
        .call(2, 3, put("x"), Answer::Unknown);
    assert!(
        story
            .found(&two_puts())
            .contains("was known before this began")
    );
}

#[test]
fn a_swap_that_overwrote_another_value_is_found() {
    let story = Story::new()
        .call(0, 9, put("x"), changed(2))
        .call(0, 9, swap(0, "y"), changed(3));
    assert!(
        story
            .found(&two_puts())
            .contains("a swap overwrote revision 2")
    );
    let story =
        Story::new()
            .call(0, 9, put("x"), changed(2))
            .call(0, 9, swap(0, "y"), Answer::Unknown);
    assert!(
        story
            .found(&two_puts())
            .contains("a swap overwrote revision 2")
    );
}

#[test]
fn a_swap_that_failed_for_no_reason_is_found() {
    let story = two_puts_called().call(4, 5, swap(3, "z"), saw(3, Some(row("y", 3, 2, 2))));
    assert!(story.found(&two_puts()).contains("should not have"));
}

#[test]
fn a_lost_or_invented_deletion_is_found() {
    let story = two_puts_called().call(4, 5, delete(), changed(4));
    assert!(story.found(&two_puts()).contains("deletion is missing"));
    let mut history = two_puts();
    history.push(deleted(4, "a"));
    assert!(
        two_puts_called()
            .found(&history)
            .contains("nobody asked for these deletions")
    );
    let twice = story.call(4, 5, delete(), changed(4));
    assert!(twice.found(&history).contains("acknowledged twice"));
}

fn watched(from: i64, revisions: &[Revision]) -> Watched {
    Watched {
        who: "w".to_owned(),
        from,
        revisions: revisions.to_vec(),
        resumed: 0,
    }
}

#[test]
fn a_complete_watch_passes() {
    let history = two_puts();
    assert_eq!(check_watch(&history, &watched(1, &history)), Ok(()));
    assert_eq!(check_watch(&history, &watched(3, &history[1..])), Ok(()));
}

#[test]
fn a_watch_with_a_gap_a_repeat_or_a_lie_is_found() {
    let history = two_puts();
    let [first, second] = [history[0].clone(), history[1].clone()];
    let cases = [
        (vec![second.clone()], "did not see revision 2"),
        (vec![first.clone()], "never saw revision 3"),
        (
            vec![first.clone(), first.clone(), second.clone()],
            "saw revision 2 after 2",
        ),
        (
            vec![first.clone(), second.clone(), first.clone()],
            "saw revision 2 after 3",
        ),
        (
            vec![first.clone(), wrote(3, "a", row("z", 3, 2, 2))],
            "but it was",
        ),
        (
            vec![first, second, wrote(9, "a", row("z", 9, 2, 3))],
            "never happened",
        ),
    ];
    for (revisions, expected) in cases {
        let found = check_watch(&history, &watched(1, &revisions))
            .expect_err("found")
            .0;
        assert!(found.contains(expected), "{found}");
    }
}

/// Without revisions to go by: the second read of a value that was overwritten before.
#[test]
fn the_clients_alone_know_a_stale_read() {
    let first = row("1", 2, 2, 1);
    let second = row("2", 3, 2, 2);
    let story = [wrote(2, "a", first.clone()), wrote(3, "a", second.clone())];
    let saw = |row: &Row| Answer::Saw {
        revision: 3,
        rows: State::from([("a".to_owned(), row.clone())]),
    };
    let written = Story::new()
        .call(0, 1, put("1"), Answer::Changed { revision: 2 })
        .call(2, 3, swap(2, "2"), Answer::Changed { revision: 3 });
    let truth = Story {
        start: written.start,
        calls: written.calls.clone(),
    };
    let truth = truth.call(4, 5, read(), saw(&second));
    assert_eq!(clients::check(&story, &truth.calls), Ok(()));
    let lie = written.call(4, 5, read(), saw(&first));
    let found = clients::check(&story, &lie.calls).expect_err("it is stale");
    assert!(
        found.0.starts_with("no order explains these calls"),
        "{found:?}"
    );
}
