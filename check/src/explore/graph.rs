//! Liveness: whether from every state a good one can still be reached.
//!
//! That speaks of all runs, so all of the graph is needed: every state by number, and every step
//! backwards. From the good states one then walks back; what is not met cannot get there.

use std::collections::HashMap;
use std::hash::BuildHasherDefault;

use super::Search;
use crate::fingerprint::Same;
use crate::model::{Kind, Model};

/// The graph of a model.
struct Graph {
    /// Fingerprint and depth of each state.
    states: Vec<(u64, u32)>,
    /// The steps, as pairs of states: to, from.
    steps: Vec<(u32, u32)>,
    /// For each property of this kind, the good states, and those from which they must be reachable.
    good: Vec<Vec<bool>>,
    from: Vec<Vec<bool>>,
    /// Where a limit of the model leaves something out.
    cut_off: Vec<bool>,
}

/// Judges all properties of this kind on a model that is known to be finite.
///
/// A state from which no good one can be reached breaks the property if no state where something was left
/// out can be reached either. Otherwise that is all that is known of it.
pub(super) fn judge<M: Model>(search: &Search<'_, M>) {
    let mut graph = draw(search);
    graph.steps.sort_unstable();
    let may_go_on = graph.backwards(&graph.cut_off);
    for (at, (_, finding)) in search.findings_of(Kind::Live).enumerate() {
        let reached = graph.backwards(&graph.good[at]);
        let numbers = 0..graph.states.len();
        let lost = numbers.filter(|&state| graph.from[at][state] && !reached[state]);
        let (unknown, lost): (Vec<usize>, Vec<usize>) = lost.partition(|&state| may_go_on[state]);
        let first = |states: &[usize]| {
            let states = states.iter().map(|&state| graph.states[state]);
            states.min_by_key(|&(print, depth)| (depth, print))
        };
        if let Some((print, depth)) = first(&lost) {
            finding.settle(depth, print);
        } else if let Some((print, depth)) = first(&unknown) {
            finding.leave_open(depth, print, unknown.len() as u64);
        }
    }
}

/// Walks through the whole model once more, level by level, and writes everything down.
fn draw<M: Model>(search: &Search<'_, M>) -> Graph {
    let model = search.model;
    let live: Vec<_> = search
        .properties
        .iter()
        .filter(|property| property.kind == Kind::Live)
        .collect();
    let mut graph = Graph {
        states: Vec::new(),
        steps: Vec::new(),
        good: live.iter().map(|_| Vec::new()).collect(),
        from: live.iter().map(|_| Vec::new()).collect(),
        cut_off: Vec::new(),
    };
    let mut numbers: HashMap<u64, u32, BuildHasherDefault<Same>> = HashMap::default();
    let mut level = Vec::new();
    let mut depth = 0;
    let mut number = |graph: &mut Graph, state: &M::State, depth: u32| {
        let print = model.fingerprint(state);
        let next = u32::try_from(graph.states.len()).expect("fewer than 2^32 states");
        let number = *numbers.entry(print).or_insert(next);
        if number == next {
            graph.states.push((print, depth));
            for (good, property) in graph.good.iter_mut().zip(&live) {
                good.push((property.holds)(model, state));
            }
            for (from, property) in graph.from.iter_mut().zip(&live) {
                from.push((property.from)(model, state));
            }
            graph.cut_off.push(model.is_cut_off(state));
        }
        (number, number == next)
    };
    for state in model.initial() {
        if let (at, true) = number(&mut graph, &state, depth) {
            level.push((at, state));
        }
    }
    let mut actions = Vec::new();
    while !level.is_empty() {
        depth += 1;
        for (from, state) in std::mem::take(&mut level) {
            model.actions(&state, &mut actions);
            while let Some(action) = actions.pop() {
                let mut next = state.clone();
                if !model.apply(&mut next, &action, &mut actions) {
                    continue;
                }
                let (to, is_new) = number(&mut graph, &next, depth);
                graph.steps.push((to, from));
                if is_new {
                    level.push((to, next));
                }
            }
        }
    }
    graph
}

impl Graph {
    /// Which states have a way to a good one. The steps are sorted by where they lead.
    fn backwards(&self, good: &[bool]) -> Vec<bool> {
        let mut reached = good.to_vec();
        let numbers = 0..u32::try_from(good.len()).expect("fewer than 2^32 states");
        let mut waiting: Vec<u32> = numbers.filter(|&at| good[at as usize]).collect();
        while let Some(to) = waiting.pop() {
            let first = self.steps.partition_point(|step| step.0 < to);
            for &(_, from) in self.steps[first..].iter().take_while(|step| step.0 == to) {
                if !reached[from as usize] {
                    reached[from as usize] = true;
                    waiting.push(from);
                }
            }
        }
        reached
    }
}
