//! From a part of a history that is not linearizable to the few operations that show it.

use alloc::vec::Vec;

use super::parts::{Operations, tasks};
use super::search::{Found, search};
use super::{Sequential, Witness};

/// How many configurations one attempt may look at, and all of them together.
const ATTEMPT_MAX: u64 = 100_000;
const ALL_ATTEMPTS_MAX: u64 = 10_000_000;

struct Shrink<'a, M: Sequential> {
    machine: &'a M,
    operations: &'a Operations<M>,
    numbered: &'a [Vec<u32>],
    budget: u64,
}

/// Finds out which replies contradict one another, and what their conflict needs to be seen. No
/// order of the part gets beyond the return at `end`.
pub(super) fn shrink<M: Sequential>(
    machine: &M,
    operations: &Operations<M>,
    numbered: &[Vec<u32>],
    part: &[usize],
    end: u64,
) -> Witness {
    let mut shrink = Shrink {
        machine,
        operations,
        numbered,
        budget: ALL_ATTEMPTS_MAX,
    };
    // What was called after that return had no say in it.
    let has_a_say = |at: &usize| operations[*at].returned.is_some() && operations[*at].call <= end;
    let answered: Vec<usize> = part.iter().copied().filter(has_a_say).collect();
    let (conflict, is_least) = shrink.conflict(part, answered);
    let others: Vec<usize> = part
        .iter()
        .copied()
        .filter(|at| !conflict.contains(at))
        .collect();
    let (context, is_enough) = shrink.context(&conflict, others);
    Witness {
        conflict,
        context,
        is_minimal: is_least && is_enough,
    }
}

impl<M: Sequential> Shrink<'_, M> {
    /// The least set of replies that cannot all be right, in chunks that get smaller.
    fn conflict(&mut self, part: &[usize], mut answered: Vec<usize>) -> (Vec<usize>, bool) {
        let mut chunk = answered.len().div_ceil(2).max(1);
        let mut is_least;
        loop {
            is_least = true;
            let mut at = 0;
            while at < answered.len() {
                let mut fewer = answered.clone();
                fewer.drain(at..(at + chunk).min(answered.len()));
                match self.is_linearizable(part, &fewer) {
                    Some(false) => answered = fewer,
                    Some(true) => at += chunk,
                    None => {
                        is_least = false;
                        at += chunk;
                    }
                }
            }
            if chunk == 1 {
                return (answered, is_least);
            }
            chunk = chunk.div_ceil(2);
        }
    }

    /// The least set of other operations with which the conflict is one: it goes away with any of its
    /// replies.
    fn context(&mut self, conflict: &[usize], mut others: Vec<usize>) -> (Vec<usize>, bool) {
        let mut chunk = others.len().div_ceil(2).max(1);
        let mut is_least;
        loop {
            is_least = true;
            let mut at = 0;
            while at < others.len() {
                let mut fewer = others.clone();
                fewer.drain(at..(at + chunk).min(others.len()));
                match self.is_explained(conflict, &fewer) {
                    Some(true) => others = fewer,
                    Some(false) => at += chunk,
                    None => {
                        is_least = false;
                        at += chunk;
                    }
                }
            }
            if chunk == 1 {
                return (others, is_least);
            }
            chunk = chunk.div_ceil(2);
        }
    }

    fn is_explained(&mut self, conflict: &[usize], others: &[usize]) -> Option<bool> {
        let mut part = [conflict, others].concat();
        part.sort_unstable();
        for left_out in conflict {
            let fewer: Vec<usize> = conflict
                .iter()
                .copied()
                .filter(|at| at != left_out)
                .collect();
            if !self.is_linearizable(&part, &fewer)? {
                return Some(false);
            }
        }
        Some(true)
    }

    /// Whether these operations are linearizable if only these replies count; nothing if the bound
    /// did not suffice.
    fn is_linearizable(&mut self, part: &[usize], answered: &[usize]) -> Option<bool> {
        let ends = answered.iter().map(|&at| self.operations[at].end());
        let end = ends.max().unwrap_or(0);
        let chosen: Vec<(usize, bool)> = part
            .iter()
            .filter(|&&at| self.operations[at].call <= end)
            .map(|at| (*at, answered.binary_search(at).is_ok()))
            .collect();
        let tasks = tasks(self.machine, self.operations, self.numbered, &chosen);
        let (found, configurations) = search(self.machine, &tasks, ATTEMPT_MAX.min(self.budget));
        self.budget -= configurations.min(self.budget);
        match found {
            Found::Order(_) => Some(true),
            Found::Stuck { .. } => Some(false),
            Found::GaveUp => None,
        }
    }
}
