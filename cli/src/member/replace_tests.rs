//! What comes next, for every state that an interrupted run can leave behind.

use super::*;

fn member(id: u64, name: &str, url: &str, is_learner: bool) -> Member {
    Member {
        id,
        name: name.to_owned(),
        peer_ur_ls: vec![url.to_owned()],
        is_learner,
        ..Member::default()
    }
}

fn three() -> Vec<Member> {
    vec![
        member(1, "a", "http://a:1", false),
        member(2, "b", "http://b:1", false),
        member(3, "c", "http://c:1", false),
    ]
}

fn new() -> New {
    parse_new("d=http://d:1").expect("it makes sense")
}

fn step(members: &[Member], old: &str, lost: bool) -> Step {
    next(members, old, &new(), lost).expect("there is a next step")
}

#[test]
fn a_member_that_runs_is_removed_last() {
    let mut members = three();
    for old in ["3", "c"] {
        assert_eq!(step(&members, old, false), Step::Add);
    }
    members.push(member(4, "", "http://d:1", true));
    assert_eq!(step(&members, "c", false), Step::Promote(4));
    members[3].is_learner = false;
    assert_eq!(step(&members, "c", false), Step::Remove(3));
    members.remove(2);
    assert_eq!(step(&members, "c", false), Step::Done(4));
}

#[test]
fn a_member_that_is_lost_is_removed_before_the_new_one_has_a_vote() {
    let mut members = three();
    assert_eq!(step(&members, "c", true), Step::Add);
    members.push(member(4, "", "http://d:1", true));
    assert_eq!(step(&members, "c", true), Step::Remove(3));
    members.remove(2);
    // Whether it was lost is not known any more to a run that begins here.
    for lost in [true, false] {
        assert_eq!(step(&members, "c", lost), Step::Promote(4));
    }
    members[2].is_learner = false;
    assert_eq!(step(&members, "c", false), Step::Done(4));
}

#[test]
fn the_new_one_may_take_the_urls_of_one_that_is_lost_only() {
    let members = three();
    let same = parse_new("d=http://c:1").expect("it makes sense");
    assert!(next(&members, "c", &same, false).is_err());
    let step = |members: &[Member]| next(members, "c", &same, true).expect("a step");
    assert_eq!(step(&members), Step::MoveAside(3));
    let mut members = members;
    members[2].peer_ur_ls = vec!["http://lost-3.invalid:1".to_owned()];
    assert_eq!(step(&members), Step::Add);
    members.push(member(4, "", "http://c:1", true));
    assert_eq!(step(&members), Step::Remove(3));
}

#[test]
fn who_is_not_there_or_not_clear_is_refused() {
    assert!(next(&three(), "x", &new(), false).is_err());
    let mut members = three();
    members[0].name = "c".to_owned();
    assert!(next(&members, "c", &new(), false).is_err());
    assert_eq!(step(&members, "3", false), Step::Add);
}

#[test]
fn several_urls_are_of_one_name() {
    let two = parse_new("d=http://e:1,d=http://d:1").expect("it makes sense");
    assert_eq!(two.peer_urls, ["http://d:1", "http://e:1"]);
    assert!(parse_new("d=http://d:1,e=http://e:1").is_err());
    assert!(parse_new("http://d:1").is_err());
}
