//! Histories of a store that works, made up from a seed: for tests of checkers, and to measure them.

use alloc::collections::BTreeMap;
use alloc::vec;
use alloc::vec::Vec;

use quorate_core::Choice;

use super::{Input, Numbered, Output, State, Step, read, run};
use crate::history::History;
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
    let mut state = State::new();
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
            expected: read(state, key),
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
        1 => vec![(key, read(state, key))],
        _ => vec![(key, read(state, key)), (other, None)],
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
        Input::Get(key) => Output::Value(read(state, *key)),
        Input::Put(..) => Output::Done,
        Input::Delete(key) if says_more => Output::Held(read(state, *key).is_some()),
        Input::Delete(_) => Output::Done,
        Input::Swap { key, expected, .. } => match read(state, *key) {
            found if found == *expected => Output::Held(true),
            found if says_more => Output::Value(found),
            _ => Output::Held(false),
        },
        Input::Transaction {
            guards,
            then,
            otherwise,
        } => {
            let held = guards
                .iter()
                .all(|(key, value)| read(state, *key) == *value);
            let steps = if held { then } else { otherwise };
            Output::Results(held, run(steps, &mut state.clone()))
        }
    }
}

/// Makes one answer of a history a wrong one, which may or may not show: a get or a swap found another
/// value, or guards that held did not.
#[must_use]
pub fn spoil(
    history: &History<Input<u32, u32>, Output<u32>>,
    seed: u64,
) -> History<Input<u32, u32>, Output<u32>> {
    let mut choice = Choice::Seeded(seed);
    let mut others: Vec<Option<u32>> = vec![None];
    let answers = history.operations().iter().filter_map(|one| one.output());
    others.extend(answers.filter_map(|output| match output {
        Output::Value(value) => Some(*value),
        _ => None,
    }));
    let spoilable = |output: &Output<u32>| !matches!(output, Output::Done);
    let answers = history.operations().iter().filter_map(|one| one.output());
    let count = answers.filter(|output| spoilable(output)).count();
    let mut left = match u32::try_from(count) {
        Ok(0) | Err(_) => return history.clone(),
        Ok(count) => choice.choose(count),
    };
    history.map(
        &mut choice,
        |_, input| input.clone(),
        |choice, output| {
            let is_it = spoilable(output) && left == 0;
            left = left.wrapping_sub(u32::from(spoilable(output)));
            if is_it {
                wrong(output, &others, choice)
            } else {
                output.clone()
            }
        },
    )
}

fn wrong(output: &Output<u32>, others: &[Option<u32>], choice: &mut Choice) -> Output<u32> {
    let count = u32::try_from(others.len()).expect("fewer than four billion values");
    let mut other = || others[choice.choose(count) as usize];
    match output {
        Output::Done => Output::Done,
        Output::Value(_) => Output::Value(other()),
        Output::Held(held) => Output::Held(!held),
        Output::Results(held, values) => {
            Output::Results(*held, values.iter().map(|_| other()).collect())
        }
    }
}
