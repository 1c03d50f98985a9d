//! A replica that cannot read all of its log, and knows where it ended: how it gets back what is missing.

use super::*;
use crate::raft::Configurations;

/// A damaged disk: the records of each frame that can be read, and the frame that would be written next.
fn open(frames: &[(u64, &[Record])], next: u64, state: Position) -> Alone {
    let records = frames.iter().flat_map(|(frame, records)| {
        let records = records.iter().cloned();
        records.map(|record| (Frame(*frame), record))
    });
    let mut fx = Effects::new(Choice::Seeded(1));
    fx.frame = Frame(next);
    let boot = Boot {
        me: NodeId(1),
        incarnation: 4,
        survival: Survival::Damaged,
        records: Box::new(records),
        checkpoint: state.into(),
    };
    let raft = Raft::open(&Config::new([1, 2, 3].map(NodeId)), boot, &mut fx);
    raft.invariants();
    Alone { raft, fx }
}

fn entry(index: u64, term: u64) -> Record {
    Record::Append {
        index: Index(index),
        entry: noop(term),
    }
}

fn lacking(anchor: Position, after: u64) -> Message {
    Message::Lacking {
        incarnation: 4,
        anchor,
        after: Index(after),
    }
}

fn filling(previous: Position, members: Option<Configuration>, terms: &[u64]) -> Message {
    Message::Filling {
        incarnation: 4,
        previous,
        members,
        entries: Entries::from_vec(terms.iter().map(|&term| noop(term)).collect()),
    }
}

/// The first frame and one with two entries of term 1, then one that is lost, and one of term 2 in which n3 has the
/// vote.
fn hole_in_the_middle(state: Position) -> Alone {
    let first = [reset(at(0, 0)), promised(1, None, at(0, 0))];
    let older = [promised(1, None, at(0, 0)), entry(1, 1), entry(2, 1)];
    let newer = [promised(2, Some(3), at(3, 1)), entry(4, 2)];
    open(&[(1, &first), (2, &older), (4, &newer)], 5, state)
}

fn asked(alone: &Alone) -> Vec<Message> {
    let to_two = alone.fx.mail.iter().filter(|mail| mail.to == NodeId(2));
    to_two.map(|mail| mail.message.clone()).collect()
}

#[test]
fn what_leads_to_the_entry_behind_the_hole_is_put_back_and_all_is_as_before() {
    let mut one = hole_in_the_middle(at(0, 0));
    assert_eq!(asked(&one), [lacking(at(3, 1), 2)]);
    let status = one.raft.status();
    assert_eq!((status.role, status.whole), ("repairing", false));
    assert_eq!(one.fx.records, []);
    // It takes part in nothing.
    assert_eq!(one.on(3, request_vote(9, at(9, 9))), []);
    // What does not lead there is of no use: another term, another place, nothing new.
    for wrong in [
        filling(at(2, 1), None, &[3]),
        filling(at(1, 1), None, &[1]),
        filling(at(3, 1), None, &[]),
    ] {
        assert_eq!(one.on(2, wrong), []);
        assert_eq!(one.raft.status().role, "repairing");
    }
    // From behind its own entry 2 on it is enough, since that one is the same.
    one.on(2, filling(at(2, 1), None, &[1]));
    assert_eq!((one.raft.status().role, one.raft.repaired), ("follower", 1));
    assert_eq!((one.raft.term, one.raft.vote), (Term(2), Some(NodeId(3))));
    assert_eq!(one.raft.log.last(), at(4, 2));
    let restated = [
        reset(at(0, 0)),
        promised(2, Some(3), at(0, 0)),
        entry(1, 1),
        entry(2, 1),
        entry(3, 1),
        entry(4, 2),
    ];
    assert_eq!(one.fx.records, restated);
    assert_eq!(one.fx.keep_from, Some(one.fx.frame));
    // It has not forgotten whom it voted for.
    one.raft.on_timer(Timer::Lease, &mut one.fx);
    assert_eq!(one.on(2, request_vote(2, at(9, 2))), []);
    assert_eq!(one.on(3, request_vote(2, at(9, 2))), [(3, granted(2))]);
}

#[test]
fn older_entries_that_were_replaced_in_the_hole_are_replaced_again() {
    let mut one = hole_in_the_middle(at(0, 0));
    // Behind entry 1 there were others, of a term in between.
    let question = (2, lacking(at(2, 0), 0));
    assert_eq!(one.on(2, filling(at(2, 0), None, &[1])), [question]);
    one.on(2, filling(at(0, 0), None, &[0, 0]));
    let entries = one.raft.log.iter();
    let terms: Vec<u64> = entries.map(|(_, entry, _)| entry.epoch.0).collect();
    let role = one.raft.status().role;
    assert_eq!((role, terms), ("follower", vec![0, 0, 1, 2]));
}

#[test]
fn what_the_state_contains_need_not_be_put_back() {
    // Who takes part there is not known without being told.
    let mut one = hole_in_the_middle(at(3, 1));
    assert_eq!(asked(&one), [lacking(at(3, 1), 3)]);
    one.on(3, filling(at(3, 1), Some(founders()), &[]));
    assert_eq!(one.raft.status().role, "follower");
    let (base, last) = (one.raft.log.base(), one.raft.log.last());
    assert_eq!((base, last), (at(3, 1), at(4, 2)));
    // A state that is not in this log is no place to begin: all back to the beginning is needed.
    let mut one = hole_in_the_middle(at(3, 3));
    assert_eq!(asked(&one), [lacking(at(3, 1), 2)]);
    assert_eq!(
        one.on(2, filling(at(3, 1), Some(founders()), &[])),
        [(2, lacking(at(3, 1), 2))]
    );
    one.on(2, filling(at(2, 1), None, &[1]));
    let role = one.raft.status().role;
    assert_eq!((role, one.raft.log.base()), ("follower", at(0, 0)));
}

#[test]
fn if_the_readable_frames_say_all_that_is_needed_nobody_is_asked() {
    let base = [base(at(3, 1)), promised(2, None, at(3, 1))];
    let lost_before = [promised(1, None, at(2, 1)), entry(3, 1)];
    let one = open(&[(3, &lost_before), (4, &base)], 5, at(3, 1));
    assert_eq!((one.raft.status().role, asked(&one)), ("follower", vec![]));
    assert_eq!((one.raft.term, one.raft.log.base()), (Term(2), at(3, 1)));
    // Of what is lost here only the vote mattered, and the next frame says it.
    let first = [reset(at(0, 0)), promised(1, None, at(0, 0)), entry(1, 1)];
    let last = [promised(2, Some(3), at(1, 1)), entry(2, 1)];
    let one = open(&[(1, &first), (3, &last)], 4, at(0, 0));
    assert_eq!((one.raft.status().role, asked(&one)), ("follower", vec![]));
    assert_eq!(
        (one.raft.vote, one.raft.log.last()),
        (Some(NodeId(3)), at(2, 1))
    );
}

#[test]
fn a_hole_without_an_entry_behind_it_is_filled_from_where_the_log_ended() {
    let first = [reset(at(0, 0)), promised(1, None, at(0, 0))];
    let last = [promised(2, Some(3), at(2, 1))];
    let mut one = open(&[(1, &first), (4, &last)], 5, at(0, 0));
    assert_eq!(asked(&one), [lacking(at(2, 1), 0)]);
    one.on(2, filling(at(0, 0), Some(founders()), &[1, 1]));
    assert_eq!(
        (one.raft.status().role, one.raft.log.last()),
        ("follower", at(2, 1))
    );
}

#[test]
fn where_promises_or_the_end_are_lost_or_nobody_knows_the_log_begins_anew() {
    let recovering = |state| Message::Recovering {
        incarnation: 4,
        state,
    };
    let state = at(0, 0);
    let first = [reset(state), promised(1, None, state)];
    let newer = [promised(1, None, at(1, 1)), entry(2, 1)];
    // The last frame is lost; the frames behind the hole do not say what was promised; the state is lost.
    let end_lost = open(&[(1, &first), (3, &newer)], 5, state);
    let old = [entry(2, 1)];
    let silent = open(&[(1, &first), (3, &old)], 4, state);
    for one in [end_lost, silent] {
        assert_eq!(
            (asked(&one), one.raft.status().role),
            (vec![recovering(state)], "damaged")
        );
    }
    let later = [reset(at(9, 1)), promised(1, None, at(9, 1))];
    let stateless = open(&[(3, &later)], 4, state);
    assert_eq!(asked(&stateless), [recovering(state)]);
    // Nobody has what leads to 1@1: after a while both is asked for.
    let mut one = open(&[(1, &first), (3, &newer)], 4, state);
    one.raft.on_timer(Timer::Recovery, &mut one.fx);
    one.fx.mail.clear();
    one.raft.on_timer(Timer::Recovery, &mut one.fx);
    assert_eq!(asked(&one), [lacking(at(1, 1), 0), recovering(state)]);
    assert_eq!(one.raft.status().role, "damaged");
}

#[test]
fn whoever_has_the_place_says_what_leads_to_it_damaged_or_not() {
    let mut one = Alone::open(log_of(2, &[1, 1, 2]));
    one.raft.configurations = Configurations::new(Index(0), founders());
    let answer = filling(at(1, 1), Some(founders()), &[1, 2]);
    assert_eq!(one.on(2, lacking(at(3, 2), 1)), [(2, answer)]);
    assert_eq!(one.on(2, lacking(at(3, 1), 1)), [], "that is another entry");
    assert_eq!(one.on(2, lacking(at(4, 2), 1)), [], "it is not here");
    // No more than fits, but at least one that is new.
    one.raft.config.message_bytes_max = 1;
    let answer = filling(at(1, 1), Some(founders()), &[1, 2]);
    assert_eq!(one.on(2, lacking(at(3, 2), 0)), [(2, answer)]);
    // Before the hole and behind it; not across.
    let mut one = hole_in_the_middle(at(0, 0));
    let answer = filling(at(0, 0), Some(founders()), &[1, 1]);
    assert_eq!(one.on(2, lacking(at(2, 1), 0)), [(2, answer)]);
    assert_eq!(one.on(2, lacking(at(3, 2), 0)), []);
    let answer = filling(at(3, 1), None, &[2]);
    assert_eq!(one.on(2, lacking(at(4, 2), 0)), [(2, answer)]);
}
