//! One replica, step by step: tests named after the sentences of the paper that they check.

mod members;
mod recovery;
mod repair;

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use core::fmt::Debug;

use quorate_core::{
    Boot, Checkpoint, Choice, Effects, Frame, NodeId, Payload, Protocol, Reader, Survival, Wire,
};
use quorate_problems::total_order::{Output, Request};

use crate::log::Log;
use crate::members::Members;
use crate::raft::{
    Config, Configuration, Content, Entries, Entry, Index, Message, Position, Raft, Record, Term,
    Timer,
};

/// One replica and what it asked for, to be looked at step by step.
struct Alone {
    raft: Raft,
    fx: Effects<Raft>,
}

impl Alone {
    /// n1 of three, with these records on its disk.
    fn open(records: Vec<Record>) -> Alone {
        Alone::open_with(records, Survival::Intact, Checkpoint::default())
    }

    fn open_with(records: Vec<Record>, survival: Survival, checkpoint: Checkpoint) -> Alone {
        let mut fx = Effects::new(Choice::Seeded(1));
        fx.frame = Frame(records.len() as u64 + 1);
        let frames = (1..).map(Frame).zip(records);
        let boot = Boot {
            me: NodeId(1),
            incarnation: 1,
            survival,
            records: Box::new(frames),
            checkpoint,
        };
        let config = Config::new([1, 2, 3].map(NodeId));
        let raft = Raft::open(&config, boot, &mut fx);
        raft.invariants();
        Alone { raft, fx }
    }

    /// A message arrives; what is sent because of it.
    fn on(&mut self, from: u64, message: Message) -> Vec<(u64, Message)> {
        self.fx.mail.clear();
        self.fx.outputs.clear();
        self.fx.records.clear();
        self.raft.on_message(NodeId(from), message, &mut self.fx);
        self.raft.invariants();
        let mail = self.fx.mail.iter();
        mail.map(|mail| (mail.to.0, mail.message.clone())).collect()
    }

    /// Leads the next term with n2's help, and has that term's first entry acknowledged by n2.
    fn lead(records: Vec<Record>) -> Alone {
        let mut one = Alone::open(records);
        one.raft.on_timer(Timer::Election, &mut one.fx);
        let term = one.raft.term.next();
        for from in [1, 2] {
            one.on(from, Message::PreGranted { term });
        }
        for from in [1, 2] {
            one.on(from, granted(term.0));
        }
        assert_eq!(one.raft.status().role, "leader");
        one
    }
}

fn at(index: u64, term: u64) -> Position {
    Position {
        index: Index(index),
        epoch: Term(term),
    }
}

/// The disk of a replica in `term` whose log has entries of these terms.
fn log_of(term: u64, terms: &[u64]) -> Vec<Record> {
    let mut records = vec![Record::Vote {
        term: Term(term),
        vote: None,
    }];
    for (place, &term) in terms.iter().enumerate() {
        records.push(Record::Append {
            index: Index(0).plus(place + 1),
            entry: noop(term),
        });
    }
    records
}

/// n1, n2 and n3, as they are configured.
fn founders() -> Configuration {
    members("0 n1 n2 n3")
}

fn members(text: &str) -> Configuration {
    Configuration::settled(text.parse().expect("they are members"))
}

fn base(position: Position) -> Record {
    let members = founders();
    Record::Base { position, members }
}

fn reset(position: Position) -> Record {
    let members = founders();
    Record::Reset { position, members }
}

/// What every frame of a replica says that promises this and has all its records.
fn promised(term: u64, vote: Option<u64>, behind: Position) -> Record {
    Record::Promised {
        term: Term(term),
        vote: vote.map(NodeId),
        rejoining: false,
        behind,
    }
}

fn snapshot(term: u64, checkpoint: Checkpoint) -> Message {
    Message::Snapshot {
        term: Term(term),
        checkpoint,
        through: Index(checkpoint.position),
        members: vec![(Index(0), founders())],
    }
}

fn noop(term: u64) -> Entry {
    Entry {
        epoch: Term(term),
        content: Content::Noop,
    }
}

fn append(term: u64, previous: Position, commit: u64, terms: &[u64]) -> Message {
    Message::Append {
        term: Term(term),
        previous,
        commit: Index(commit),
        entries: Entries::from_vec(terms.iter().map(|&term| noop(term)).collect()),
    }
}

fn request_vote(term: u64, last: Position) -> Message {
    Message::RequestVote {
        term: Term(term),
        last,
        transfer: false,
        incarnation: 1,
    }
}

/// An acknowledgement of the first incarnation.
fn appended(term: u64, index: u64) -> Message {
    Message::Appended {
        term: Term(term),
        incarnation: 1,
        index: Index(index),
    }
}

/// A vote for the first incarnation.
fn granted(term: u64) -> Message {
    Message::Granted {
        term: Term(term),
        incarnation: 1,
    }
}

#[test]
fn section_5_1_a_server_that_receives_a_stale_term_rejects_it() {
    let mut one = Alone::open(log_of(5, &[1]));
    let outdated = vec![(2, Message::Outdated { term: Term(5) })];
    assert_eq!(one.on(2, append(4, at(0, 0), 0, &[1])), outdated);
    assert_eq!(one.on(2, request_vote(4, at(9, 4))), outdated);
    assert_eq!(one.on(2, granted(4)), []);
    assert_eq!(one.raft.log.last(), at(1, 1));
}

#[test]
fn section_5_1_a_leader_that_discovers_a_later_term_reverts_to_follower() {
    let mut one = Alone::lead(log_of(1, &[]));
    one.on(3, Message::Outdated { term: Term(9) });
    let status = one.raft.status();
    assert_eq!((status.role, status.epoch), ("follower", 9));
    assert_eq!(
        one.fx.records.last(),
        Some(&promised(9, None, one.raft.log.last()))
    );
}

#[test]
fn section_5_2_each_server_votes_for_at_most_one_candidate_in_a_term() {
    let mut one = Alone::open(log_of(1, &[]));
    let granted = granted(2);
    assert_eq!(one.on(2, request_vote(2, at(0, 0))), [(2, granted.clone())]);
    assert_eq!(one.fx.records.last(), Some(&promised(2, Some(2), at(0, 0))));
    assert_eq!(one.on(3, request_vote(2, at(7, 1))), []);
    // Asked again by the same candidate, it answers again and has nothing new to write.
    assert_eq!(one.on(2, request_vote(2, at(0, 0))), [(2, granted)]);
    assert_eq!(one.fx.records, []);
}

#[test]
fn section_5_2_a_candidate_that_hears_from_the_leader_of_its_term_follows_it() {
    let mut one = Alone::open(log_of(1, &[]));
    one.raft.on_timer(Timer::Election, &mut one.fx);
    for from in [1, 2] {
        one.on(from, Message::PreGranted { term: Term(2) });
    }
    assert_eq!(one.raft.status().role, "candidate");
    one.on(3, append(2, at(0, 0), 0, &[2]));
    let status = one.raft.status();
    assert_eq!((status.role, status.leader), ("follower", Some(NodeId(3))));
    // Its vote in this term stays with itself.
    assert_eq!(one.raft.vote, Some(NodeId(1)));
}

#[test]
fn section_5_3_a_conflicting_entry_and_all_behind_it_are_replaced() {
    let mut one = Alone::open(log_of(3, &[1, 1, 2, 2]));
    let mail = one.on(2, append(4, at(2, 1), 0, &[3]));
    let appended = appended(4, 3);
    assert_eq!(mail, [(2, appended)]);
    assert_eq!(one.raft.log.last(), at(3, 3));
}

#[test]
fn section_5_3_a_late_message_with_less_truncates_nothing() {
    let mut one = Alone::open(log_of(4, &[1, 1, 4, 4]));
    one.on(2, append(4, at(1, 1), 0, &[1]));
    assert_eq!(one.raft.log.last(), at(4, 4));
    assert_eq!(one.fx.records, []);
}

#[test]
fn section_5_3_the_consistency_check_names_where_the_logs_may_agree() {
    let mut one = Alone::open(log_of(3, &[1, 1, 2, 2, 3]));
    let rejected = |previous, hint| {
        let term = Term(5);
        let previous = Index(previous);
        vec![(
            2,
            Message::Rejected {
                term,
                previous,
                hint,
            },
        )]
    };
    // Too short, and then too late a term.
    assert_eq!(
        one.on(2, append(5, at(9, 4), 0, &[5])),
        rejected(9, at(5, 3))
    );
    assert_eq!(
        one.on(2, append(5, at(4, 1), 0, &[5])),
        rejected(4, at(2, 1))
    );
}

#[test]
fn section_5_4_1_the_voter_denies_its_vote_if_its_own_log_is_more_up_to_date() {
    let behind = [at(9, 1), at(2, 2), at(0, 0)];
    let up_to_date = [at(3, 2), at(4, 2), at(1, 3)];
    for last in behind {
        let mut one = Alone::open(log_of(4, &[1, 2, 2]));
        assert_eq!(one.on(2, request_vote(5, last)), [], "{last:?}");
    }
    for last in up_to_date {
        let mut one = Alone::open(log_of(4, &[1, 2, 2]));
        let granted = granted(5);
        assert_eq!(one.on(2, request_vote(5, last)), [(2, granted)], "{last:?}");
    }
}

#[test]
fn section_5_4_2_entries_of_earlier_terms_are_not_committed_by_counting() {
    let mut one = Alone::lead(log_of(2, &[1, 2]));
    for (from, index) in [(1, 2), (2, 2), (3, 2)] {
        let term = Term(3);
        let index = Index(index);
        one.on(from, appended(term.0, index.0));
        assert_eq!(one.raft.commit, Index(0));
    }
    // With the leader's own entry they all are.
    for from in [2, 3] {
        let (term, index) = (Term(3), Index(3));
        one.on(from, appended(term.0, index.0));
    }
    assert_eq!(one.raft.commit, Index(3));
}

#[test]
fn section_5_1_answers_of_an_earlier_term_are_not_counted() {
    let mut one = Alone::lead(log_of(2, &[1, 2]));
    let index = Index(3);
    for from in [1, 2, 3] {
        let term = Term(2);
        one.on(from, appended(term.0, index.0));
    }
    assert_eq!(one.raft.commit, Index(0));
    for from in [1, 2] {
        let term = Term(3);
        one.on(from, appended(term.0, index.0));
    }
    assert_eq!(one.raft.commit, Index(3));
    // Nor are those to an earlier round, or to another leader's rounds.
    one.raft.on_request(Request::Read { id: 1 }, &mut one.fx);
    for (from, term, round) in [(1, 3, 1), (2, 3, 0), (2, 2, 1), (3, 2, 7)] {
        let term = Term(term);
        assert_eq!(one.on(from, Message::Heard { term, round }), []);
    }
    let ready = Message::ReadReady {
        incarnation: 1,
        id: 1,
        index,
    };
    let heard = Message::Heard {
        term: Term(3),
        round: 1,
    };
    assert_eq!(one.on(3, heard), [(1, ready)]);
}

#[test]
fn section_5_3_a_follower_delivers_no_further_than_it_agrees() {
    let mut one = Alone::open(log_of(2, &[1, 2, 2]));
    // The leader has committed five entries; only the first two here are known to be the same.
    one.on(2, append(3, at(1, 1), 5, &[2]));
    assert_eq!(one.raft.commit, Index(2));
}

#[test]
fn section_7_entries_behind_a_snapshot_are_retained_if_they_agree() {
    let mut one = Alone::open(log_of(2, &[1, 2, 2]));
    one.on(2, snapshot(3, at(2, 2).into()));
    assert_eq!((one.raft.commit, one.raft.log.last()), (Index(2), at(3, 2)));
    // One that does not agree replaces the log.
    one.on(2, snapshot(3, at(3, 3).into()));
    assert_eq!((one.raft.commit, one.raft.log.last()), (Index(3), at(3, 3)));
    assert_eq!(one.raft.log.base(), at(3, 3));
}

#[test]
fn section_8_a_new_leader_begins_with_an_entry_of_its_own() {
    let one = Alone::lead(log_of(1, &[1]));
    assert_eq!(one.raft.log.entry(Index(2)), Some(&noop(2)));
}

#[test]
fn thesis_4_2_3_who_hears_from_a_leader_ignores_candidates() {
    let mut one = Alone::open(log_of(1, &[]));
    one.on(2, append(2, at(0, 0), 0, &[2]));
    assert_eq!(one.on(3, request_vote(7, at(9, 6))), []);
    assert_eq!(one.raft.term, Term(2));
    // Unless the leader wants it so.
    let mail = one.on(
        3,
        Message::RequestVote {
            term: Term(7),
            last: at(9, 6),
            transfer: true,
            incarnation: 1,
        },
    );
    assert_eq!(mail, [(3, granted(7))]);
}

#[test]
fn thesis_9_6_a_canvass_changes_nothing() {
    let mut one = Alone::open(log_of(1, &[1]));
    let (term, last) = (Term(9), at(1, 1));
    let mail = one.on(2, Message::PreVote { term, last });
    assert_eq!(mail, [(2, Message::PreGranted { term })]);
    assert_eq!((one.raft.term, one.fx.records.len()), (Term(1), 0));
    let (term, last) = (Term(9), at(0, 0));
    assert_eq!(one.on(2, Message::PreVote { term, last }), []);
    // A canvass for a term that has come already is told so.
    let term = Term(1);
    let mail = one.on(
        2,
        Message::PreVote {
            term,
            last: at(1, 1),
        },
    );
    assert_eq!(mail, [(2, Message::Outdated { term })]);
}

#[test]
fn a_restart_gives_the_same_from_wherever_the_old_frames_begin() {
    let entry = |index, term| Record::Append {
        index: Index(index),
        entry: noop(term),
    };
    let vote = Record::Vote {
        term: Term(3),
        vote: Some(NodeId(2)),
    };
    // Two compactions and a conflict; the last compaction keeps what is in frame 6 and later.
    let records = vec![
        entry(1, 1),
        entry(2, 1),
        entry(3, 1),
        vote.clone(),
        base(at(1, 1)),
        entry(3, 2),
        entry(4, 2),
        vote.clone(),
        base(at(2, 1)),
    ];
    for begin in 0..=5 {
        let state = Checkpoint {
            position: 2,
            epoch: 1,
        };
        let left = records[begin..].to_vec();
        let one = Alone::open_with(left, Survival::Intact, state);
        assert_eq!(one.raft.log.base(), at(2, 1), "from {begin}");
        assert_eq!(one.raft.log.last(), at(4, 2), "from {begin}");
        assert_eq!(one.raft.log.entry(Index(3)), Some(&noop(2)), "from {begin}");
        assert_eq!(one.raft.vote, Some(NodeId(2)), "from {begin}");
    }
}

#[test]
fn a_restart_drops_what_a_snapshot_replaced_wherever_the_old_frames_begin() {
    // A log of a term that came to nothing was replaced by a snapshot behind its entries' beginning.
    let mut records = log_of(2, &[1, 1, 1, 2, 2]);
    records.push(reset(at(3, 3)));
    records.push(Record::Append {
        index: Index(4),
        entry: noop(3),
    });
    records.push(Record::Vote {
        term: Term(3),
        vote: None,
    });
    let state = Checkpoint {
        position: 3,
        epoch: 3,
    };
    for begin in 0..=6 {
        let left = records[begin..].to_vec();
        let one = Alone::open_with(left, Survival::Intact, state);
        assert_eq!(one.raft.log.base(), at(3, 3), "from {begin}");
        assert_eq!(one.raft.log.last(), at(4, 3), "from {begin}");
    }
}

#[test]
fn a_state_that_contradicts_the_log_stays_and_the_log_is_as_long_as_it_is() {
    // What the log has at 2 was overwritten before the crash, and the overwriting was lost.
    let mut one = Alone::open_with(log_of(2, &[1, 2, 2, 2]), Survival::Intact, at(2, 3).into());
    assert_eq!(one.raft.log.last(), at(4, 2));
    assert_eq!((one.raft.commit, one.raft.term), (Index(0), Term(2)));
    // The leader overwrites it again; what the state contains is not delivered twice.
    one.on(2, append(3, at(1, 1), 3, &[3, 3]));
    assert_eq!(one.raft.commit, Index(3));
    let delivered = one.fx.outputs.iter();
    let delivered = delivered.filter(|output| matches!(output, Output::Deliver { .. }));
    assert_eq!(delivered.count(), 1, "{:?}", one.fx.outputs);
}

#[test]
fn the_log_answers_by_arithmetic() {
    let mut log = Log::default();
    for (place, term) in [1, 1, 2, 4, 4, 4].into_iter().enumerate() {
        log.push(noop(term), Frame(place as u64 + 1));
    }
    assert_eq!(log.latest(Index(9), Term(9)), Some(at(6, 4)));
    assert_eq!(log.latest(Index(5), Term(3)), Some(at(3, 2)));
    assert_eq!(log.latest(Index(2), Term(3)), Some(at(2, 1)));
    assert_eq!(log.latest(Index(5), Term(0)), Some(at(0, 0)));
    let size = noop(1).bytes();
    assert_eq!(log.bytes_between(Index(2), Index(5)), 3 * size);
    assert_eq!(log.tail(Index(5), 2 * size), Index(3));
    assert_eq!(log.tail(Index(5), 0), Index(5));
    assert_eq!(log.tail(Index(5), 2 * size + 1), Index(3));
    assert_eq!(log.tail(Index(5), 100 * size), Index(0));
    assert_eq!(log.gather(Index(3), 10, 2 * size).as_slice().len(), 2);
    assert_eq!(log.gather(Index(3), 10, 0).as_slice().len(), 1);
    assert_eq!(log.gather(Index(3), 1, 10 * size).as_slice().len(), 1);
    assert_eq!(log.gather(Index(7), 10, 10 * size), Entries::NONE);
    log.compact(Index(3));
    assert_eq!((log.base(), log.last()), (at(3, 2), at(6, 4)));
    assert_eq!(log.latest(Index(5), Term(3)), Some(at(3, 2)));
    assert_eq!(log.latest(Index(5), Term(1)), None);
    assert_eq!(log.bytes_between(Index(1), Index(5)), 2 * size);
    assert_eq!(log.tail(Index(5), 100 * size), Index(3));
    assert_eq!(log.oldest_frame(), Some(Frame(4)));
    assert_eq!(
        (log.epoch_at(Index(2)), log.epoch_at(Index(7))),
        (None, None)
    );
    log.truncate(Index(5));
    assert_eq!(log.last(), at(4, 4));
    log.reset(at(9, 5));
    assert_eq!(
        (log.last(), log.bytes_between(Index(0), Index(9))),
        (at(9, 5), 0)
    );
}

#[test]
fn a_quorum_is_more_than_half_and_each_counts_once() {
    let voters = |ids: &[u64]| Members::new(&ids.iter().map(|&id| NodeId(id)).collect::<Vec<_>>());
    for (ids, quorum) in [
        (&[1][..], 1),
        (&[1, 2], 2),
        (&[3, 1, 2, 1], 2),
        (&[1, 2, 3, 4], 3),
    ] {
        let voters = voters(ids);
        assert!(voters.is_quorum(|id| id.0 <= quorum));
        assert!(!voters.is_quorum(|id| id.0 < quorum));
    }
    let five = voters(&[1, 2, 3, 4, 5]);
    assert_eq!(five.reached([9, 3, 7, 1, 5].into_iter()), 5);
}

#[test]
fn what_is_encoded_is_decoded_and_what_is_cut_is_refused() {
    let payload = Payload::from_vec(b"x".to_vec(), 7);
    let command = Entry {
        epoch: Term(3),
        content: Content::Command(payload.clone()),
    };
    let entries = Entries::from_vec(vec![noop(2), command.clone()]);
    let (term, index) = (Term(4), Index(5));
    let checkpoint = Checkpoint {
        position: 5,
        epoch: 4,
    };
    let messages = [
        Message::PreVote {
            term,
            last: at(5, 4),
        },
        Message::PreGranted { term },
        request_vote(4, at(5, 4)),
        Message::Granted {
            term,
            incarnation: 9,
        },
        Message::Outdated { term },
        Message::Append {
            term,
            previous: at(5, 4),
            commit: index,
            entries,
        },
        append(4, at(5, 4), 3, &[4]),
        append(4, at(5, 4), 3, &[]),
        appended(term.0, index.0),
        Message::Rejected {
            term,
            previous: index,
            hint: at(3, 2),
        },
        Message::Leading {
            term,
            round: 9,
            commit: index,
        },
        Message::Heard { term, round: 9 },
        Message::Committed {
            term,
            commit: index,
        },
        snapshot(4, checkpoint),
        Message::TimeoutNow { term },
        Message::Forward { payload },
        Message::ReadAsked {
            incarnation: 2,
            id: 3,
        },
        Message::ReadReady {
            incarnation: 2,
            id: 3,
            index,
        },
        Message::Recovering {
            incarnation: 2,
            state: at(5, 4),
        },
        Message::Forgotten { incarnation: 2 },
        Message::Beginning {
            incarnation: 2,
            position: at(5, 4),
            members: members("7 n1 n2 learning n4").then(members("9 n3").now()),
        },
        Message::Rejoining { incarnation: 2 },
        Message::Restored {
            incarnation: 2,
            at: at(5, 4),
        },
        Message::Copied {
            term,
            incarnation: 2,
            index,
        },
        Message::Begun,
    ];
    for message in messages {
        round_trip(&message);
    }
    let records = [
        Record::Vote {
            term,
            vote: Some(NodeId(2)),
        },
        Record::Append {
            index,
            entry: command,
        },
        base(at(5, 4)),
        reset(at(5, 4)),
        Record::Append {
            index,
            entry: Entry {
                epoch: term,
                content: Content::Members(members("7 n1 n2 learning n4").now().clone()),
            },
        },
        promised(3, Some(1), at(2, 1)),
        Record::Rejoining,
        Record::Rejoined,
    ];
    for record in records {
        round_trip(&record);
    }
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
        assert!(
            T::decode(&mut Reader::new(&cut)).is_err(),
            "{value:?} cut at {len}"
        );
    }
}

#[test]
fn no_bytes_make_decoding_panic() {
    let mut choice = Choice::Seeded(7);
    for _ in 0..100_000 {
        let len = choice.choose(80);
        let mut bytes: Vec<u8> = (0..len).map(|_| choice.choose(256) as u8).collect();
        if let Some(tag) = bytes.first_mut() {
            *tag %= 24;
        }
        let block = Arc::new(bytes);
        let _ = Message::decode(&mut Reader::new(&block));
        let _ = Record::decode(&mut Reader::new(&block));
    }
}
