//! The way back of a damaged replica.

use super::*;

fn damaged() -> Alone {
    let config = Config::new([1, 2, 3].map(NodeId));
    let records = vec![Record::Accepted(cast(1, ballot(1, 2), entry(2, "x")))];
    Alone::open_with(&config, records, Survival::Damaged, Checkpoint::default())
}

fn remembered(promised: Ballot) -> Message {
    Message::Remembered {
        incarnation: 1,
        promised,
        tenures: vec![],
    }
}

#[test]
fn who_forgot_takes_part_in_nothing_and_writes_nothing() {
    let mut one = damaged();
    assert_eq!(one.replica.status().role, "damaged");
    assert_eq!(one.fx.records, []);
    assert_eq!(one.on(2, prepare(ballot(5, 2), 1)), []);
    assert_eq!(one.on(2, accept(ballot(5, 2), 1, 0, &[entry(1, "x")])), []);
    assert_eq!(one.ask(broadcast("x")), []);
    let forgotten = Message::Forgotten { incarnation: 9 };
    let recovering = Message::Recovering { incarnation: 9 };
    assert_eq!(one.on(2, recovering), [(2, forgotten)]);
}

#[test]
fn it_promises_more_than_anybody_remembers_and_then_only_accepts() {
    let mut one = damaged();
    one.on(2, remembered(ballot(3, 3)));
    assert_eq!(one.replica.status().role, "damaged", "n3 may know more");
    one.on(3, remembered(ballot(2, 2)));
    assert_eq!(one.replica.status().role, "rejoining");
    assert_eq!(one.replica.promised, ballot(4, 1));
    assert_eq!(
        one.on(2, prepare(ballot(5, 2), 1)),
        [],
        "it may have forgotten votes"
    );
    one.fire(Timer::Election);
    assert_eq!(
        one.replica.status().role,
        "rejoining",
        "nor does it propose"
    );
    let mail = one.on(2, accept(ballot(5, 2), 1, 0, &[entry(1, "x")]));
    assert_eq!(mail, [(2, accepted(ballot(5, 2), 1, 1, 1))]);
}

#[test]
fn it_is_whole_when_it_has_all_that_phase_1_found() {
    let mut one = damaged();
    for from in [2, 3] {
        one.on(from, remembered(ballot(3, 3)));
    }
    let theirs = ballot(5, 2);
    one.on(2, accept(theirs, 1, 0, &[entry(1, "x")]));
    one.on(2, leading(theirs, 1, 0, 2));
    assert_eq!(one.replica.status().role, "rejoining", "slot 2 is missing");
    one.on(2, accept(theirs, 2, 0, &[entry(1, "y")]));
    one.on(2, leading(theirs, 2, 0, 2));
    assert_eq!(one.replica.status().role, "acceptor");
    assert_eq!(one.fx.records, [Record::Rejoined]);
}

#[test]
fn two_who_forgot_in_three_stay_so() {
    let mut one = damaged();
    one.on(2, Message::Forgotten { incarnation: 1 });
    assert_eq!(one.replica.status().role, "damaged for good");
    one.on(3, remembered(ballot(3, 3)));
    assert_eq!(one.replica.status().role, "damaged for good");
    one.on(2, remembered(ballot(4, 2)));
    assert_eq!(one.replica.promised, ballot(5, 1));
}
