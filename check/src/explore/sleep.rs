//! Depth first, with sleep sets (Godefroid, "Partial-order methods for the verification of concurrent
//! systems", 1996, chapter 5): where two steps can be taken in either order with the same result, one
//! order is enough.
//!
//! Every state is still visited, so every property keeps its verdict; what is saved are steps. A step
//! that was taken from a state sleeps in the states that the steps after it lead to, until a step is
//! taken that it depends on. Each state keeps the steps that slept at every visit so far: a visit at
//! which fewer sleep takes those that have to be made up for.

use std::collections::HashMap;
use std::hash::BuildHasherDefault;

use super::Search;
use crate::fingerprint::Same;
use crate::model::{Footprint, Independence};

/// A step that need not be taken.
#[derive(Clone, Copy)]
struct Sleeper {
    /// Its name on this path.
    name: u64,
    footprint: Footprint,
}

/// A state on the path.
struct Place<M: Independence> {
    state: M::State,
    print: u64,
    /// What is to be done there.
    actions: Vec<M::Action>,
    /// What need not be done.
    sleep: Vec<Sleeper>,
}

/// The states seen, each with the steps that slept at every visit, sorted.
type Seen = HashMap<u64, Box<[u64]>, BuildHasherDefault<Same>>;

/// What is worth knowing of the exploration.
pub(super) struct Walk {
    pub(super) depth: u32,
    pub(super) distinct: u64,
    pub(super) bytes: usize,
}

/// Explores until nothing is new or a violation was found.
pub(super) fn run<M: Independence>(search: &Search<'_, M>) -> Walk {
    let mut seen = Seen::default();
    let mut depth = 0;
    let mut path: Vec<Place<M>> = Vec::new();
    for state in search.model.initial() {
        visit(search, &mut seen, &mut path, state, Vec::new());
        while let Some(place) = path.last_mut() {
            let Some(action) = place.actions.pop() else {
                path.pop();
                continue;
            };
            if let Some((state, sleep)) = step(search, place, &action) {
                visit(search, &mut seen, &mut path, state, sleep);
            }
            depth = depth.max(path.len().saturating_sub(1) as u32);
            if search.is_stopped() {
                path.clear();
            }
        }
    }
    let sleepers: usize = seen.values().map(|sleepers| sleepers.len()).sum();
    Walk {
        depth,
        distinct: seen.len() as u64,
        bytes: seen.capacity() * size_of::<(u64, Box<[u64]>)>() + sleepers * size_of::<u64>(),
    }
}

/// Takes a step, and says what sleeps behind it. Nothing if nothing happened.
fn step<M: Independence>(
    search: &Search<'_, M>,
    place: &mut Place<M>,
    action: &M::Action,
) -> Option<(M::State, Vec<Sleeper>)> {
    let model = search.model;
    let mut next = place.state.clone();
    let before = place.actions.len();
    if !model.apply(&mut next, action, &mut place.actions) {
        return None;
    }
    search.count_steps(1);
    let chose = place.actions.len() > before || model.has_chosen(action);
    let footprint = match chose {
        // One of several outcomes: it is never put to sleep, nor anything behind it.
        true => None,
        false => Some(model.footprint(&place.state, action, &next)),
    };
    let Some(footprint) = footprint else {
        return Some((next, Vec::new()));
    };
    let sleep = place.sleep.iter();
    let sleep = sleep.filter(|sleeper| sleeper.footprint.is_independent_of(footprint));
    let sleep = sleep.copied().collect();
    let name = model.names(&place.state, action).0;
    place.sleep.push(Sleeper { name, footprint });
    Some((next, sleep))
}

/// Goes on from a state, if there is something to do that was not done before.
fn visit<M: Independence>(
    search: &Search<'_, M>,
    seen: &mut Seen,
    path: &mut Vec<Place<M>>,
    state: M::State,
    mut sleep: Vec<Sleeper>,
) {
    let model = search.model;
    let print = model.fingerprint(&state);
    let depth = path.len() as u32;
    let mut actions = Vec::new();
    model.actions(&state, &mut actions);
    let named = actions.into_iter().map(|action| {
        let (name, canonical) = model.names(&state, &action);
        (action, name, canonical)
    });
    let named: Vec<_> = named.collect();
    // What is not possible any more does not sleep.
    sleep.retain(|sleeper| named.iter().any(|(_, name, _)| *name == sleeper.name));
    let sleeps = |name: u64| sleep.iter().any(|sleeper| sleeper.name == name);
    let asleep = named.iter().filter(|(_, name, _)| sleeps(*name));
    let mut asleep: Vec<u64> = asleep.map(|(_, _, canonical)| *canonical).collect();
    asleep.sort_unstable();
    let is_new = !seen.contains_key(&print);
    let (mut todo, asleep) = match seen.get(&print) {
        None => {
            let awake = named.iter().filter(|(_, name, _)| !sleeps(*name));
            let todo = awake.map(|(action, _, _)| action.clone()).collect();
            (todo, asleep)
        }
        Some(known) => make_up_for(known, &named, &asleep, &mut sleep),
    };
    if !is_new && todo.is_empty() {
        return;
    }
    seen.insert(print, asleep.into_boxed_slice());
    todo.reverse();
    if depth >= search.options.depth_max {
        search.cut_off();
        todo.clear();
    }
    path.push(Place {
        state,
        print,
        actions: todo,
        sleep,
    });
    if is_new {
        let place = path.last().expect("it was just pushed");
        let violated = search.examine(&place.state, place.print, depth);
        if violated {
            let prints = path.iter().map(|place| place.print).collect();
            search.violated_by(print, prints);
        }
        if seen.len() as u64 >= search.options.states_max {
            search.fill();
        }
    }
}

/// What slept at every visit before but does not at this one has to be done now. What slept at all of
/// them goes on sleeping.
fn make_up_for<A: Clone>(
    known: &[u64],
    named: &[(A, u64, u64)],
    asleep: &[u64],
    sleep: &mut Vec<Sleeper>,
) -> (Vec<A>, Vec<u64>) {
    let wakes = |canonical: &u64| known.contains(canonical) && !asleep.contains(canonical);
    let awake = named.iter().filter(|(_, _, canonical)| wakes(canonical));
    let todo = awake.map(|(action, _, _)| action.clone()).collect();
    let both = known.iter().filter(|canonical| asleep.contains(canonical));
    let common: Vec<u64> = both.copied().collect();
    sleep.retain(|sleeper| {
        let found = named.iter().find(|(_, name, _)| *name == sleeper.name);
        found.is_some_and(|(_, _, canonical)| common.contains(canonical))
    });
    (todo, common)
}
