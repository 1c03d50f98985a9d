//! A key-value store, as a sequential object: get, put, delete, compare-and-swap and transactions
//! over several keys.

mod invent;
mod state;

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use crate::history::History;
use crate::linearizable::{self, Pieces, Sequential, Verdict};

pub use invent::{Shape, invent, spoil};
use state::State;

/// What can be asked of the store.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Input<K, V> {
    /// Reads a key.
    Get(K),
    /// Writes a key.
    Put(K, V),
    /// Deletes a key.
    Delete(K),
    /// Writes a key, or deletes it, if it is as expected; nothing stands for a key that is not there.
    Swap {
        /// The key.
        key: K,
        /// What it must be.
        expected: Option<V>,
        /// What it then becomes.
        new: Option<V>,
    },
    /// Does all of `then` if every guard holds, all of `otherwise` if not, in one moment.
    Transaction {
        /// What keys must be.
        guards: Vec<(K, Option<V>)>,
        /// What is done if they are.
        then: Vec<Step<K, V>>,
        /// What is done if they are not.
        otherwise: Vec<Step<K, V>>,
    },
}

/// One step of a transaction. Later steps see the effects of earlier ones.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Step<K, V> {
    /// Reads a key.
    Get(K),
    /// Writes a key.
    Put(K, V),
    /// Deletes a key.
    Delete(K),
}

/// What the store can answer. An answer may say less than it could; it is checked for what it says.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Output<V> {
    /// It was done: all that a put has to say. A swap or a transaction that says so succeeded.
    Done,
    /// What a get found, or what was there before a put or a delete. A swap that says so failed, and
    /// this is what it found instead.
    Value(Option<V>),
    /// Whether a swap succeeded, the guards of a transaction held, or a deleted key was there.
    Held(bool),
    /// Whether the guards of a transaction held, and what its gets found, in order.
    Results(bool, Vec<Option<V>>),
}

impl<K, V> Input<K, V> {
    /// The same with other keys and values. `context` is at the disposal of both functions.
    pub fn rename<'a, C, K2, V2>(
        &'a self,
        context: &mut C,
        mut key: impl FnMut(&mut C, &'a K) -> K2,
        mut value: impl FnMut(&mut C, &'a V) -> V2,
    ) -> Input<K2, V2> {
        match self {
            Input::Get(of) => Input::Get(key(context, of)),
            Input::Put(of, to) => Input::Put(key(context, of), value(context, to)),
            Input::Delete(of) => Input::Delete(key(context, of)),
            Input::Swap {
                key: of,
                expected,
                new,
            } => Input::Swap {
                key: key(context, of),
                expected: expected.as_ref().map(|is| value(context, is)),
                new: new.as_ref().map(|to| value(context, to)),
            },
            Input::Transaction {
                guards,
                then,
                otherwise,
            } => {
                let guards = guards.iter().map(|(of, is)| {
                    let is = is.as_ref();
                    (key(context, of), is.map(|is| value(context, is)))
                });
                let guards = guards.collect();
                let mut rename = |step: &'a Step<K, V>| match step {
                    Step::Get(of) => Step::Get(key(context, of)),
                    Step::Put(of, to) => Step::Put(key(context, of), value(context, to)),
                    Step::Delete(of) => Step::Delete(key(context, of)),
                };
                Input::Transaction {
                    guards,
                    then: then.iter().map(&mut rename).collect(),
                    otherwise: otherwise.iter().map(&mut rename).collect(),
                }
            }
        }
    }
}

impl<V> Output<V> {
    /// The same with other values. `context` is at the disposal of the function.
    pub fn rename<'a, C, V2>(
        &'a self,
        context: &mut C,
        mut value: impl FnMut(&mut C, &'a V) -> V2,
    ) -> Output<V2> {
        let mut maybe = |found: &'a Option<V>| found.as_ref().map(|found| value(context, found));
        match self {
            Output::Done => Output::Done,
            Output::Value(found) => Output::Value(maybe(found)),
            Output::Held(held) => Output::Held(*held),
            Output::Results(held, values) => {
                Output::Results(*held, values.iter().map(maybe).collect())
            }
        }
    }
}

/// Whether a history could have come from a key-value store that is empty at first. Histories are
/// taken apart by key; a transaction keeps the keys that it touches together.
pub fn check<K: Ord, V: Ord>(
    history: &History<Input<K, V>, Output<V>>,
    configurations_max: u64,
) -> Verdict {
    let mut names = Names::default();
    let numbered = history.map(
        &mut names,
        |names, input| input.rename(names, Names::key, Names::value),
        |names, output| output.rename(names, Names::value),
    );
    linearizable::check(&Numbered, &numbered, configurations_max)
}

/// A value that nobody ever sees; all such values are one.
const UNSEEN: u32 = 0;

/// Numbers for keys and values, so that a search compares numbers only.
struct Names<'a, K, V> {
    keys: BTreeMap<&'a K, u32>,
    values: BTreeMap<&'a V, u32>,
}

impl<K, V> Default for Names<'_, K, V> {
    fn default() -> Self {
        Names {
            keys: BTreeMap::new(),
            values: BTreeMap::new(),
        }
    }
}

fn number<'a, T: Ord>(names: &mut BTreeMap<&'a T, u32>, name: &'a T) -> u32 {
    let next = u32::try_from(names.len() + 1).expect("a history has fewer than four billion names");
    *names.entry(name).or_insert(next)
}

impl<'a, K: Ord, V: Ord> Names<'a, K, V> {
    fn key(&mut self, key: &'a K) -> u32 {
        number(&mut self.keys, key)
    }

    fn value(&mut self, value: &'a V) -> u32 {
        number(&mut self.values, value)
    }
}

/// The store over numbered keys and values.
pub(crate) struct Numbered;

impl Sequential for Numbered {
    type State = State;
    type Input = Input<u32, u32>;
    type Output = Output<u32>;
    type Piece = u32;

    fn initial(&self) -> State {
        State::default()
    }

    fn step(
        &self,
        state: &State,
        input: &Input<u32, u32>,
        output: Option<&Output<u32>>,
    ) -> Option<State> {
        let mut next = state.clone();
        let agrees = match input {
            Input::Get(key) => match output {
                Some(Output::Value(found)) => *found == state.read(*key),
                Some(Output::Held(_) | Output::Results(..)) => false,
                Some(Output::Done) | None => true,
            },
            Input::Put(key, value) => {
                next.write(*key, Some(*value));
                match output {
                    Some(Output::Value(before)) => *before == state.read(*key),
                    Some(Output::Held(_) | Output::Results(..)) => false,
                    Some(Output::Done) | None => true,
                }
            }
            Input::Delete(key) => {
                next.write(*key, None);
                let before = state.read(*key);
                match output {
                    Some(Output::Value(found)) => *found == before,
                    Some(Output::Held(was_there)) => *was_there == before.is_some(),
                    Some(Output::Results(..)) => false,
                    Some(Output::Done) | None => true,
                }
            }
            Input::Swap { key, expected, new } => {
                let before = state.read(*key);
                let holds = before == *expected;
                if holds {
                    next.write(*key, *new);
                }
                match output {
                    Some(Output::Done) => holds,
                    Some(Output::Held(held)) => *held == holds,
                    Some(Output::Value(found)) => !holds && *found == before,
                    Some(Output::Results(..)) => false,
                    None => true,
                }
            }
            Input::Transaction {
                guards,
                then,
                otherwise,
            } => {
                let holds = guards.iter().all(|(key, value)| state.read(*key) == *value);
                let steps = if holds { then } else { otherwise };
                let found = run(steps, &mut next);
                match output {
                    Some(Output::Done) => holds,
                    Some(Output::Held(held)) => *held == holds,
                    Some(Output::Results(held, values)) => *held == holds && *values == found,
                    Some(Output::Value(_)) => false,
                    None => true,
                }
            }
        };
        agrees.then_some(next)
    }

    fn pieces(&self, input: &Input<u32, u32>) -> Pieces<u32> {
        Pieces::Of(match input {
            Input::Get(key) | Input::Put(key, _) | Input::Delete(key) | Input::Swap { key, .. } => {
                Vec::from([*key])
            }
            Input::Transaction {
                guards,
                then,
                otherwise,
            } => {
                let steps = then.iter().chain(otherwise).map(Step::key);
                let keys = guards.iter().map(|(key, _)| *key).chain(steps);
                keys.collect::<BTreeSet<u32>>().into_iter().collect()
            }
        })
    }

    fn is_read(&self, input: &Input<u32, u32>, output: &Output<u32>) -> bool {
        match (input, output) {
            (Input::Get(_), _) => true,
            (Input::Put(..) | Input::Delete(_), _) => false,
            (Input::Swap { .. }, Output::Held(held)) => !held,
            (Input::Swap { .. }, Output::Value(_)) => true,
            (Input::Swap { .. }, Output::Done | Output::Results(..)) => false,
            (
                Input::Transaction {
                    then, otherwise, ..
                },
                output,
            ) => {
                let is_read = |steps: &[Step<u32, u32>]| {
                    steps.iter().all(|step| matches!(step, Step::Get(_)))
                };
                match output {
                    Output::Done | Output::Held(true) | Output::Results(true, _) => is_read(then),
                    Output::Held(false) | Output::Results(false, _) => is_read(otherwise),
                    Output::Value(_) => false,
                }
            }
        }
    }

    fn effects(
        &self,
        input: &Input<u32, u32>,
        output: Option<&Output<u32>>,
    ) -> Vec<Input<u32, u32>> {
        match input {
            Input::Get(_) => Vec::new(),
            Input::Put(..) | Input::Delete(_) => Vec::from([input.clone()]),
            Input::Swap { key, new, .. } => match (output, new) {
                (Some(Output::Held(false) | Output::Value(_)), _) => Vec::new(),
                (_, Some(value)) => Vec::from([Input::Put(*key, *value)]),
                (_, None) => Vec::from([Input::Delete(*key)]),
            },
            Input::Transaction {
                then, otherwise, ..
            } => {
                let (then, otherwise) = (then.iter(), otherwise.iter());
                let writes = |step: &Step<u32, u32>| match step {
                    Step::Get(_) => None,
                    Step::Put(key, value) => Some(Input::Put(*key, *value)),
                    Step::Delete(key) => Some(Input::Delete(*key)),
                };
                match output {
                    Some(Output::Done | Output::Held(true) | Output::Results(true, _)) => {
                        then.filter_map(writes).collect()
                    }
                    Some(Output::Held(false) | Output::Results(false, _)) => {
                        otherwise.filter_map(writes).collect()
                    }
                    Some(Output::Value(_)) | None => {
                        then.chain(otherwise).filter_map(writes).collect()
                    }
                }
            }
        }
    }

    fn effects_overwrite(&self) -> bool {
        true
    }

    fn is_indifferent(&self, input: &Input<u32, u32>, one: &State, other: &State) -> bool {
        let alike = |key: u32, is: Option<u32>| (one.read(key) == is) == (other.read(key) == is);
        match input {
            Input::Get(_) | Input::Put(..) | Input::Delete(_) => true,
            Input::Swap { key, expected, .. } => alike(*key, *expected),
            Input::Transaction { guards, .. } => guards.iter().all(|&(key, is)| alike(key, is)),
        }
    }

    fn finds(&self, input: &Input<u32, u32>, output: &Output<u32>) -> Vec<(u32, u64)> {
        let found = |key: u32, value: Option<u32>| Vec::from([(key, numbered(value))]);
        match (input, output) {
            (
                Input::Get(key) | Input::Put(key, _) | Input::Delete(key) | Input::Swap { key, .. },
                Output::Value(value),
            ) => found(*key, *value),
            (Input::Delete(key), Output::Held(false)) => found(*key, None),
            (Input::Swap { key, expected, .. }, Output::Done | Output::Held(true)) => {
                found(*key, *expected)
            }
            (
                Input::Transaction { guards, then, .. },
                Output::Done | Output::Held(true) | Output::Results(true, _),
            ) => {
                let guards = guards.iter();
                let guards = guards.map(|&(key, is)| (key, numbered(is)));
                guards.chain(read_first(then, output)).collect()
            }
            (Input::Transaction { otherwise, .. }, Output::Results(false, _)) => {
                read_first(otherwise, output)
            }
            (Input::Get(_) | Input::Put(..) | Input::Delete(_) | Input::Swap { .. }, _)
            | (Input::Transaction { .. }, _) => Vec::new(),
        }
    }

    fn content(&self, state: &State, piece: &u32) -> u64 {
        numbered(state.read(*piece))
    }

    fn simplify(&self, operations: &mut [(Input<u32, u32>, Option<Output<u32>>)]) {
        let mut seen = BTreeSet::new();
        for (input, output) in operations.iter() {
            add_seen(input, output.as_ref(), &mut seen);
        }
        let simplify = |key: u32, value: &mut u32| {
            if !seen.contains(&(key, *value)) {
                *value = UNSEEN;
            }
        };
        for (input, _) in operations {
            match input {
                Input::Put(key, value) => simplify(*key, value),
                Input::Swap {
                    key,
                    new: Some(value),
                    ..
                } => simplify(*key, value),
                Input::Transaction {
                    then, otherwise, ..
                } => {
                    for step in then.iter_mut().chain(otherwise) {
                        if let Step::Put(key, value) = step {
                            simplify(*key, value);
                        }
                    }
                }
                Input::Get(_) | Input::Delete(_) | Input::Swap { new: None, .. } => {}
            }
        }
    }
}

impl<V> Step<u32, V> {
    fn key(&self) -> u32 {
        match self {
            Step::Get(key) | Step::Put(key, _) | Step::Delete(key) => *key,
        }
    }
}

/// What the gets among these steps found in keys that no step before them wrote.
fn read_first(steps: &[Step<u32, u32>], output: &Output<u32>) -> Vec<(u32, u64)> {
    let Output::Results(_, values) = output else {
        return Vec::new();
    };
    let mut values = values.iter();
    let mut written = BTreeSet::new();
    let mut found = Vec::new();
    for step in steps {
        match step {
            Step::Get(key) => {
                if let (Some(&value), false) = (values.next(), written.contains(key)) {
                    found.push((*key, numbered(value)));
                }
            }
            Step::Put(key, _) | Step::Delete(key) => {
                written.insert(*key);
            }
        }
    }
    found
}

/// What is in a key, as a number.
fn numbered(value: Option<u32>) -> u64 {
    value.map_or(0, |value| u64::from(value) + 1)
}

/// Does the steps one after another: what the gets among them found.
fn run(steps: &[Step<u32, u32>], state: &mut State) -> Vec<Option<u32>> {
    let mut found = Vec::new();
    for step in steps {
        match step {
            Step::Get(key) => found.push(state.read(*key)),
            Step::Put(key, value) => state.write(*key, Some(*value)),
            Step::Delete(key) => state.write(*key, None),
        }
    }
    found
}

/// Collects the values of keys that an operation tells from others: those it compares with, and
/// those it answered.
fn add_seen(
    input: &Input<u32, u32>,
    output: Option<&Output<u32>>,
    seen: &mut BTreeSet<(u32, u32)>,
) {
    if let (
        Input::Get(key) | Input::Put(key, _) | Input::Delete(key) | Input::Swap { key, .. },
        Some(Output::Value(Some(value))),
    ) = (input, output)
    {
        seen.insert((*key, *value));
    }
    match input {
        Input::Swap {
            key,
            expected: Some(value),
            ..
        } => {
            seen.insert((*key, *value));
        }
        Input::Transaction {
            guards,
            then,
            otherwise,
        } => {
            let compared = guards
                .iter()
                .filter_map(|(key, value)| Some((*key, (*value)?)));
            seen.extend(compared);
            if let Some(Output::Results(held, values)) = output {
                let steps = if *held { then } else { otherwise };
                let gets = steps.iter().filter(|step| matches!(step, Step::Get(_)));
                let found = gets.zip(values);
                seen.extend(found.filter_map(|(get, value)| Some((get.key(), (*value)?))));
            }
        }
        Input::Get(_) | Input::Put(..) | Input::Delete(_) | Input::Swap { .. } => {}
    }
}

#[cfg(test)]
mod tests;
