//! What it saves to see from afar that somebody can never find what it needs: configurations are
//! counted, with it and without.

use alloc::vec::Vec;

use super::*;
use crate::key_value::{Numbered, Shape, invent, spoil};
use crate::linearizable::parts::Whole;
use crate::linearizable::search::Found;

type Of<T> = <T as Sequential>::Input;

/// The store, without a word on what operations find.
struct Silent;

impl Sequential for Silent {
    type State = <Numbered as Sequential>::State;
    type Input = Of<Numbered>;
    type Output = <Numbered as Sequential>::Output;
    type Piece = u32;

    fn initial(&self) -> Self::State {
        Numbered.initial()
    }

    fn step(
        &self,
        state: &Self::State,
        input: &Self::Input,
        output: Option<&Self::Output>,
    ) -> Option<Self::State> {
        Numbered.step(state, input, output)
    }

    fn pieces(&self, input: &Self::Input) -> Pieces<u32> {
        Numbered.pieces(input)
    }

    fn is_read(&self, input: &Self::Input, output: &Self::Output) -> bool {
        Numbered.is_read(input, output)
    }

    fn effects(&self, input: &Self::Input, output: Option<&Self::Output>) -> Vec<Self::Input> {
        Numbered.effects(input, output)
    }

    fn effects_overwrite(&self) -> bool {
        true
    }

    fn is_indifferent(&self, input: &Self::Input, one: &Self::State, other: &Self::State) -> bool {
        Numbered.is_indifferent(input, one, other)
    }

    fn simplify(&self, operations: &mut [(Self::Input, Option<Self::Output>)]) {
        Numbered.simplify(operations);
    }
}

/// How many configurations a search looks at, up to a bound, and whether it came to an end.
fn count<M: Sequential>(machine: &M, history: &History<M::Input, M::Output>) -> (u64, bool) {
    const BOUND: u64 = 30_000;
    let whole = Whole::new(machine, history.operations());
    let all = (0..history.operations().len()).map(|at| (at, false));
    let (found, configurations) = whole.search(&whole.tasks(all), BOUND);
    (configurations, !matches!(found, Found::GaveUp))
}

#[test]
fn fewer_configurations_and_more_answers() {
    let shape = Shape {
        operations: 600,
        processes: 10,
        keys: 8,
        gets: 50,
        transactions: 10,
        lost: 50,
        values: None,
    };
    let (mut with, mut without) = ((0, 0), (0, 0));
    for seed in 0..6 {
        let right = invent(&shape, seed);
        for history in [spoil(&right, seed), right] {
            for (sum, (configurations, ended)) in [
                (&mut with, count(&Numbered, &history)),
                (&mut without, count(&Silent, &history)),
            ] {
                sum.0 += configurations;
                sum.1 += u32::from(ended);
            }
        }
    }
    assert_eq!(with.1, 12, "all come to an end");
    assert!(with.0 * 3 < without.0 * 2, "{with:?} {without:?}");
}
