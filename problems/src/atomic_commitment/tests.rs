//! Accepted runs, and each violation by itself.

use alloc::vec::Vec;

use quorate_core::NodeId;

use super::{Oracle, Outcome, Violation, Vote};

/// Something that happens in a run of three.
enum Event {
    Votes(u64, Vote),
    Suspects(u64),
    Restarts(u64),
    Blocks(u64),
    Decides(u64, Outcome),
}

use Event::{Blocks, Decides, Restarts, Suspects, Votes};
use Outcome::{Abort, Commit};
use Vote::{No, Yes};

/// The properties that a run of three does not have, if these were correct.
fn broken(events: &[Event], correct: &[u64]) -> Vec<&'static str> {
    let mut oracle = Oracle::default();
    for id in 1..=3 {
        oracle.on_open(NodeId(id));
    }
    for event in events {
        match *event {
            Votes(id, vote) => oracle.on_vote(NodeId(id), vote),
            Suspects(whom) => oracle.on_suspect(NodeId(whom)),
            Restarts(id) => oracle.on_open(NodeId(id)),
            Blocks(id) => oracle.on_blocked(NodeId(id)),
            Decides(id, outcome) => {
                let _ = oracle.on_decide(NodeId(id), outcome);
            }
        }
    }
    let judged = oracle.judge(&correct.iter().copied().map(NodeId).collect());
    assert_eq!(judged.len(), 7);
    let broken = judged.iter().filter(|one| !one.holds());
    broken.map(|one| one.property).collect()
}

const ALL_YES: [Event; 3] = [Votes(1, Yes), Votes(2, Yes), Votes(3, Yes)];

fn run(more: impl IntoIterator<Item = Event>) -> Vec<Event> {
    ALL_YES.into_iter().chain(more).collect()
}

fn all(outcome: Outcome) -> [Event; 3] {
    [1, 2, 3].map(|id| Decides(id, outcome))
}

#[test]
fn all_vote_yes_and_all_commit() {
    assert!(broken(&run(all(Commit)), &[1, 2, 3]).is_empty());
}

#[test]
fn one_votes_no_and_all_abort() {
    let votes = [Votes(1, Yes), Votes(2, No)];
    let events: Vec<_> = votes.into_iter().chain(all(Abort)).collect();
    assert!(broken(&events, &[1, 2, 3]).is_empty());
}

#[test]
fn a_suspicion_or_a_crash_is_reason_enough_to_abort() {
    let suspicion = run([Suspects(3)].into_iter().chain(all(Abort)));
    assert!(broken(&suspicion, &[1, 2, 3]).is_empty());
    let crash = run([Restarts(3)].into_iter().chain(all(Abort)));
    assert!(broken(&crash, &[1, 2, 3]).is_empty());
}

#[test]
fn without_a_reason_nobody_may_abort() {
    assert_eq!(broken(&run(all(Abort)), &[1, 2, 3]), ["non-triviality"]);
}

/// The flatmates: two of three are a majority, and it is of no use.
#[test]
fn a_majority_is_not_unanimous() {
    let votes = [Votes(1, Yes), Votes(2, Yes)];
    let events: Vec<_> = votes.into_iter().chain(all(Commit)).collect();
    assert_eq!(broken(&events, &[1, 2, 3]), ["validity"]);
}

#[test]
fn what_a_crashed_process_decided_counts_for_uniform_agreement() {
    let events = run([
        Decides(1, Commit),
        Suspects(1),
        Decides(2, Abort),
        Decides(3, Abort),
    ]);
    assert_eq!(broken(&events, &[2, 3]), ["uniform agreement"]);
    let both = ["agreement", "uniform agreement"];
    assert_eq!(broken(&events, &[1, 2, 3]), both);
}

#[test]
fn who_comes_back_decides_again_and_the_same() {
    let again = run(all(Commit)
        .into_iter()
        .chain([Restarts(1), Decides(1, Commit)]));
    assert!(broken(&again, &[1, 2, 3]).is_empty());
    let other = run(all(Commit)
        .into_iter()
        .chain([Restarts(1), Decides(1, Abort)]));
    let both = ["agreement", "uniform agreement"];
    assert_eq!(broken(&other, &[1, 2, 3]), both);
}

#[test]
fn nobody_decides_twice() {
    let twice = run(all(Commit).into_iter().chain([Decides(1, Commit)]));
    assert_eq!(broken(&twice, &[1, 2, 3]), ["stability"]);
}

#[test]
fn blocked_is_told_apart_from_undecided_and_ends_with_a_decision() {
    let waiting = run([Decides(1, Commit), Decides(2, Commit)]);
    assert_eq!(broken(&waiting, &[1, 2, 3]), ["termination"]);
    assert!(broken(&waiting, &[1, 2]).is_empty(), "n3 crashed");
    let blocked = run([Blocks(2), Blocks(3)]);
    let both = ["termination", "non-blocking"];
    assert_eq!(broken(&blocked, &[2, 3]), both);
    let solved = run([Blocks(2)].into_iter().chain(all(Commit)));
    assert!(broken(&solved, &[1, 2, 3]).is_empty());
}

#[test]
fn what_cannot_be_mended_is_told_at_once() {
    let (one, two) = (NodeId(1), NodeId(2));
    let mut oracle = Oracle::default();
    oracle.on_open(one);
    oracle.on_open(two);
    let trivial = Violation::Trivial { node: one };
    assert_eq!(oracle.clone().on_decide(one, Abort), Err(trivial));
    oracle.on_vote(one, Yes);
    let missing = oracle.clone().on_decide(one, Commit);
    assert!(matches!(missing, Err(Violation::Uninvited { .. })));
    oracle.on_vote(two, Yes);
    assert_eq!(oracle.on_decide(one, Commit), Ok(()));
    let twice = oracle.clone().on_decide(one, Commit);
    assert!(matches!(twice, Err(Violation::DecidedTwice { .. })));
    oracle.on_suspect(one);
    oracle.on_blocked(two);
    assert_eq!(oracle.blocked().len(), 1);
    let other = oracle.on_decide(two, Abort);
    assert!(matches!(other, Err(Violation::Disagreement { .. })));
    assert!(oracle.blocked().is_empty(), "who decides is not blocked");
}
