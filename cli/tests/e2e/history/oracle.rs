//! The check itself; see the module above for why it is one.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Instant;

use super::watcher::Watched;
use super::{Action, Answer, Call, Revision, Row, State};

/// Why a history cannot be what an etcd does.
#[derive(PartialEq, Eq)]
pub(crate) struct Violation(pub(crate) String);

impl fmt::Debug for Violation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

type Check = Result<(), Violation>;

macro_rules! demand {
    ($truth:expr, $($reason:tt)+) => {
        if !$truth {
            return Err(Violation(format!($($reason)+)));
        }
    };
}

/// Checks what clients did and saw against what the cluster says has happened.
pub(crate) fn check(history: &[Revision], calls: &[Call]) -> Check {
    let states = States::replay(history)?;
    let index = Index::new(history, calls)?;
    for call in calls {
        check_effect(call, &states, &index)?;
    }
    check_deletions(history, calls)?;
    check_order(calls, &index)
}

/// Checks that a watcher saw everything from where it started, once and in order.
pub(crate) fn check_watch(history: &[Revision], watched: &Watched) -> Check {
    let who = &watched.who;
    let mut expected = history
        .iter()
        .filter(|revision| revision.number >= watched.from);
    let mut last = watched.from - 1;
    for revision in &watched.revisions {
        let number = revision.number;
        demand!(
            number > last,
            "{who} saw revision {number} after {last}: {revision:?}"
        );
        let Some(next) = expected.next() else {
            return Err(Violation(format!(
                "{who} saw {revision:?}, which never happened"
            )));
        };
        demand!(
            next.number >= number,
            "{who} did not see revision {}, and then saw {number}",
            next.number
        );
        demand!(
            next == revision,
            "{who} saw {revision:?}, but it was {next:?}"
        );
        last = number;
    }
    match expected.next() {
        Some(next) => Err(Violation(format!(
            "{who} never saw revision {}",
            next.number
        ))),
        None => Ok(()),
    }
}

/// The state after each revision, kept as what changed, per key.
struct States {
    keys: BTreeMap<String, Vec<(i64, Option<Row>)>>,
}

impl States {
    /// Replays a history, which must follow etcd's rules by itself.
    fn replay(history: &[Revision]) -> Result<States, Violation> {
        let mut keys: BTreeMap<String, Vec<(i64, Option<Row>)>> = BTreeMap::new();
        let mut last = 1;
        for revision in history {
            let number = revision.number;
            demand!(
                number > last,
                "revision {number} comes after {last} in the history"
            );
            last = number;
            demand!(
                !revision.changes.is_empty(),
                "revision {number} changes nothing"
            );
            for (key, row) in &revision.changes {
                let versions = keys.entry(key.clone()).or_default();
                let before = versions.last().and_then(|(_, row)| row.as_ref());
                check_row(number, key, before, row.as_ref())?;
                versions.push((number, row.clone()));
            }
        }
        Ok(States { keys })
    }

    /// A key as of a revision.
    fn at(&self, key: &str, revision: i64) -> Option<&Row> {
        let versions = self.keys.get(key)?;
        let upto = versions.partition_point(|(number, _)| *number <= revision);
        versions.get(upto.checked_sub(1)?)?.1.as_ref()
    }

    /// All keys as of a revision.
    fn all_at(&self, revision: i64) -> State {
        let rows = self
            .keys
            .keys()
            .filter_map(|key| Some((key.clone(), self.at(key, revision)?.clone())));
        rows.collect()
    }
}

/// A key's numbers follow from what it was before.
fn check_row(number: i64, key: &str, before: Option<&Row>, after: Option<&Row>) -> Check {
    let Some(after) = after else {
        demand!(
            before.is_some(),
            "revision {number} deletes {key}, which did not exist"
        );
        return Ok(());
    };
    let (created, version) = match before {
        Some(before) => (before.created, before.version + 1),
        None => (number, 1),
    };
    demand!(
        (after.modified, after.created, after.version) == (number, created, version),
        "revision {number} made {key} {after:?}; it was {before:?}"
    );
    Ok(())
}

/// Where each value was written.
struct Index {
    written: BTreeMap<String, i64>,
}

impl Index {
    /// Every value in the history was asked for, and is there once.
    fn new(history: &[Revision], calls: &[Call]) -> Result<Index, Violation> {
        let mut asked: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for call in calls {
            match &call.action {
                Action::Put { keys, value } => {
                    asked.insert(value, keys.iter().map(String::as_str).collect());
                }
                Action::Swap { key, value, .. } => {
                    asked.insert(value, BTreeSet::from([key.as_str()]));
                }
                Action::Delete { .. } | Action::Read { .. } | Action::ReadStale { .. } => {}
            }
        }
        let mut written = BTreeMap::new();
        for revision in history {
            let number = revision.number;
            let rows = revision
                .changes
                .iter()
                .filter_map(|(key, row)| Some((key.as_str(), row.as_ref()?)));
            let mut values: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
            for (key, row) in rows {
                values.entry(row.value.as_str()).or_default().insert(key);
            }
            for (value, keys) in values {
                demand!(
                    asked.contains_key(value),
                    "revision {number} wrote {value:?}, which nobody asked for"
                );
                demand!(
                    asked.get(value) == Some(&keys),
                    "revision {number} wrote {value:?} to {keys:?} only"
                );
                let earlier = written.insert(value.to_owned(), number);
                demand!(
                    earlier.is_none(),
                    "{value:?} was written twice, by revisions {earlier:?} and {number}"
                );
            }
        }
        Ok(Index { written })
    }

    /// The revision at which a call took effect, if that is known.
    fn revision(&self, call: &Call) -> Option<i64> {
        match (&call.answer, &call.action) {
            (Answer::Changed { revision } | Answer::Saw { revision, .. }, _) => Some(*revision),
            (Answer::Unknown, Action::Put { value, .. } | Action::Swap { value, .. }) => {
                self.written.get(value).copied()
            }
            (
                Answer::Unknown,
                Action::Delete { .. } | Action::Read { .. } | Action::ReadStale { .. },
            ) => None,
        }
    }
}

/// One call did what it says, or what it was told is true.
fn check_effect(call: &Call, states: &States, index: &Index) -> Check {
    match (&call.answer, &call.action) {
        (
            Answer::Unknown,
            Action::Swap {
                key,
                expected,
                value,
            },
        ) => match index.written.get(value) {
            Some(revision) => check_swap(call, states, key, *expected, *revision),
            None => Ok(()),
        },
        (Answer::Unknown, _) => Ok(()),
        (Answer::Changed { revision }, Action::Put { value, .. }) => {
            check_written(call, index, value, *revision)
        }
        (
            Answer::Changed { revision },
            Action::Swap {
                key,
                expected,
                value,
            },
        ) => {
            check_written(call, index, value, *revision)?;
            check_swap(call, states, key, *expected, *revision)
        }
        // That deletions happened is counted elsewhere.
        (Answer::Changed { .. }, Action::Delete { .. }) => Ok(()),
        (Answer::Saw { revision, rows }, Action::Swap { key, expected, .. }) => {
            let modified = rows.get(key).map_or(0, |row| row.modified);
            demand!(
                modified != *expected,
                "a swap failed although it should not have: {call:?}"
            );
            check_seen(call, states, Some(key), *revision, rows)
        }
        (Answer::Saw { revision, rows }, Action::Delete { key }) => {
            check_seen(call, states, Some(key), *revision, rows)
        }
        (Answer::Saw { revision, rows }, Action::Read { key } | Action::ReadStale { key }) => {
            check_seen(call, states, key.as_ref(), *revision, rows)
        }
        (Answer::Saw { .. }, Action::Put { .. }) | (Answer::Changed { .. }, _) => Err(Violation(
            format!("an answer that makes no sense: {call:?}"),
        )),
    }
}

fn check_written(call: &Call, index: &Index, value: &str, revision: i64) -> Check {
    match index.written.get(value) {
        Some(written) if *written == revision => Ok(()),
        Some(written) => Err(Violation(format!(
            "written by revision {written} instead: {call:?}"
        ))),
        None => Err(Violation(format!(
            "an acknowledged write is missing: {call:?}"
        ))),
    }
}

fn check_swap(call: &Call, states: &States, key: &str, expected: i64, revision: i64) -> Check {
    let before = states.at(key, revision - 1).map_or(0, |row| row.modified);
    demand!(
        before == expected,
        "a swap overwrote revision {before}: {call:?}"
    );
    Ok(())
}

fn check_seen(
    call: &Call,
    states: &States,
    key: Option<&String>,
    revision: i64,
    rows: &State,
) -> Check {
    let expected = match key {
        Some(key) => states
            .at(key, revision)
            .map(|row| (key.clone(), row.clone()))
            .into_iter()
            .collect(),
        None => states.all_at(revision),
    };
    demand!(
        *rows == expected,
        "a read should have seen {expected:?}: {call:?}"
    );
    Ok(())
}

/// Acknowledged deletions are there, and no more than were asked for.
fn check_deletions(history: &[Revision], calls: &[Call]) -> Check {
    let mut happened: BTreeMap<&str, BTreeSet<i64>> = BTreeMap::new();
    for revision in history {
        for (key, row) in &revision.changes {
            if row.is_none() {
                happened.entry(key).or_default().insert(revision.number);
            }
        }
    }
    let mut unknown: BTreeMap<&str, usize> = BTreeMap::new();
    for call in calls {
        let Action::Delete { key } = &call.action else {
            continue;
        };
        match call.answer {
            Answer::Changed { revision } => {
                let there = happened
                    .get_mut(key.as_str())
                    .is_some_and(|revisions| revisions.remove(&revision));
                demand!(
                    there,
                    "an acknowledged deletion is missing, or acknowledged twice: {call:?}"
                );
            }
            Answer::Unknown => *unknown.entry(key).or_default() += 1,
            Answer::Saw { .. } => {}
        }
    }
    for (key, left) in happened {
        let allowed = unknown.get(key).copied().unwrap_or(0);
        demand!(
            left.len() <= allowed,
            "nobody asked for these deletions of {key}: {left:?}"
        );
    }
    Ok(())
}

/// No call names an older revision than one that was known before it began, and a write a newer one.
fn check_order(calls: &[Call], index: &Index) -> Check {
    let mut known: Vec<(Instant, i64)> = Vec::new();
    for call in calls {
        if let Answer::Changed { revision } | Answer::Saw { revision, .. } = call.answer {
            known.push((call.ended, revision));
        }
    }
    known.sort_unstable();
    let mut newest = 0;
    for (_, revision) in &mut known {
        newest = newest.max(*revision);
        *revision = newest;
    }
    for call in calls {
        let before = known.partition_point(|(ended, _)| *ended < call.begun);
        let floor = before.checked_sub(1).map_or(0, |at| known[at].1);
        let Some(revision) = index.revision(call) else {
            continue;
        };
        let writes = match (&call.answer, &call.action) {
            (_, Action::ReadStale { .. }) => continue,
            (Answer::Saw { .. }, _) | (_, Action::Read { .. }) => false,
            (Answer::Changed { .. } | Answer::Unknown, _) => true,
        };
        demand!(
            revision >= floor,
            "revision {floor} was known before this began: {call:?}"
        );
        demand!(
            !writes || revision > floor,
            "revision {floor} was taken before this began: {call:?}"
        );
    }
    Ok(())
}
