//! Takes a history apart where its operations are independent, and puts the answers together.

use alloc::collections::BTreeMap;
use alloc::vec;
use alloc::vec::Vec;

use super::search::{Found, Kind, Task, search};
use super::shrink::shrink;
use super::{Pieces, Point, Sequential, Verdict};
use crate::history::Operation;

/// The operations of a machine.
pub(super) type Operations<M> = [Operation<<M as Sequential>::Input, <M as Sequential>::Output>];

/// Checks each part by itself.
pub(super) fn check<M: Sequential>(
    machine: &M,
    operations: &Operations<M>,
    configurations_max: u64,
) -> Verdict {
    let numbered = number_pieces(machine, operations);
    let mut points = Vec::with_capacity(operations.len());
    let mut gave_up = None;
    // The part that fails first in time.
    let mut failed: Option<(u64, Vec<usize>)> = None;
    for part in split(&numbered) {
        let exactly = part.iter().map(|&at| (at, false));
        let tasks = tasks(machine, operations, &numbered, exactly);
        match search(machine, &tasks, configurations_max) {
            (Found::Order(order), _) => add_points(&part, &tasks, &order, &mut points),
            (Found::GaveUp, configurations) => gave_up = Some(configurations),
            (Found::Stuck { before }, _) => {
                let end = operations[part[before as usize]].end();
                if failed.as_ref().is_none_or(|(earliest, _)| end < *earliest) {
                    failed = Some((end, part));
                }
            }
        }
    }
    if let Some((end, part)) = failed {
        return Verdict::Violated(shrink(machine, operations, &numbered, &part, end));
    }
    if let Some(configurations) = gave_up {
        return Verdict::GaveUp { configurations };
    }
    // Each part's points are in its order, and a stable sort keeps it.
    points.sort_by_key(|point| point.at);
    Verdict::Linearizable(points)
}

/// The pieces that each operation touches, as numbers; none stands for all.
fn number_pieces<M: Sequential>(machine: &M, operations: &Operations<M>) -> Vec<Vec<u32>> {
    let mut numbers: BTreeMap<M::Piece, u32> = BTreeMap::new();
    let mut number = |piece| {
        let next = super::memo::index(numbers.len());
        *numbers.entry(piece).or_insert(next)
    };
    let touched = operations
        .iter()
        .map(|operation| match machine.pieces(&operation.input) {
            Pieces::All => Vec::new(),
            Pieces::Of(pieces) => pieces.into_iter().map(&mut number).collect(),
        });
    touched.collect()
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

/// These operations as tasks of one search: exactly as they were, or set free.
pub(super) fn tasks<M: Sequential>(
    machine: &M,
    operations: &Operations<M>,
    numbered: &[Vec<u32>],
    chosen: impl Iterator<Item = (usize, bool)>,
) -> Vec<Task<M>> {
    let mut owners: Vec<(usize, Kind)> = Vec::new();
    let mut seen = Vec::new();
    for (at, is_free) in chosen {
        let operation = &operations[at];
        if !is_free {
            let kind = match operation.returned {
                Some(_) => Kind::Answered,
                None => Kind::Pending,
            };
            owners.push((at, kind));
            seen.push((operation.input.clone(), operation.output().cloned()));
            continue;
        }
        for effect in machine.effects(&operation.input, operation.output()) {
            owners.push((at, Kind::Free));
            seen.push((effect, None));
        }
    }
    machine.simplify(&mut seen);
    let mut numbers: BTreeMap<u32, u32> = BTreeMap::new();
    let mut tasks = Vec::with_capacity(owners.len());
    for ((at, kind), (input, output)) in owners.into_iter().zip(seen) {
        let operation = &operations[at];
        let pieces = numbered[at].iter().map(|&piece| {
            let next = super::memo::index(numbers.len());
            *numbers.entry(piece).or_insert(next)
        });
        tasks.push(Task {
            kind,
            pieces: pieces.collect(),
            is_read: output
                .as_ref()
                .is_some_and(|output| machine.is_read(&input, output)),
            input,
            output,
            call: operation.call,
            end: operation.end(),
        });
    }
    tasks
}

/// Gives each operation of an order the earliest moment that the order allows.
fn add_points<M: Sequential>(
    part: &[usize],
    tasks: &[Task<M>],
    order: &[u32],
    points: &mut Vec<Point>,
) {
    let mut at = 0;
    for &task in order {
        at = at.max(tasks[task as usize].call);
        points.push(Point {
            operation: part[task as usize],
            at,
        });
    }
}
