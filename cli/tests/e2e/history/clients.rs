//! The same history without the server's word for it: only what clients asked and were told, and when.
//!
//! The oracle next door trusts revisions to be the order in which things happened. This one looks for
//! an order by itself, with the checker that the simulator and `quorate lab verify` use.

use std::collections::BTreeMap;
use std::time::Instant;

use quorate_problems::history::{History, Operation};
use quorate_problems::key_value::{self, Input, Output, Step};
use quorate_problems::linearizable::Verdict;

use super::oracle::Violation;
use super::{Action, Answer, Call, Revision, Row, State};

/// How many configurations the search for an order may look at: seconds, without optimisation.
const CONFIGURATIONS_MAX: u64 = 100_000;

/// Checks that some order of the calls explains all their answers. The story says only which value a
/// revision stands for where a swap expects one.
pub(crate) fn check(story: &[Revision], calls: &[Call]) -> Result<(), Violation> {
    let Some(start) = calls.iter().map(|call| call.begun).min() else {
        return Ok(());
    };
    let values = values(story);
    let keys = keys(calls);
    let since =
        |at: Instant| u64::try_from(at.duration_since(start).as_nanos()).unwrap_or(u64::MAX);
    let mut processes: BTreeMap<&str, u64> = BTreeMap::new();
    let mut operations = Vec::new();
    let fresh = calls
        .iter()
        .filter(|call| !matches!(call.action, Action::ReadStale { .. }));
    for call in fresh {
        let name = call.who.split(" at ").next().unwrap_or_default();
        let next = processes.len() as u64;
        let process = *processes.entry(name).or_insert(next);
        operations.push(Operation {
            process,
            call: since(call.begun),
            input: input(&call.action, &keys, &values),
            returned: output(call, &keys).map(|output| (since(call.ended), output)),
        });
    }
    let history = History::from_operations(operations)
        .map_err(|error| Violation(format!("the clients' calls are no history: {error}")))?;
    match key_value::check(&history, CONFIGURATIONS_MAX) {
        Verdict::Linearizable(_) => Ok(()),
        Verdict::GaveUp { configurations } => {
            println!("no order of the calls was found or ruled out in {configurations} steps");
            Ok(())
        }
        Verdict::Violated(witness) => {
            let mut text = "no order explains these calls:".to_owned();
            for &at in witness.conflict.iter().chain(&witness.context) {
                text += &format!("\n  {:?}", history.operations()[at]);
            }
            Err(Violation(text))
        }
    }
}

type Ask = Input<String, String>;
type Reply = Output<String>;

/// What each revision wrote under each key.
fn values(story: &[Revision]) -> BTreeMap<(i64, &str), &str> {
    let changes = story.iter().flat_map(|revision| {
        let changes = revision.changes.iter();
        changes.map(|(key, row)| (revision.number, key.as_str(), row.as_ref()))
    });
    let written =
        changes.filter_map(|(number, key, row)| Some(((number, key), row?.value.as_str())));
    written.collect()
}

/// All keys that were ever written, which is what a read of everything reads.
fn keys(calls: &[Call]) -> Vec<String> {
    let written = calls.iter().flat_map(|call| match &call.action {
        Action::Put { keys, .. } => keys.clone(),
        Action::Delete { key } | Action::Swap { key, .. } => vec![key.clone()],
        Action::Read { .. } | Action::ReadStale { .. } => Vec::new(),
    });
    let mut keys: Vec<String> = written.collect();
    keys.sort();
    keys.dedup();
    keys
}

fn input(action: &Action, all: &[String], values: &BTreeMap<(i64, &str), &str>) -> Ask {
    let unconditional = |then| Input::Transaction {
        guards: Vec::new(),
        then,
        otherwise: Vec::new(),
    };
    match action {
        Action::Put { keys, value } => {
            let puts = keys.iter().map(|key| Step::Put(key.clone(), value.clone()));
            unconditional(puts.collect())
        }
        Action::Delete { key } => Input::Delete(key.clone()),
        Action::Swap {
            key,
            expected,
            value,
        } => Input::Swap {
            key: key.clone(),
            // A client expects only revisions that it saw, and 0 if there was nothing.
            expected: values
                .get(&(*expected, key.as_str()))
                .map(|value| (*value).to_owned()),
            new: Some(value.clone()),
        },
        Action::Read { key: Some(key) } | Action::ReadStale { key: Some(key) } => {
            Input::Get(key.clone())
        }
        Action::Read { key: None } | Action::ReadStale { key: None } => {
            unconditional(all.iter().cloned().map(Step::Get).collect())
        }
    }
}

fn output(call: &Call, all: &[String]) -> Option<Reply> {
    let value = |rows: &State, key: &String| rows.get(key).map(|row: &Row| row.value.clone());
    Some(match (&call.answer, &call.action) {
        (Answer::Unknown, _) => return None,
        (Answer::Changed { .. }, Action::Delete { .. } | Action::Swap { .. }) => Output::Held(true),
        (Answer::Changed { .. }, _) => Output::Done,
        (Answer::Saw { .. }, Action::Delete { .. }) => Output::Held(false),
        (
            Answer::Saw { rows, .. },
            Action::Read { key: None } | Action::ReadStale { key: None },
        ) => Output::Results(true, all.iter().map(|key| value(rows, key)).collect()),
        (
            Answer::Saw { rows, .. },
            Action::Swap { key, .. }
            | Action::Read { key: Some(key) }
            | Action::ReadStale { key: Some(key) },
        ) => Output::Value(value(rows, key)),
        // The other oracle says what is wrong with such an answer.
        (Answer::Saw { .. }, Action::Put { .. }) => return None,
    })
}
