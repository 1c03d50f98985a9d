//! Counterexamples. Exploration keeps no paths; once it knows what to look for and how deep that is,
//! a second one down to there remembers for each state where it came from.

use std::collections::HashMap;
use std::hash::BuildHasherDefault;
use std::sync::Mutex;

use super::breadth::{self, Seen};
use super::report::Counterexample;
use super::{Explorer, Search, locked};
use crate::fingerprint::Same;
use crate::model::Model;

const SHARDS: usize = 64;

/// The shard of a fingerprint: not by its ends, which maps look at.
fn shard(print: u64) -> usize {
    (print >> 32) as usize % SHARDS
}

/// Where each state was reached from, at which depth. Of several origins the one with the least
/// fingerprint counts, so that every search finds the same path.
struct Origins {
    shards: Vec<Mutex<Shard>>,
}

type Shard = HashMap<u64, (u64, u32), BuildHasherDefault<Same>>;

impl Seen for Origins {
    fn arrive(&self, print: u64, from: Option<u64>, depth: u32) -> bool {
        let mut shard = locked(&self.shards[shard(print)]);
        let from = from.unwrap_or(print);
        match shard.get_mut(&print) {
            Some(known) => {
                if known.1 == depth {
                    known.0 = known.0.min(from);
                }
                false
            }
            None => {
                shard.insert(print, (from, depth));
                true
            }
        }
    }

    fn count(&self) -> u64 {
        let counts = self.shards.iter().map(|shard| locked(shard).len() as u64);
        counts.sum()
    }
}

/// The fingerprints on a shortest path to a state, the first state's and its own included.
pub(super) fn find<M: Model>(search: &Search<'_, M>, target: (u32, u64)) -> Vec<u64> {
    let (depth, print) = target;
    let origins = Origins {
        shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
    };
    let options = Explorer {
        model: search.model,
        threads: search.options.threads,
        depth_max: depth,
        states_max: u64::MAX,
        plain: search.options.plain,
        watcher: None,
    };
    let again = Search::new(&options);
    // What was examined before is known: this time nothing must stop it.
    let again = Search {
        findings: Vec::new(),
        ..again
    };
    breadth::run(&again, &origins, depth);
    let mut path = vec![print];
    let mut at = print;
    loop {
        let shard = locked(&origins.shards[shard(at)]);
        let (from, depth) = shard[&at];
        if depth == 0 {
            break;
        }
        path.push(from);
        at = from;
    }
    path.reverse();
    path
}

/// Walks along fingerprints and says which actions do so.
pub(super) fn replay<M: Model>(model: &M, path: &[u64]) -> Counterexample<M> {
    let mut initial = model.initial().into_iter();
    let state = initial.find(|state| model.fingerprint(state) == path[0]);
    let mut state = state.expect("a path begins in an initial state");
    let (mut actions, mut steps) = (Vec::new(), Vec::new());
    for &print in &path[1..] {
        let (action, next) = step_to(model, &state, print);
        steps.push(model.describe(&state, &action));
        actions.push(action);
        state = next;
    }
    Counterexample {
        actions,
        steps,
        state,
    }
}

fn step_to<M: Model>(model: &M, state: &M::State, print: u64) -> (M::Action, M::State) {
    let mut actions = Vec::new();
    model.actions(state, &mut actions);
    actions.reverse();
    while let Some(action) = actions.pop() {
        let mut next = state.clone();
        let happened = model.apply(&mut next, &action, &mut actions);
        if happened && model.fingerprint(&next) == print {
            return (action, next);
        }
    }
    unreachable!(
        "each state on a path follows from the one before, unless the model was said to be symmetric \
         and is not"
    )
}
