//! The checker against all orders, tried one by one, and against the definition of its witness.

use alloc::vec;

use super::*;
use crate::history::Operation;
use crate::key_value::{Shape, invent, spoil};

type Op = Operation<Input<u32, u32>, Output<u32>>;

/// Whether some order of some of the operations, with all answered ones among them, is one of the
/// machine and respects precedence. Tries them all.
fn is_linearizable(
    machine: &impl Sequential<Input = Input<u32, u32>, Output = Output<u32>>,
    operations: &[Op],
) -> bool {
    let mut done = vec![false; operations.len()];
    extends(machine, operations, &mut done, &machine.initial())
}

fn extends<M>(machine: &M, operations: &[Op], done: &mut [bool], state: &M::State) -> bool
where
    M: Sequential<Input = Input<u32, u32>, Output = Output<u32>>,
{
    let left = |at: &usize| !done[*at];
    let open: Vec<usize> = (0..operations.len()).filter(left).collect();
    if open.iter().all(|&at| operations[at].returned.is_none()) {
        return true;
    }
    for &at in &open {
        let this = &operations[at];
        if open.iter().any(|&other| operations[other].precedes(this)) {
            continue;
        }
        if let Some(next) = machine.step(state, &this.input, this.output()) {
            done[at] = true;
            let found = extends(machine, operations, done, &next);
            done[at] = false;
            if found {
                return true;
            }
        }
    }
    false
}

/// The operations chosen by their places, with only some of the replies.
fn forget(operations: &[Op], kept: &[usize], answered: &[usize]) -> Vec<Op> {
    let chosen = kept.iter().map(|&at| {
        let mut operation = operations[at].clone();
        if !answered.contains(&at) {
            operation.returned = None;
        }
        operation
    });
    chosen.collect()
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
fn assert_witness(operations: &[Op], witness: &Witness) {
    let machine = key_value::Numbered;
    assert!(witness.is_minimal, "small histories are shrunk to the end");
    let all: Vec<usize> = (0..operations.len()).collect();
    let mut shown = [witness.conflict.as_slice(), &witness.context].concat();
    shown.sort_unstable();
    let conflict = &witness.conflict;
    assert!(
        !is_linearizable(&machine, &forget(operations, &all, conflict)),
        "{operations:#?} {witness:?}"
    );
    assert!(!is_linearizable(
        &machine,
        &forget(operations, &shown, conflict)
    ));
    for left_out in conflict {
        let fewer: Vec<usize> = conflict
            .iter()
            .copied()
            .filter(|at| at != left_out)
            .collect();
        assert!(
            is_linearizable(&machine, &forget(operations, &shown, &fewer)),
            "{operations:#?} {witness:?}"
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
            let expected = is_linearizable(&key_value::Numbered, operations);
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

fn show(operations: &[Op]) -> alloc::string::String {
    let lines = operations.iter().map(|one| {
        alloc::format!(
            "{} {} {:?} {:?}\n",
            one.process,
            one.call,
            one.input,
            one.returned
        )
    });
    lines.collect()
}
