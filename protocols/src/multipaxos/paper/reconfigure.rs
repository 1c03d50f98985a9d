//! Memberships that are chosen in slots.

use super::*;
use crate::multipaxos::Quorums;

fn members(text: &str) -> Membership {
    text.parse().expect("they are members")
}

fn change(epoch: u64, text: &str) -> Entry {
    Entry {
        epoch: Epoch(epoch),
        content: Content::Members(members(text)),
    }
}

/// n1 leads n1, n2 and n3, and proposes in slot 1 that these take part.
fn changing(text: &str) -> Alone {
    let mut one = Alone::open(vec![]);
    one.lead(vec![]);
    one.ask(Request::Reconfigure(members(text)));
    // Those who come have everything, which is nothing.
    for from in [4, 5] {
        let ours = one.replica.promised;
        one.on(from, accepted(ours, 1, 0, 0));
    }
    one
}

/// What is proposed in slot 1 is chosen, and on the leader's disk.
fn settle(one: &mut Alone) -> Vec<(u64, Message)> {
    let ours = one.replica.promised;
    for from in [1, 2] {
        one.on(from, accepted(ours, 1, 1, 1));
    }
    one.on(1, Message::Settled { after: Slot(1) })
}

/// A promise for the slots behind the first, without votes.
fn joins(one: &Alone, votes: Vec<Cast>) -> Message {
    Message::Promise {
        ballot: one.replica.promised,
        incarnation: 1,
        first: Slot(2),
        through: Slot(0),
        votes,
        complete: true,
    }
}

fn told(one: &Alone) -> Vec<u64> {
    let outputs = one.fx.outputs.iter();
    let versions = outputs.filter_map(|output| match output {
        Output::Members(members) => Some(members.version),
        Output::Deliver { .. }
        | Output::ReadReady { .. }
        | Output::Install(_)
        | Output::Lead { .. } => None,
    });
    versions.collect()
}

#[test]
fn pms_3_nothing_is_proposed_behind_a_membership_until_it_is_chosen() {
    let mut one = changing("5 n1 n2 n4");
    assert_eq!(proposed(&one.ask(broadcast("x"))), []);
    let ours = one.replica.promised;
    one.on(1, accepted(ours, 1, 1, 1));
    assert_eq!(proposed(&one.on(2, accepted(ours, 1, 1, 1))), []);
    // It is chosen; now those who come must promise.
    assert_eq!(
        proposed(&one.on(1, Message::Settled { after: Slot(1) })),
        []
    );
    let promise = joins(&one, vec![]);
    one.on(1, promise.clone());
    let mail = one.on(4, promise);
    let noop = Entry {
        epoch: Epoch(1),
        content: Content::Noop,
    };
    assert_eq!(
        proposed(&mail),
        [(2, noop), (3, entry(1, "x"))],
        "it waited"
    );
}

#[test]
fn those_who_come_are_brought_up_to_date_before_anything_depends_on_them() {
    let mut one = Alone::open(vec![]);
    one.lead(vec![]);
    one.ask(broadcast("x"));
    let ours = one.replica.promised;
    for from in [1, 2] {
        one.on(from, accepted(ours, 1, 1, 1));
    }
    let mail = one.ask(Request::Reconfigure(members("5 n4 n5")));
    assert_eq!(proposed(&mail), []);
    let asked = mail.iter().filter(|(to, _)| [4, 5].contains(to));
    assert_eq!(asked.count(), 2, "how far are they?");
    one.on(4, accepted(ours, 2, 1, 0));
    one.on(5, accepted(ours, 2, 1, 0));
    assert_eq!(proposed(&one.on(4, accepted(ours, 1, 1, 1))), []);
    let mail = one.on(5, accepted(ours, 1, 1, 1));
    assert_eq!(proposed(&mail), [(2, change(1, "5 n4 n5"))]);
}

#[test]
fn those_who_come_are_asked_about_the_slots_behind_it() {
    let mut one = changing("5 n3 n4 n5");
    let mail = settle(&mut one);
    let asked: Vec<_> = mail
        .iter()
        .filter_map(|(to, message)| match message {
            Message::Prepare { first, .. } => Some((*to, first.0)),
            _ => None,
        })
        .collect();
    assert_eq!(asked, [(3, 2), (4, 2), (5, 2)]);
    let theirs = cast(2, Ballot::default(), entry(1, "theirs"));
    let promise = joins(&one, vec![theirs]);
    one.on(3, promise);
    let promise = joins(&one, vec![]);
    let mail = one.on(4, promise);
    assert_eq!(
        proposed(&mail),
        [(2, entry(1, "theirs"))],
        "n2 is still told"
    );
}

#[test]
fn a_new_leader_proposes_nothing_behind_a_membership_that_it_finds() {
    let mut one = Alone::open(vec![]);
    let old = ballot(1, 3);
    let found = vec![
        cast(1, old, change(3, "5 n3 n4 n5")),
        cast(2, old, entry(3, "behind")),
    ];
    let mail = one.lead(found);
    assert_eq!(proposed(&mail), [(1, change(3, "5 n3 n4 n5"))]);
    assert_eq!(proposed(&one.ask(broadcast("x"))), []);
}

#[test]
fn a_membership_is_delivered_once_it_is_on_disk_and_in_force_with_its_first_slot() {
    let mut one = Alone::open(vec![]);
    assert_eq!(told(&one), [0]);
    let theirs = ballot(1, 2);
    one.on(2, accept(theirs, 1, 1, &[change(2, "5 n1 n2")]));
    assert_eq!(one.delivered(), []);
    let governs = one.fx.records.iter();
    let governs = governs.filter(|record| matches!(record, Record::Governs(_)));
    assert_eq!(governs.count(), 1);
    one.on(1, Message::Settled { after: Slot(1) });
    assert_eq!((one.delivered(), told(&one)), (vec![(1, 2)], vec![]));
    let mut behind = accept(theirs, 2, 2, &[entry(2, "x")]);
    if let Message::Accept { since, .. } = &mut behind {
        *since = Slot(1);
    }
    one.on(2, behind);
    assert_eq!((one.delivered(), told(&one)), (vec![(2, 2)], vec![5]));
}

#[test]
fn nothing_is_accepted_behind_a_membership_that_is_not_here() {
    let mut one = Alone::open(vec![]);
    let theirs = ballot(1, 2);
    let mut behind = accept(theirs, 2, 1, &[entry(2, "x")]);
    if let Message::Accept { since, .. } = &mut behind {
        *since = Slot(1);
    }
    assert_eq!(one.on(2, behind.clone()), [(2, accepted(theirs, 2, 1, 0))]);
    one.on(2, accept(theirs, 1, 1, &[change(2, "5 n1 n2")]));
    assert_eq!(one.on(2, behind), [(2, accepted(theirs, 2, 2, 2))]);
    assert!(one.fx.mail.iter().all(|mail| !mail.early), "it is held");
}

#[test]
fn a_membership_that_is_not_newer_changes_nothing() {
    let mut one = changing("5 n1 n2 n4");
    let mail = one.ask(Request::Reconfigure(members("5 n1 n2 n3")));
    assert_eq!(mail, []);
    let mut two = Alone::open(vec![]);
    let theirs = ballot(1, 2);
    let entries = [change(2, "0 n2"), entry(2, "x")];
    two.on(2, accept(theirs, 1, 2, &entries));
    assert_eq!(two.delivered(), [(1, 2), (2, 2)]);
}

#[test]
fn who_does_not_know_who_takes_part_is_not_supported_but_told() {
    let records = vec![
        Record::Accepted(cast(1, ballot(1, 2), change(2, "5 n1 n2"))),
        Record::Accepted(cast(2, ballot(1, 2), entry(2, "x"))),
        Record::Promised {
            ballot: ballot(1, 2),
            chosen: Slot(2),
        },
        Record::Governs(Tenure {
            after: Slot(1),
            members: Arc::new(members("5 n1 n2")),
        }),
    ];
    let mut one = Alone::open(records);
    assert_eq!(told(&one), [5]);
    let canvass = |chosen| Message::Canvass {
        after: ballot(7, 3),
        chosen: Slot(chosen),
    };
    let mail = one.on(3, canvass(0));
    let tenure = one.replica.tenures.newest().tenure.clone();
    assert_eq!(
        mail,
        [(
            3,
            Message::Outdated {
                tenure: tenure.clone()
            }
        )]
    );
    let support = Message::Support {
        after: ballot(7, 3),
    };
    assert_eq!(one.on(3, canvass(1)), [(3, support)]);

    let mut three = Alone::open(vec![]);
    three.fire(Timer::Election);
    three.on(2, Message::Outdated { tenure });
    assert_eq!(told(&three), [5]);
    assert_eq!(three.fire(Timer::Election), [], "it asks nobody any more");
}

#[test]
fn a_leader_whom_the_change_leaves_out_hands_over_when_it_is_in_force() {
    let mut one = changing("5 n2 n3");
    settle(&mut one);
    assert_eq!(one.replica.status().role, "leader");
    let promise = joins(&one, vec![]);
    one.on(2, promise.clone());
    one.on(3, promise);
    let ours = one.replica.promised;
    one.on(2, accepted(ours, 2, 2, 2));
    let mail = one.on(3, accepted(ours, 2, 2, 2));
    assert_eq!(told(&one), [5]);
    let handed = |message: &Message| matches!(message, Message::Handover { .. });
    assert!(mail.iter().any(|(_, message)| handed(message)), "{mail:?}");
    one.fire(Timer::Transfer);
    assert_eq!(one.replica.status().role, "outsider");
}

#[test]
fn flexible_paxos_a_membership_that_the_rules_do_not_fit_is_not_begun() {
    let rule = |text: &str| text.parse().expect("it is a rule");
    let quorums = Quorums::new(
        [1, 2, 3].map(NodeId),
        rule("threshold:2"),
        rule("threshold:2"),
    );
    let config = Config {
        quorums: quorums.expect("they meet"),
        ..Config::new([1, 2, 3].map(NodeId))
    };
    let mut one = Alone::open_with(&config, vec![], Survival::Intact, Checkpoint::default());
    one.lead(vec![]);
    // Two of four may miss two of four.
    assert_eq!(one.ask(Request::Reconfigure(members("5 n1 n2 n3 n4"))), []);
    assert_ne!(one.ask(Request::Reconfigure(members("6 n1 n2 n4"))), []);
}

#[test]
fn a_read_is_confirmed_by_those_who_govern_what_comes_next() {
    let mut one = changing("5 n3 n4 n5");
    one.ask(Request::Read { id: 1 });
    let (ours, round) = (one.replica.promised, one.replica.round);
    let heard = |round| Message::Heard {
        ballot: ours,
        round,
    };
    one.on(1, heard(round));
    settle(&mut one);
    // n2 would have confirmed it a moment ago.
    assert_eq!(one.on(2, heard(round)), []);
    for from in [3, 4] {
        let promise = joins(&one, vec![]);
        one.on(from, promise);
    }
    for from in [3, 4] {
        one.on(from, accepted(ours, 2, 2, 2));
    }
    let round = one.replica.round;
    one.on(3, heard(round));
    let mail = one.on(4, heard(round));
    let ready = Message::ReadReady {
        incarnation: 1,
        id: 1,
        slot: Slot(1),
    };
    assert!(mail.contains(&(1, ready)), "{mail:?}");
}

#[test]
fn who_forgot_asks_again_when_it_hears_that_others_take_part() {
    let config = Config::new([1, 2, 3].map(NodeId));
    let mut one = Alone::open_with(&config, vec![], Survival::Damaged, Checkpoint::default());
    let remembered = |promised| Message::Remembered {
        incarnation: 1,
        promised,
        tenures: vec![],
    };
    for from in [2, 3] {
        one.on(from, remembered(ballot(3, 3)));
    }
    let theirs = ballot(5, 4);
    one.on(4, accept(theirs, 1, 1, &[change(2, "5 n1 n4 n5")]));
    let mut behind = accept(theirs, 2, 1, &[entry(2, "x")]);
    if let Message::Accept { since, .. } = &mut behind {
        *since = Slot(1);
    }
    // It may have promised more to n4 or n5, whom it did not ask.
    assert_eq!(one.on(4, behind.clone()), [(4, accepted(theirs, 2, 1, 1))]);
    let mail = one.on(4, leading(theirs, 1, 1, 1));
    let asked = mail
        .iter()
        .filter(|(_, message)| matches!(message, Message::Recovering { .. }));
    assert_eq!(asked.map(|(to, _)| *to).collect::<Vec<_>>(), [4, 5]);
    one.on(4, remembered(theirs));
    one.on(5, remembered(ballot(6, 5)));
    assert_eq!(one.replica.promised, ballot(7, 1), "n5 was promised more");
    assert_eq!(one.replica.status().role, "rejoining");
}
