//! Histories of a store that works, made up from a seed: for tests of checkers, and to measure them.

use alloc::collections::BTreeMap;
use alloc::vec;
use alloc::vec::Vec;

use quorate_core::Choice;

use super::{Input, Numbered, Output, State, Step, run};
use crate::history::{History, Operation};
use crate::linearizable::Sequential;

/// What a made-up history looks like.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// How many operations are called.
    pub operations: usize,
    /// How many processes call them.
    pub processes: u32,
    /// Over how many keys.
    pub keys: u32,
    /// How many of 100 operations are gets.
    pub gets: u32,
    /// How many of 100 operations are transactions over two or three keys.
    pub transactions: u32,
    /// How many of 1000 operations are never answered; half of them take effect.
    pub lost: u32,
    /// How many different values are written, so that swaps succeed and reads are ambiguous; none:
    /// every value is unlike any other.
    pub values: Option<u32>,
}

enum Stage {
    Idle,
    Called(Input<u32, u32>),
    Done(Output<u32>),
}

/// Makes up a history of that shape. Every operation takes effect at one moment between its call and
/// its return, so it is linearizable.
#[must_use]
pub fn invent(shape: &Shape, seed: u64) -> History<Input<u32, u32>, Output<u32>> {
    let mut choice = Choice::Seeded(seed);
    let mut history = History::new();
    let mut state = State::default();
    let mut stages: BTreeMap<u32, Stage> = BTreeMap::new();
    let (mut at, mut calls) = (0, 0);
    loop {
        let process = choice.choose(shape.processes);
        let stage = stages.remove(&process).unwrap_or(Stage::Idle);
        let is_lost = choice.choose(2000) < shape.lost;
        let who = u64::from(process);
        at += 1;
        let next = match stage {
            Stage::Idle if calls == shape.operations => {
                if stages.is_empty() {
                    return history;
                }
                continue;
            }
            Stage::Idle => {
                calls += 1;
                let input = invent_input(shape, &state, calls, &mut choice);
                let called = history.call(who, at, input.clone());
                called.expect("an idle process may call");
                Stage::Called(input)
            }
            Stage::Called(_) | Stage::Done(_) if is_lost => {
                history.lose(who, at).expect("it was called");
                continue;
            }
            Stage::Called(input) => {
                let output = answer(&state, &input, &mut choice);
                let next = Numbered.step(&state, &input, Some(&output));
                state = next.expect("the answer is what the store says");
                Stage::Done(output)
            }
            Stage::Done(output) => {
                history.reply(who, at, output).expect("it was called");
                continue;
            }
        };
        stages.insert(process, next);
    }
}

fn invent_input(
    shape: &Shape,
    state: &State,
    serial: usize,
    choice: &mut Choice,
) -> Input<u32, u32> {
    let key = choice.choose(shape.keys) + 1;
    let value = match shape.values {
        Some(values) => choice.choose(values) + 1,
        None => u32::try_from(serial).expect("fewer than four billion operations"),
    };
    let percent = choice.choose(100);
    if percent < shape.gets {
        return Input::Get(key);
    }
    if percent < shape.gets + shape.transactions {
        return invent_transaction(shape, state, key, value, choice);
    }
    match choice.choose(6) {
        0 => Input::Delete(key),
        1 => Input::Swap {
            key,
            expected: state.read(key),
            new: Some(value),
        },
        2 => Input::Swap {
            key,
            expected: None,
            new: Some(value),
        },
        _ => Input::Put(key, value),
    }
}

fn invent_transaction(
    shape: &Shape,
    state: &State,
    key: u32,
    value: u32,
    choice: &mut Choice,
) -> Input<u32, u32> {
    let other = choice.choose(shape.keys) + 1;
    let third = choice.choose(shape.keys) + 1;
    let guards = match choice.choose(3) {
        0 => vec![],
        1 => vec![(key, state.read(key))],
        _ => vec![(key, state.read(key)), (other, None)],
    };
    let then = match choice.choose(3) {
        0 => vec![Step::Get(key), Step::Get(other)],
        1 => vec![Step::Get(other), Step::Put(key, value), Step::Get(key)],
        _ => vec![Step::Put(key, value), Step::Delete(other), Step::Get(third)],
    };
    Input::Transaction {
        guards,
        then,
        otherwise: vec![Step::Get(key)],
    }
}

/// What the store answers, in one of the ways in which it may.
fn answer(state: &State, input: &Input<u32, u32>, choice: &mut Choice) -> Output<u32> {
    let says_more = choice.choose(2) == 0;
    match input {
        Input::Get(key) => Output::Value(state.read(*key)),
        Input::Put(..) => Output::Done,
        Input::Delete(key) if says_more => Output::Held(state.read(*key).is_some()),
        Input::Delete(_) => Output::Done,
        Input::Swap { key, expected, .. } => match state.read(*key) {
            found if found == *expected => Output::Held(true),
            found if says_more => Output::Value(found),
            _ => Output::Held(false),
        },
        Input::Transaction {
            guards,
            then,
            otherwise,
        } => {
            let held = guards.iter().all(|(key, value)| state.read(*key) == *value);
            let steps = if held { then } else { otherwise };
            Output::Results(held, run(steps, &mut state.clone()))
        }
    }
}

/// Makes one answer of a history another one, which may or may not show: a read, in the second half,
/// finds what another read of that key found, often shortly before; guards that held did not.
#[must_use]
pub fn spoil(
    history: &History<Input<u32, u32>, Output<u32>>,
    seed: u64,
) -> History<Input<u32, u32>, Output<u32>> {
    let mut choice = Choice::Seeded(seed);
    let operations = history.operations();
    let is_spoilable = |at: &usize| {
        let output = operations[*at].output();
        output.is_some_and(|output| !matches!(output, Output::Done))
    };
    let half = operations.len() / 2;
    let spoilable: Vec<usize> = (half..operations.len()).filter(is_spoilable).collect();
    let Some(&chosen) = choose(&spoilable, &mut choice) else {
        return history.clone();
    };
    let reads = operations[..chosen]
        .iter()
        .filter_map(|one| found(one, &operations[chosen]));
    let mut others: Vec<Option<u32>> = reads.collect();
    others.reverse();
    if choice.choose(4) > 0 {
        others.truncate(5);
    }
    let mut at = 0;
    history.map(
        &mut choice,
        |_, input| input.clone(),
        |choice, output| {
            // Outputs are mapped in the order of the operations that have one.
            while operations[at].returned.is_none() {
                at += 1;
            }
            at += 1;
            match at - 1 == chosen {
                true => wrong(output, &others, choice),
                false => output.clone(),
            }
        },
    )
}

fn choose<'a, T>(from: &'a [T], choice: &mut Choice) -> Option<&'a T> {
    let count = u32::try_from(from.len()).expect("fewer than four billion");
    (count > 0).then(|| &from[choice.choose(count) as usize])
}

/// What a get found, if it is of the key that another operation is about.
fn found(
    get: &Operation<Input<u32, u32>, Output<u32>>,
    other: &Operation<Input<u32, u32>, Output<u32>>,
) -> Option<Option<u32>> {
    let (Input::Get(key), Some(Output::Value(found))) = (&get.input, get.output()) else {
        return None;
    };
    let is_about = match &other.input {
        Input::Get(of) | Input::Put(of, _) | Input::Delete(of) | Input::Swap { key: of, .. } => {
            of == key
        }
        Input::Transaction { .. } => true,
    };
    is_about.then_some(*found)
}

fn wrong(output: &Output<u32>, others: &[Option<u32>], choice: &mut Choice) -> Output<u32> {
    let mut other = || choose(others, choice).copied().flatten();
    match output {
        Output::Done => Output::Done,
        Output::Value(_) => Output::Value(other()),
        Output::Held(held) => Output::Held(!held),
        Output::Results(held, values) => {
            Output::Results(*held, values.iter().map(|_| other()).collect())
        }
    }
}
