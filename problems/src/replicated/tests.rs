//! The oracle: each promise is broken by itself, and what it says of answers as they come is what the
//! search over whole histories says in the end.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use quorate_core::{Choice, NodeId};

use super::{
    CallId, Chance, Digest, Operation, Oracle, Outcome, Output, Replicated, Request, State,
};
use crate::history::{History, Operation as Event};
use crate::workload::Workload;

const N1: NodeId = NodeId(1);
const N2: NodeId = NodeId(2);

fn call(number: u32) -> CallId {
    CallId { at: N1, number }
}

fn reply(number: u32, result: Outcome) -> Output {
    Output::Reply {
        id: call(number),
        result,
    }
}

fn updated(number: u32, digest: u64) -> Output {
    let digest = Digest(digest);
    Output::Updated {
        id: call(number),
        updates: 1,
        digest,
    }
}

/// What the oracle says first.
fn judge(events: &[(NodeId, Output)]) -> String {
    let mut oracle = Oracle::default();
    oracle.on_invoke(call(1), Operation::Add(2));
    oracle.on_invoke(call(2), Operation::Multiply(3));
    oracle.on_invoke(call(3), Operation::Buy);
    oracle.on_invoke(call(4), Operation::Buy);
    for (node, output) in events {
        if let Err(violation) = oracle.on_output(*node, output) {
            return violation.to_string();
        }
    }
    String::new()
}

#[test]
fn each_promise_is_broken_by_itself() {
    let cases = [
        (
            &[
                (N1, updated(1, 5)),
                (N1, updated(2, 6)),
                (N2, updated(2, 7)),
                (N2, updated(1, 8)),
            ][..],
            "convergence: n1 and n2 made the same updates (2), and their states differ",
        ),
        (
            &[(N1, updated(1, 5)), (N1, updated(1, 6))],
            "exactly once: n1 serves n1.1 a second time",
        ),
        (
            &[(N1, reply(3, Outcome::Sold)), (N2, reply(4, Outcome::Sold))],
            "linearizability: no one copy would answer n1.4, Buy, with Sold",
        ),
        (
            &[
                (N1, updated(1, 5)),
                (N1, reply(1, Outcome::Done)),
                (N2, Output::Leads { epoch: 2 }),
            ],
            "durability: n2 takes over without n1.1, which was acknowledged",
        ),
        (
            &[(N1, reply(9, Outcome::Done))],
            "integrity: nobody asked for n1.9, which n1 serves",
        ),
    ];
    for (events, expected) in cases {
        assert_eq!(judge(events), expected);
    }
    let fine = [
        (N1, updated(1, 5)),
        (N2, updated(1, 5)),
        (N1, reply(1, Outcome::Done)),
        (N2, Output::Leads { epoch: 2 }),
        (N2, reply(3, Outcome::SoldOut)),
    ];
    assert_eq!(judge(&fine[..4]), "");
    let sold_out = judge(&fine[4..]);
    assert_eq!(sold_out, "", "n1.4 may have been served before");
}

/// Whether some order explains these operations, by trying all.
fn is_explained(state: State, left: &[&Event<Operation, Outcome>]) -> bool {
    if left.iter().all(|event| event.returned.is_none()) {
        return true;
    }
    let may_be_next = |event: &&&Event<Operation, Outcome>| {
        let mut others = left.iter();
        !others.any(|other| other.precedes(event))
    };
    let mut candidates = left.iter().filter(may_be_next);
    candidates.any(|next| {
        let mut state = state;
        let outcome = state.execute(next.input, Chance::default());
        let rest = left.iter().copied();
        let rest: Vec<_> = rest.filter(|other| !core::ptr::eq(*other, *next)).collect();
        next.output().is_none_or(|told| *told == outcome) && is_explained(state, &rest)
    })
}

/// Random histories of several clients, right ones and spoilt ones.
#[test]
fn answers_judged_as_they_come_are_judged_as_in_the_whole_history() {
    let mut wrong = 0;
    for seed in 0..200 {
        let mut choice = Choice::Seeded(seed * 7919);
        let mut history = History::new();
        let mut oracle = Oracle::default();
        let mut state = State::default();
        let mut open: Vec<(u64, u32, Operation, Option<Outcome>)> = Vec::new();
        let (mut at, mut number, mut verdict) = (0, 0, true);
        while number < 12 {
            at += 1;
            let client = u64::from(choice.choose(3));
            match open.iter().position(|(who, ..)| *who == client) {
                None => {
                    number += 1;
                    let value = i64::from(choice.choose(3));
                    let operations = [
                        Operation::Read,
                        Operation::Write(value),
                        Operation::Add(value),
                        Operation::Buy,
                        Operation::Multiply(2),
                    ];
                    let operation = operations[choice.choose(5) as usize];
                    history
                        .call(client, at, operation)
                        .expect("it waits for nothing");
                    oracle.on_invoke(call(number), operation);
                    open.push((client, number, operation, None));
                }
                Some(place) => match open[place].3 {
                    None => {
                        let outcome = state.execute(open[place].2, Chance::default());
                        let spoilt = match choice.choose(25) {
                            0 => Outcome::Value(1),
                            _ => outcome,
                        };
                        open[place].3 = Some(spoilt);
                    }
                    Some(outcome) => {
                        let (_, number, ..) = open.swap_remove(place);
                        history
                            .reply(client, at, outcome)
                            .expect("it waits for that");
                        let output = reply(number, outcome);
                        verdict &= !verdict || oracle.on_output(N1, &output).is_ok();
                    }
                },
            }
        }
        let all: Vec<_> = history.operations().iter().collect();
        let explained = is_explained(State::default(), &all);
        assert_eq!(verdict, explained, "seed {seed}: {history:?}");
        wrong += u32::from(!verdict);
    }
    assert!((20..180).contains(&wrong), "{wrong} of 200 are wrong");
}

/// What a draw gave is known as soon as any answer shows it, and is the same in all of them.
#[test]
fn a_draw_is_known_by_whichever_answer_comes_first() {
    let judge = |answers: &[(u32, i64)]| {
        let mut oracle = Oracle::default();
        for (number, operation) in [
            (1, Operation::Draw),
            (2, Operation::Stamp),
            (3, Operation::Read),
        ] {
            oracle.on_invoke(call(number), operation);
        }
        let mut answers = answers.iter();
        answers.all(|(number, value)| {
            let output = reply(*number, Outcome::Value(*value));
            oracle.on_output(N1, &output).is_ok()
        })
    };
    assert!(judge(&[(2, 102), (1, 101), (3, 102)]));
    assert!(judge(&[(3, 7), (1, 7), (2, 9)]));
    assert!(judge(&[(3, 7), (2, 7), (1, 9)]));
    assert!(judge(&[(3, 0), (2, 7), (1, 9)]), "read before both");
    assert!(!judge(&[(3, 8), (2, 7), (1, 9)]), "nobody drew 8");
}

#[test]
fn requests_are_read_as_they_are_written() {
    let mut client = super::Client::default();
    let mut oracle = Oracle::default();
    Replicated::on_open(&mut oracle, &mut client, N2);
    for line in [
        "read",
        "write 4",
        "add -2",
        "multiply 3",
        "buy",
        "draw",
        "stamp",
    ] {
        let words: Vec<&str> = line.split(' ').collect();
        let request = Replicated::parse(&mut client, &words).expect("it is one");
        let request = request.expect("it makes sense");
        let written = Replicated::words(&request).join(" ");
        assert!(written.starts_with(line), "{written}");
        let words: Vec<&str> = written.split(' ').collect();
        let again = Replicated::parse(&mut client, &words).expect("it is one");
        assert_eq!(again, Ok(request));
    }
    let next = Replicated::parse(&mut client, &["read"]);
    let Some(Ok(Request::Invoke { id, .. })) = next else {
        panic!("{next:?}")
    };
    assert_eq!((id.at, id.number), (N2, 8), "asking again is no new call");
    let wrong = Replicated::parse(&mut client, &["write", "much"]);
    assert_eq!(wrong, Some(Err("not a number: much".to_string())));
    assert!(Replicated::parse(&mut client, &["broadcast", "x"]).is_none());
}

#[test]
fn a_client_waits_for_its_answer_and_asks_again() {
    let mut client = super::Client::default();
    let mut oracle = Oracle::default();
    let mut choice = Choice::Seeded(3);
    Replicated::on_open(&mut oracle, &mut client, N1);
    let first = Replicated::invent(&mut client, &[], 1, &mut choice);
    Replicated::on_request(&mut oracle, &mut client, N1, &first);
    assert_eq!(Replicated::invent(&mut client, &[], 2, &mut choice), first);
    let Request::Invoke { id, .. } = first;
    let answer = Output::Reply {
        id,
        result: Outcome::NotOffered,
    };
    let judged = Replicated::on_output(&mut oracle, &mut client, N1, &answer);
    assert_eq!(judged, Ok(()));
    assert_ne!(Replicated::invent(&mut client, &[], 3, &mut choice), first);
}
