//! One process, step by step: tests named after the sentences of Bernstein, Hadzilacos and Goodman 1987,
//! chapter 7, that they check.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use core::fmt::Debug;

use quorate_core::{
    Boot, Checkpoint, Choice, Effects, Frame, NodeId, Protocol, Reader, Survival, Wire,
};
use quorate_problems::atomic_commitment::{Outcome, Output, Request, Vote};

use super::{Config, Message, Record, Timer, TwoPhaseCommit};

use Message::{Inquiry, No, Prepare, Uncertain, Yes};
use Outcome::{Abort, Commit};

/// One process and what it asked for, to be looked at step by step.
struct Alone {
    process: TwoPhaseCommit,
    fx: Effects<TwoPhaseCommit>,
}

impl Alone {
    /// One of three, the first of which is the coordinator, with these records on its disk.
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
        let process = TwoPhaseCommit::open(&config, boot, &mut fx);
        process.invariants();
        Alone { process, fx }
    }

    fn mail(&self) -> Vec<(u64, Message)> {
        let mail = self.fx.mail.iter();
        mail.map(|mail| (mail.to.0, mail.message)).collect()
    }

    fn step(
        &mut self,
        step: impl FnOnce(&mut TwoPhaseCommit, &mut Effects<TwoPhaseCommit>),
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

    fn fire(&mut self, timer: Timer) -> Vec<(u64, Message)> {
        self.step(|process, fx| process.on_timer(timer, fx))
    }

    fn all_held(&self) -> bool {
        self.fx.mail.iter().all(|mail| !mail.early)
    }
}

fn decided(outcome: Outcome) -> Message {
    Message::Outcome { outcome }
}

fn record(outcome: Outcome) -> Record {
    Record::Decided { outcome }
}

#[test]
fn the_coordinator_writes_a_start_record_and_asks_for_votes() {
    let mut one = Alone::open(1, vec![]);
    let asked = [(2, Prepare), (3, Prepare), (1, Yes)];
    assert_eq!(one.vote(Vote::Yes), asked);
    assert_eq!(one.fx.records, [Record::Collecting, Record::VotedYes]);
    assert!(one.all_held());
}

#[test]
fn if_all_votes_are_yes_it_decides_commit_and_tells_all_once_that_is_on_disk() {
    let mut one = Alone::open(1, vec![]);
    one.vote(Vote::Yes);
    assert_eq!(one.on(1, Yes), []);
    assert_eq!(one.on(2, Yes), []);
    assert_eq!(one.on(2, Yes), [], "twice is still one");
    let told = [1, 2, 3].map(|to| (to, decided(Commit)));
    assert_eq!(one.on(3, Yes), told);
    assert_eq!(one.fx.records, [record(Commit)]);
    assert!(
        one.all_held() && one.fx.outputs.is_empty(),
        "not before it is on disk"
    );
    assert_eq!(one.on(1, decided(Commit)), []);
    assert_eq!(one.fx.outputs, [Output::Decide(Commit)]);
    assert_eq!(
        one.on(2, Yes),
        [(2, decided(Commit))],
        "who missed it is told again"
    );
}

#[test]
fn if_some_vote_is_no_it_decides_abort() {
    let mut one = Alone::open(1, vec![]);
    one.vote(Vote::Yes);
    let told = [1, 2, 3].map(|to| (to, decided(Abort)));
    assert_eq!(one.on(3, No), told);
    assert_eq!(one.fx.records, [record(Abort)]);
    let mut other = Alone::open(1, vec![]);
    assert_eq!(other.vote(Vote::No), told, "its own will do");
}

#[test]
fn if_votes_are_missing_after_a_timeout_it_decides_abort() {
    let mut one = Alone::open(1, vec![]);
    one.vote(Vote::Yes);
    one.on(1, Yes);
    one.on(2, Yes);
    assert_eq!(one.fire(Timer::Votes), [(3, Prepare)], "mail is lost");
    assert_eq!(one.fire(Timer::Votes).len(), 3);
    assert_eq!(one.fx.outputs, [Output::Suspect(NodeId(3))]);
    assert_eq!(one.fx.records, [record(Abort)]);
}

#[test]
fn a_participant_writes_a_yes_record_before_it_votes_and_is_uncertain() {
    let mut two = Alone::open(2, vec![]);
    assert_eq!(two.on(1, Prepare), [], "nobody votes for its layer above");
    assert_eq!(two.vote(Vote::Yes), [(1, Yes)]);
    assert_eq!(two.fx.records, [Record::VotedYes]);
    assert!(two.all_held());
    assert_eq!(
        two.on(1, Prepare),
        [(1, Yes)],
        "asked again it says so again"
    );
    assert_eq!(two.vote(Vote::No), [], "a vote cannot be taken back");
    assert_eq!(two.process.status().role, "uncertain");
    assert_eq!(two.on(1, decided(Commit)), []);
    assert_eq!(two.fx.outputs, [Output::Decide(Commit)]);
    assert_eq!(two.on(3, Inquiry), [(3, decided(Commit))]);
}

#[test]
fn a_participant_that_votes_no_aborts_and_need_not_wait() {
    let mut two = Alone::open(2, vec![]);
    assert_eq!(two.vote(Vote::No), [(2, decided(Abort)), (1, No)]);
    assert_eq!(two.fx.records, [record(Abort)]);
    assert!(two.all_held() && two.fx.outputs.is_empty());
    two.on(2, decided(Abort));
    assert_eq!(two.fx.outputs, [Output::Decide(Abort)]);
    assert_eq!(two.on(1, Prepare), [(1, decided(Abort))]);
}

/// 7.4, cooperative termination protocol: the three cases of who is asked.
#[test]
fn who_is_asked_tells_what_it_knows_or_aborts_or_is_uncertain_as_well() {
    let mut knows = Alone::open(3, vec![record(Commit)]);
    assert_eq!(knows.on(2, Inquiry), [(2, decided(Commit))]);
    let mut working = Alone::open(3, vec![]);
    let all = [(3, decided(Abort)), (2, decided(Abort)), (1, No)];
    assert_eq!(working.on(2, Inquiry), all);
    assert_eq!(working.fx.outputs, [Output::Suspect(NodeId(1))]);
    assert_eq!(working.fx.records, [record(Abort)]);
    let mut uncertain = Alone::open(3, vec![Record::VotedYes]);
    assert_eq!(uncertain.on(2, Inquiry), [(2, Uncertain)]);
}

#[test]
fn if_all_that_it_reaches_are_uncertain_it_is_blocked_until_somebody_knows() {
    let mut two = Alone::open(2, vec![]);
    two.vote(Vote::Yes);
    let asked = [(1, Yes), (1, Inquiry), (3, Inquiry)];
    assert_eq!(two.fire(Timer::Outcome), asked);
    assert!(two.fx.outputs.is_empty(), "somebody may know");
    assert_eq!(two.on(3, Uncertain), []);
    assert_eq!(two.fire(Timer::Outcome), asked);
    assert_eq!(two.fx.outputs, [Output::Blocked]);
    assert_eq!(two.process.status().role, "blocked");
    assert_eq!(two.fire(Timer::Outcome), asked, "it asks on");
    assert!(two.fx.outputs.is_empty(), "and says it once");
    two.on(1, decided(Abort));
    assert_eq!(two.fx.outputs, [Output::Decide(Abort)]);
}

/// 7.4, recovery: the four things that a disk can say.
#[test]
fn a_process_that_comes_back_goes_on_from_what_it_wrote() {
    let told = [1, 2, 3].map(|to| (to, decided(Abort)));
    let collecting = vec![Record::Collecting, Record::VotedYes];
    let coordinator = Alone::open(1, collecting.clone());
    assert_eq!(coordinator.mail(), told, "without a decision it aborts");
    let decided_before = [collecting, vec![record(Commit)]].concat();
    let coordinator = Alone::open(1, decided_before);
    assert_eq!(coordinator.fx.outputs, [Output::Decide(Commit)]);
    let asked = [(1, Yes), (1, Inquiry), (3, Inquiry)];
    assert_eq!(Alone::open(2, vec![Record::VotedYes]).mail(), asked);
    let fresh = Alone::open(2, vec![]);
    assert!(fresh.mail().is_empty(), "it had promised nothing");
}

#[test]
fn who_may_have_forgotten_a_vote_takes_part_in_nothing_but_learns() {
    let mut two = Alone::open_with(2, vec![], Survival::Damaged);
    assert_eq!(two.mail(), [(1, Inquiry), (3, Inquiry)]);
    assert_eq!(two.vote(Vote::Yes), []);
    assert_eq!(two.on(1, Prepare), []);
    assert_eq!(two.on(3, Inquiry), []);
    assert_eq!(two.process.status().role, "damaged");
    two.on(3, decided(Abort));
    assert_eq!(two.fx.outputs, [Output::Decide(Abort)]);
    assert_eq!(two.fx.keep_from, Some(two.fx.frame), "the damage is gone");
    let mut one = Alone::open_with(1, vec![], Survival::Damaged);
    assert_eq!(one.on(2, Yes), [], "it may have decided already");
    one.on(2, No);
    assert_eq!(
        one.fx.outputs,
        [Output::Decide(Abort)],
        "that leaves no choice"
    );
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
    for message in [Prepare, Yes, No, Inquiry, Uncertain] {
        round_trip(message);
    }
    for outcome in [Commit, Abort] {
        round_trip(decided(outcome));
        round_trip(record(outcome));
    }
    round_trip(Record::Collecting);
    round_trip(Record::VotedYes);
}
