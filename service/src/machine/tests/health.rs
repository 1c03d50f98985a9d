//! Alarms, and machines that compare their states.

use std::collections::BTreeSet;

use super::random::carry;
use super::*;
use crate::command::{Member, Rules};
use crate::health::{Alarm, AlarmKind, Report};

const NO_SPACE: Alarm = Alarm {
    kind: AlarmKind::NoSpace,
    member: 1,
};

fn corrupt(member: u64) -> Alarm {
    Alarm {
        kind: AlarmKind::Corrupt,
        member,
    }
}

fn member(id: u64) -> Member {
    Member {
        id,
        name: format!("m{id}"),
        peer_urls: vec![format!("http://m{id}:1")],
        ..Member::default()
    }
}

/// Machines that are delivered the same.
struct Several {
    dirs: Vec<tempfile::TempDir>,
    benches: Vec<Bench>,
}

impl Several {
    fn new(count: u64) -> Several {
        let mut several = Several {
            dirs: Vec::new(),
            benches: Vec::new(),
        };
        for _ in 0..count {
            let dir = tempfile::tempdir().expect("a temporary directory");
            let options = Options {
                members: (1..=count).map(member).collect(),
                ..Options::new(dir.path())
            };
            let bench = Bench::on(Machine::open(options).expect("it opens").0);
            several.benches.push(bench);
            several.dirs.push(dir);
        }
        several
    }

    fn apply(&mut self, command: Command) -> Result<(i64, Reply), Error> {
        let mut last = None;
        for bench in &mut self.benches {
            last = Some(bench.apply(command.clone()));
        }
        last.expect("there is one")
    }

    /// A check, and everyone's report of what they found.
    fn compare(&mut self) {
        self.apply(Command::Check { epoch: 1 }).expect("a check");
        for at in 0..self.benches.len() {
            let (position, digest) = self.benches[at].machine.noted();
            let report = Report {
                member: at as u64 + 1,
                position,
                digest,
                applied: position,
            };
            self.apply(Command::Report(report)).expect("a report");
        }
    }

    fn alarms(&self) -> BTreeSet<Alarm> {
        let all = |bench: &Bench| bench.view().health().alarms().clone();
        let alarms = all(&self.benches[0]);
        assert!(self.benches.iter().all(|bench| all(bench) == alarms));
        alarms
    }

    fn differing(&self) -> Vec<bool> {
        let benches = self.benches.iter();
        benches.map(|bench| bench.machine.differs()).collect()
    }
}

#[test]
fn machines_that_agree_find_nothing() {
    let mut several = Several::new(3);
    several.apply(Command::Put(put("a", "1"))).expect("a put");
    assert!(several.benches[0].machine.wants_check());
    several.compare();
    assert!(!several.benches[0].machine.wants_check());
    several
        .apply(Command::LeaseGrant { id: 4, ttl: 10 })
        .expect("it is new");
    assert!(several.benches[0].machine.wants_check());
    several.compare();
    assert!(several.alarms().is_empty());
    assert_eq!(several.differing(), [false; 3]);
}

#[test]
fn whoever_differs_is_named_everywhere_and_heals_by_the_state_of_another() {
    let mut several = Several::new(3);
    several.apply(Command::Put(put("a", "1"))).expect("a put");
    several.benches[1].put("a", "2");
    for at in [0, 2] {
        several.benches[at].put("a", "1");
    }
    several.compare();
    assert_eq!(several.alarms(), BTreeSet::from([corrupt(2)]));
    assert_eq!(several.differing(), [false, true, false]);
    assert!(several.benches[0].view().health().is_corrupt(2));
    // What the others hold is not touched by that.
    several.apply(Command::Put(put("b", "1"))).expect("a put");

    // The member starts again with nothing, and with the state of another.
    let dir = tempfile::tempdir().expect("a temporary directory");
    let (mut rebuilt, _) = Machine::open(Options::new(dir.path())).expect("it opens");
    several.benches[0].settle();
    let checkpoint = carry(&several.benches[0].machine, &rebuilt, 999);
    rebuilt.install(checkpoint).expect("it was staged");
    rebuilt.publish();
    let sequence = several.benches[1].sequence;
    several.benches[1] = Bench::on(rebuilt);
    several.benches[1].sequence = sequence;
    assert_eq!(several.differing(), [false; 3]);
    // It stays fenced until it has shown that it agrees, which somebody has to ask for.
    assert_eq!(several.alarms(), BTreeSet::from([corrupt(2)]));
    assert!(several.benches[0].machine.wants_check());
    several.compare();
    assert!(several.alarms().is_empty());
}

#[test]
fn of_two_who_differ_nobody_knows_who_is_right() {
    let mut several = Several::new(2);
    several.benches[0].put("a", "1");
    several.benches[1].put("a", "2");
    several.compare();
    assert_eq!(several.alarms(), BTreeSet::from([corrupt(0)]));
    let outcome = several.apply(Command::Put(put("b", "1")));
    assert_eq!(outcome, Err(Error::Corrupt));
    several
        .apply(Command::Disarm(corrupt(0)))
        .expect("a disarm");
    several.apply(Command::Put(put("b", "1"))).expect("a put");
}

#[test]
fn without_space_nothing_is_added_and_the_rest_goes_on() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let open = || Bench::on(Machine::open(Options::new(dir.path())).expect("it opens").0);
    let mut bench = open();
    bench.put("a", "1");
    bench.put("b", "1");
    let raised = bench.apply(Command::Raise(NO_SPACE)).expect("an alarm");
    assert_eq!(raised.1, Reply::Alarms(vec![NO_SPACE]));
    let check = |bench: &mut Bench| {
        let refused = Err(Error::NoSpace);
        assert_eq!(bench.apply(Command::Put(put("c", "1"))), refused);
        assert_eq!(bench.apply(Command::LeaseGrant { id: 4, ttl: 9 }), refused);
        // It is enough that one of the branches might add something, however deep.
        let nested = Op::Txn(Txn {
            failure: vec![Op::Put(put("c", "1"))],
            ..Txn::default()
        });
        let outcome = bench.txn(vec![], vec![nested], vec![]);
        assert_eq!(outcome.map(|_| ()), Err(Error::NoSpace));
    };
    check(&mut bench);
    bench.settle();
    let sequence = bench.sequence;
    drop(bench);
    let mut bench = open();
    bench.sequence = sequence;
    check(&mut bench);
    let delete = Op::DeleteRange(DeleteRange {
        range: keys("b", ""),
        prev_kv: false,
    });
    let (_, reply) = bench
        .txn(vec![], vec![delete, get("a")], vec![])
        .expect("it adds nothing");
    assert_eq!(value_of(&reply.replies[1].1), Some("1".to_owned()));
    bench.delete("a", "");
    bench.compact(4).expect("a compaction");
    let all = Alarm {
        member: 0,
        ..NO_SPACE
    };
    let disarmed = bench.apply(Command::Disarm(all)).expect("a disarm");
    assert_eq!(disarmed.1, Reply::Alarms(vec![NO_SPACE]));
    bench.put("c", "1");
}

#[test]
fn prices_are_those_of_etcd() {
    let price = |ops: Vec<Op>, others: Vec<Op>| {
        let txn = Txn {
            compares: vec![],
            success: ops,
            failure: others,
        };
        Command::Txn(txn).price()
    };
    assert_eq!(Command::Put(put("key", "value")).price(), 3 + 5 + 256);
    assert_eq!(Command::LeaseGrant { id: 1, ttl: 1 }.price(), 64);
    assert_eq!(price(vec![get("a")], vec![]), 0);
    let puts = vec![Op::Put(put("a", "1")), Op::Put(put("b", "1"))];
    assert_eq!(price(vec![get("a")], puts), 2 * 258);
}

#[test]
fn a_learner_gets_a_vote_when_it_has_nearly_everything() {
    let mut several = Several::new(1);
    let rules = Rules::default();
    let learner = Member {
        is_learner: true,
        ..member(9)
    };
    let add = |member: Member| Command::MemberAdd { member, rules };
    several.apply(add(learner)).expect("a learner");
    let another = Member {
        is_learner: true,
        ..member(8)
    };
    assert_eq!(several.apply(add(another)), Err(Error::TooManyLearners));
    let promote = Command::MemberPromote { id: 9, rules };
    assert_eq!(several.apply(promote.clone()), Err(Error::LearnerNotReady));
    let machine = &several.benches[0].machine;
    assert!(machine.meta.health.is_awaited(&machine.meta.members));
    several.compare();
    let position = several.benches[0].machine.noted().0;
    let report = Report {
        member: 9,
        position,
        digest: several.benches[0].machine.noted().1,
        applied: position,
    };
    several.apply(Command::Report(report)).expect("a report");
    several.apply(promote.clone()).expect("it is in sync");
    assert_eq!(several.apply(promote), Err(Error::NotLearner));
    // Nobody hears of a member that is gone.
    several.apply(Command::Raise(corrupt(9))).expect("an alarm");
    let remove = Command::MemberRemove { id: 9, rules };
    several.apply(remove).expect("it is a member");
    assert!(several.alarms().is_empty());
}
