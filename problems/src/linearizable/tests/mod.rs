//! Small histories with known verdicts.
use super::*;
use crate::key_value::{self, Input, Output};
use alloc::vec;

mod brute_force;
mod long;
mod supply;

type Store = History<Input<&'static str, u32>, Output<u32>>;

#[test]
fn a_stale_read_is_a_conflict_of_two() {
    let mut history = Store::new();
    for (at, value) in [(0, 1), (2, 2), (4, 3)] {
        history
            .call(1, at, Input::Put("x", value))
            .expect("well-formed");
        history.reply(1, at + 1, Output::Done).expect("well-formed");
    }
    history.call(2, 6, Input::Get("x")).expect("well-formed");
    history
        .reply(2, 7, Output::Value(Some(2)))
        .expect("well-formed");
    let Verdict::Violated(witness) = key_value::check(&history, 1000) else {
        panic!("a stale read")
    };
    assert_eq!(
        witness,
        Witness {
            conflict: vec![2, 3],
            context: vec![1],
            is_minimal: true
        }
    );
}
