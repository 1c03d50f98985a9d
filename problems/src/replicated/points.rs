//! Linearizability while the run goes on.
//!
//! Every state in which a single copy could be by now is kept, together with the operations that it
//! must have executed although their clients were not told yet. An operation is executed as late as
//! possible: when an answer needs it (Lowe, "Testing for linearizability", 2017, calls this
//! just-in-time). Clients that wait for one answer at a time keep the states few.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use super::{CallId, Chance, Operation, Outcome, State};

/// More states than this and nothing more is said of the run.
const STATES_MAX: usize = 20_000;

/// The states in which one copy could be.
#[derive(Clone, Hash, Debug)]
pub(super) struct Points {
    open: BTreeMap<CallId, Operation>,
    possible: BTreeSet<Possible>,
    /// There were too many to go on.
    gave_up: bool,
}

/// A state, and what was executed early to come to it, with the answers that must follow.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
struct Possible {
    state: State,
    early: BTreeMap<CallId, Outcome>,
}

impl Default for Points {
    fn default() -> Points {
        Points {
            open: BTreeMap::new(),
            possible: BTreeSet::from([Possible::default()]),
            gave_up: false,
        }
    }
}

impl Points {
    pub(super) fn on_call(&mut self, id: CallId, operation: Operation) {
        self.open.insert(id, operation);
    }

    /// Whether one copy could have answered this.
    pub(super) fn on_reply(&mut self, id: CallId, result: Outcome) -> bool {
        if self.gave_up || result == Outcome::NotOffered {
            self.forget(id);
            return true;
        }
        let mut waiting: Vec<Possible> = self.possible.iter().cloned().collect();
        let mut known = self.possible.clone();
        let mut after = BTreeSet::new();
        while let Some(mut possible) = waiting.pop() {
            if known.len() > STATES_MAX {
                self.gave_up = true;
                return true;
            }
            if let Some(early) = possible.early.remove(&id) {
                if possible.explains(early, result) {
                    after.insert(possible);
                }
                continue;
            }
            for (&next, &operation) in &self.open {
                if possible.early.contains_key(&next) {
                    continue;
                }
                let mut following = possible.clone();
                let outcome = following.execute(next, operation);
                following.early.insert(next, outcome);
                if known.insert(following.clone()) {
                    waiting.push(following);
                }
            }
        }
        self.open.remove(&id);
        let explained = !after.is_empty();
        // After a violation the run is judged from where it was.
        if explained {
            self.possible = after;
        }
        explained
    }

    fn forget(&mut self, id: CallId) {
        self.open.remove(&id);
    }

    pub(super) fn renamed(&self, call: &dyn Fn(&CallId) -> CallId) -> Points {
        let possible = self.possible.iter().map(|possible| Possible {
            state: possible.state,
            early: possible
                .early
                .iter()
                .map(|(id, outcome)| (call(id), *outcome))
                .collect(),
        });
        Points {
            open: self.open.iter().map(|(id, op)| (call(id), *op)).collect(),
            possible: possible.collect(),
            gave_up: self.gave_up,
        }
    }
}

/// Stands for what a draw gave, until an answer shows it: a number that no machine comes to.
fn unknown(id: CallId) -> i64 {
    let id = i64::from(id.number).wrapping_add(i64::from(id.at.0 as u16) << 32);
    i64::MIN.wrapping_add(id)
}

impl Possible {
    fn execute(&mut self, id: CallId, operation: Operation) -> Outcome {
        match operation {
            Operation::Draw | Operation::Stamp => {
                self.state.value = unknown(id);
                Outcome::Value(self.state.value)
            }
            Operation::Read
            | Operation::Write(_)
            | Operation::Add(_)
            | Operation::Multiply(_)
            | Operation::Buy => self.state.execute(operation, Chance::default()),
        }
    }

    /// Whether what was executed early can have given that answer, which may show what was drawn.
    fn explains(&mut self, early: Outcome, told: Outcome) -> bool {
        let (Outcome::Value(early), Outcome::Value(told)) = (early, told) else {
            return early == told;
        };
        let is_unknown = early < i64::MIN / 2;
        if is_unknown {
            let values = self.early.values_mut().filter_map(|outcome| match outcome {
                Outcome::Value(value) => Some(value),
                Outcome::Done | Outcome::Sold | Outcome::SoldOut | Outcome::NotOffered => None,
            });
            let values = values.chain([&mut self.state.value]);
            for value in values.filter(|value| **value == early) {
                *value = told;
            }
        }
        is_unknown || early == told
    }
}
