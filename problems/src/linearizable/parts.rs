//! Takes a history apart where its operations are independent, and puts the answers together.

use alloc::collections::BTreeMap;
use alloc::vec;
use alloc::vec::Vec;

use super::memo::index;
use super::search::{Found, Kind, Task, search};
use super::shrink::shrink;
use super::{Pieces, Point, Sequential, Verdict};
use crate::history::Operation;

/// The operations of a machine.
type Operations<M> = [Operation<<M as Sequential>::Input, <M as Sequential>::Output>];

/// A history, with numbers for the pieces that operations touch.
pub(super) struct Whole<'a, M: Sequential> {
    machine: &'a M,
    pub(super) operations: &'a Operations<M>,
    numbers: BTreeMap<M::Piece, u32>,
    /// The pieces that each operation touches; none stands for all.
    touched: Vec<Vec<u32>>,
}

/// Checks each part by itself.
pub(super) fn check<M: Sequential>(
    machine: &M,
    operations: &Operations<M>,
    configurations_max: u64,
) -> Verdict {
    let whole = Whole::new(machine, operations);
    let mut points = Vec::with_capacity(operations.len());
    let mut gave_up = None;
    // The part that fails first in time, and the operation before whose return it does.
    let mut failed: Option<(usize, Vec<usize>)> = None;
    for part in split(&whole.touched) {
        let exactly = part.iter().map(|&at| (at, false));
        let tasks = whole.tasks(exactly);
        match search(machine, &tasks, configurations_max) {
            (Found::Order(order), _) => add_points(&tasks, &order, &mut points),
            (Found::GaveUp, configurations) => gave_up = Some(configurations),
            (Found::Stuck { before }, _) => {
                let stuck = tasks[before as usize].owner;
                let end = |at: usize| operations[at].end();
                if failed
                    .as_ref()
                    .is_none_or(|(other, _)| end(stuck) < end(*other))
                {
                    failed = Some((stuck, part));
                }
            }
        }
    }
    if let Some((stuck, part)) = failed {
        return Verdict::Violated(shrink(&whole, &part, stuck));
    }
    if let Some(configurations) = gave_up {
        return Verdict::GaveUp { configurations };
    }
    // Each part's points are in its order, and a stable sort keeps it.
    points.sort_by_key(|point| point.at);
    Verdict::Linearizable(points)
}

impl<'a, M: Sequential> Whole<'a, M> {
    pub(super) fn new(machine: &'a M, operations: &'a Operations<M>) -> Whole<'a, M> {
        let mut numbers: BTreeMap<M::Piece, u32> = BTreeMap::new();
        let mut number = |piece| {
            let next = index(numbers.len());
            *numbers.entry(piece).or_insert(next)
        };
        let touched = operations
            .iter()
            .map(|operation| match machine.pieces(&operation.input) {
                Pieces::All => Vec::new(),
                Pieces::Of(pieces) => pieces.into_iter().map(&mut number).collect(),
            });
        let touched = touched.collect();
        Whole {
            machine,
            operations,
            numbers,
            touched,
        }
    }

    /// Searches for an order of tasks.
    pub(super) fn search(&self, tasks: &[Task<M>], configurations_max: u64) -> (Found, u64) {
        search(self.machine, tasks, configurations_max)
    }

    /// These operations as tasks of one search: exactly as they were, or set free.
    pub(super) fn tasks(
        &self,
        chosen: impl Iterator<Item = (usize, bool)> + Clone,
    ) -> Vec<Task<M>> {
        let exact = chosen.clone().filter(|&(_, is_free)| !is_free);
        let first_call = exact.clone().map(|(at, _)| self.operations[at].call).min();
        let is_seen = self.pieces_of(exact.map(|(at, _)| at));
        // Whatever free operations did before anything else was called, they did at one moment.
        let before = first_call.unwrap_or(0).saturating_sub(1);
        let mut owners: Vec<(usize, Kind)> = Vec::new();
        let mut seen = Vec::new();
        for (at, is_free) in chosen {
            let operation = &self.operations[at];
            if !is_free {
                let kind = match operation.returned {
                    Some(_) => Kind::Answered,
                    None => Kind::Pending,
                };
                let effects = || self.machine.effects(&operation.input, operation.output());
                if kind == Kind::Pending && effects().is_empty() {
                    continue; // Whether a lost read took place, nobody will ever know.
                }
                owners.push((at, kind));
                seen.push((operation.input.clone(), operation.output().cloned()));
                continue;
            }
            // What a free operation does to other pieces than these, nobody will ever know.
            if !is_seen(&self.touched[at]) {
                continue;
            }
            for effect in self.machine.effects(&operation.input, operation.output()) {
                owners.push((at, Kind::Free));
                seen.push((effect, None));
            }
        }
        self.machine.simplify(&mut seen);
        let mut numbers: BTreeMap<u32, u32> = BTreeMap::new();
        let mut tasks = Vec::with_capacity(owners.len());
        for ((at, kind), (input, output)) in owners.into_iter().zip(seen) {
            let operation = &self.operations[at];
            let earliest = if kind == Kind::Free { before } else { 0 };
            tasks.push(Task {
                owner: at,
                kind,
                pieces: self.pieces(&input, &mut numbers),
                is_read: output
                    .as_ref()
                    .is_some_and(|output| self.machine.is_read(&input, output)),
                input,
                output,
                call: operation.call.max(earliest),
                end: operation.end().max(earliest),
            });
        }
        tasks
    }

    /// Whether two operations touch the same piece.
    pub(super) fn share_a_piece(&self, one: usize, two: usize) -> bool {
        let (one, two) = (&self.touched[one], &self.touched[two]);
        one.is_empty() || two.is_empty() || one.iter().any(|piece| two.contains(piece))
    }

    /// Whether something touches one of the pieces that these operations touch.
    fn pieces_of(&self, operations: impl Iterator<Item = usize>) -> impl Fn(&[u32]) -> bool {
        let mut is_touched = vec![false; self.numbers.len()];
        let mut are_all = false;
        for at in operations {
            are_all |= self.touched[at].is_empty();
            for &piece in &self.touched[at] {
                is_touched[piece as usize] = true;
            }
        }
        move |pieces: &[u32]| {
            let mut touched = pieces.iter().map(|&piece| is_touched[piece as usize]);
            are_all || pieces.is_empty() || touched.any(|is_touched| is_touched)
        }
    }

    /// The pieces that an input touches, with numbers that are few.
    fn pieces(&self, input: &M::Input, numbers: &mut BTreeMap<u32, u32>) -> Vec<u32> {
        let Pieces::Of(pieces) = self.machine.pieces(input) else {
            return Vec::new();
        };
        // A piece that no operation of the history touches is of no consequence.
        let known = pieces.iter().filter_map(|piece| self.numbers.get(piece));
        let numbered = known.map(|&piece| {
            let next = index(numbers.len());
            *numbers.entry(piece).or_insert(next)
        });
        numbered.collect()
    }
}

/// The operations by part, in the order of their calls: two are in one part if they touch the same
/// piece, or if others connect them.
fn split(numbered: &[Vec<u32>]) -> Vec<Vec<usize>> {
    if numbered.iter().any(Vec::is_empty) {
        return vec![(0..numbered.len()).collect()];
    }
    let len = numbered
        .iter()
        .flatten()
        .max()
        .map_or(0, |&last| last as usize + 1);
    let mut leader: Vec<usize> = (0..len).collect();
    for pieces in numbered {
        for pair in pieces.windows(2) {
            let one = find(&mut leader, pair[0] as usize);
            let two = find(&mut leader, pair[1] as usize);
            leader[one.max(two)] = one.min(two);
        }
    }
    let mut parts: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for (at, pieces) in numbered.iter().enumerate() {
        let part = find(&mut leader, pieces[0] as usize);
        parts.entry(part).or_default().push(at);
    }
    parts.into_values().collect()
}

/// Who stands for the part of a piece. Halves the path to it on the way.
fn find(leader: &mut [usize], mut at: usize) -> usize {
    while leader[at] != at {
        leader[at] = leader[leader[at]];
        at = leader[at];
    }
    at
}

/// Gives each operation of an order the earliest moment that the order allows.
fn add_points<M: Sequential>(tasks: &[Task<M>], order: &[u32], points: &mut Vec<Point>) {
    let mut at = 0;
    for &task in order {
        let Task { call, owner, .. } = tasks[task as usize];
        at = at.max(call);
        points.push(Point {
            operation: owner,
            at,
        });
    }
}
