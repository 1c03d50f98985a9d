//! A linearization that the store itself vouches for.
//!
//! Every change has a revision, every answer says as of which revision it is, and the store keeps
//! what each revision changed. That is an order of all operations; if it explains every answer and
//! contradicts no clock, the history is linearizable, and nobody needs to search. If not, the search
//! decides.

use std::collections::BTreeMap;

use quorate_problems::history::Operation;
use quorate_problems::key_value::Step;
use quorate_service::command::KeyRange;
use quorate_service::reply::{Event, Revision};
use quorate_service::store::View;

use super::session::{Action, Answer, Key, Value, key_number, value_number};

/// What all keys have.
type State = BTreeMap<Key, Value>;

/// An operation, and the revision that its answer names.
pub(super) type Dated = (Operation<Action, Answer>, Option<i64>);

/// Adds everything that changed from a revision on, as a state remembers it. Answers the revision at
/// which to go on, unless the state has forgotten some of it.
pub(super) fn gather(view: &View, mut from: i64, changes: &mut Vec<Revision>) -> Option<i64> {
    let all = KeyRange {
        key: bytes::Bytes::from_static(&[0]),
        end: bytes::Bytes::from_static(&[0]),
    };
    while from <= view.revision() {
        let (mut more, next) = view.history(&all, from, 1 << 20).ok()?;
        changes.append(&mut more);
        from = next;
    }
    Some(from)
}

/// Every value is written by one operation, so no value may be written by two revisions.
///
/// # Errors
/// The value that was.
pub(super) fn exactly_once(changes: &[Revision]) -> Result<(), String> {
    let mut written: BTreeMap<Value, i64> = BTreeMap::new();
    for change in changes {
        let puts = change.events.iter().filter(|event| !event.deleted);
        for value in puts.filter_map(|event| value_number(&event.kv.value)) {
            let first = *written.entry(value).or_insert(change.revision);
            if first != change.revision {
                return Err(format!(
                    "exactly once: value {value} was written by revision {first}, and again by {}",
                    change.revision
                ));
            }
        }
    }
    Ok(())
}

/// Whether the order of revisions is a linearization.
pub(super) fn explains(changes: &[Revision], operations: &[Dated]) -> bool {
    let Some(order) = order(changes, operations) else {
        return false;
    };
    let mut state = State::new();
    let mut last_call = 0;
    for &operation in &order {
        let (operation, _) = &operations[operation];
        // Who returned before somebody called who has come already cannot come only now.
        if operation.end() < last_call {
            return false;
        }
        last_call = last_call.max(operation.call);
        let answer = apply(&mut state, &operation.input);
        if operation.output().is_some_and(|output| *output != answer) {
            return false;
        }
    }
    true
}

/// All operations that took effect, in the order of revisions.
fn order(changes: &[Revision], operations: &[Dated]) -> Option<Vec<usize>> {
    let unknown = unknown(operations);
    let mut claimed = BTreeMap::new();
    let mut order: Vec<(i64, bool, u64, usize)> = Vec::new();
    for (number, (operation, revision)) in operations.iter().enumerate() {
        let Some(answer) = operation.output() else {
            continue;
        };
        let reads = is_without_effect(&operation.input, answer);
        let revision = (*revision)?;
        if !reads && claimed.insert(revision, number).is_some() {
            return None;
        }
        order.push((revision, reads, operation.call, number));
    }
    // What nobody was told of was done by operations that nobody was told about.
    let mut unknown = unknown;
    for change in changes {
        let is_strange = |event: &Event| key_number(&event.kv.key).is_none();
        // What is attached to leases is no part of the history.
        if claimed.contains_key(&change.revision) || change.events.iter().all(is_strange) {
            continue;
        }
        let number = responsible(change, &mut unknown)?;
        order.push((change.revision, false, operations[number].0.call, number));
    }
    order.sort_unstable();
    Some(order.into_iter().map(|(.., number)| number).collect())
}

/// Operations without an answer, by what they would leave behind.
#[derive(Default)]
struct Unknown {
    by_value: BTreeMap<Value, usize>,
    /// Deletions by key, the one called last first.
    deletions: BTreeMap<Key, Vec<usize>>,
}

fn unknown(operations: &[Dated]) -> Unknown {
    let mut unknown = Unknown::default();
    for (number, (operation, _)) in operations.iter().enumerate().rev() {
        if operation.output().is_some() {
            continue;
        }
        match &operation.input {
            Action::Delete(key) => unknown.deletions.entry(*key).or_default().push(number),
            Action::Put(_, value)
            | Action::Swap {
                new: Some(value), ..
            } => {
                unknown.by_value.insert(*value, number);
            }
            Action::Transaction {
                then, otherwise, ..
            } => {
                for step in then.iter().chain(otherwise) {
                    if let Step::Put(_, value) = step {
                        unknown.by_value.insert(*value, number);
                    }
                }
            }
            Action::Get(_) | Action::Swap { new: None, .. } => {}
        }
    }
    unknown
}

/// Who made a change.
fn responsible(change: &Revision, unknown: &mut Unknown) -> Option<usize> {
    let put = change.events.iter().find(|event| !event.deleted);
    match put {
        Some(event) => unknown.by_value.remove(&value_number(&event.kv.value)?),
        None => {
            let key = key_number(&change.events.first()?.kv.key)?;
            unknown.deletions.get_mut(&key)?.pop()
        }
    }
}

/// Whether an operation left everything as it was, as its answer tells.
fn is_without_effect(action: &Action, answer: &Answer) -> bool {
    matches!(
        (action, answer),
        (Action::Get(_), _) | (Action::Delete(_) | Action::Swap { .. }, Answer::Held(false))
    )
}

/// Does an operation, and answers as the clients here understand the service's answers.
fn apply(state: &mut State, action: &Action) -> Answer {
    let holds =
        |state: &State, key: &Key, expected: &Option<Value>| state.get(key) == expected.as_ref();
    match action {
        Action::Get(key) => Answer::Value(state.get(key).copied()),
        Action::Put(key, value) => {
            state.insert(*key, *value);
            Answer::Done
        }
        Action::Delete(key) => Answer::Held(state.remove(key).is_some()),
        Action::Swap { key, expected, new } => {
            let held = holds(state, key, expected);
            if held {
                match new {
                    Some(value) => state.insert(*key, *value),
                    None => state.remove(key),
                };
            }
            Answer::Held(held)
        }
        Action::Transaction {
            guards,
            then,
            otherwise,
        } => {
            let held = guards
                .iter()
                .all(|(key, expected)| holds(state, key, expected));
            let mut values = Vec::new();
            for step in if held { then } else { otherwise } {
                match step {
                    Step::Get(key) => values.push(state.get(key).copied()),
                    Step::Put(key, value) => drop(state.insert(*key, *value)),
                    Step::Delete(key) => drop(state.remove(key)),
                }
            }
            Answer::Results(held, values)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::session::{key_name, value_text};
    use quorate_service::reply::KeyValue;

    fn change(revision: i64, key: Key, value: Option<Value>) -> Revision {
        Revision {
            revision,
            events: vec![Event {
                deleted: value.is_none(),
                kv: KeyValue {
                    key: key_name(key),
                    value: value.map(|value| value_text(value, 8)).unwrap_or_default(),
                    ..KeyValue::default()
                },
                prev_kv: None,
            }],
        }
    }

    fn done(call: u64, end: u64, input: Action, answer: Answer, revision: i64) -> Dated {
        let operation = Operation {
            process: call,
            call,
            input,
            returned: Some((end, answer)),
        };
        (operation, Some(revision))
    }

    fn lost(call: u64, input: Action) -> Dated {
        let operation = Operation {
            process: call,
            call,
            input,
            returned: None,
        };
        (operation, None)
    }

    #[test]
    fn an_order_explains_what_it_can_and_nothing_else() {
        let changes = [
            change(2, 1, Some(10)),
            change(3, 1, None),
            change(4, 1, Some(11)),
        ];
        let good = vec![
            done(1, 5, Action::Put(1, 10), Answer::Done, 2),
            lost(2, Action::Delete(1)),
            done(6, 8, Action::Get(1), Answer::Value(None), 3),
            done(7, 9, Action::Put(1, 11), Answer::Done, 4),
        ];
        assert!(explains(&changes, &good));
        let mut stale = good.clone();
        stale.push(done(10, 11, Action::Get(1), Answer::Value(None), 3));
        assert!(!explains(&changes, &stale), "a read of the past");
        let mut wrong = good.clone();
        wrong[2].0.returned = Some((8, Answer::Value(Some(10))));
        assert!(!explains(&changes, &wrong), "a value that was gone");
        assert!(
            !explains(&changes[..2], &good[1..]),
            "a change that nobody made"
        );
        let twice = [&changes[..], &[change(5, 1, Some(10))]].concat();
        assert!(!explains(&twice, &good), "a change that was made twice");
        assert!(exactly_once(&changes).is_ok() && exactly_once(&twice).is_err());
    }
}
