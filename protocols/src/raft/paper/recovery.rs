//! A replica that lost records: each step of its way back.

use super::*;

/// n1 of three, damaged, with an application state through 2@1.
fn damaged() -> Alone {
    let state = at(2, 1).into();
    Alone::open_with(log_of(2, &[1, 2, 2]), Survival::Damaged, state)
}

/// What n1 is told by one of the others.
fn remembered(term: u64) -> Message {
    Message::Remembered {
        incarnation: 1,
        term: Term(term),
    }
}

/// n1 after both others have answered: it follows in term 6.
fn rejoining() -> Alone {
    let mut one = damaged();
    one.on(2, remembered(3));
    one.on(3, remembered(5));
    one
}

#[test]
fn a_damaged_replica_asks_the_others_and_takes_no_part_in_anything_else() {
    let mut one = damaged();
    let (records, keep_from) = (&one.fx.records, one.fx.keep_from);
    assert!(
        records.is_empty() && keep_from.is_none(),
        "a disk may be mended"
    );
    let question = Message::Recovering { incarnation: 1 };
    let asked: Vec<_> = one
        .fx
        .mail
        .iter()
        .map(|mail| (mail.to.0, &mail.message))
        .collect();
    assert_eq!(asked, [(2, &question), (3, &question)]);
    assert_eq!(one.on(2, request_vote(9, at(9, 8))), []);
    assert_eq!(one.on(2, append(9, at(2, 1), 2, &[9])), []);
    one.raft.on_request(Request::Read { id: 1 }, &mut one.fx);
    let compact = Request::Compact(at(2, 1).into());
    one.raft.on_request(compact, &mut one.fx);
    one.raft.on_timer(Timer::Election, &mut one.fx);
    assert!(one.fx.mail.is_empty() && one.fx.outputs.is_empty());
    assert_eq!((one.raft.status().role, one.raft.window()), ("damaged", 0));
    one.raft.on_timer(Timer::Recovery, &mut one.fx);
    assert_eq!(one.fx.mail.len(), 2, "it asks until all have answered");
}

#[test]
fn it_follows_in_a_term_later_than_any_that_it_can_have_forgotten() {
    let mut one = damaged();
    assert_eq!(one.on(2, remembered(3)), []);
    assert_eq!(one.raft.status().role, "damaged", "one is still to answer");
    let late = Message::Remembered {
        incarnation: 0,
        term: Term(9),
    };
    one.on(3, late);
    assert_eq!(one.raft.status().role, "damaged", "that was asked before");
    one.on(3, remembered(5));
    let beyond = Term(5);
    let vote = Record::Vote {
        term: Term(6),
        vote: None,
    };
    let records = [vote, reset(at(2, 1)), Record::Rejoining { beyond }];
    assert_eq!(one.fx.records, records);
    assert_eq!(one.fx.keep_from, Some(one.fx.frame), "nothing older helps");
    let status = one.raft.status();
    assert_eq!((status.role, status.epoch), ("rejoining", 6));
    // The leader of term 5 may count on what is forgotten.
    let outdated = vec![(3, Message::Outdated { term: Term(6) })];
    assert_eq!(one.on(3, append(5, at(3, 2), 2, &[5])), outdated);
}

#[test]
fn it_does_not_vote_until_its_log_holds_an_entry_of_such_a_term() {
    let mut one = rejoining();
    assert_eq!(one.on(2, request_vote(7, at(9, 6))), []);
    assert_eq!(one.raft.term, Term(7), "terms are a clock for it too");
    one.raft.on_timer(Timer::Election, &mut one.fx);
    let canvass = Message::PreVote {
        term: Term(8),
        last: at(9, 6),
    };
    assert_eq!(one.on(2, canvass), []);
    assert_eq!(one.on(2, Message::TimeoutNow { term: Term(7) }), []);
    // Entries of terms that it may have voted in are taken, and acknowledged, but prove nothing.
    let appended = |index| Message::Appended {
        term: Term(7),
        index: Index(index),
    };
    let mail = one.on(2, append(7, at(2, 1), 2, &[2, 5]));
    assert_eq!(mail, [(2, appended(4))]);
    assert_eq!(one.raft.status().role, "rejoining");
    one.on(2, append(7, at(4, 5), 2, &[7]));
    assert!(one.fx.records.contains(&Record::Rejoined));
    assert_eq!(one.raft.status().role, "follower");
    one.raft.on_timer(Timer::Silence, &mut one.fx);
    assert_eq!(one.on(3, request_vote(8, at(5, 7))), [(3, granted(8))]);
}

#[test]
fn a_snapshot_of_such_a_term_will_do() {
    let mut one = rejoining();
    one.on(2, snapshot(8, at(20, 7).into()));
    assert!(one.fx.records.contains(&Record::Rejoined));
    assert_eq!(one.raft.status().role, "follower");
}

#[test]
fn a_restart_on_the_way_goes_on_from_there() {
    let beyond = Term(5);
    let mut records = vec![
        Record::Vote {
            term: Term(6),
            vote: None,
        },
        reset(at(2, 1)),
        Record::Rejoining { beyond },
    ];
    let state = Checkpoint::from(at(2, 1));
    let mut one = Alone::open_with(records.clone(), Survival::Intact, state);
    assert_eq!(one.raft.status().role, "rejoining");
    assert_eq!(one.on(2, request_vote(7, at(9, 6))), []);
    // Compaction on the way does not lose it either.
    one.on(2, append(7, at(2, 1), 4, &[2, 5]));
    one.raft.config.retention_bytes = 0;
    one.on(
        2,
        Message::Committed {
            term: Term(7),
            commit: Index(4),
        },
    );
    one.raft
        .on_request(Request::Compact(at(4, 5).into()), &mut one.fx);
    assert!(one.fx.records.contains(&Record::Rejoining { beyond }));
    records.push(Record::Rejoined);
    let one = Alone::open_with(records.clone(), Survival::Intact, state);
    assert_eq!(one.raft.status().role, "follower");
}

#[test]
fn what_it_is_asked_it_answers_unless_it_is_damaged_itself() {
    let question = Message::Recovering { incarnation: 4 };
    let mut one = Alone::open(log_of(5, &[1]));
    let (incarnation, term) = (4, Term(5));
    let answer = Message::Remembered { incarnation, term };
    assert_eq!(one.on(2, question.clone()), [(2, answer)]);
    assert!(!one.fx.mail[0].early, "the term must not be forgotten here");
    let mut one = damaged();
    let answer = Message::Forgotten { incarnation };
    assert_eq!(one.on(2, question), [(2, answer)]);
}

#[test]
fn without_a_quorum_that_remembers_nothing_is_invented() {
    let mut one = damaged();
    one.on(2, Message::Forgotten { incarnation: 1 });
    one.on(3, remembered(5));
    assert_eq!(one.raft.status().role, "damaged for good");
    assert_eq!(one.raft.term, Term(0));
    // A lone replica has nobody to ask.
    let mut fx = Effects::new(Choice::Seeded(1));
    let boot = Boot {
        me: NodeId(1),
        incarnation: 2,
        survival: Survival::Damaged,
        records: Box::new(core::iter::empty()),
        checkpoint: Checkpoint::default(),
    };
    let config = Config::new([NodeId(1)]);
    let mut alone = Raft::open(&config, boot, &mut fx);
    alone.on_timer(Timer::Recovery, &mut fx);
    assert_eq!(alone.status().role, "damaged for good");
}

#[test]
fn what_can_be_read_between_damaged_frames_may_contradict_itself() {
    let entry = |index, term| Record::Append {
        index: Index(index),
        entry: noop(term),
    };
    // Of 1@3 and 2@3, which replaced 1@5, the first is lost. The frames are needed no more, but not
    // deleted yet.
    let mut records = log_of(3, &[]);
    records.extend([entry(1, 5), entry(2, 3), reset(at(2, 3))]);
    let one = Alone::open_with(records, Survival::Intact, at(2, 3).into());
    assert_eq!(one.raft.log.last(), at(2, 3));
}
