//! The executions of the slides, one history for every violation, and all checkers against their
//! definitions, taken literally.

use alloc::format;
use alloc::vec;

use quorate_core::Choice;

use super::*;
use Strength::{Atomic, AtomicOneWriter, Regular, Safe};

type Op = Operation<Input<u32>, Output<u32>>;

const ALL: [Strength; 4] = [Safe, Regular, AtomicOneWriter, Atomic];

fn write(process: u64, value: u32, call: u64, end: u64) -> Op {
    Operation {
        process,
        call,
        input: Input::Write(value),
        returned: Some((end, Output::Written)),
    }
}

fn read(process: u64, value: impl Into<Option<u32>>, call: u64, end: u64) -> Op {
    Operation {
        process,
        call,
        input: Input::Read,
        returned: Some((end, Output::Value(value.into()))),
    }
}

fn history(operations: Vec<Op>) -> History<u32> {
    History::from_operations(operations).expect("well-formed")
}

fn allowed(operations: &[Op]) -> Vec<Strength> {
    let history = history(operations.to_vec());
    let allows = |strength: &Strength| check(*strength, &history, 100_000).is_allowed();
    ALL.into_iter().filter(allows).collect()
}

fn violation(strength: Strength, operations: Vec<Op>) -> Violation {
    match check(strength, &history(operations), 100_000) {
        Verdict::Violated(violation) => violation,
        other => panic!("expected a violation, found {other:?}"),
    }
}

/// The five executions of "Programming Distributed Systems, 7 Consensus" (registers). The figures
/// are lost in the text; these are reconstructions with the verdicts that the text gives.
mod slides {
    use super::*;

    /// "Is this execution possible for a safe/regular/atomic register? Valid for all!" Nothing
    /// overlaps.
    #[test]
    fn first_reads_after_each_write_are_valid_for_all() {
        let operations = [
            write(1, 1, 0, 2),
            read(2, 1, 3, 5),
            write(1, 2, 6, 8),
            read(2, 2, 9, 11),
        ];
        assert_eq!(allowed(&operations), ALL);
    }

    /// Valid for all: a read during a write returns the old value, and the next one the new.
    #[test]
    fn second_a_read_during_the_write_may_return_the_old_value() {
        let operations = [
            write(1, 1, 0, 2),
            write(1, 2, 4, 10),
            read(2, 1, 5, 7),
            read(2, 2, 8, 12),
        ];
        assert_eq!(allowed(&operations), ALL);
    }

    /// Not valid: both writes are over, and the read returns the first.
    #[test]
    fn third_an_overwritten_value_is_not_valid() {
        let operations = [write(1, 1, 0, 2), write(1, 2, 3, 5), read(2, 1, 6, 8)];
        assert_eq!(allowed(&operations), []);
        let stale = Violation::Stale {
            read: 2,
            overwritten_by: 1,
        };
        for strength in [Safe, Regular, AtomicOneWriter] {
            assert_eq!(violation(strength, operations.to_vec()), stale);
        }
    }

    /// "Write operations are concurrent, we have to define linearization points to arbitrate their
    /// order."
    #[test]
    fn fourth_two_concurrent_writers_have_points() {
        let operations = vec![
            write(1, 1, 0, 10),
            write(2, 2, 1, 9),
            read(3, 2, 2, 4),
            read(3, 1, 5, 12),
        ];
        let Verdict::Points(points) = check(Atomic, &history(operations), 100) else {
            panic!("it is atomic")
        };
        let order: Vec<usize> = points.iter().map(|point| point.operation).collect();
        assert_eq!(order, [1, 2, 0, 3]);
        assert!(points.iter().all(|point| point.at <= 5));
    }

    /// "Not a valid execution, there are no linearization points that explain the return of those two
    /// reads."
    #[test]
    fn fifth_two_readers_that_see_two_orders_have_none() {
        let operations = vec![
            write(1, 1, 0, 4),
            write(2, 2, 1, 5),
            read(3, 1, 6, 8),
            read(4, 2, 7, 9),
        ];
        let Violation::NoPoints(witness) = violation(Atomic, operations) else {
            panic!("it is not atomic")
        };
        assert_eq!(witness.conflict, [2, 3]);
        assert_eq!(witness.context, [0, 1]);
    }
}

#[test]
fn a_new_old_inversion_tells_regular_from_atomic() {
    let operations = [
        write(1, 1, 0, 1),
        write(1, 2, 2, 20),
        read(2, 2, 3, 5),
        read(3, 1, 6, 8),
    ];
    assert_eq!(allowed(&operations), [Safe, Regular]);
    let inversion = Violation::Inversion { newer: 2, older: 3 };
    assert_eq!(violation(AtomicOneWriter, operations.to_vec()), inversion);
    assert_eq!(
        format!("{inversion}"),
        "new-old inversion: operation 3 read an older value than operation 2 before it"
    );
}

#[test]
fn a_disturbed_read_tells_safe_from_regular() {
    let operations = [write(1, 1, 0, 1), write(1, 2, 2, 9), read(2, 7, 3, 5)];
    assert_eq!(allowed(&operations), [Safe]);
    let invented = Violation::Invented { read: 2 };
    assert_eq!(violation(Regular, operations.to_vec()), invented);
    let sources = safe(&history(operations.to_vec()));
    let from = From::Disturbed(1);
    assert_eq!(sources, Ok(vec![Source { read: 2, from }]));
}

/// Slide: "atomic (1,N) ... no new-old inversion". By itself that admits invented values.
#[test]
fn freedom_from_inversions_alone_admits_invented_values() {
    let invented = history(vec![write(1, 1, 0, 1), read(2, 9, 2, 3), read(2, 8, 4, 5)]);
    assert_eq!(inversion_free(&invented), Ok(()));
    let found = check(AtomicOneWriter, &invented, 100);
    assert_eq!(found, Verdict::Violated(Violation::Invented { read: 1 }));
}

#[test]
fn the_initial_value_is_older_than_any_other() {
    let none: Option<u32> = None;
    assert_eq!(allowed(&[read(2, none, 0, 1), write(1, 1, 2, 3)]), ALL);
    let stale = Violation::Stale {
        read: 1,
        overwritten_by: 0,
    };
    let after = vec![write(1, 1, 0, 1), read(2, none, 2, 3)];
    assert_eq!(violation(Regular, after), stale);
    let inverted = vec![write(1, 1, 0, 9), read(2, 1, 1, 2), read(2, none, 3, 4)];
    let inversion = Violation::Inversion { newer: 1, older: 2 };
    assert_eq!(violation(AtomicOneWriter, inverted), inversion);
}

#[test]
fn one_writer_means_one_process() {
    let operations = vec![write(1, 1, 0, 1), write(2, 2, 2, 3)];
    for strength in [Safe, Regular, AtomicOneWriter] {
        assert_eq!(
            violation(strength, operations.clone()),
            Violation::TwoWriters(0, 1)
        );
    }
    assert_eq!(allowed(&operations), [Atomic]);
}

#[test]
fn an_answer_of_another_kind_is_none() {
    let mut operation = read(1, 1, 0, 1);
    operation.input = Input::Write(1);
    for strength in ALL {
        assert_eq!(
            violation(strength, vec![operation.clone()]),
            Violation::WrongAnswer(0)
        );
    }
}

#[test]
fn a_write_that_was_never_answered_may_take_effect_at_any_time() {
    let mut lost = write(1, 1, 0, 1);
    lost.returned = None;
    let operations = [
        lost,
        write(1, 2, 2, 3),
        read(2, 2, 4, 5),
        read(2, 1, 6, 7),
        read(2, 1, 8, 9),
    ];
    assert_eq!(allowed(&operations), ALL);
    let mut again = operations.to_vec();
    again.push(read(2, 2, 10, 11));
    assert_eq!(allowed(&again), [Safe, Regular]);
    let Violation::NoPoints(witness) = violation(AtomicOneWriter, again) else {
        panic!("the order of the writes is not known, so it is no inversion")
    };
    assert!(witness.is_minimal);
}

/// The definitions, taken literally, for few operations.
mod literally {
    use super::*;

    fn is_write(operation: &Op) -> Option<u32> {
        match operation.input {
            Input::Write(value) => Some(value),
            Input::Read => None,
        }
    }

    fn value(operation: &Op) -> Option<Option<u32>> {
        match operation.output() {
            Some(Output::Value(value)) => Some(*value),
            _ => None,
        }
    }

    /// What a regular read may return.
    fn possible(all: &[Op], read: &Op) -> Vec<Option<u32>> {
        let writes: Vec<&Op> = all.iter().filter(|one| is_write(one).is_some()).collect();
        let mut possible = Vec::new();
        for write in &writes {
            let is_over = |by: &&Op| write.precedes(by) && by.precedes(read);
            if !read.precedes(write) && !writes.iter().any(is_over) {
                possible.push(is_write(write));
            }
        }
        if !writes.iter().any(|write| write.precedes(read)) {
            possible.push(None);
        }
        possible
    }

    fn is_disturbed(all: &[Op], read: &Op) -> bool {
        let is_concurrent = |one: &Op| !one.precedes(read) && !read.precedes(one);
        all.iter()
            .any(|one| is_write(one).is_some() && is_concurrent(one))
    }

    fn is_regular(all: &[Op], or_disturbed: bool) -> bool {
        let right = |one: &Op| {
            value(one).is_none_or(|value| possible(all, one).contains(&value))
                || or_disturbed && is_disturbed(all, one)
        };
        all.iter().all(right)
    }

    /// Whether some order of the operations explains all answers: tries them all.
    fn is_atomic(left: &[&Op], state: Option<u32>) -> bool {
        if left.iter().all(|one| one.returned.is_none()) {
            return true;
        }
        (0..left.len()).any(|at| {
            let this = left[at];
            let is_first = !left.iter().any(|other| other.precedes(this));
            let is_right = value(this).is_none_or(|value| value == state);
            let mut rest = left.to_vec();
            rest.remove(at);
            is_first && is_right && is_atomic(&rest, is_write(this).or(state))
        })
    }

    /// Operations of one writer or two, and readers that return something plausible.
    fn invent(choice: &mut Choice) -> Vec<Op> {
        let writers = u64::from(choice.choose(3) / 2) + 1;
        let mut operations = Vec::new();
        let mut serial = 0;
        for process in 0..writers + 2 {
            let mut at = u64::from(choice.choose(4));
            for _ in 0..choice.choose(4) {
                let end = at + u64::from(choice.choose(6));
                let mut operation = if process < writers {
                    serial = if choice.choose(8) == 0 {
                        serial
                    } else {
                        serial + 1
                    };
                    write(process, serial, at, end)
                } else {
                    let value = choice.choose(5);
                    read(process, (value > 0).then_some(value), at, end)
                };
                if choice.choose(10) == 0 {
                    operation.returned = None;
                }
                operations.push(operation);
                at = end + u64::from(choice.choose(3));
            }
        }
        operations
    }

    #[test]
    fn all_checkers_agree_with_their_definitions() {
        let mut choice = Choice::Seeded(7);
        let mut counts = [[0; 2]; 4];
        for _ in 0..6000 {
            let history = history(invent(&mut choice));
            let all = history.operations();
            let writers = all.iter().filter(|one| is_write(one).is_some());
            let writers: alloc::collections::BTreeSet<u64> =
                writers.map(|one| one.process).collect();
            let atomic = is_atomic(&all.iter().collect::<Vec<_>>(), None);
            let expected = [
                is_regular(all, true),
                is_regular(all, false),
                atomic,
                atomic,
            ];
            for ((strength, expected), counts) in ALL.into_iter().zip(expected).zip(&mut counts) {
                if strength != Atomic && writers.len() > 1 {
                    continue;
                }
                let found = check(strength, &history, 100_000);
                assert_eq!(
                    found.is_allowed(),
                    expected,
                    "{strength:?} {all:#?} {found:?}"
                );
                counts[usize::from(expected)] += 1;
            }
        }
        assert!(
            counts.iter().flatten().all(|&count| count > 300),
            "{counts:?}"
        );
    }
}
