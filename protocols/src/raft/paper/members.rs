//! Members that change, step by step.

use super::*;

#[test]
fn thesis_4_1_requests_are_taken_from_whoever_leads_or_wants_to_members_or_not() {
    let mut one = Alone::open(log_of(1, &[]));
    assert_eq!(one.on(7, request_vote(9, at(9, 8))), [(7, granted(9))]);
    let mail = one.on(8, append(10, at(0, 0), 0, &[10]));
    assert_eq!(mail, [(8, appended(10, 1))]);
    assert_eq!(one.raft.status().leader, Some(NodeId(8)));
}

#[test]
fn thesis_4_3_a_change_needs_both_majorities() {
    let old = founders();
    let joint = old.then(members("7 n3 n4 n5 learning n1").now());
    assert!(joint.is_joint() && joint.is_voter(NodeId(1)) && joint.in_force() == old.now());
    let quorum = |ids: &[u64]| joint.is_quorum(|id| ids.contains(&id.0));
    assert!(quorum(&[1, 3, 4]) && quorum(&[1, 2, 4, 5]));
    assert!(!quorum(&[1, 2, 3]) && !quorum(&[3, 4, 5]) && !quorum(&[1, 4]));
    assert_eq!(joint.reached(|id| [0, 9, 8, 5, 7, 1][id.0 as usize]), 5);
    let new = joint.then(joint.now());
    assert!(!new.is_joint() && !new.is_voter(NodeId(1)) && new.now().contains(NodeId(1)));
    // Learners come and go in one step.
    assert!(!new.then(members("8 n3 n4 n5").now()).is_joint());
}

#[test]
fn a_leader_begins_no_change_before_its_first_commit() {
    let mut one = Alone::lead(log_of(1, &[1]));
    let wanted = members("7 n1 n2").now().clone();
    let request = Request::Reconfigure(wanted.clone());
    one.raft.on_request(request, &mut one.fx);
    assert_eq!(one.raft.log.last(), at(2, 2));
    for from in [1, 2] {
        one.on(from, appended(2, 2));
    }
    let last = one.raft.log.entry(Index(3)).map(|entry| &entry.content);
    assert_eq!(last, Some(&Content::Members(wanted)));
    // An older list comes too late.
    let older = members("6 n1 n3").now().clone();
    one.raft
        .on_request(Request::Reconfigure(older), &mut one.fx);
    for (from, index) in [(1, 3), (2, 3), (1, 4), (2, 4)] {
        one.on(from, appended(2, index));
    }
    assert_eq!(one.raft.log.last(), at(4, 2));
}

#[test]
fn thesis_4_2_1_learners_and_strangers_never_campaign() {
    for list in ["7 n2 n3 learning n1", "7 n2 n3"] {
        let reset = Record::Reset {
            position: at(0, 0),
            members: members(list),
        };
        let mut one = Alone::open(vec![reset]);
        one.fx.mail.clear();
        one.raft.on_timer(Timer::Election, &mut one.fx);
        one.on(2, Message::TimeoutNow { term: Term(0) });
        assert!(one.fx.mail.is_empty(), "{list}");
        assert_eq!(one.raft.term, Term(0));
    }
}

#[test]
fn a_snapshot_beyond_what_its_sender_knew_of_the_members_is_refused() {
    let mut one = Alone::open(log_of(1, &[]));
    let mut snapshot = snapshot(2, at(20, 2).into());
    if let Message::Snapshot { through, .. } = &mut snapshot {
        *through = Index(19);
    }
    assert_eq!(one.on(2, snapshot), []);
    assert_eq!(one.raft.log.last(), at(0, 0));
}
