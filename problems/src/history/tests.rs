//! Well-formed histories are taken; every other one is refused with the event that spoils it.

use super::*;
use alloc::string::ToString;
use alloc::vec;

type Words = History<&'static str, u32>;

fn operation(process: u64, call: u64, returned: Option<u64>) -> Operation<&'static str, u32> {
    Operation {
        process,
        call,
        input: "a",
        returned: returned.map(|at| (at, 0)),
    }
}

#[test]
fn events_become_operations_in_the_order_of_their_calls() {
    let mut history = Words::new();
    assert_eq!(history.call(1, 10, "a"), Ok(0));
    assert_eq!(history.call(2, 10, "b"), Ok(1));
    assert_eq!(history.open(2), Some(1));
    assert_eq!(history.reply(2, 20, 7), Ok(1));
    assert_eq!(history.lose(1, 30), Ok(0));
    assert_eq!(history.call(1, 30, "c"), Ok(2));
    assert_eq!(history.reply(1, 40, 8), Ok(2));
    let all = history.operations();
    assert_eq!(all[0].returned, None);
    assert_eq!(all[1].output(), Some(&7));
    assert!(all[1].precedes(&all[2]) && !all[2].precedes(&all[1]));
    assert!(
        !all[0].precedes(&all[2]),
        "a lost operation precedes nothing"
    );
}

#[test]
fn equal_moments_order_nothing() {
    let mut history = Words::new();
    for process in [1, 2] {
        history.call(process, 5, "a").expect("well-formed");
        history.reply(process, 5, 0).expect("well-formed");
    }
    let all = history.operations();
    assert!(!all[0].precedes(&all[1]) && !all[1].precedes(&all[0]));
}

#[test]
fn a_reply_needs_a_call() {
    let mut history = Words::new();
    let error = history.reply(3, 0, 1).expect_err("nothing was called");
    assert_eq!((error.event, error.fault), (1, Fault::NotCalled));
    assert_eq!(
        error.to_string(),
        "event 1: process 3 has no open operation; expected a call before its reply"
    );
    let error = history.lose(3, 0).expect_err("nothing was called");
    assert_eq!((error.event, error.fault), (2, Fault::NotCalled));
}

#[test]
fn a_process_has_one_operation_at_a_time() {
    let mut history = Words::new();
    history.call(1, 0, "a").expect("well-formed");
    let error = history.call(1, 1, "b").expect_err("the first is open");
    assert_eq!((error.event, error.fault), (2, Fault::TwoAtOnce));
    let error = Words::from_operations(vec![operation(1, 0, Some(5)), operation(1, 4, None)])
        .expect_err("they overlap");
    assert_eq!((error.event, error.fault), (2, Fault::TwoAtOnce));
}

#[test]
fn time_does_not_run_backwards() {
    let mut history = Words::new();
    history.call(1, 9, "a").expect("well-formed");
    let error = history.reply(1, 8, 0).expect_err("8 is before 9");
    assert_eq!(error.fault, Fault::BackInTime { last: 9, at: 8 });
    let error = Words::from_operations(vec![operation(1, 1, None), operation(2, 7, Some(3))])
        .expect_err("3 is before 7");
    assert_eq!(error.event, 2);
    assert_eq!(
        error.fault,
        Fault::ReturnBeforeCall {
            call: 7,
            returned: 3
        }
    );
}

#[test]
fn whole_operations_may_come_in_any_order() {
    let history = Words::from_operations(vec![
        operation(2, 6, Some(9)),
        operation(1, 5, Some(9)),
        operation(1, 1, None),
    ])
    .expect("well-formed: process 1 gave up its first operation");
    let calls: Vec<u64> = history.operations().iter().map(|o| o.call).collect();
    assert_eq!(calls, [1, 5, 6]);
    assert_eq!((history.len(), history.is_empty()), (3, false));
}
