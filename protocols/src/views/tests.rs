//! The rules of the view service, one by one.

use alloc::vec;

use quorate_core::NodeId;

use super::{Command, Number, Views};

const A: NodeId = NodeId(1);
const B: NodeId = NodeId(2);
const C: NodeId = NodeId(3);

fn change(from: u64, members: &[NodeId]) -> Command {
    Command::Change {
        from: Number(from),
        members: members.to_vec(),
    }
}

fn acknowledge(number: u64) -> Command {
    Command::Acknowledge {
        number: Number(number),
    }
}

/// A service in view 1 of A and B, which A has acknowledged.
fn service() -> Views {
    let mut views = Views::new(&[A, B, C]);
    assert!(views.apply(&change(0, &[A, B]), false));
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
    assert_eq!(views.view().members, vec![B, A]);
}
