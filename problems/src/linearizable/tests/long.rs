//! Histories that brute force cannot judge: their points are replayed, and their witnesses are small
//! enough for brute force again.

use super::brute_force::{assert_points, assert_witness};
use super::*;
use crate::key_value::{Shape, invent, spoil};

const BASE: Shape = Shape {
    operations: 1500,
    processes: 10,
    keys: 20,
    gets: 50,
    transactions: 0,
    lost: 0,
    values: None,
};

const SHAPES: [Shape; 6] = [
    BASE,
    Shape { lost: 50, ..BASE },
    Shape { keys: 1, ..BASE },
    Shape {
        keys: 1,
        values: Some(4),
        ..BASE
    },
    Shape {
        keys: 5,
        transactions: 10,
        ..BASE
    },
    Shape {
        transactions: 10,
        lost: 10,
        ..BASE
    },
];

#[test]
fn long_histories_of_a_working_store_have_points() {
    for (seed, shape) in (0..).zip(&SHAPES) {
        let history = invent(shape, seed);
        let Verdict::Linearizable(points) = check(&key_value::Numbered, &history, 200_000) else {
            panic!("it is linearizable: {shape:?}")
        };
        assert_points(history.operations(), &points);
    }
}

#[test]
fn one_wrong_answer_in_a_long_history_is_shown_by_few_operations() {
    let mut found = 0;
    for (seed, shape) in (0..30).zip(SHAPES.iter().cycle()) {
        let history = spoil(&invent(shape, seed), seed);
        match check(&key_value::Numbered, &history, 200_000) {
            Verdict::Linearizable(points) => assert_points(history.operations(), &points),
            Verdict::GaveUp { .. } => panic!("it is small: {shape:?}"),
            Verdict::Violated(witness) => {
                found += 1;
                assert!(
                    witness.is_minimal && witness.conflict.len() <= 6,
                    "{witness:?}"
                );
                // The rest of the history adds no room to what the two sets show by themselves.
                let mut shown = [witness.conflict.as_slice(), &witness.context].concat();
                shown.sort_unstable();
                let place = |at: &usize| shown.binary_search(at).expect("it is shown");
                let excerpt: Vec<_> = shown
                    .iter()
                    .map(|&at| history.operations()[at].clone())
                    .collect();
                assert_witness(
                    &excerpt,
                    &Witness {
                        conflict: witness.conflict.iter().map(place).collect(),
                        context: witness.context.iter().map(place).collect(),
                        is_minimal: true,
                    },
                );
            }
        }
    }
    assert!(found > 10, "{found}");
}
