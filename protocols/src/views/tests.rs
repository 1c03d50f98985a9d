//! The rules of the view service, one by one.

use alloc::vec;

use quorate_core::NodeId;
use quorate_problems::total_order::Membership;

use super::{Command, Number, Views};

const A: NodeId = NodeId(1);
const B: NodeId = NodeId(2);
const C: NodeId = NodeId(3);
const D: NodeId = NodeId(4);

fn change(from: u64, members: &[NodeId]) -> Command {
    Command::Change {
        from: Number(from),
        members: members.to_vec(),
    }
}

/// The first view, of three servers.
fn begin(members: &[NodeId]) -> Command {
    Command::Begin {
        servers: vec![A, B, C],
        members: members.to_vec(),
    }
}

fn servers(version: u64, voters: &[NodeId], learners: &[NodeId]) -> Command {
    let (voters, learners) = (voters.iter().copied(), learners.iter().copied());
    Command::Servers(Membership::new(version, voters, learners))
}

fn acknowledge(number: u64) -> Command {
    Command::Acknowledge {
        number: Number(number),
    }
}

/// A service in view 1 of A and B, which A has acknowledged.
fn service() -> Views {
    let mut views = Views::new();
    assert!(views.apply(&begin(&[A, B]), false));
    assert!(views.apply(&acknowledge(1), false));
    views
}

#[test]
fn the_next_first_member_comes_from_the_view_that_was_active_last() {
    let mut views = service();
    assert!(!views.apply(&change(1, &[C]), false), "C lacks everything");
    assert!(views.apply(&change(1, &[B, C]), false));
    assert!(!views.is_active());
    assert_eq!(views.holders(), [A, B], "nothing is known to be at C");
}

#[test]
fn a_view_that_was_never_acknowledged_may_be_left_but_not_for_its_newcomers() {
    let mut views = service();
    assert!(views.apply(&change(1, &[B, C]), false));
    assert!(!views.apply(&change(2, &[C]), false));
    assert!(views.apply(&change(2, &[A, C]), false));
    assert!(!views.apply(&acknowledge(2), false), "too late");
    assert!(views.apply(&acknowledge(3), false));
    assert_eq!(views.holders(), [A, C]);
}

#[test]
fn a_decision_about_a_view_that_is_over_changes_nothing() {
    let mut views = service();
    assert!(views.apply(&change(1, &[B]), false));
    let before = views.clone();
    assert!(!views.apply(&change(1, &[A]), false));
    assert!(!views.apply(&acknowledge(1), false));
    assert_eq!(views, before);
}

#[test]
fn who_lost_its_records_holds_nothing_any_more() {
    let mut views = service();
    let lost = Command::Lost {
        server: A,
        incarnation: 4,
    };
    assert!(views.apply(&lost, false));
    assert!(!views.apply(&lost, false), "it is known");
    assert_eq!((views.holders(), views.lost(A)), (&[B][..], 4));
    assert!(!views.apply(&change(1, &[A, B]), false));
}

#[test]
fn what_was_lost_while_a_view_began_does_not_count_as_brought_there() {
    let mut views = service();
    assert!(views.apply(&change(1, &[B, A]), false));
    let lost = Command::Lost {
        server: A,
        incarnation: 2,
    };
    assert!(views.apply(&lost, false));
    assert!(views.apply(&acknowledge(2), false));
    assert_eq!(views.holders(), [B]);
    assert_eq!(*views.view().members, [B, A]);
}

#[test]
fn the_first_view_is_decided_once_and_by_whoever_is_asked_first() {
    let mut views = Views::new();
    assert!(!views.apply(&change(0, &[A]), false), "nobody is a server");
    assert!(!views.apply(&servers(7, &[A], &[]), false), "nobody yet");
    assert!(views.apply(&begin(&[B, A]), false));
    assert!(!views.apply(&begin(&[A, B]), false));
    assert_eq!(*views.view().members, [B, A]);
    assert_eq!(views.servers().voters, vec![A, B, C]);
}

#[test]
fn only_voters_come_into_a_view() {
    let mut views = service();
    assert!(!views.apply(&change(1, &[A, D]), false), "D is no server");
    assert!(views.apply(&servers(7, &[A, B], &[D]), false));
    assert!(!views.apply(&change(1, &[A, D]), false), "D only learns");
    assert!(views.apply(&servers(8, &[A, D], &[]), false));
    assert!(views.apply(&change(1, &[A, B, D]), false), "B was a member");
}

#[test]
fn of_two_lists_of_servers_the_newer_one_counts() {
    let mut views = service();
    assert!(views.apply(&servers(8, &[A, B], &[]), false));
    assert!(!views.apply(&servers(7, &[A, C], &[]), false));
    assert!(!views.apply(&servers(8, &[A, C], &[]), false));
    assert_eq!(views.servers().voters, vec![A, B]);
}

#[test]
fn nothing_depends_on_others_once_a_view_of_voters_was_active() {
    let mut views = service();
    assert!(views.is_settled(), "two of three");
    assert!(views.apply(&servers(7, &[C, D], &[]), false));
    assert!(!views.is_settled(), "A and B alone have everything");
    assert!(views.apply(&change(1, &[A, C, D]), false));
    assert!(views.apply(&acknowledge(2), false));
    assert!(!views.is_settled(), "A still counts");
    assert!(views.apply(&change(2, &[C, D]), false));
    assert!(!views.is_settled(), "D may yet be left for A");
    assert!(views.apply(&acknowledge(3), false));
    assert!(views.is_settled());
    assert!(
        !views.apply(&change(3, &[C, A]), false),
        "A is gone for good"
    );
}

#[test]
fn servers_that_are_in_the_view_already_need_no_other_view() {
    let mut views = service();
    assert!(views.apply(&servers(7, &[A, B], &[C]), false));
    assert!(views.is_settled());
}

#[test]
fn while_the_servers_change_as_few_members_as_before_will_do() {
    let mut views = service();
    assert!(views.apply(&servers(7, &[A, C, D, NodeId(5), NodeId(6)], &[]), false));
    assert_eq!(
        views.least(),
        2,
        "those who are to come may not be there yet"
    );
    assert!(views.apply(&change(1, &[A, C, D]), false));
    assert!(views.apply(&acknowledge(2), false));
    assert_eq!(views.least(), 3);
}

#[test]
fn who_was_taken_for_dead_wrongly_gives_everybody_more_time_until_nothing_is_late() {
    let mut views = service();
    let doubted = |view| Command::Doubted { view: Number(view) };
    assert!(!views.apply(&doubted(2), false), "there is no such view");
    assert!(views.apply(&doubted(1), false));
    assert!(!views.apply(&doubted(1), false), "it is known");
    assert_eq!(views.slack(), 2);
    assert!(!views.apply(&Command::Calm { slack: 1 }, false), "too late");
    assert!(views.apply(&Command::Calm { slack: 2 }, false));
    assert!(!views.apply(&Command::Calm { slack: 2 }, false));
    assert_eq!(views.slack(), 1);
}

#[test]
fn a_state_can_be_written_down() {
    use alloc::vec::Vec;
    use quorate_core::{Reader, Wire};

    let mut views = service();
    views.apply(&servers(7, &[A, D], &[B]), false);
    views.apply(&Command::Doubted { view: Number(1) }, false);
    let mut bytes = Vec::new();
    views.encode(&mut bytes);
    let bytes = alloc::sync::Arc::new(bytes);
    assert_eq!(Views::decode(&mut Reader::new(&bytes)), Ok(views));
}
