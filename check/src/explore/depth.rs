//! One path after the other: nothing waits but the path itself and what branches off it.

use super::{Progress, Search};
use crate::model::{Foreseen, Model};
use crate::table::Table;

/// How often somebody is told, in steps.
const PROGRESS_STEPS: u64 = 1 << 16;

/// A state on the path.
struct Place<M: Model> {
    state: M::State,
    print: u64,
    /// What else can happen there.
    actions: Vec<M::Action>,
}

/// Explores until nothing is new or a violation was found. Returns the depth, and the most states that
/// were kept at a time.
pub(super) fn run<M: Model>(search: &Search<'_, M>, seen: &Table) -> (u32, u64) {
    let mut deepest = 0;
    let mut path: Vec<Place<M>> = Vec::new();
    for state in search.model.initial() {
        let print = search.model.fingerprint(&state);
        if !seen.insert(print) {
            continue;
        }
        enter(search, &mut path, state, print);
        while let Some(place) = path.last_mut() {
            let Some(action) = place.actions.pop() else {
                path.pop();
                continue;
            };
            let foreseen = search.foresee(&place.state, place.print, &action);
            let mut taken = None;
            let print = match foreseen {
                Foreseen::Nothing => continue,
                Foreseen::Print(print) => print,
                Foreseen::Unknown => {
                    let mut state = place.state.clone();
                    if !search.model.apply(&mut state, &action, &mut place.actions) {
                        continue;
                    }
                    search.model.fingerprint(taken.insert(state))
                }
            };
            let steps = search.count_steps(1);
            if steps.is_multiple_of(PROGRESS_STEPS) {
                progress(search, seen, steps, path.len());
            }
            if search.is_stopped() {
                return (deepest, u64::from(deepest) + 1);
            }
            if seen.insert(print) {
                deepest = deepest.max(path.len() as u32);
                let place = path.last().expect("the step was taken from it");
                let state = taken.unwrap_or_else(|| {
                    let mut state = place.state.clone();
                    search.model.apply(&mut state, &action, &mut Vec::new());
                    debug_assert_eq!(search.model.fingerprint(&state), print);
                    state
                });
                enter(search, &mut path, state, print);
            }
        }
    }
    (deepest, u64::from(deepest) + 1)
}

/// Goes on from a state that was not seen before.
fn enter<M: Model>(search: &Search<'_, M>, path: &mut Vec<Place<M>>, state: M::State, print: u64) {
    let depth = path.len() as u32;
    let violated = search.examine(&state, print, depth);
    let mut actions = Vec::new();
    if depth < search.options.depth_max {
        search.model.actions(&state, &mut actions);
        // The first action is taken first.
        actions.reverse();
    } else {
        search.cut_off();
    }
    path.push(Place {
        state,
        print,
        actions,
    });
    if violated {
        let prints = path.iter().map(|place| place.print).collect();
        search.violated_by(print, prints);
    }
}

fn progress<M: Model>(search: &Search<'_, M>, seen: &Table, generated: u64, depth: usize) {
    let distinct = seen.len() as u64;
    if distinct >= search.options.states_max {
        search.fill();
    }
    if let Some(watcher) = search.options.watcher {
        watcher(Progress {
            distinct,
            generated,
            depth: depth as u32,
            waiting: depth as u64,
        });
    }
}
