//! One process, step by step: tests named after the sentences of the paper that they check.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use core::fmt::Debug;

use quorate_core::{
    Boot, Checkpoint, Choice, Effects, Frame, NodeId, Payload, Protocol, Reader, Survival, Wire,
};
use quorate_problems::consensus::{Output, Request};
use quorate_quorums::Rule;

use super::{Ballot, Config, Message, Proposal, Record, Refused, Synod, Timer};

/// One process and what it asked for, to be looked at step by step.
struct Alone {
    synod: Synod,
    fx: Effects<Synod>,
}

impl Alone {
    /// n1 of three, with these records on its disk.
    fn open(records: Vec<Record>) -> Alone {
        let survival = match records.is_empty() {
            true => Survival::Fresh,
            false => Survival::Intact,
        };
        Alone::open_with(records, survival)
    }

    fn open_with(records: Vec<Record>, survival: Survival) -> Alone {
        let mut fx = Effects::new(Choice::Seeded(1));
        fx.frame = Frame(records.len() as u64 + 1);
        let frames = (1..).map(Frame).zip(records);
        let boot = Boot {
            me: NodeId(1),
            incarnation: 1,
            survival,
            records: Box::new(frames),
            checkpoint: Checkpoint::default(),
        };
        let config = Config::new([1, 2, 3].map(NodeId));
        let synod = Synod::open(&config, boot, &mut fx);
        synod.invariants();
        Alone { synod, fx }
    }

    fn step(&mut self, step: impl FnOnce(&mut Synod, &mut Effects<Synod>)) -> Vec<(u64, Message)> {
        self.fx.mail.clear();
        self.fx.outputs.clear();
        self.fx.records.clear();
        step(&mut self.synod, &mut self.fx);
        self.synod.invariants();
        let mail = self.fx.mail.iter();
        mail.map(|mail| (mail.to.0, mail.message.clone())).collect()
    }

    /// A message arrives; what is sent because of it.
    fn on(&mut self, from: u64, message: Message) -> Vec<(u64, Message)> {
        self.step(|synod, fx| synod.on_message(NodeId(from), message, fx))
    }

    /// The layer above wants a value; what is sent because of it.
    fn propose(&mut self, text: &str) -> Vec<(u64, Message)> {
        self.step(|synod, fx| synod.on_request(Request::Propose(value(text)), fx))
    }

    /// Whether nothing of what was just sent leaves before the disk has finished.
    fn all_held(&self) -> bool {
        self.fx.mail.iter().all(|mail| !mail.early)
    }
}

fn value(text: &str) -> Payload {
    Payload::from_vec(text.as_bytes().to_vec(), 0)
}

fn ballot(round: u64, proposer: u64) -> Ballot {
    let proposer = NodeId(proposer);
    Ballot { round, proposer }
}

fn proposal(ballot: Ballot, text: &str) -> Proposal<Payload> {
    let value = value(text);
    Proposal { ballot, value }
}

fn promise(ballot: Ballot) -> Message {
    let accepted = None;
    Message::Promise { ballot, accepted }
}

fn accept(ballot: Ballot, text: &str) -> Message {
    let value = value(text);
    Message::Accept { ballot, value }
}

/// The same message to everybody, the sender included.
fn to_all(message: &Message) -> Vec<(u64, Message)> {
    [1, 2, 3].map(|to| (to, message.clone())).to_vec()
}

/// 2.2, phase 1 (a), phase 2 (a), 2.3: two round trips.
#[test]
fn a_proposer_selects_a_number_and_sends_a_prepare_request_then_an_accept_request() {
    let mut one = Alone::open(vec![]);
    let first = ballot(1, 1);
    let prepare = Message::Prepare { ballot: first };
    assert_eq!(one.propose("a"), to_all(&prepare));
    assert_eq!(one.fx.records, [Record::Begun { round: 1 }]);
    assert!(one.all_held(), "the ballot must be durable first");
    assert_eq!(one.on(1, promise(first)), []);
    assert_eq!(one.on(2, promise(first)), to_all(&accept(first, "a")));
    assert_eq!(one.on(3, promise(first)), [], "it comes too late");
    let accepted = Message::Accepted { ballot: first };
    assert_eq!(one.on(2, accepted.clone()), []);
    assert_eq!(one.on(2, accepted.clone()), [], "twice is still one");
    let decided = Message::Decided { value: value("a") };
    let told = [(2, decided.clone()), (3, decided)];
    assert_eq!(one.on(3, accepted), told);
    assert_eq!(one.fx.outputs, [Output::Decide(value("a"))]);
}

#[test]
fn it_responds_with_a_promise_and_the_proposal_that_it_has_accepted_if_any() {
    let mut one = Alone::open(vec![]);
    let (low, high) = (ballot(1, 2), ballot(1, 3));
    assert_eq!(
        one.on(2, Message::Prepare { ballot: low }),
        [(2, promise(low))]
    );
    assert_eq!(one.fx.records, [Record::Promised { ballot: low }]);
    assert!(one.all_held(), "a promise must be durable");
    let accepted = [(2, Message::Accepted { ballot: low })];
    assert_eq!(one.on(2, accept(low, "b")), accepted);
    let proposal = proposal(low, "b");
    let record = Record::Accepted {
        proposal: proposal.clone(),
    };
    assert_eq!(one.fx.records, [record]);
    assert!(one.all_held(), "an acceptance must be durable");
    let told = Message::Promise {
        ballot: high,
        accepted: Some(proposal),
    };
    assert_eq!(one.on(3, Message::Prepare { ballot: high }), [(3, told)]);
}

/// P1a. Who comes too late is told so (2.4), which promises nothing.
#[test]
fn it_accepts_unless_it_has_responded_to_a_prepare_request_with_a_greater_number() {
    let (low, high) = (ballot(3, 2), ballot(3, 3));
    let mut one = Alone::open(vec![Record::Promised { ballot: high }]);
    let outbid = Message::Outbid {
        ballot: low,
        promised: high,
    };
    assert_eq!(one.on(2, accept(low, "b")), [(2, outbid.clone())]);
    assert_eq!(one.on(2, Message::Prepare { ballot: low }), [(2, outbid)]);
    assert!(one.fx.records.is_empty());
    let accepted = [(3, Message::Accepted { ballot: high })];
    assert_eq!(one.on(3, accept(high, "c")), accepted);
}

/// P2c.
#[test]
fn the_value_is_that_of_the_highest_numbered_proposal_among_the_responses() {
    let mut one = Alone::open(vec![Record::Begun { round: 6 }]);
    let mine = ballot(7, 1);
    assert_eq!(one.propose("a").len(), 3);
    let told = |round, text| Message::Promise {
        ballot: mine,
        accepted: Some(proposal(ballot(round, 2), text)),
    };
    assert_eq!(one.on(2, told(3, "older")), []);
    let bound = one.on(3, told(5, "newer"));
    assert_eq!(bound, to_all(&accept(mine, "newer")));
    let mut other = Alone::open(vec![Record::Begun { round: 6 }]);
    assert_eq!(other.propose("a").len(), 3);
    assert_eq!(other.on(2, told(5, "newer")), []);
    let bound = other.on(3, told(3, "older"));
    assert_eq!(bound, to_all(&accept(mine, "newer")), "in any order");
}

/// 2.5.
#[test]
fn it_begins_with_a_higher_number_than_any_it_has_already_used() {
    let mut one = Alone::open(vec![Record::Begun { round: 4 }]);
    let prepare = Message::Prepare {
        ballot: ballot(5, 1),
    };
    assert_eq!(one.propose("a"), to_all(&prepare));
    let promised = Record::Promised {
        ballot: ballot(9, 3),
    };
    let mut other = Alone::open(vec![Record::Begun { round: 4 }, promised]);
    let prepare = Message::Prepare {
        ballot: ballot(10, 1),
    };
    assert_eq!(
        other.propose("a"),
        to_all(&prepare),
        "nor one that must fail"
    );
}

/// 2.4.
#[test]
fn it_abandons_a_proposal_if_some_proposer_has_begun_a_higher_numbered_one() {
    let mut one = Alone::open(vec![]);
    one.propose("a");
    let outbid = |round| Message::Outbid {
        ballot: ballot(round, 1),
        promised: ballot(8, 3),
    };
    assert_eq!(one.on(2, outbid(1)), []);
    assert_eq!(one.synod.status().role, "acceptor");
    let again = Message::Prepare {
        ballot: ballot(9, 1),
    };
    let fired = one.step(|synod, fx| synod.on_timer(Timer::Patience, fx));
    assert_eq!(fired, to_all(&again));
    assert_eq!(one.on(3, outbid(1)), []);
    assert_eq!(one.synod.status().role, "proposer", "that ballot was over");
}

/// 2.3: "it can have a proposer issue a proposal"; here even with a value that it only heard of.
#[test]
fn whoever_wants_to_know_whether_a_value_was_chosen_has_another_ballot_issued() {
    let heard = proposal(ballot(2, 2), "b");
    let mut one = Alone::open(vec![Record::Accepted { proposal: heard }]);
    let mine = ballot(3, 1);
    let fired = one.step(|synod, fx| synod.on_timer(Timer::Patience, fx));
    assert_eq!(fired, to_all(&Message::Prepare { ballot: mine }));
    one.on(2, promise(mine));
    assert_eq!(one.on(3, promise(mine)), to_all(&accept(mine, "b")));
}

#[test]
fn whoever_has_no_value_at_all_asks_and_whoever_knows_answers() {
    let promised = Record::Promised {
        ballot: ballot(2, 2),
    };
    let mut one = Alone::open(vec![promised]);
    let fired = one.step(|synod, fx| synod.on_timer(Timer::Patience, fx));
    assert_eq!(fired, [(2, Message::Wondering), (3, Message::Wondering)]);
    assert_eq!(one.on(2, Message::Wondering), [], "it does not know either");
    let decided = Message::Decided { value: value("b") };
    assert_eq!(one.on(3, decided.clone()), []);
    assert_eq!(one.fx.outputs, [Output::Decide(value("b"))]);
    let prepare = Message::Prepare {
        ballot: ballot(9, 2),
    };
    for question in [Message::Wondering, prepare, accept(ballot(9, 2), "x")] {
        assert_eq!(one.on(2, question), [(2, decided.clone())]);
    }
    assert_eq!(one.on(3, decided), []);
    assert!(one.fx.outputs.is_empty(), "once in a life is enough");
}

#[test]
fn a_decision_is_told_in_every_life() {
    let decided = Record::Decided { value: value("a") };
    for survival in [Survival::Intact, Survival::Damaged] {
        let one = Alone::open_with(vec![decided.clone()], survival);
        assert_eq!(one.fx.outputs, [Output::Decide(value("a"))]);
    }
}

#[test]
fn whoever_may_have_forgotten_promises_makes_none_and_learns_all_the_same() {
    let begun = vec![Record::Begun { round: 3 }];
    let mut one = Alone::open_with(begun, Survival::Damaged);
    assert_eq!(one.synod.status().role, "damaged");
    let prepare = Message::Prepare {
        ballot: ballot(9, 2),
    };
    assert_eq!(one.on(2, prepare), []);
    assert_eq!(one.on(2, accept(ballot(9, 2), "b")), []);
    let asked = [(2, Message::Wondering), (3, Message::Wondering)];
    assert_eq!(one.propose("a"), asked, "nor does it begin a ballot");
    assert_eq!(one.on(2, Message::Decided { value: value("b") }), []);
    assert_eq!(one.fx.outputs, [Output::Decide(value("b"))]);
    assert_eq!(one.fx.keep_from, Some(one.fx.frame), "the damage is gone");
}

#[test]
fn duels_do_not_fill_the_disk() {
    let mut one = Alone::open(vec![]);
    let mut restated = 0;
    for round in 1..200 {
        let ballot = ballot(round, 2);
        one.on(2, Message::Prepare { ballot });
        restated += u64::from(one.fx.keep_from.take().is_some());
        let promised = Record::Promised { ballot };
        assert!(one.fx.records.contains(&promised));
    }
    assert_eq!(restated, 3);
}

/// Howard, Malkhi and Spiegelman 2016: only quorums of different phases must meet.
#[test]
fn quorums_that_miss_each_other_are_refused_with_the_two_sets() {
    let members = [1, 2, 3, 4].map(NodeId);
    let with = |promises, accepts| {
        Config::with_quorums(
            &members,
            Rule::Threshold(promises),
            Rule::Threshold(accepts),
        )
    };
    assert!(with(3, 2).is_ok());
    let refused = with(2, 2).expect_err("two and two of four can miss each other");
    assert!(matches!(refused, Refused::Apart(_)));
    let text = std::format!("{refused}");
    assert!(
        text.contains("[n1, n2]") && text.contains("[n3, n4]"),
        "{text}"
    );
    assert!(matches!(with(0, 4), Err(Refused::Unfit(_))));
}

fn round_trip<T: Wire + PartialEq + Debug>(value: T) {
    let mut bytes = Vec::new();
    value.encode(&mut bytes);
    let whole = Arc::new(bytes.clone());
    let mut reader = Reader::new(&whole);
    assert_eq!(T::decode(&mut reader), Ok(value));
    assert_eq!(reader.finish(), Ok(()));
    for len in 0..bytes.len() {
        let cut = Arc::new(bytes[..len].to_vec());
        assert!(T::decode(&mut Reader::new(&cut)).is_err(), "cut at {len}");
    }
}

#[test]
fn what_is_encoded_is_decoded_and_what_is_cut_is_refused() {
    let (ballot, promised) = (ballot(7, 2), ballot(8, 1));
    let proposal = proposal(ballot, "a");
    round_trip(Message::Prepare { ballot });
    round_trip(promise(ballot));
    round_trip(Message::Promise {
        ballot: promised,
        accepted: Some(proposal.clone()),
    });
    round_trip(accept(ballot, "a"));
    round_trip(Message::Accepted { ballot });
    round_trip(Message::Outbid { ballot, promised });
    round_trip(Message::Decided { value: value("a") });
    round_trip(Message::Wondering);
    round_trip(Record::Begun { round: 3 });
    round_trip(Record::Promised { ballot });
    round_trip(Record::Accepted { proposal });
    round_trip(Record::Decided { value: value("a") });
}
