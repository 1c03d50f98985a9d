//! The checker against all orders, tried one by one, and against the definition of its witness.

use alloc::collections::BTreeSet;
use alloc::format;
use alloc::string::String;
use alloc::vec;

use super::*;
use crate::history::Operation;
use crate::key_value::{Shape, invent, spoil};

type Op = Operation<Input<u32, u32>, Output<u32>>;

/// Whether some order of some of the operations, with all answered ones among them, is one of the
/// machine and respects precedence; those of `free` may besides write what they wrote as often as
/// they like, in their time. Tries all configurations.
fn is_linearizable(operations: &[Op], exact: &[usize], free: &[usize]) -> bool {
    let machine = key_value::Numbered;
    let mut open = vec![(0u64, 0u64, machine.initial())];
    let mut known = BTreeSet::from([(0, 0, vec![])]);
    while let Some((done, now, state)) = open.pop() {
        let left: Vec<usize> = exact
            .iter()
            .copied()
            .filter(|at| done & (1 << at) == 0)
            .collect();
        let mut ends = left.iter().map(|&at| operations[at].end());
        let first_end = ends.next().map_or(u64::MAX, |end| ends.fold(end, u64::min));
        if first_end == u64::MAX {
            return true;
        }
        let mut add =
            |at: usize, done, state: Option<<key_value::Numbered as Sequential>::State>| {
                let Some(state) = state else { return };
                let next = (done, now.max(operations[at].call), state);
                let (done, now, state) = &next;
                let contents: Vec<(u32, u32)> = state.entries().collect();
                if known.insert((*done, *now, contents)) {
                    open.push(next);
                }
            };
        for &at in left.iter().filter(|&&at| operations[at].call <= first_end) {
            let next = machine.step(&state, &operations[at].input, operations[at].output());
            add(at, done | 1 << at, next);
        }
        let is_now =
            |at: &&usize| operations[**at].call <= first_end && operations[**at].end() >= now;
        for &at in free.iter().filter(is_now) {
            for effect in machine.effects(&operations[at].input, operations[at].output()) {
                add(at, done, machine.step(&state, &effect, None));
            }
        }
    }
    false
}

/// Replays linearization points: in order, inside their operations, and right.
pub(super) fn assert_points(operations: &[Op], points: &[Point]) {
    let machine = key_value::Numbered;
    let mut state = machine.initial();
    let mut done = vec![false; operations.len()];
    let mut now = 0;
    for point in points {
        let operation = &operations[point.operation];
        assert!(!done[point.operation], "taken twice: {operation:?}");
        done[point.operation] = true;
        assert!(
            operation.call <= point.at && point.at <= operation.end(),
            "{point:?} {operation:?}"
        );
        assert!(now <= point.at, "points come in order");
        now = point.at;
        let next = machine.step(&state, &operation.input, operation.output());
        state = next.expect("the answer is right at its point");
    }
    for (operation, done) in operations.iter().zip(done) {
        assert!(
            done || operation.returned.is_none(),
            "left out: {operation:?}"
        );
    }
}

/// The witness is what its documentation says.
pub(super) fn assert_witness(operations: &[Op], witness: &Witness) {
    let Witness {
        conflict,
        context,
        is_minimal,
    } = witness;
    assert!(*is_minimal, "small histories are shrunk to the end");
    let others: Vec<usize> = (0..operations.len())
        .filter(|at| !conflict.contains(at))
        .collect();
    let shown = || format!("{}{witness:?}", show(operations));
    assert!(
        !is_linearizable(operations, conflict, &others),
        "no conflict: {}",
        shown()
    );
    for left_out in conflict {
        let rest: Vec<usize> = conflict
            .iter()
            .copied()
            .filter(|at| at != left_out)
            .collect();
        let free = [context.as_slice(), &[*left_out]].concat();
        assert!(
            is_linearizable(operations, &rest, &free),
            "not least without {left_out}: {}",
            shown()
        );
    }
    for left_out in context {
        let fewer: Vec<usize> = context
            .iter()
            .copied()
            .filter(|at| at != left_out)
            .collect();
        let is_needed = conflict.iter().any(|one| {
            let rest: Vec<usize> = conflict.iter().copied().filter(|at| at != one).collect();
            !is_linearizable(operations, &rest, &[fewer.as_slice(), &[*one]].concat())
        });
        assert!(
            is_needed,
            "context not least without {left_out}: {}",
            shown()
        );
    }
}

fn cross_check(shape: &Shape, seeds: core::ops::Range<u64>) -> (u32, u32) {
    let (mut yes, mut no) = (0, 0);
    for seed in seeds {
        let right = invent(shape, seed);
        let histories = [
            spoil(&right, seed),
            spoil(&spoil(&right, seed), seed + 1),
            right,
        ];
        for (at, history) in histories.iter().enumerate() {
            let operations = history.operations();
            let all: Vec<usize> = (0..operations.len()).collect();
            let expected = is_linearizable(operations, &all, &[]);
            assert!(
                expected || at < 2,
                "seed {seed}: a working store is linearizable"
            );
            match check(&key_value::Numbered, history, 1_000_000) {
                Verdict::Linearizable(points) => {
                    assert!(expected, "seed {seed}: {operations:#?}");
                    assert_points(operations, &points);
                    yes += 1;
                }
                Verdict::Violated(witness) => {
                    assert!(!expected, "seed {seed}: {witness:?}\n{}", show(operations));
                    assert_witness(operations, &witness);
                    no += 1;
                }
                Verdict::GaveUp { .. } => panic!("seed {seed}: a small history"),
            }
        }
    }
    (yes, no)
}

#[test]
fn single_keys_agree_with_brute_force() {
    let shape = Shape {
        operations: 7,
        processes: 4,
        keys: 1,
        gets: 40,
        transactions: 0,
        lost: 150,
        values: Some(2),
    };
    let (yes, no) = cross_check(&shape, 0..1500);
    assert!(yes > 1000 && no > 500, "{yes} {no}");
}

#[test]
fn transactions_agree_with_brute_force() {
    let shape = Shape {
        operations: 7,
        processes: 4,
        keys: 3,
        gets: 30,
        transactions: 40,
        lost: 100,
        values: Some(2),
    };
    let (yes, no) = cross_check(&shape, 0..1500);
    assert!(yes > 1000 && no > 500, "{yes} {no}");
}

#[test]
fn histories_with_many_losses_agree_with_brute_force() {
    for keys in [1, 2] {
        let shape = Shape {
            operations: 8,
            processes: 4,
            keys,
            gets: 35,
            transactions: 20 * (keys - 1),
            lost: 600,
            values: Some(3),
        };
        let (yes, no) = cross_check(&shape, 0..1500);
        assert!(yes > 1000 && no > 200, "{yes} {no}");
    }
}

#[test]
fn transactions_with_many_losses_agree_with_brute_force() {
    for values in [Some(2), None] {
        let shape = Shape {
            operations: 8,
            processes: 4,
            keys: 3,
            gets: 30,
            transactions: 40,
            lost: 400,
            values,
        };
        let (yes, no) = cross_check(&shape, 0..600);
        assert!(yes > 500 && no > 200, "{yes} {no}");
    }
}

#[test]
fn different_values_agree_with_brute_force() {
    let shape = Shape {
        operations: 8,
        processes: 3,
        keys: 2,
        gets: 50,
        transactions: 10,
        lost: 200,
        values: None,
    };
    let (yes, no) = cross_check(&shape, 0..1000);
    assert!(yes > 1000 && no > 500, "{yes} {no}");
}

fn show(operations: &[Op]) -> String {
    let lines = operations.iter().map(|one| {
        format!(
            "{} {} {:?} {:?}\n",
            one.process, one.call, one.input, one.returned
        )
    });
    lines.collect()
}
