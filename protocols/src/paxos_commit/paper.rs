//! One process, step by step: tests named after what Gray and Lamport 2006 say in section 4.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use core::fmt::Debug;

use quorate_core::{
    Boot, Checkpoint, Choice, Effects, Frame, NodeId, Protocol, Reader, Survival, Wire,
};
use quorate_problems::atomic_commitment::{Outcome, Output, Request, Vote};

use super::{Cast, Config, Message, PaxosCommit, Record, Ruling, Timer};
use crate::synod::{Ballot, Proposal};

use Vote::{No, Yes};

/// One process and what it asked for, to be looked at step by step.
struct Alone {
    process: PaxosCommit,
    fx: Effects<PaxosCommit>,
}

impl Alone {
    /// One of three, the first of which is the leader, with these records on its disk.
    fn open(me: u64, records: Vec<Record>) -> Alone {
        let survival = match records.is_empty() {
            true => Survival::Fresh,
            false => Survival::Intact,
        };
        Alone::open_with(me, records, survival)
    }

    fn open_with(me: u64, records: Vec<Record>, survival: Survival) -> Alone {
        let mut fx = Effects::new(Choice::Seeded(1));
        fx.frame = Frame(records.len() as u64 + 1);
        let boot = Boot {
            me: NodeId(me),
            incarnation: 1,
            survival,
            records: Box::new((1..).map(Frame).zip(records)),
            checkpoint: Checkpoint::default(),
        };
        let config = Config::new([1, 2, 3].map(NodeId));
        let process = PaxosCommit::open(&config, boot, &mut fx);
        process.invariants();
        Alone { process, fx }
    }

    fn mail(&self) -> Vec<(u64, Message)> {
        let mail = self.fx.mail.iter();
        mail.map(|mail| (mail.to.0, mail.message.clone())).collect()
    }

    fn step(
        &mut self,
        step: impl FnOnce(&mut PaxosCommit, &mut Effects<PaxosCommit>),
    ) -> Vec<(u64, Message)> {
        self.fx.mail.clear();
        self.fx.outputs.clear();
        self.fx.records.clear();
        step(&mut self.process, &mut self.fx);
        self.process.invariants();
        self.mail()
    }

    fn on(&mut self, from: u64, message: Message) -> Vec<(u64, Message)> {
        self.step(|process, fx| process.on_message(NodeId(from), message, fx))
    }

    fn vote(&mut self, vote: Vote) -> Vec<(u64, Message)> {
        self.step(|process, fx| process.on_request(Request::Vote(vote), fx))
    }

    fn fire(&mut self) -> Vec<(u64, Message)> {
        self.step(|process, fx| process.on_timer(Timer::Patience, fx))
    }

    fn all_held(&self) -> bool {
        self.fx.mail.iter().all(|mail| !mail.early)
    }
}

fn ballot(round: u64, proposer: u64) -> Ballot {
    let proposer = NodeId(proposer);
    Ballot { round, proposer }
}

fn cast(participant: u64, ballot: Ballot, value: Vote) -> Cast {
    Cast {
        participant: NodeId(participant),
        proposal: Proposal { ballot, value },
    }
}

fn rulings(votes: [Vote; 3]) -> Vec<Ruling> {
    let votes = (1..).map(NodeId).zip(votes);
    let ruling = |(participant, vote)| Ruling { participant, vote };
    votes.map(ruling).collect()
}

fn promise(ballot: Ballot, accepted: Vec<Cast>) -> Message {
    Message::Promise { ballot, accepted }
}

fn to_all(message: &Message) -> Vec<(u64, Message)> {
    [1, 2, 3].map(|to| (to, message.clone())).to_vec()
}

fn decided(outcome: Outcome) -> Message {
    Message::Decided { outcome }
}

const YES: Message = Message::Vote { vote: Yes };
const NO: Message = Message::Vote { vote: No };

#[test]
fn a_participant_sends_its_vote_to_all_acceptors_as_ballot_0_of_its_own_instance() {
    let mut two = Alone::open(2, vec![]);
    assert_eq!(two.vote(Yes), to_all(&YES));
    assert_eq!(two.fx.records, [Record::Voted { vote: Yes }]);
    assert!(two.all_held(), "ballot 0 has one value");
    assert_eq!(two.vote(No), [], "a vote cannot be taken back");
}

#[test]
fn an_acceptor_tells_the_leader_of_all_instances_in_one_message() {
    let mut three = Alone::open(3, vec![]);
    assert_eq!(three.on(1, YES), []);
    assert_eq!(three.on(2, YES), []);
    let accepted = |id| Record::Accepted {
        cast: cast(id, Ballot::ZERO, Yes),
    };
    assert_eq!(three.fx.records, [accepted(2)]);
    assert_eq!(three.on(3, YES), [(1, Message::Collected)]);
    assert_eq!(three.fx.records, [accepted(3)]);
    assert!(three.all_held());
}

#[test]
fn with_a_quorum_of_acceptors_that_have_every_yes_it_is_committed() {
    let mut one = Alone::open(1, vec![]);
    one.vote(Yes);
    assert_eq!(one.on(3, Message::Collected), []);
    assert_eq!(one.on(3, Message::Collected), [], "twice is still one");
    let told = [2, 3].map(|to| (to, decided(Outcome::Commit)));
    assert_eq!(one.on(2, Message::Collected), told);
    assert_eq!(one.fx.outputs, [Output::Decide(Outcome::Commit)]);
}

#[test]
fn a_no_is_enough_for_everybody_to_abort() {
    let mut two = Alone::open(2, vec![]);
    assert_eq!(two.vote(No), to_all(&NO));
    assert!(two.fx.outputs.is_empty(), "not before it is on disk");
    two.on(2, NO);
    assert_eq!(two.fx.outputs, [Output::Decide(Outcome::Abort)]);
    let mut three = Alone::open(3, vec![Record::Voted { vote: Yes }]);
    three.on(2, NO);
    assert_eq!(three.fx.outputs, [Output::Decide(Outcome::Abort)]);
    let again = Alone::open(2, vec![Record::Voted { vote: No }]);
    assert_eq!(again.mail(), to_all(&NO), "a crash does not take it back");
}

#[test]
fn a_new_leader_is_bound_where_something_was_accepted_and_free_to_abort_elsewhere() {
    let mut three = Alone::open(3, vec![Record::Voted { vote: Yes }]);
    let mine = ballot(1, 3);
    assert_eq!(three.fire(), to_all(&Message::Prepare { ballot: mine }));
    assert!(three.all_held(), "the ballot must be durable first");
    let all_yes = [1, 2, 3].map(|id| cast(id, Ballot::ZERO, Yes));
    assert_eq!(three.on(3, promise(mine, all_yes[1..].to_vec())), []);
    let asked = three.on(2, promise(mine, vec![]));
    let votes = rulings([No, Yes, Yes]);
    assert_eq!(
        asked,
        to_all(&Message::Accept {
            ballot: mine,
            votes
        })
    );
    assert_eq!(three.fx.outputs, [Output::Suspect(NodeId(1))]);
    three.on(2, Message::Accepted { ballot: mine });
    let told = [1, 2].map(|to| (to, decided(Outcome::Abort)));
    assert_eq!(three.on(3, Message::Accepted { ballot: mine }), told);
    let mut other = Alone::open(3, vec![Record::Voted { vote: Yes }]);
    other.fire();
    other.on(3, promise(mine, all_yes.to_vec()));
    other.on(2, promise(mine, vec![]));
    assert!(other.fx.outputs.is_empty(), "nobody is missing");
    other.on(2, Message::Accepted { ballot: mine });
    other.on(3, Message::Accepted { ballot: mine });
    assert_eq!(other.fx.outputs, [Output::Decide(Outcome::Commit)]);
}

#[test]
fn who_promised_a_later_ballot_takes_no_part_in_ballot_0() {
    let (first, second) = (ballot(1, 2), ballot(2, 3));
    let mut one = Alone::open(1, vec![]);
    one.on(3, YES);
    let told = promise(second, vec![cast(3, Ballot::ZERO, Yes)]);
    assert_eq!(one.on(3, Message::Prepare { ballot: second }), [(3, told)]);
    assert_eq!(one.fx.records, [Record::Promised { ballot: second }]);
    assert!(one.all_held());
    assert_eq!(one.on(2, YES), [], "it comes too late");
    let outbid = Message::Outbid {
        ballot: first,
        promised: second,
    };
    let late = one.on(2, Message::Prepare { ballot: first });
    assert_eq!(late, [(2, outbid)]);
    let votes = rulings([No, Yes, No]);
    let ballot = second;
    let accepted = [(3, Message::Accepted { ballot })];
    assert_eq!(one.on(3, Message::Accept { ballot, votes }), accepted);
    assert_eq!(one.fx.records.len(), 3, "one for each instance");
    assert!(one.all_held());
}

#[test]
fn ballots_do_not_recur_after_a_crash() {
    let begun = Record::Begun { round: 4 };
    let voted = Record::Voted { vote: Yes };
    let mut two = Alone::open(2, vec![voted, begun]);
    let ballot = ballot(5, 2);
    assert_eq!(two.fire(), to_all(&Message::Prepare { ballot }));
    assert_eq!(two.fx.records, [Record::Begun { round: 5 }]);
    let outbid = Message::Outbid {
        ballot,
        promised: self::ballot(8, 3),
    };
    assert_eq!(two.on(1, outbid), []);
    assert_eq!(two.process.status().role, "prepared");
    let ballot = self::ballot(9, 2);
    assert_eq!(two.fire(), to_all(&Message::Prepare { ballot }));
}

#[test]
fn who_may_have_forgotten_a_vote_casts_none_and_learns_all_the_same() {
    let mut two = Alone::open_with(2, vec![], Survival::Damaged);
    assert_eq!(
        two.mail(),
        [(1, Message::Wondering), (3, Message::Wondering)]
    );
    assert_eq!(two.vote(Yes), []);
    assert_eq!(two.on(1, YES), []);
    let prepare = Message::Prepare {
        ballot: ballot(1, 3),
    };
    assert_eq!(two.on(3, prepare), []);
    assert_eq!(
        two.fire(),
        [(1, Message::Wondering), (3, Message::Wondering)]
    );
    two.on(3, decided(Outcome::Commit));
    assert_eq!(two.fx.outputs, [Output::Decide(Outcome::Commit)]);
    assert_eq!(two.fx.keep_from, Some(two.fx.frame), "the damage is gone");
    let answer = [(1, decided(Outcome::Commit))];
    assert_eq!(two.on(1, Message::Wondering), answer);
}

#[test]
fn leaders_that_outbid_one_another_do_not_fill_the_disk() {
    let mut one = Alone::open(1, vec![]);
    one.vote(Yes);
    one.on(2, YES);
    let mut restated = 0;
    for round in 1..200 {
        let ballot = ballot(round, 2);
        one.on(2, Message::Prepare { ballot });
        if one.fx.keep_from.take().is_some() {
            restated += 1;
            assert_eq!(one.fx.records.len(), 4, "{:?}", one.fx.records);
        }
    }
    assert_eq!(restated, 3);
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
    round_trip(YES);
    round_trip(NO);
    round_trip(Message::Collected);
    round_trip(Message::Prepare { ballot });
    round_trip(promise(ballot, vec![cast(2, Ballot::ZERO, Yes)]));
    let votes = rulings([Yes, No, Yes]);
    round_trip(Message::Accept { ballot, votes });
    round_trip(Message::Accepted { ballot });
    round_trip(Message::Outbid { ballot, promised });
    round_trip(decided(Outcome::Abort));
    round_trip(Message::Wondering);
    round_trip(Record::Voted { vote: No });
    round_trip(Record::Begun { round: 3 });
    round_trip(Record::Promised { ballot });
    round_trip(Record::Accepted {
        cast: cast(3, ballot, No),
    });
    round_trip(Record::Decided {
        outcome: Outcome::Commit,
    });
}
