//! From a part of a history that is not linearizable to the few operations that show it.

use alloc::vec::Vec;

use super::parts::Whole;
use super::search::Found;
use super::{Sequential, Witness};

/// How many configurations one attempt may look at, and all of them together.
const ATTEMPT_MAX: u64 = 300_000;
const ALL_ATTEMPTS_MAX: u64 = 10_000_000;
/// With many pieces a configuration is large, since it knows how late it is at each of them: no more
/// than this many moments for one attempt.
const MOMENTS_MAX: u64 = 50_000_000;

struct Shrink<'a, M: Sequential> {
    whole: &'a Whole<'a, M>,
    budget: u64,
}

/// Finds out which operations contradict one another, and what their conflict needs to be seen. No
/// order of the part gets beyond the return of the operation `stuck`.
pub(super) fn shrink<M: Sequential>(whole: &Whole<'_, M>, part: &[usize], stuck: usize) -> Witness {
    let mut shrink = Shrink {
        whole,
        budget: ALL_ATTEMPTS_MAX,
    };
    let end = whole.operations[stuck].end();
    // What was called after that return had no say in it.
    let has_a_say = |at: &usize| whole.operations[*at].call <= end;
    let suspects: Vec<usize> = part.iter().copied().filter(has_a_say).collect();
    let suspects = shrink.narrow(part, suspects, stuck);
    let (conflict, is_least) = least(suspects, |conflict| {
        Some(!shrink.is_linearizable(part, conflict)?)
    });
    let is_other = |at: &usize| conflict.binary_search(at).is_err();
    let others: Vec<usize> = part.iter().copied().filter(is_other).collect();
    let (context, is_enough) = least(others, |context| shrink.is_explained(&conflict, context));
    Witness {
        conflict,
        context,
        is_minimal: is_least && is_enough,
    }
}

/// A subset that has a property which the whole has and which no set loses by growing, and of which
/// nothing can be left out; it is left out in chunks that get smaller. The property may remain
/// undecided; then the answer may be larger than it had to be, and says so.
fn least(
    mut set: Vec<usize>,
    mut has_property: impl FnMut(&[usize]) -> Option<bool>,
) -> (Vec<usize>, bool) {
    let mut chunk = set.len();
    let mut is_least = true;
    while chunk > 0 {
        is_least = true;
        let mut at = set.len();
        // From the end, since what came last is most likely to matter, and is looked at while much
        // else is gone.
        while at > 0 {
            let from = at.saturating_sub(chunk);
            let mut fewer = set.clone();
            fewer.drain(from..at);
            match has_property(&fewer) {
                Some(true) => set = fewer,
                Some(false) => {}
                None => is_least = false,
            }
            at = from;
        }
        chunk /= 2;
    }
    (set, is_least)
}

impl<M: Sequential> Shrink<'_, M> {
    /// Few of the suspects that contradict one another: what is wrong has most often happened shortly
    /// before it shows, and where it shows.
    fn narrow(&mut self, part: &[usize], suspects: Vec<usize>, stuck: usize) -> Vec<usize> {
        let is_near = |at: &&usize| self.whole.share_a_piece(**at, stuck);
        let near: Vec<usize> = suspects.iter().filter(is_near).copied().collect();
        for narrower in [&near, &suspects] {
            let mut count = 16;
            while count < narrower.len() * 4 {
                let last = &narrower[narrower.len().saturating_sub(count)..];
                if self.is_linearizable(part, last) == Some(false) {
                    return last.to_vec();
                }
                count *= 4;
            }
        }
        suspects
    }

    /// Whether the conflict, with these other operations only, goes away as soon as any operation of
    /// it is set free.
    fn is_explained(&mut self, conflict: &[usize], others: &[usize]) -> Option<bool> {
        let mut part = [conflict, others].concat();
        part.sort_unstable();
        for left_out in conflict {
            let rest = conflict.iter().copied().filter(|at| at != left_out);
            let rest: Vec<usize> = rest.collect();
            if !self.is_linearizable(&part, &rest)? {
                return Some(false);
            }
        }
        Some(true)
    }

    /// Whether these operations are linearizable if all but some are free; nothing if the bound did
    /// not suffice.
    fn is_linearizable(&mut self, part: &[usize], exact: &[usize]) -> Option<bool> {
        let operations = self.whole.operations;
        let ends = exact
            .iter()
            .filter_map(|&at| operations[at].returned.as_ref());
        let end = ends.map(|(end, _)| *end).max().unwrap_or(0);
        let chosen = part.iter().filter(|&&at| operations[at].call <= end);
        let chosen = chosen.map(|at| (*at, exact.binary_search(at).is_err()));
        let tasks = self.whole.tasks(chosen);
        let pieces = tasks.iter().flat_map(|task| &task.pieces).max();
        let pieces = pieces.map_or(1, |&last| u64::from(last) + 1);
        let bound = ATTEMPT_MAX.min(self.budget).min(MOMENTS_MAX / pieces);
        let (found, configurations) = self.whole.search(&tasks, bound);
        self.budget -= configurations.min(self.budget);
        match found {
            Found::Order(_) => Some(true),
            Found::Stuck { .. } => Some(false),
            Found::GaveUp => None,
        }
    }
}
