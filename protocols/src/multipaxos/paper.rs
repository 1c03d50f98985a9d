//! One replica, step by step: tests named after the sentences of the papers that they check.

mod damage;
mod quorums;
mod reconfigure;

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use core::fmt::Debug;

use quorate_core::{
    Boot, Checkpoint, Choice, Effects, Frame, NodeId, Payload, Protocol, Reader, Survival, Wire,
};
use quorate_problems::total_order::{Membership, Output, Request};

use super::{Ballot, Cast, Config, Message, MultiPaxos, Record, Slot, Tenure, Timer, Vote};
use crate::log::{Content, Entries, Entry, Epoch};

/// One replica and what it asked for, to be looked at step by step.
struct Alone {
    replica: MultiPaxos,
    fx: Effects<MultiPaxos>,
}

impl Alone {
    /// n1 of three, with these records on its disk.
    fn open(records: Vec<Record>) -> Alone {
        let config = Config::new([1, 2, 3].map(NodeId));
        Alone::open_with(&config, records, Survival::Intact, Checkpoint::default())
    }

    fn open_with(
        config: &Config,
        records: Vec<Record>,
        survival: Survival,
        checkpoint: Checkpoint,
    ) -> Alone {
        Alone::open_again(config, records, survival, checkpoint, 1)
    }

    fn open_again(
        config: &Config,
        records: Vec<Record>,
        survival: Survival,
        checkpoint: Checkpoint,
        incarnation: u64,
    ) -> Alone {
        let mut fx = Effects::new(Choice::Seeded(1));
        fx.frame = Frame(records.len() as u64 + 1);
        let frames = (1..).map(Frame).zip(records);
        let boot = Boot {
            me: NodeId(1),
            incarnation,
            survival,
            records: Box::new(frames),
            checkpoint,
        };
        let replica = MultiPaxos::open(config, boot, &mut fx);
        replica.invariants();
        Alone { replica, fx }
    }

    fn clear(&mut self) {
        self.fx.mail.clear();
        self.fx.outputs.clear();
        self.fx.records.clear();
        self.fx.timers.clear();
    }

    fn mail(&mut self) -> Vec<(u64, Message)> {
        self.replica.invariants();
        let mail = self.fx.mail.iter();
        mail.map(|mail| (mail.to.0, mail.message.clone())).collect()
    }

    /// A message arrives; what is sent because of it.
    fn on(&mut self, from: u64, message: Message) -> Vec<(u64, Message)> {
        self.clear();
        self.replica.on_message(NodeId(from), message, &mut self.fx);
        self.mail()
    }

    fn ask(&mut self, request: Request) -> Vec<(u64, Message)> {
        self.clear();
        self.replica.on_request(request, &mut self.fx);
        self.mail()
    }

    fn fire(&mut self, timer: Timer) -> Vec<(u64, Message)> {
        self.clear();
        self.replica.on_timer(timer, &mut self.fx);
        self.mail()
    }

    /// Begins its next ballot with n2's support; what it asks for.
    fn begin(&mut self) -> Vec<(u64, Message)> {
        self.fire(Timer::Election);
        let after = self.replica.promised;
        self.on(1, Message::Support { after });
        self.on(2, Message::Support { after })
    }

    /// Leads with n2's promise, which reports these votes; what it sends.
    fn lead(&mut self, votes: Vec<Cast>) -> Vec<(u64, Message)> {
        self.begin();
        let own = self.promise_of(vec![]);
        self.on(1, own);
        let promise = self.promise_of(votes);
        self.on(2, promise)
    }

    /// A promise of the present ballot.
    fn promise_of(&self, votes: Vec<Cast>) -> Message {
        Message::Promise {
            ballot: self.replica.promised,
            incarnation: 1,
            first: self.replica.chosen.next(),
            through: Slot(0),
            votes,
            complete: true,
        }
    }

    fn delivered(&self) -> Vec<(u64, u64)> {
        let outputs = self.fx.outputs.iter();
        let delivered = outputs.filter_map(|output| match output {
            Output::Deliver {
                position, epoch, ..
            } => Some((*position, *epoch)),
            Output::ReadReady { .. }
            | Output::Install(_)
            | Output::Lead { .. }
            | Output::Members(_) => None,
        });
        delivered.collect()
    }
}

fn ballot(round: u64, node: u64) -> Ballot {
    Ballot {
        round,
        node: NodeId(node),
    }
}

fn entry(epoch: u64, text: &str) -> Entry {
    let content = match text {
        "" => Content::Noop,
        text => Content::Command(Payload::from_vec(text.as_bytes().to_vec(), 0)),
    };
    Entry {
        epoch: Epoch(epoch),
        content,
    }
}

fn cast(slot: u64, ballot: Ballot, entry: Entry) -> Cast {
    Cast {
        slot: Slot(slot),
        vote: Vote { ballot, entry },
    }
}

fn prepare(ballot: Ballot, first: u64) -> Message {
    Message::Prepare {
        ballot,
        first: Slot(first),
        wanted_by: None,
        incarnation: 1,
    }
}

fn accept(ballot: Ballot, first: u64, chosen: u64, entries: &[Entry]) -> Message {
    Message::Accept {
        ballot,
        first: Slot(first),
        chosen: Slot(chosen),
        since: Slot(0),
        entries: Entries::from_vec(entries.to_vec()),
    }
}

fn accepted(ballot: Ballot, first: u64, last: u64, through: u64) -> Message {
    Message::Accepted {
        ballot,
        first: Slot(first),
        last: Slot(last),
        through: Slot(through),
    }
}

fn leading(ballot: Ballot, round: u64, chosen: u64, opened: u64) -> Message {
    Message::Leading {
        ballot,
        round,
        chosen: Slot(chosen),
        opened: Some(Slot(opened)),
    }
}

fn broadcast(text: &str) -> Request {
    Request::Broadcast(Payload::from_vec(text.as_bytes().to_vec(), 0))
}

/// The values that are proposed to n2, by slot.
fn proposed(mail: &[(u64, Message)]) -> Vec<(u64, Entry)> {
    let mut all = Vec::new();
    for (to, message) in mail {
        if let (2, Message::Accept { first, entries, .. }) = (to, message) {
            let slots = (first.0..).zip(entries.as_slice().iter().cloned());
            all.extend(slots);
        }
    }
    all
}

#[test]
fn pms_2_2_an_acceptor_ignores_what_is_below_its_promise() {
    let mut one = Alone::open(vec![]);
    one.on(3, prepare(ballot(2, 3), 1));
    let refused = vec![(
        2,
        Message::Refused {
            promised: ballot(2, 3),
        },
    )];
    assert_eq!(one.on(2, prepare(ballot(2, 2), 1)), refused);
    assert_eq!(
        one.on(2, accept(ballot(2, 2), 1, 0, &[entry(1, "x")])),
        refused
    );
    assert_eq!(one.on(2, leading(ballot(1, 2), 1, 0, 0)), refused);
    assert_eq!(one.replica.slots.last(), Slot(0));
}

#[test]
fn pms_2_2_a_promise_tells_of_the_highest_numbered_proposal_accepted() {
    let mut one = Alone::open(vec![]);
    one.on(2, accept(ballot(1, 2), 1, 0, &[entry(2, "x")]));
    one.on(
        3,
        accept(ballot(1, 3), 1, 0, &[entry(2, "x"), entry(3, "y")]),
    );
    one.fire(Timer::Silence);
    let mail = one.on(2, prepare(ballot(2, 2), 1));
    let votes = vec![
        cast(1, ballot(1, 3), entry(2, "x")),
        cast(2, ballot(1, 3), entry(3, "y")),
    ];
    let promise = Message::Promise {
        ballot: ballot(2, 2),
        incarnation: 1,
        first: Slot(1),
        through: Slot(0),
        votes,
        complete: true,
    };
    assert_eq!(mail, [(2, promise)]);
    assert!(!one.fx.mail[0].early, "it waits for the disk");
}

#[test]
fn pms_2_2_p2c_the_value_of_the_highest_reported_ballot_is_proposed() {
    let old = cast(1, ballot(1, 3), entry(3, "old"));
    let mut one = Alone::open(vec![Record::Accepted(old)]);
    let mail = one.lead(vec![cast(1, ballot(2, 2), entry(5, "new"))]);
    assert_eq!(proposed(&mail), [(1, entry(5, "new"))]);
    let mut one = Alone::open(vec![Record::Accepted(cast(
        1,
        ballot(2, 2),
        entry(5, "new"),
    ))]);
    let mail = one.lead(vec![cast(1, ballot(1, 3), entry(3, "old"))]);
    assert_eq!(proposed(&mail), [(1, entry(5, "new"))]);
}

#[test]
fn pms_2_5_a_ballot_is_on_disk_before_it_is_announced_and_never_comes_again() {
    let mut one = Alone::open(vec![]);
    let mail = one.begin();
    assert!(matches!(mail[0], (1, Message::Promise { .. })), "{mail:?}");
    assert!(one.fx.mail.iter().all(|mail| !mail.early), "all is held");
    let record = Record::Promised {
        ballot: ballot(1, 1),
        chosen: Slot(0),
    };
    assert_eq!(one.fx.records, core::slice::from_ref(&record));
    let mut again = Alone::open(vec![record]);
    again.begin();
    assert_eq!(again.replica.promised, ballot(2, 1));
}

#[test]
fn pms_3_holes_are_filled_with_no_ops_and_slots_behind_are_free() {
    let mut one = Alone::open(vec![]);
    let mail = one.lead(vec![
        cast(2, ballot(1, 3), entry(3, "b")),
        cast(4, ballot(1, 3), entry(3, "d")),
    ]);
    // Ballot 1.n1 is the first, so epoch 1; what n3 had proposed keeps its epoch.
    let expected = [
        (1, entry(1, "")),
        (2, entry(3, "b")),
        (3, entry(1, "")),
        (4, entry(3, "d")),
    ];
    assert_eq!(proposed(&mail), expected);
    assert_eq!(proposed(&one.ask(broadcast("e"))), [(5, entry(1, "e"))]);
}

#[test]
fn pms_3_slots_are_chosen_in_any_order_and_delivered_in_theirs() {
    let mut one = Alone::open(vec![]);
    one.lead(vec![]);
    for text in ["a", "b", "c"] {
        one.ask(broadcast(text));
    }
    let ours = ballot(1, 1);
    for slot in [3, 2] {
        one.on(2, accepted(ours, slot, slot, 0));
        one.on(3, accepted(ours, slot, slot, 0));
        assert_eq!(one.delivered(), []);
    }
    one.on(2, accepted(ours, 1, 1, 3));
    one.on(3, accepted(ours, 1, 1, 3));
    assert_eq!(one.delivered(), [(1, 1), (2, 1), (3, 1)]);
}

#[test]
fn pms_3_an_acceptor_accepts_in_any_order_and_knows_what_it_lacks() {
    let mut one = Alone::open(vec![]);
    let theirs = ballot(1, 2);
    let mail = one.on(2, accept(theirs, 3, 0, &[entry(2, "c")]));
    assert_eq!(mail, [(2, accepted(theirs, 3, 3, 0))]);
    let mail = one.on(2, accept(theirs, 1, 3, &[entry(2, "a")]));
    assert_eq!(mail, [(2, accepted(theirs, 1, 1, 1))]);
    assert_eq!(one.delivered(), [(1, 2)]);
    let mail = one.on(2, accept(theirs, 2, 3, &[entry(2, "b")]));
    assert_eq!(mail, [(2, accepted(theirs, 2, 2, 3))]);
    assert_eq!(one.delivered(), [(2, 2), (3, 2)]);
}

#[test]
fn what_an_older_ballot_left_here_is_not_taken_for_what_was_chosen() {
    let mut one = Alone::open(vec![]);
    one.on(2, accept(ballot(1, 2), 1, 0, &[entry(2, "old")]));
    one.on(3, leading(ballot(1, 3), 1, 1, 1));
    assert_eq!(one.delivered(), []);
    one.on(3, accept(ballot(1, 3), 1, 1, &[entry(3, "new")]));
    assert_eq!(one.delivered(), [(1, 3)]);
}

#[test]
fn the_epoch_of_a_position_is_the_latest_through_it() {
    let mut one = Alone::open(vec![]);
    let theirs = ballot(3, 2);
    let entries = [entry(4, "a"), entry(1, "b"), entry(8, "c")];
    one.on(2, accept(theirs, 1, 3, &entries));
    assert_eq!(one.delivered(), [(1, 4), (2, 4), (3, 8)]);
}

#[test]
fn a_long_answer_to_prepare_comes_in_parts() {
    let config = Config {
        message_bytes_max: 100,
        ..Config::new([1, 2, 3].map(NodeId))
    };
    let votes = (1..=3).map(|slot| Record::Accepted(cast(slot, ballot(1, 2), entry(2, "x"))));
    let mut one = Alone::open_with(
        &config,
        votes.collect(),
        Survival::Intact,
        Checkpoint::default(),
    );
    for first in 1..=3 {
        let mail = one.on(3, prepare(ballot(2, 3), first));
        let Some((
            3,
            Message::Promise {
                votes, complete, ..
            },
        )) = mail.last()
        else {
            panic!("{mail:?}");
        };
        assert_eq!((votes.len(), *complete), (1, first == 3));
    }
}

#[test]
fn a_proposer_asks_for_the_rest_before_it_leads() {
    let mut one = Alone::open(vec![]);
    one.begin();
    let own = one.promise_of(vec![]);
    one.on(1, own);
    let Message::Promise {
        ballot,
        incarnation,
        first,
        through,
        ..
    } = one.promise_of(vec![])
    else {
        unreachable!("it is a promise");
    };
    let part = |first, votes, complete| Message::Promise {
        ballot,
        incarnation,
        first,
        through,
        votes,
        complete,
    };
    let first_part = part(
        first,
        vec![cast(1, Ballot::default(), entry(1, "a"))],
        false,
    );
    assert_eq!(one.on(2, first_part.clone()), [(2, prepare(ballot, 2))]);
    assert_eq!(one.on(2, first_part), [], "it came twice");
    assert_eq!(one.replica.status().role, "proposer");
    one.on(2, part(Slot(2), vec![], true));
    assert_eq!(one.replica.status().role, "leader");
}

#[test]
fn who_hears_a_leader_supports_nobody() {
    let mut one = Alone::open(vec![]);
    let canvass = Message::Canvass {
        after: ballot(4, 2),
        chosen: Slot(0),
    };
    one.on(2, leading(ballot(1, 2), 1, 0, 0));
    assert_eq!(one.on(3, canvass.clone()), []);
    assert_eq!(one.on(3, prepare(ballot(5, 3), 1)), []);
    assert_eq!(one.replica.promised, ballot(1, 2));
    one.fire(Timer::Silence);
    let support = Message::Support {
        after: ballot(4, 2),
    };
    assert_eq!(one.on(3, canvass), [(3, support)]);
    assert_eq!(one.replica.promised, ballot(1, 2), "it promised nothing");
}

#[test]
fn what_was_compacted_away_cannot_be_told_so_nothing_is() {
    let checkpoint = Checkpoint {
        position: 5,
        epoch: 1,
    };
    let config = Config::new([1, 2, 3].map(NodeId));
    let mut one = Alone::open_with(&config, vec![], Survival::Intact, checkpoint);
    let canvass = |chosen| Message::Canvass {
        after: Ballot::default(),
        chosen: Slot(chosen),
    };
    assert_eq!(one.on(2, canvass(4)), []);
    assert_eq!(one.on(2, prepare(ballot(1, 2), 5)), []);
    assert_eq!(one.on(2, canvass(5)).len(), 1);
    assert_eq!(one.on(2, prepare(ballot(1, 2), 6)).len(), 1);
}

#[test]
fn live_5_2_a_read_waits_until_what_phase_1_found_is_chosen_again() {
    let mut one = Alone::open(vec![]);
    one.lead(vec![cast(1, ballot(1, 3), entry(3, "a"))]);
    let ours = one.replica.promised;
    let asked = |mail: &[(u64, Message)]| {
        let mut mail = mail.iter();
        mail.any(|(_, message)| matches!(message, Message::Leading { .. }))
    };
    assert!(!asked(&one.ask(Request::Read { id: 1 })));
    one.on(2, accepted(ours, 1, 1, 1));
    assert!(asked(&one.on(3, accepted(ours, 1, 1, 1))));
}

#[test]
fn a_leader_hears_from_a_quorum_or_steps_down() {
    let mut one = Alone::open(vec![]);
    one.lead(vec![]);
    one.fire(Timer::CheckQuorum);
    assert_eq!(one.replica.status().role, "leader", "n2 had promised");
    one.fire(Timer::CheckQuorum);
    assert_eq!(one.replica.status().role, "acceptor");
}

#[test]
fn a_restart_keeps_promise_votes_and_what_is_recorded_as_chosen() {
    let theirs = ballot(2, 2);
    let mut records = vec![Record::Promised {
        ballot: theirs,
        chosen: Slot(0),
    }];
    for slot in [1, 2, 4] {
        records.push(Record::Accepted(cast(slot, theirs, entry(5, "x"))));
    }
    records.push(Record::Promised {
        ballot: theirs,
        chosen: Slot(1),
    });
    let mut one = Alone::open(records);
    assert_eq!(one.delivered(), [(1, 5)]);
    let mail = one.on(2, accept(theirs, 5, 2, &[]));
    assert_eq!(mail, [(2, accepted(theirs, 5, 4, 2))]);
    assert_eq!(one.delivered(), [(2, 5)]);
}

#[test]
fn a_state_ahead_of_the_records_puts_no_trust_in_older_votes() {
    let mut records = Vec::new();
    for slot in [1, 2, 3] {
        records.push(Record::Accepted(cast(slot, ballot(1, 2), entry(2, "x"))));
    }
    let checkpoint = Checkpoint {
        position: 2,
        epoch: 4,
    };
    let config = Config::new([1, 2, 3].map(NodeId));
    let one = Alone::open_with(&config, records, Survival::Intact, checkpoint);
    assert_eq!(one.replica.slots.base().index, Slot(2));
    assert!(
        one.replica.slots.vote(Slot(3)).is_some(),
        "a vote is a promise"
    );
}

fn round_trip<T: Wire + PartialEq + Debug>(value: &T) {
    let mut bytes = Vec::new();
    value.encode(&mut bytes);
    let whole = Arc::new(bytes.clone());
    let mut reader = Reader::new(&whole);
    assert_eq!(T::decode(&mut reader).as_ref(), Ok(value));
    assert_eq!(reader.finish(), Ok(()));
    for len in 0..bytes.len() {
        let cut = Arc::new(bytes[..len].to_vec());
        assert!(T::decode(&mut Reader::new(&cut)).is_err(), "cut at {len}");
    }
}

#[test]
fn messages_and_records_survive_the_wire() {
    let (ballot, slot, incarnation) = (ballot(3, 2), Slot(7), 4);
    let vote = cast(7, ballot, entry(2, "x"));
    let tenure = Tenure {
        after: slot,
        members: Arc::new("7 n1 n2 learning n3".parse().expect("they are members")),
    };
    for message in [
        Message::Canvass {
            after: ballot,
            chosen: slot,
        },
        Message::Support { after: ballot },
        Message::Prepare {
            ballot,
            first: slot,
            wanted_by: Some(ballot),
            incarnation,
        },
        Message::Promise {
            ballot,
            incarnation,
            first: slot,
            through: slot,
            votes: vec![vote.clone()],
            complete: true,
        },
        Message::Refused { promised: ballot },
        accept(ballot, 7, 6, &[entry(2, "x"), entry(3, "")]),
        accepted(ballot, 7, 8, 6),
        leading(ballot, 5, 7, 3),
        Message::Heard { ballot, round: 5 },
        Message::Chosen {
            ballot,
            through: slot,
        },
        Message::Snapshot {
            ballot,
            checkpoint: Checkpoint {
                position: 9,
                epoch: 1,
            },
            tenures: vec![tenure.clone()],
        },
        Message::Handover {
            ballot,
            chosen: slot,
        },
        Message::Forward {
            payload: Payload::from_vec(vec![1, 2], 3),
        },
        Message::ReadAsked { incarnation, id: 1 },
        Message::ReadReady {
            incarnation,
            id: 1,
            slot,
        },
        Message::Recovering { incarnation },
        Message::Remembered {
            incarnation,
            promised: ballot,
            tenures: vec![tenure.clone()],
        },
        Message::Forgotten { incarnation },
        Message::Settled { after: slot },
        Message::Outdated {
            tenure: tenure.clone(),
        },
    ] {
        round_trip(&message);
    }
    for record in [
        Record::Promised {
            ballot,
            chosen: slot,
        },
        Record::Accepted(vote),
        Record::Base(Checkpoint::default().into()),
        Record::Rejoining { asked: slot },
        Record::Rejoined,
        Record::Governs(tenure),
    ] {
        round_trip(&record);
    }
}
