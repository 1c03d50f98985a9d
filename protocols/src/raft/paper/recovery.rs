//! A replica that lost records: each step of its way back.

use super::*;

/// n1 of three, damaged, with an application state through 2@1.
fn damaged() -> Alone {
    let state = at(2, 1).into();
    Alone::open_with(log_of(2, &[1, 2, 2]), Survival::Damaged, state)
}

/// The leader's answer to its first question.
fn beginning() -> Message {
    Message::Beginning {
        incarnation: 1,
        position: at(2, 1),
        members: founders(),
    }
}

/// n1 after the leader has told it how its log may begin.
fn rejoining() -> Alone {
    let mut one = damaged();
    one.on(2, beginning());
    one
}

fn restored(index: u64, term: u64) -> Message {
    Message::Restored {
        incarnation: 1,
        at: at(index, term),
    }
}

fn copied(term: u64, index: u64) -> Message {
    Message::Copied {
        term: Term(term),
        incarnation: 1,
        index: Index(index),
    }
}

fn rejoins(term: u64, behind: Position) -> Record {
    Record::Promised {
        term: Term(term),
        vote: None,
        rejoining: true,
        behind,
    }
}

/// Whether what it writes says that it rejoins no more.
fn is_whole(one: &Alone) -> bool {
    let mut records = one.fx.records.iter();
    records.any(|record| {
        matches!(
            record,
            Record::Promised {
                rejoining: false,
                ..
            }
        )
    })
}

#[test]
fn a_damaged_replica_asks_the_others_and_takes_no_part_in_anything_else() {
    let mut one = damaged();
    let (records, keep_from) = (&one.fx.records, one.fx.keep_from);
    assert!(
        records.is_empty() && keep_from.is_none(),
        "a disk may be mended"
    );
    let state = at(2, 1);
    let question = Message::Recovering {
        incarnation: 1,
        state,
    };
    let mail = one.fx.mail.iter();
    let asked: Vec<_> = mail.map(|mail| (mail.to.0, &mail.message)).collect();
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
    assert_eq!(one.fx.mail.len(), 2, "it asks until it is told");
    // Those that it was configured with may be gone, and others lead.
    let leading = Message::Leading {
        term: Term(9),
        round: 1,
        commit: Index(2),
    };
    assert_eq!(one.on(7, leading), [(7, question)]);
}

#[test]
fn its_log_begins_behind_its_state_where_the_leader_says_who_takes_part() {
    let mut one = damaged();
    let other = Message::Beginning {
        incarnation: 1,
        position: at(1, 1),
        members: founders(),
    };
    assert_eq!(one.on(2, other), [], "it did not ask for that");
    let question = Message::Rejoining { incarnation: 1 };
    assert_eq!(one.on(2, beginning()), [(2, question)]);
    let position = at(2, 1);
    let records = [reset(position), rejoins(1, position)];
    assert_eq!(one.fx.records, records);
    assert_eq!(one.fx.keep_from, Some(one.fx.frame), "nothing older helps");
    assert_eq!(one.raft.status().role, "rejoining");
    // A state that goes further will do as well.
    let mut one = damaged();
    one.on(2, snapshot(8, at(20, 7).into()));
    let status = one.raft.status();
    assert_eq!((status.role, status.decided), ("rejoining", 20));
}

#[test]
fn until_an_entry_is_committed_without_it_it_promises_nothing() {
    let mut one = rejoining();
    assert_eq!(one.on(3, request_vote(7, at(9, 5))), []);
    let (term, last) = (Term(9), at(9, 5));
    assert_eq!(one.on(3, Message::PreVote { term, last }), []);
    // Having entries again is no promise to keep them, and nor is it sure that nobody leads a later term.
    let question = (2, Message::Rejoining { incarnation: 1 });
    let mail = one.on(2, append(7, at(2, 1), 2, &[2, 5]));
    assert_eq!(mail, [question, (2, copied(7, 4))]);
    let leading = Message::Leading {
        term: Term(7),
        round: 1,
        commit: Index(4),
    };
    assert_eq!(one.on(2, leading), []);
    assert_eq!(one.raft.commit, Index(4), "it delivers like any other");
    // An answer to an earlier incarnation is none.
    let late = Message::Restored {
        incarnation: 0,
        at: at(4, 5),
    };
    assert_eq!(one.on(2, late), []);
    assert_eq!(one.raft.status().role, "rejoining");
}

#[test]
fn with_that_entry_in_its_log_it_is_whole() {
    let mut one = rejoining();
    one.on(2, append(7, at(2, 1), 2, &[2, 5]));
    assert_eq!(one.on(2, restored(5, 7)), [], "it does not have it yet");
    let mail = one.on(2, append(7, at(4, 5), 2, &[7]));
    assert_eq!(mail, [(2, appended(7, 5))]);
    assert!(is_whole(&one));
    assert_eq!(one.raft.status().role, "follower");
    one.raft.on_timer(Timer::Silence, &mut one.fx);
    // Term 7 has its leader, whom it may have elected; only later ones are free.
    assert_eq!(one.on(3, request_vote(7, at(5, 7))), []);
    assert_eq!(one.on(3, request_vote(8, at(5, 7))), [(3, granted(8))]);
    // Or the entry comes first, and the word later.
    let mut one = rejoining();
    one.on(2, append(7, at(2, 1), 5, &[2, 5, 7]));
    assert_eq!(one.on(2, restored(5, 7)), [(2, appended(7, 5))]);
    // Or a state that contains it.
    let mut one = rejoining();
    one.on(2, restored(5, 7));
    one.on(2, snapshot(8, at(20, 7).into()));
    assert!(is_whole(&one));
    assert_eq!(one.raft.status().role, "follower");
}

#[test]
fn a_restart_on_the_way_asks_again() {
    let mut records = vec![
        reset(at(2, 1)),
        Record::Vote {
            term: Term(6),
            vote: None,
        },
        Record::Rejoining,
    ];
    let state = Checkpoint::from(at(2, 1));
    let mut one = Alone::open_with(records.clone(), Survival::Intact, state);
    assert_eq!(one.raft.status().role, "rejoining");
    assert_eq!(one.on(2, request_vote(7, at(9, 6))), []);
    // Compaction on the way does not lose it either.
    one.on(2, append(7, at(2, 1), 4, &[2, 5]));
    one.raft.config.retention_bytes = 0;
    let (term, commit) = (Term(7), Index(4));
    one.on(2, Message::Committed { term, commit });
    one.raft
        .on_request(Request::Compact(at(4, 5).into()), &mut one.fx);
    assert_eq!(one.fx.records.last(), Some(&rejoins(7, at(4, 5))));
    records.push(Record::Rejoined);
    let one = Alone::open_with(records.clone(), Survival::Intact, state);
    assert_eq!(one.raft.status().role, "follower");
}

#[test]
fn the_leader_writes_an_entry_that_is_committed_without_whoever_asked() {
    let mut one = Alone::lead(log_of(1, &[1]));
    for from in [1, 2, 3] {
        one.on(from, appended(2, 2));
    }
    assert_eq!(one.raft.commit, Index(2));
    let state = at(1, 1);
    let question = Message::Recovering {
        incarnation: 4,
        state,
    };
    let answer = Message::Beginning {
        incarnation: 4,
        position: state,
        members: founders(),
    };
    assert_eq!(one.on(3, question), [(3, answer)]);
    // What it had acknowledged before it has no longer, whenever that arrives.
    assert_eq!(one.on(3, appended(2, 2)), []);
    let appended = |incarnation, index| Message::Appended {
        term: Term(2),
        incarnation,
        index: Index(index),
    };
    one.on(3, Message::Rejoining { incarnation: 4 });
    assert_eq!(one.raft.log.last(), at(3, 2));
    let copied = |incarnation| Message::Copied {
        term: Term(2),
        incarnation,
        index: Index(3),
    };
    one.on(3, copied(3));
    one.on(3, copied(4));
    one.on(1, appended(1, 3));
    assert_eq!(one.raft.commit, Index(2), "its copy does not count");
    let word = Message::Restored {
        incarnation: 4,
        at: at(3, 2),
    };
    assert!(one.on(2, appended(1, 3)).contains(&(3, word.clone())));
    // Asked again, it says so again; another incarnation needs another entry.
    let asked = one.on(3, Message::Rejoining { incarnation: 4 });
    assert_eq!(asked, [(3, word)]);
    one.on(3, appended(4, 3));
    assert_eq!(one.raft.log.last(), at(3, 2));
    one.on(3, Message::Rejoining { incarnation: 5 });
    assert_eq!(one.raft.log.last(), at(4, 2));
}

#[test]
fn where_the_log_does_not_reach_back_to_the_state_a_newer_state_is_sent() {
    let mut one = Alone::lead(log_of(1, &[1, 1]));
    for from in [1, 2] {
        one.on(from, appended(2, 3));
    }
    one.raft.config.retention_bytes = 0;
    let compact = Request::Compact(at(3, 2).into());
    one.raft.on_request(compact, &mut one.fx);
    let question = Message::Recovering {
        incarnation: 4,
        state: at(1, 1),
    };
    let mail = one.on(3, question);
    assert!(
        matches!(mail[..], [(3, Message::Snapshot { .. })]),
        "{mail:?}"
    );
}

#[test]
fn without_a_quorum_that_remembers_nothing_is_invented() {
    let question = Message::Recovering {
        incarnation: 4,
        state: at(2, 1),
    };
    let mut one = damaged();
    let answer = Message::Forgotten { incarnation: 4 };
    assert_eq!(one.on(2, question), [(2, answer)]);
    one.on(2, Message::Forgotten { incarnation: 1 });
    assert_eq!(one.raft.status().role, "damaged for good");
    assert_eq!(one.fx.records, []);
    // Unless that one has found its way back meanwhile.
    one.on(2, append(9, at(2, 1), 2, &[9]));
    assert_eq!(one.raft.status().role, "damaged");
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
