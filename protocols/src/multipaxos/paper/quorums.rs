//! Flexible quorums, and leases, which lean on them.

use alloc::string::{String, ToString};
use core::time::Duration;

use super::*;
use crate::multipaxos::Quorums;

fn quorums(phase1: &str, phase2: &str) -> Result<Quorums, String> {
    let members = [1, 2, 3, 4].map(NodeId);
    let rule = |text: &str| text.parse().expect("a rule");
    Quorums::new(members, rule(phase1), rule(phase2)).map_err(|error| error.to_string())
}

#[test]
fn flexible_paxos_quorums_that_miss_each_other_are_refused_with_the_two() {
    assert!(quorums("threshold:3", "threshold:2").is_ok());
    assert_eq!(
        quorums("threshold:2", "threshold:2"),
        Err(
            "phase 1 (threshold:2) must meet phase 2 (threshold:2), but [n1, n2] and [n3, n4] have \
             no member in common"
                .to_string()
        )
    );
    assert_eq!(
        quorums("threshold:5", "majority"),
        Err("phase 1: `threshold:5` does not fit: 5 of 4 members".to_string())
    );
}

fn open(phase1: &str, phase2: &str) -> Alone {
    let config = Config {
        quorums: quorums(phase1, phase2).expect("they meet"),
        ..Config::new([NodeId(1)])
    };
    Alone::open_with(&config, vec![], Survival::Fresh, Checkpoint::default())
}

#[test]
fn flexible_paxos_each_phase_counts_by_its_own_quorums() {
    let mut one = open("threshold:3", "threshold:2");
    one.fire(Timer::Election);
    let (after, ours) = (Ballot::default(), ballot(1, 1));
    for from in [1, 2] {
        one.on(from, Message::Support { after });
        assert_eq!(one.replica.status().role, "canvasser");
    }
    one.on(3, Message::Support { after });
    for from in [1, 2] {
        let promise = one.promise_of(vec![]);
        one.on(from, promise);
        assert_eq!(one.replica.status().role, "proposer");
    }
    let promise = one.promise_of(vec![]);
    one.on(3, promise);
    one.ask(broadcast("x"));
    one.on(1, accepted(ours, 1, 1, 1));
    assert_eq!(one.delivered(), []);
    one.on(4, accepted(ours, 1, 1, 1));
    // Rank 0 of four members in round 1.
    assert_eq!(one.delivered(), [(1, 1)]);
}

#[test]
fn flexible_paxos_a_read_is_confirmed_by_a_phase_2_quorum() {
    let mut one = open("threshold:2", "threshold:3");
    one.lead(vec![]);
    one.ask(Request::Read { id: 7 });
    let (ballot, round) = (one.replica.promised, one.replica.round);
    let heard = Message::Heard { ballot, round };
    one.on(1, heard.clone());
    assert_eq!(
        one.on(2, heard.clone()),
        [],
        "two phase-1 quorums may miss each other"
    );
    let mail = one.on(3, heard);
    assert!(
        matches!(mail[..], [(1, Message::ReadReady { id: 7, .. })]),
        "{mail:?}"
    );
}

fn leased() -> Alone {
    let config = Config {
        lease: Duration::from_millis(900),
        drift_ppm: 200_000,
        ..Config::new([1, 2, 3].map(NodeId))
    };
    Alone::open_with(&config, vec![], Survival::Fresh, Checkpoint::default())
}

#[test]
fn live_5_2_who_gave_a_lease_promises_nothing_to_others() {
    let mut one = leased();
    one.on(2, leading(ballot(1, 2), 1, 0, 0));
    let given = one
        .fx
        .timers
        .iter()
        .find(|change| change.timer == Timer::Lease);
    let ms = Duration::from_millis(900);
    assert_eq!(given.and_then(|change| change.after.clone()), Some(ms..ms));
    one.fire(Timer::Silence);
    assert_eq!(one.on(3, prepare(ballot(2, 3), 1)), []);
    let wanted = |by| Message::Prepare {
        ballot: ballot(2, 3),
        first: Slot(1),
        wanted_by: Some(by),
        incarnation: 1,
    };
    assert_eq!(
        one.on(3, wanted(ballot(1, 1))),
        [],
        "that one has no lease from here"
    );
    one.fire(Timer::Lease);
    assert_eq!(one.on(3, prepare(ballot(2, 3), 1)).len(), 1);
    let mut one = leased();
    one.on(2, leading(ballot(1, 2), 1, 0, 0));
    assert_eq!(
        one.on(3, wanted(ballot(1, 2))).len(),
        1,
        "it gave its leases up"
    );
}

#[test]
fn gray_cheriton_5_a_leader_counts_less_than_it_was_given() {
    let mut one = leased();
    one.lead(vec![]);
    let round = one.replica.round;
    let term = one
        .fx
        .timers
        .iter()
        .find(|change| change.timer == Timer::Term(round));
    // 900 ms (1 - 0.2) / (1 + 0.2)
    let ms = Duration::from_millis(600);
    assert_eq!(term.and_then(|change| change.after.clone()), Some(ms..ms));
    let ours = one.replica.promised;
    let heard = Message::Heard {
        ballot: ours,
        round,
    };
    let answered = |mail: &[(u64, Message)]| {
        let mut mail = mail.iter();
        mail.any(|(_, message)| matches!(message, Message::ReadReady { .. }))
    };
    one.on(1, heard.clone());
    assert!(
        !answered(&one.ask(Request::Read { id: 1 })),
        "nobody else gave one"
    );
    assert!(!one.replica.holds_lease());
    one.on(2, heard);
    assert!(one.replica.holds_lease());
    let late = one.replica.round;
    one.on(
        1,
        Message::Heard {
            ballot: ours,
            round: late,
        },
    );
    one.on(
        2,
        Message::Heard {
            ballot: ours,
            round: late,
        },
    );
    assert!(
        answered(&one.ask(Request::Read { id: 2 })),
        "without a round"
    );
    one.fire(Timer::Term(late));
    assert!(
        !answered(&one.ask(Request::Read { id: 3 })),
        "the lease has ended"
    );
}

#[test]
fn a_leader_that_hands_over_has_no_lease_any_more() {
    let mut one = leased();
    one.lead(vec![]);
    let (ours, round) = (one.replica.promised, one.replica.round);
    for from in [1, 2] {
        one.on(
            from,
            Message::Heard {
                ballot: ours,
                round,
            },
        );
    }
    assert!(one.replica.holds_lease());
    let mail = one.ask(Request::Transfer {
        to: Some(NodeId(2)),
    });
    assert_eq!(
        mail,
        [(
            2,
            Message::Handover {
                ballot: ours,
                chosen: Slot(0)
            }
        )]
    );
    one.fire(Timer::Transfer);
    assert!(
        !one.replica.holds_lease(),
        "the message may still be under way"
    );
}

#[test]
fn a_restart_waits_for_the_lease_that_it_may_have_given() {
    let config = leased().replica.config;
    let open = |incarnation| {
        let nothing = Checkpoint::default();
        Alone::open_again(&config, vec![], Survival::Fresh, nothing, incarnation)
    };
    assert_eq!(open(2).on(3, prepare(ballot(2, 3), 1)), []);
    assert_eq!(open(1).on(3, prepare(ballot(2, 3), 1)).len(), 1);
}
