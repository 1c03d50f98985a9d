//! One replica, step by step: tests named after the sentences that they check.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use core::fmt::Debug;

use quorate_core::{
    Boot, Checkpoint, Choice, Effects, Frame, NodeId, Payload, Protocol, Reader, Survival, Wire,
};
use quorate_problems::total_order::{Membership, Output, Request};

use super::{Answer, Chain, Config, Message, Question, Record, Timer, View, ViewNumber};
use crate::log::{Content, Entries, Entry, Epoch, Index, Position};
use crate::raft;
use crate::views::{self, Known, Report};

/// One replica and what it asked for, to be looked at step by step. n4 is the view service.
struct Alone {
    chain: Chain,
    fx: Effects<Chain>,
}

impl Alone {
    /// `me` of n1, n2 and n3, with these records on its disk.
    fn open_with(me: u64, records: Vec<Record>, survival: Survival) -> Alone {
        let mut fx = Effects::new(Choice::Seeded(1));
        fx.frame = Frame(records.len() as u64 + 1);
        let frames = (1..).map(Frame).zip(records);
        let boot = Boot {
            me: NodeId(me),
            incarnation: 1,
            survival,
            records: Box::new(frames),
            checkpoint: Checkpoint::default(),
        };
        let config = Config::new([1, 2, 3, 4].map(NodeId)).with_service(NodeId(4));
        let chain = Chain::open(&config, boot, &mut fx);
        chain.invariants();
        Alone { chain, fx }
    }

    fn open(me: u64, records: Vec<Record>) -> Alone {
        Alone::open_with(me, records, Survival::Intact)
    }

    /// In view 1 of n1, n2 and n3.
    fn placed(me: u64, records: Vec<Record>) -> Alone {
        let mut one = Alone::open(me, records);
        one.on(4, current(1, &[1, 2, 3], false));
        one
    }

    fn clear(&mut self) {
        self.fx.mail.clear();
        self.fx.outputs.clear();
        self.fx.records.clear();
    }

    /// A message arrives; what is sent because of it, apart from pings.
    fn on(&mut self, from: u64, message: Message) -> Vec<(u64, Message)> {
        self.clear();
        self.chain.on_message(NodeId(from), message, &mut self.fx);
        self.chain.invariants();
        self.sent()
    }

    fn sent(&self) -> Vec<(u64, Message)> {
        let mail = self.fx.mail.iter().filter(|mail| mail.to != NodeId(4));
        mail.map(|mail| (mail.to.0, mail.message.clone())).collect()
    }

    /// The messages that may leave before the disk is done.
    fn early(&self) -> Vec<Message> {
        let early = self
            .fx
            .mail
            .iter()
            .filter(|mail| mail.early && mail.to != NodeId(4));
        early.map(|mail| mail.message.clone()).collect()
    }

    fn delivered(&self) -> Vec<u64> {
        let positions = self.fx.outputs.iter().filter_map(|output| match output {
            Output::Deliver { position, .. } => Some(*position),
            Output::ReadReady { .. }
            | Output::Install(_)
            | Output::Lead { .. }
            | Output::Members(_) => None,
        });
        positions.collect()
    }
}

fn view(number: u64, members: &[u64]) -> View {
    View {
        number: ViewNumber(number),
        members: members.iter().copied().map(NodeId).collect(),
    }
}

/// n1, n2 and n3.
fn servers() -> Membership {
    Membership::new(0, [1, 2, 3].map(NodeId), [])
}

fn current(number: u64, members: &[u64], active: bool) -> Message {
    Message::Current(Known {
        // The service's state changes when a view is made, and when it is active.
        changes: 2 * number + u64::from(active),
        view: view(number, members),
        active,
        lost: 0,
        servers: servers(),
        slack: 1,
    })
}

fn at(index: u64, epoch: u64) -> Position {
    Position {
        index: Index(index),
        epoch: Epoch(epoch),
    }
}

fn noop(epoch: u64) -> Entry {
    Entry {
        epoch: Epoch(epoch),
        content: Content::Noop,
    }
}

/// The disk of a replica in view 1 whose log has entries of these epochs.
fn log_of(epochs: &[u64]) -> Vec<Record> {
    let mut records = vec![Record::Entered(view(1, &[1, 2, 3]))];
    for (place, &epoch) in epochs.iter().enumerate() {
        records.push(Record::Append {
            index: Index(0).plus(place + 1),
            entry: noop(epoch),
        });
    }
    records
}

fn update(view: u64, previous: Position, commit: u64, epochs: &[u64]) -> Message {
    Message::Update {
        view: ViewNumber(view),
        previous,
        commit: Index(commit),
        entries: Entries::from_vec(epochs.iter().map(|&epoch| noop(epoch)).collect()),
    }
}

fn stored(view: u64, index: u64) -> Message {
    Message::Stored {
        view: ViewNumber(view),
        index: Index(index),
    }
}

fn linked(view: u64, index: u64) -> Message {
    Message::Linked {
        view: ViewNumber(view),
        index: Index(index),
        stored: Index(0),
    }
}

/// Section 3: "The head ... processes the update request; the state change is then forwarded along a
/// reliable FIFO link to the next element of the chain."
#[test]
fn an_update_is_written_down_and_then_passed_on() {
    let mut middle = Alone::placed(2, vec![]);
    middle.on(1, update(1, at(0, 0), 0, &[]));
    middle.on(3, linked(1, 0));
    let sent = middle.on(1, update(1, at(0, 0), 0, &[1]));
    assert_eq!(sent, [(3, update(1, at(0, 0), 0, &[1]))]);
    assert_eq!(middle.fx.records.len(), 1, "it is written down");
    assert!(middle.early().is_empty(), "and does not leave before that");
}

/// Section 3: "The reply for every request is generated and sent by the tail."
#[test]
fn only_what_the_tail_has_on_disk_is_acknowledged() {
    let mut tail = Alone::placed(3, vec![]);
    let sent = tail.on(2, update(1, at(0, 0), 0, &[1]));
    assert_eq!(sent, [(3, stored(1, 1))], "its own disk comes first");
    assert!(tail.early().is_empty());
    let sent = tail.on(3, stored(1, 1));
    assert_eq!(sent, [(2, stored(1, 1))]);
    let mut middle = Alone::placed(2, vec![]);
    let sent = middle.on(1, update(1, at(0, 0), 0, &[1]));
    let acknowledges = |message: &Message| matches!(message, Message::Stored { .. });
    assert!(!sent.iter().any(|(_, message)| acknowledges(message)));
}

/// CRAQ 2.3: "When an acknowledgment message for an object version arrives at a node, the node marks the
/// object version as clean."
#[test]
fn an_acknowledgement_commits_where_it_passes() {
    let mut middle = Alone::placed(2, vec![]);
    middle.on(1, update(1, at(0, 0), 0, &[1]));
    middle.on(4, current(1, &[1, 2, 3], true));
    let sent = middle.on(3, stored(1, 1));
    assert_eq!(sent.last(), Some(&(1, stored(1, 1))));
    assert_eq!(middle.delivered(), [1]);
}

/// Vertical Paxos: a configuration that is not active has decided nothing.
#[test]
fn nothing_is_committed_in_a_view_that_is_not_active() {
    let mut middle = Alone::placed(2, vec![]);
    middle.on(1, update(1, at(0, 0), 0, &[1]));
    middle.on(3, stored(1, 1));
    assert!(middle.delivered().is_empty());
    middle.on(4, current(1, &[1, 2, 3], true));
    assert_eq!(middle.delivered(), [1]);
}

#[test]
fn mail_of_another_view_does_not_count() {
    let mut middle = Alone::placed(2, vec![]);
    middle.on(4, current(2, &[2, 3], false));
    for message in [
        update(1, at(0, 0), 0, &[1]),
        stored(1, 1),
        update(3, at(0, 0), 0, &[3]),
    ] {
        assert!(middle.on(1, message).is_empty());
    }
    assert!(middle.fx.records.is_empty());
}

#[test]
fn who_entered_a_view_has_it_on_disk_before_anybody_hears_of_it() {
    let mut middle = Alone::open(2, vec![]);
    let sent = middle.on(4, current(1, &[1, 2, 3], false));
    let entered = Message::Entered {
        view: ViewNumber(1),
        last: at(0, 0),
    };
    assert_eq!(sent, [(1, entered)]);
    assert!(middle.early().is_empty());
    assert!(
        middle
            .fx
            .records
            .contains(&Record::Entered(view(1, &[1, 2, 3])))
    );
}

/// A replica that joined may have entries that nobody else has.
#[test]
fn nobody_passes_on_what_is_not_known_to_be_the_heads() {
    let mut middle = Alone::open(2, log_of(&[1, 1, 1]));
    let sent = middle.on(4, current(2, &[1, 2, 3], false));
    assert!(sent.iter().all(|(to, _)| *to == 1), "{sent:?}");
    let entered = Message::Entered {
        view: ViewNumber(2),
        last: at(0, 0),
    };
    assert!(
        middle.on(3, entered).is_empty(),
        "what n3 lacks is not known yet"
    );
    let sent = middle.on(1, update(2, at(2, 1), 0, &[2]));
    assert_eq!(sent, [(3, update(2, at(3, 2), 0, &[]))]);
    assert_eq!(
        middle.chain.log.last(),
        at(3, 2),
        "its own third entry is gone"
    );
}

fn question(asker: u64, round: u64) -> Question {
    Question {
        asker: NodeId(asker),
        incarnation: 1,
        round,
    }
}

fn asked(asker: u64, relay: bool) -> Message {
    Message::VersionAsked {
        view: ViewNumber(1),
        question: question(asker, 1),
        relay,
    }
}

fn version(asker: u64, round: u64, member: u64, index: u64) -> Message {
    Message::Version {
        view: ViewNumber(1),
        question: question(asker, round),
        answer: Answer {
            member: NodeId(member),
            index: Index(index),
        },
    }
}

/// A tail that was stopped does not know at once what it had acknowledged.
#[test]
fn a_tail_names_a_version_only_when_it_knows_it() {
    let mut tail = Alone::open(3, log_of(&[1, 1]));
    assert!(tail.on(1, asked(1, false)).is_empty());
    tail.on(3, stored(1, 2));
    assert_eq!(tail.on(1, asked(1, false)), [(1, version(1, 1, 3, 2))]);
}

/// CRAQ 2.3, made safe without a perfect failure detector (checklist, T35).
#[test]
fn a_read_is_answered_when_all_members_have_confirmed_the_view() {
    let mut tail = Alone::placed(3, vec![]);
    tail.on(2, update(1, at(0, 0), 0, &[1]));
    tail.on(3, stored(1, 1));
    tail.on(4, current(1, &[1, 2, 3], true));
    tail.clear();
    tail.chain.on_request(Request::Read { id: 7 }, &mut tail.fx);
    assert_eq!(tail.sent(), [(1, asked(3, false)), (2, asked(3, false))]);
    tail.on(1, version(3, 1, 1, 0));
    assert!(tail.fx.outputs.is_empty(), "n2 may be in a later view");
    tail.on(2, version(3, 0, 2, 0));
    assert!(tail.fx.outputs.is_empty(), "that answers another question");
    tail.on(2, version(3, 1, 2, 0));
    let ready = Output::ReadReady { id: 7, position: 1 };
    assert_eq!(tail.fx.outputs, [ready]);
}

/// Two members that do not reach each other directly do so along the chain.
#[test]
fn a_question_that_is_repeated_goes_along_the_chain_and_its_answers_come_back() {
    let mut middle = Alone::placed(2, vec![]);
    let sent = middle.on(1, asked(1, true));
    assert_eq!(sent, [(1, version(1, 1, 2, 0)), (3, asked(1, true))]);
    let answer = || version(1, 1, 3, 0);
    assert_eq!(middle.on(3, answer()), [(1, answer())]);
    assert_eq!(middle.on(1, asked(1, false)), [(1, version(1, 1, 2, 0))]);
}

#[test]
fn a_head_that_was_stopped_goes_on_in_its_view() {
    let mut head = Alone::open(1, log_of(&[1]));
    head.on(4, current(1, &[1, 2, 3], true));
    let payload = Payload::from_vec(b"x".to_vec(), 0);
    head.chain
        .on_request(Request::Broadcast(payload), &mut head.fx);
    assert_eq!(head.chain.log.last(), at(2, 1));
    assert_eq!(head.chain.log.iter().count(), 2, "the view begins once");
}

#[test]
fn who_lost_records_takes_part_in_nothing_until_nobody_counts_on_it() {
    let mut lost = Alone::open_with(2, log_of(&[1, 1]), Survival::Damaged);
    assert_eq!(lost.chain.status().role, "damaged");
    let known = |number, members: &[u64], lost| {
        Message::Current(Known {
            changes: 2 * number + lost + 1,
            view: view(number, members),
            active: true,
            lost,
            servers: servers(),
            slack: 1,
        })
    };
    for message in [
        known(1, &[1, 2, 3], 0),
        update(1, at(0, 0), 0, &[1]),
        known(1, &[1, 2, 3], 1), // It may have been a member before.
        update(1, at(0, 0), 0, &[1]),
    ] {
        assert!(lost.on(4, message).is_empty());
        assert!(lost.fx.records.is_empty());
    }
    lost.on(4, known(2, &[1, 3], 1));
    assert_eq!(lost.chain.status().role, "spare");
    assert_eq!(
        lost.fx.keep_from,
        Some(lost.fx.frame()),
        "nothing old stays"
    );
}

/// Section 3.3, and seed 410 of whole replicas: a tail that was stopped does not know yet how far its log is the
/// head's, although it passed that on before.
#[test]
fn what_a_newcomer_has_is_not_passed_on_before_the_tail_knows_it_again() {
    let mut disk = log_of(&[1, 1, 1]);
    disk[0] = Record::Entered(view(2, &[1, 2]));
    let mut tail = Alone::open(2, disk);
    tail.on(4, current(2, &[1, 2], true));
    tail.on(1, update(2, at(1, 1), 1, &[]));
    let entered = Message::Entered {
        view: ViewNumber(2),
        last: at(0, 0),
    };
    let sent = tail.on(3, entered);
    assert_eq!(sent.last(), Some(&(3, update(2, at(0, 0), 1, &[1]))));
    assert!(tail.on(3, stored(2, 3)).is_empty(), "it said so long ago");
    let sent = tail.on(1, update(2, at(3, 1), 1, &[]));
    assert!(sent.contains(&(3, update(2, at(1, 1), 1, &[1, 1]))));
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
        let decoded = T::decode(&mut Reader::new(&cut));
        assert!(decoded.is_err(), "{value:?} cut at {len}");
    }
}

#[test]
fn what_is_encoded_is_decoded_and_what_is_cut_is_refused() {
    let number = ViewNumber(7);
    let known = Known {
        changes: 15,
        view: view(7, &[1, 2]),
        active: true,
        lost: 3,
        servers: servers(),
        slack: 2,
    };
    let outdated = raft::Message::Outdated {
        term: raft::Term(2),
    };
    for message in [
        Message::Ping(Report::default()),
        Message::Current(known),
        Message::Views(views::Message::Service(outdated)),
        update(7, at(1, 2), 1, &[7, 7]),
        stored(7, 5),
        linked(7, 5),
        Message::Missing {
            view: number,
            previous: Index(4),
            hint: at(2, 1),
        },
        Message::Entered {
            view: number,
            last: at(2, 1),
        },
        Message::Snapshot {
            view: number,
            checkpoint: Checkpoint {
                position: 4,
                epoch: 2,
            },
        },
        Message::Forward {
            payload: Payload::from_vec(b"x".to_vec(), 5),
        },
        asked(2, true),
        version(2, 3, 1, 4),
    ] {
        round_trip(&message);
    }
    for record in [
        Record::Views(views::Record::Anew),
        Record::Append {
            index: Index(3),
            entry: noop(2),
        },
        Record::Base(at(3, 2)),
        Record::Reset(at(3, 2)),
        Record::Entered(view(7, &[1, 2])),
        Record::Lost,
        Record::Excused,
    ] {
        round_trip(&record);
    }
}

#[test]
fn no_bytes_make_decoding_panic() {
    let mut choice = Choice::Seeded(7);
    for _ in 0..50_000 {
        let len = choice.choose(80);
        let mut bytes: Vec<u8> = (0..len).map(|_| choice.choose(256) as u8).collect();
        if let Some(tag) = bytes.first_mut() {
            *tag %= 14;
        }
        let block = Arc::new(bytes);
        let _ = Message::decode(&mut Reader::new(&block));
        let _ = Record::decode(&mut Reader::new(&block));
    }
}

#[test]
fn timers_are_told_apart() {
    let about = [
        Timer::Ping,
        Timer::Tick,
        Timer::Views(raft::Timer::Election),
    ];
    let own = [Timer::Heartbeat, Timer::Silence, Timer::Transfer];
    assert!(about.into_iter().all(|timer| timer.about_views().is_some()));
    assert!(own.into_iter().all(|timer| timer.about_views().is_none()));
}
