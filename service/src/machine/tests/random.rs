//! Random commands, and random moments at which layers are frozen, written, swept, closed, opened
//! and carried to another machine: the machine must stay equal to the model.

use std::io::{Read, Write};

use quorate_core::Choice;

use super::model::Model;
use super::*;
use crate::command::{Member, Order, Rules, Target};
use crate::health::{Alarm, AlarmKind};
use crate::store::Worked;

/// Draws commands that collide often: few keys, few leases, revisions near the present.
pub(super) struct Draw {
    pub(super) choice: Choice,
}

const KEYS: [&[u8]; 9] = [
    b"a",
    b"a\0",
    b"a\0\0",
    b"a\xff",
    b"aa",
    b"b",
    b"\0",
    b"\xff\xff",
    b"longer-key",
];

impl Draw {
    pub(super) fn one_in(&mut self, n: u32) -> bool {
        self.choice.choose(n) == 0
    }

    fn key(&mut self) -> Bytes {
        Bytes::from_static(KEYS[self.choice.choose(KEYS.len() as u32) as usize])
    }

    fn range(&mut self) -> KeyRange {
        let end = match self.choice.choose(4) {
            0 => self.key(),
            1 => Bytes::from_static(b"\0"),
            _ => Bytes::new(),
        };
        KeyRange {
            key: self.key(),
            end,
        }
    }

    fn value(&mut self) -> Bytes {
        let len = match self.choice.choose(30) {
            0 => 3000,
            _ => self.choice.choose(6) as usize,
        };
        let fill = b'0' + self.choice.choose(10) as u8;
        Bytes::from(vec![fill; len])
    }

    fn lease(&mut self) -> i64 {
        [-7, 1, 2, 3, i64::MAX][self.choice.choose(5) as usize]
    }

    fn put(&mut self) -> Put {
        Put {
            key: self.key(),
            value: self.value(),
            lease: match self.one_in(3) {
                true => self.lease(),
                false => 0,
            },
            prev_kv: self.one_in(2),
            ignore_value: self.one_in(8),
            ignore_lease: self.one_in(8),
        }
    }

    fn delete(&mut self) -> DeleteRange {
        DeleteRange {
            range: self.range(),
            prev_kv: self.one_in(2),
        }
    }

    /// A revision near the present, on either side of what can be read.
    fn revision(&mut self, newest: i64) -> i64 {
        newest + 1 - i64::from(self.choice.choose(20))
    }

    pub(super) fn query(&mut self, newest: i64) -> Range {
        let order = [Order::None, Order::Ascend, Order::Descend];
        let target = [
            Target::Key,
            Target::Version,
            Target::Create,
            Target::Mod,
            Target::Value,
        ];
        let bound = |draw: &mut Draw| match draw.one_in(6) {
            true => draw.revision(newest),
            false => 0,
        };
        Range {
            range: self.range(),
            limit: i64::from(self.choice.choose(5)) - 1,
            revision: match self.one_in(2) {
                true => self.revision(newest),
                false => 0,
            },
            order: order[self.choice.choose(3) as usize],
            target: target[self.choice.choose(5) as usize],
            keys_only: self.one_in(4),
            count_only: self.one_in(6),
            min_mod_revision: bound(self),
            max_mod_revision: bound(self),
            min_create_revision: bound(self),
            max_create_revision: bound(self),
        }
    }

    fn compare(&mut self, newest: i64) -> Compare {
        let relations = [
            Relation::Equal,
            Relation::Greater,
            Relation::Less,
            Relation::NotEqual,
        ];
        let operand = match self.choice.choose(5) {
            0 => Operand::Version(i64::from(self.choice.choose(4))),
            1 => Operand::Create(self.revision(newest)),
            2 => Operand::Mod(self.revision(newest)),
            3 => Operand::Value(self.value()),
            _ => Operand::Lease(self.lease()),
        };
        Compare {
            range: self.range(),
            relation: relations[self.choice.choose(4) as usize],
            operand,
        }
    }

    fn txn(&mut self, newest: i64, depth: u32) -> Txn {
        let compares = (0..self.choice.choose(3))
            .map(|_| self.compare(newest))
            .collect();
        Txn {
            compares,
            success: self.ops(newest, depth),
            failure: self.ops(newest, depth),
        }
    }

    fn ops(&mut self, newest: i64, depth: u32) -> Vec<Op> {
        let count = self.choice.choose(4);
        (0..count)
            .map(|_| match self.choice.choose(5) {
                0 => Op::DeleteRange(self.delete()),
                1 => Op::Range(self.query(newest)),
                2 if depth < 3 => Op::Txn(self.txn(newest, depth + 1)),
                _ => Op::Put(self.put()),
            })
            .collect()
    }

    /// A change of the list of members, of few, most of them refused.
    fn members(&mut self) -> Command {
        let rules = Rules {
            strict: self.one_in(2),
            learners_max: self.choice.choose(3),
        };
        let id = u64::from(self.choice.choose(9)) + 1;
        let url = |draw: &mut Draw| format!("http://m{}:1", draw.choice.choose(9));
        let (name, is_learner) = (format!("m{id}"), self.one_in(3));
        let peer_urls = vec![url(self), url(self)];
        let member = Member {
            id,
            peer_urls: peer_urls.clone(),
            is_learner,
            ..Member::default()
        };
        match self.choice.choose(6) {
            0 => Command::Publish(Member { name, ..member }),
            1 => Command::MemberRemove { id, rules },
            2 => Command::MemberUpdate { id, peer_urls },
            3 => Command::MemberPromote { id, rules },
            _ => Command::MemberAdd { member, rules },
        }
    }

    /// Alarms that end more often than they begin.
    fn alarm(&mut self) -> Command {
        let kind = AlarmKind::NoSpace;
        let member = u64::from(self.choice.choose(3));
        match self.one_in(3) {
            true => Command::Raise(Alarm { kind, member }),
            false => Command::Disarm(Alarm { kind, member: 0 }),
        }
    }

    pub(super) fn command(&mut self, newest: i64) -> Command {
        match self.choice.choose(22) {
            20 => self.members(),
            21 => self.alarm(),
            0..8 => Command::Put(self.put()),
            8..11 => Command::DeleteRange(self.delete()),
            11..15 => Command::Txn(self.txn(newest, 0)),
            15 => Command::Compact {
                revision: self.revision(newest),
            },
            16 => Command::LeaseGrant {
                id: self.lease(),
                ttl: i64::from(self.choice.choose(5)),
            },
            17 => Command::LeaseRevoke { id: self.lease() },
            18 => Command::LeaseKeepAlive { id: self.lease() },
            _ => Command::Tick {
                epoch: newest as u64 / 40 + u64::from(self.choice.choose(2)),
                elapsed_ms: u64::from(self.choice.choose(3000)),
            },
        }
    }
}

/// One run: the machine, the model, and everything that was ever delivered.
struct Run {
    draw: Draw,
    machine: Machine,
    dir: tempfile::TempDir,
    model: Model,
    log: Vec<(Payload, Outcome)>,
    out: Outcome,
}

fn options(dir: &tempfile::TempDir) -> Options {
    Options {
        layer_bytes: 20_000,
        flush_after: None,
        sweep_events: 3,
        cache_bytes: 1 << 20,
        ..Options::new(dir.path())
    }
}

impl Run {
    fn new(seed: u64) -> Run {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let (machine, _) = Machine::open(options(&dir)).expect("it opens");
        Run {
            draw: Draw {
                choice: Choice::Seeded(seed),
            },
            machine,
            dir,
            model: Model::new(),
            log: Vec::new(),
            out: Outcome::default(),
        }
    }

    /// A few new commands, applied by both.
    fn deliver(&mut self) {
        let count = self.draw.choice.choose(5);
        let (mut commands, mut replies) = (Vec::new(), Vec::new());
        let known = self.model.history.len();
        let compacted = self.model.compacted;
        for _ in 0..count {
            let command = self.draw.command(self.model.revision());
            let at = self.log.len() as u64 + 1;
            replies.push(self.model.apply(at, &command));
            commands.push(command);
        }
        let batch = Batch {
            origin: NodeId(7),
            incarnation: 1,
            sequence: self.log.len() as u64 + 1,
            commands,
        };
        let expected = Outcome {
            duplicate: false,
            origin: batch.origin,
            incarnation: batch.incarnation,
            sequence: batch.sequence,
            replies,
            events: self.model.history[known..].to_vec(),
            compacted: Some(self.model.compacted).filter(|now| *now != compacted),
        };
        self.log.push((codec::encode(&batch), expected));
        self.catch_up();
    }

    /// Delivers to the machine what it has not applied yet.
    fn catch_up(&mut self) {
        let applied = self.machine.meta.checkpoint.position as usize;
        for (at, (payload, expected)) in self.log.iter().enumerate().skip(applied) {
            let position = at as u64 + 1;
            self.machine
                .apply(position, 1, payload, true, &mut self.out)
                .expect("nothing is damaged");
            assert_eq!(self.out, *expected, "at position {position}");
        }
    }

    fn compare_views(&mut self) {
        let view = self.machine.views().view();
        let model = &self.model;
        assert_eq!(view.revision(), model.revision());
        assert_eq!(view.compacted(), model.compacted);
        for _ in 0..4 {
            let query = self.draw.query(model.revision());
            assert_eq!(view.range(&query), model.range(&query), "{query:?}");
        }
        let range = self.draw.range();
        let from = self.draw.revision(model.revision()).max(model.compacted);
        let bytes_max = self.draw.choice.choose(2000) as usize;
        assert_eq!(
            read_history(&view, &range, from, bytes_max),
            model.events(&range, from)
        );
        let members = view.members().list.iter();
        assert!(members.eq(model.members.values()));
        assert_eq!(*view.health().alarms(), model.alarms);
        assert_eq!(view.leases(), model.lease_ids());
        for id in model.lease_ids() {
            assert_eq!(view.lease(id), model.lease(id));
        }
    }

    /// The process ends, and the next one starts from what was durable.
    fn reopen(&mut self) {
        let durable = self.machine.durable();
        let dir = tempfile::tempdir().expect("a temporary directory");
        let (other, _) = Machine::open(options(&dir)).expect("it opens");
        // The old machine is gone before the new one opens the same file.
        drop(std::mem::replace(&mut self.machine, other));
        let (machine, survived) = Machine::open(options(&self.dir)).expect("it opens");
        self.machine = machine;
        assert_eq!(survived, durable);
        self.catch_up();
    }

    /// Another machine takes the checkpoint of this one and goes on in its place.
    fn carry_over(&mut self) {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let (mut other, _) = Machine::open(options(&dir)).expect("it opens");
        let checkpoint = carry(&self.machine, &other, 777);
        other.install(checkpoint).expect("it was staged");
        assert_eq!(other.meta.checkpoint, checkpoint);
        drop(std::mem::replace(&mut self.machine, other));
        self.dir = dir;
        self.catch_up();
        self.machine.publish();
    }

    fn step(&mut self) {
        match self.draw.choice.choose(100) {
            0 => self.reopen(),
            1 => self.carry_over(),
            2..8 => self.machine.flusher().ask(),
            8..30 => {
                self.machine.flusher().run_once().expect("the disk works");
            }
            _ => self.deliver(),
        }
        if self.draw.one_in(2) {
            self.machine.publish();
            self.compare_views();
        }
    }

    /// At the end nothing is left of what was compacted.
    fn settle(&mut self) {
        let flusher = self.machine.flusher();
        flusher.ask();
        self.deliver();
        self.machine.publish();
        while flusher.run_once().expect("the disk works") != Worked::Nothing {}
        self.compare_views();
        let view = self.machine.views().view();
        assert!(view.compaction_finished(self.model.compacted));
        let base = lock(&self.machine.shared.disk).base.clone();
        if base.checkpoint() == self.machine.meta.checkpoint {
            let rows = redb::ReadableTableMetadata::len(&base.rows);
            let events = redb::ReadableTableMetadata::len(&base.events);
            let stored = (rows.expect("it is read"), events.expect("it is read"));
            assert_eq!(stored, self.model.kept());
        }
    }
}

/// Streams the checkpoint of one machine to another, in pieces of some size.
pub(super) fn carry(from: &Machine, to: &Machine, piece: usize) -> Checkpoint {
    let (checkpoint, mut export) = from.checkpoints().open().expect("it can be read");
    let mut import = to.checkpoints().receive(checkpoint).expect("there is room");
    let mut buffer = vec![0; piece];
    loop {
        match export.read(&mut buffer).expect("it can be read") {
            0 => break,
            len => import.write_all(&buffer[..len]).expect("it is understood"),
        }
    }
    import.finish().expect("it is complete");
    checkpoint
}

/// All events of a range, read in pieces.
pub(super) fn read_history(
    view: &View,
    range: &KeyRange,
    mut from: i64,
    bytes_max: usize,
) -> Vec<Revision> {
    let mut all = Vec::new();
    while from <= view.revision() {
        let (revisions, next) = view
            .history(range, from, bytes_max)
            .expect("it can be read");
        assert!(next > from, "reading goes on");
        all.extend(revisions);
        from = next;
    }
    all
}

fn run(seed: u64, steps: usize) {
    let mut run = Run::new(seed);
    for _ in 0..steps {
        run.step();
    }
    run.settle();
}

#[test]
fn the_machine_does_what_the_model_does() {
    for seed in 0..8 {
        println!("seed {seed}");
        run(seed, 300);
    }
}

/// The same for as long as one likes: `SEEDS=1000 cargo test -p quorate-service -- --ignored long`.
#[test]
#[ignore = "as long as one likes"]
fn the_machine_does_what_the_model_does_for_long() {
    let seeds = std::env::var("SEEDS")
        .ok()
        .and_then(|text| text.parse().ok());
    for seed in 1000..1000 + seeds.unwrap_or(200) {
        println!("seed {seed}");
        run(seed, 600);
    }
}
