//! What each answer claims, and histories that need several keys.

use super::*;
use alloc::vec;

type Store = History<Input<&'static str, u32>, Output<u32>>;

/// One operation after another; nothing overlaps.
fn in_sequence(operations: Vec<(Input<&'static str, u32>, Output<u32>)>) -> Store {
    let mut history = Store::new();
    for (at, (input, output)) in (0..).zip(operations) {
        history.call(1, 2 * at, input).expect("well-formed");
        history.reply(1, 2 * at + 1, output).expect("well-formed");
    }
    history
}

fn accepts(operations: Vec<(Input<&'static str, u32>, Output<u32>)>) -> bool {
    check(&in_sequence(operations), 1000).is_linearizable()
}

fn swap(expected: Option<u32>, new: Option<u32>) -> Input<&'static str, u32> {
    Input::Swap {
        key: "x",
        expected,
        new,
    }
}

#[test]
fn what_an_answer_says_is_checked() {
    let put = (Input::Put("x", 1), Output::Done);
    let cases = [
        (Input::Get("x"), Output::Value(Some(1)), Output::Value(None)),
        (
            Input::Put("x", 2),
            Output::Value(Some(1)),
            Output::Value(None),
        ),
        (Input::Delete("x"), Output::Held(true), Output::Held(false)),
        (
            Input::Delete("x"),
            Output::Value(Some(1)),
            Output::Value(Some(2)),
        ),
        (
            swap(Some(1), Some(2)),
            Output::Held(true),
            Output::Held(false),
        ),
        (swap(Some(1), None), Output::Done, Output::Value(Some(1))),
        (swap(None, Some(2)), Output::Held(false), Output::Done),
        (
            swap(Some(2), Some(3)),
            Output::Value(Some(1)),
            Output::Value(Some(2)),
        ),
    ];
    for (input, right, wrong) in cases {
        assert!(
            accepts(vec![put.clone(), (input.clone(), right.clone())]),
            "{input:?} {right:?}"
        );
        assert!(
            !accepts(vec![put.clone(), (input.clone(), wrong.clone())]),
            "{input:?} {wrong:?}"
        );
    }
}
