//! Three replicas, driven by one seed, over an order that loses, repeats and delays whatever it may,
//! changes leaders, restarts replicas and installs checkpoints. Each write is a put of a key of its own, so a row says how
//! often it was carried out.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use quorate_core::{Choice, Instant, NodeId, Payload};
use quorate_problems::total_order::{Output, Request};
use tempfile::TempDir;
use tokio::sync::oneshot;

use super::super::{Answer, Assembly, Promise, Service, ServiceOptions, Waiting, assemble};
use super::{everything, get, put};
use crate::codec;
use crate::command::{Command, Member};
use crate::edge::callers::{Reader, Reply};
use crate::error::Error;
use crate::machine::Machine;
use crate::store;
use crate::watch::{Found, Kind, WatchCreate, WatchStream};

const REPLICAS: usize = 3;

struct Replica {
    dir: TempDir,
    incarnation: u64,
    assembly: Assembly,
    /// The last position handed to its edge.
    delivered: u64,
    watch: Watch,
    /// From which position on it is delivered something else than the others, once.
    goes_wrong_at: Option<u64>,
}

/// Someone who watches everything, and goes on elsewhere in time when the stream is lost.
struct Watch {
    stream: WatchStream,
    /// How many events came, and through which revision.
    events: usize,
    revision: i64,
}

struct Write {
    key: String,
    replica: usize,
    promise: Promise,
    answer: Answer,
}

/// A reader: the newest revision that anyone had been told when it asked.
struct Read {
    replica: usize,
    known: i64,
    ready: oneshot::Receiver<()>,
    _waiting: Waiting,
}

#[derive(Default)]
struct Seen {
    acknowledged: BTreeMap<String, i64>,
    /// Given up before they were broadcast.
    refused: Vec<String>,
    unknown: usize,
    reads: usize,
    /// How many replicas had their states compared.
    compared: usize,
}

struct World {
    choice: Choice,
    now: Instant,
    replicas: Vec<Replica>,
    order: Vec<(u64, Payload)>,
    /// Broadcast, on the way to the leader.
    under_way: VecDeque<Payload>,
    epoch: u64,
    leader: Option<NodeId>,
    writes: Vec<Write>,
    reads: Vec<Read>,
    seen: Seen,
    numbers: u64,
    installs: usize,
}

/// The same batch, but that what is put first has another value.
fn with_another_value(payload: &Payload) -> Option<Payload> {
    let mut batch = codec::decode(payload).unwrap();
    let mut puts = batch
        .commands
        .iter_mut()
        .filter_map(|command| match command {
            Command::Put(put) => Some(put),
            _ => None,
        });
    puts.next()?.value = "wrong".into();
    Some(codec::encode(&batch))
}

fn id(replica: usize) -> NodeId {
    NodeId(replica as u64 + 1)
}

fn open(dir: &TempDir, replica: usize, incarnation: u64) -> (Assembly, u64) {
    let mut store = store::Options::new(dir.path());
    store.layer_bytes = 2 << 10;
    store.flush_after = None;
    store.members = (0..REPLICAS)
        .map(|replica| Member {
            id: id(replica).0,
            ..Member::default()
        })
        .collect();
    let (machine, checkpoint) = Machine::open(store).unwrap();
    let mut options = ServiceOptions::new(id(replica), incarnation, Duration::from_secs(1));
    options.watch.stream_bytes_max = 500;
    options.small_batches_max = 8;
    options.check_interval = Duration::from_millis(500);
    let assembly = assemble(options, machine, || {});
    (assembly, checkpoint.position)
}

impl Watch {
    fn new(service: &Service) -> Watch {
        let stream = service.watches();
        stream.create(WatchCreate {
            start_revision: 1,
            ..everything()
        });
        Watch {
            stream,
            events: 0,
            revision: 1,
        }
    }

    fn read(&mut self) -> bool {
        match self.stream.try_next() {
            Found::Item(item) => {
                if let Kind::Events { chunks, .. } = item.kind {
                    assert!(item.revision > self.revision, "revisions rise");
                    self.revision = item.revision;
                    self.events += chunks.as_slice().len();
                    // Each revision has one event, and none is missing.
                    assert_eq!(self.revision, self.events as i64 + 1);
                }
                true
            }
            Found::Busy => true,
            Found::Idle => false,
            Found::Closed => panic!("the stream ended"),
        }
    }
}

impl World {
    fn new(seed: u64) -> World {
        let replica = |at| {
            let dir = tempfile::tempdir().unwrap();
            let (assembly, delivered) = open(&dir, at, 1);
            Replica {
                dir,
                incarnation: 1,
                watch: Watch::new(&assembly.service),
                assembly,
                delivered,
                goes_wrong_at: None,
            }
        };
        World {
            choice: Choice::Seeded(seed),
            now: Instant(0),
            replicas: (0..REPLICAS).map(replica).collect(),
            order: Vec::new(),
            under_way: VecDeque::new(),
            epoch: 0,
            leader: None,
            writes: Vec::new(),
            reads: Vec::new(),
            seen: Seen::default(),
            numbers: 0,
            installs: 0,
        }
    }

    fn one_in(&mut self, n: u32) -> bool {
        self.choice.choose(n) == 0
    }

    fn write(&mut self, replica: usize) {
        self.numbers += 1;
        let key = format!("{}", self.numbers);
        let service = &self.replicas[replica].assembly.service;
        let (reply, answer) = oneshot::channel();
        let promise = service.submit(&put(&key, "value", 0), Reply::One(reply));
        let promise = promise.unwrap();
        self.writes.push(Write {
            key,
            replica,
            promise,
            answer,
        });
    }

    fn read(&mut self, replica: usize) {
        let known = self.seen.acknowledged.values().copied().max().unwrap_or(1);
        let (reader, ready) = oneshot::channel();
        let service = &self.replicas[replica].assembly.service;
        let waiting = service.ask(1, Reader::One(reader)).unwrap();
        self.reads.push(Read {
            replica,
            known,
            ready,
            _waiting: waiting,
        });
    }

    /// Takes a replica's requests; with faults, some of them come to nothing.
    fn requests(&mut self, replica: usize, faults: bool) {
        while let Some(request) = self.replicas[replica].assembly.batcher.request(3, self.now) {
            match request {
                Request::Broadcast(payload) => {
                    // A leader's own requests are in its log at once.
                    if self.leader == Some(id(replica)) {
                        self.order.push((self.epoch, payload));
                    } else if !faults || !self.one_in(4) {
                        self.under_way.push_back(payload);
                    }
                }
                Request::Read { id } => {
                    if !faults || !self.one_in(4) {
                        let position = self.order.len() as u64;
                        let output = Output::ReadReady { id, position };
                        let now = self.now;
                        self.replicas[replica].assembly.batcher.output(output, now);
                    }
                }
                Request::Compact(_) | Request::Transfer { .. } | Request::Reconfigure(_) => {}
            }
        }
    }

    /// What is on its way to the leader arrives, in this order or another, once or more often.
    fn arrive(&mut self, faults: bool) {
        if self.leader.is_none() || self.under_way.is_empty() {
            return;
        }
        let at = match faults {
            true => self.choice.choose(self.under_way.len().min(3) as u32) as usize,
            false => 0,
        };
        let payload = self.under_way.remove(at).expect("it was counted");
        if faults && self.one_in(8) {
            self.under_way.push_back(payload.clone());
        }
        self.order.push((self.epoch, payload));
    }

    fn deliver(&mut self, replica: usize) {
        let now = self.now;
        let replica = &mut self.replicas[replica];
        if let Some((epoch, payload)) = self.order.get(replica.delivered as usize) {
            replica.delivered += 1;
            let mut payload = payload.clone();
            if replica
                .goes_wrong_at
                .is_some_and(|at| at <= replica.delivered)
                && let Some(wrong) = with_another_value(&payload)
            {
                payload = wrong;
                replica.goes_wrong_at = None;
            }
            let output = Output::Deliver {
                position: replica.delivered,
                epoch: *epoch,
                payload,
            };
            replica.assembly.batcher.output(output, now);
        }
    }

    fn lead(&mut self, leader: Option<NodeId>) {
        self.epoch += u64::from(leader.is_some());
        self.leader = leader;
        // What was on its way to the old leader may be lost with it.
        if self.one_in(2) {
            self.under_way.clear();
        }
        for replica in 0..REPLICAS {
            self.tell_leader(replica);
        }
    }

    fn tell_leader(&mut self, replica: usize) {
        let output = Output::Lead {
            epoch: self.epoch,
            leader: self.leader,
        };
        let now = self.now;
        self.replicas[replica].assembly.batcher.output(output, now);
    }

    fn restart(&mut self, at: usize) {
        if self.leader == Some(id(at)) {
            self.lead(None);
        }
        // Its callers are answered "stopped" from now on.
        self.answers();
        let World { replicas, .. } = self;
        let Replica {
            dir, incarnation, ..
        } = replicas.remove(at);
        let incarnation = incarnation + 1;
        let (assembly, delivered) = open(&dir, at, incarnation);
        let replica = Replica {
            dir,
            incarnation,
            watch: Watch::new(&assembly.service),
            assembly,
            delivered,
            goes_wrong_at: None,
        };
        replicas.insert(at, replica);
        self.tell_leader(at);
    }

    /// A replica is given another one's newest durable state, if that is ahead of what it was
    /// delivered.
    fn install(&mut self, at: usize, from: usize) {
        let source = self.replicas[from].assembly.applier.machine().checkpoints();
        let (checkpoint, mut export) = source.open().unwrap();
        let replica = &mut self.replicas[at];
        if checkpoint.position <= replica.delivered {
            return;
        }
        let target = replica.assembly.applier.machine().checkpoints();
        let mut import = target.receive(checkpoint).unwrap();
        std::io::copy(&mut export, &mut import).unwrap();
        import.finish().unwrap();
        replica.delivered = checkpoint.position;
        let output = Output::Install(checkpoint);
        replica.assembly.batcher.output(output, self.now);
        self.installs += 1;
    }

    /// Looks at what callers have been answered.
    fn answers(&mut self) {
        use oneshot::error::TryRecvError;
        let seen = &mut self.seen;
        self.writes
            .retain_mut(|write| match write.answer.try_recv() {
                Ok(Ok(applied)) => {
                    let before = seen
                        .acknowledged
                        .insert(write.key.clone(), applied.revision);
                    assert_eq!(before, None);
                    false
                }
                Ok(Err(error)) => {
                    assert_eq!(error, Error::Timeout, "of {}", write.key);
                    seen.unknown += 1;
                    false
                }
                Err(TryRecvError::Closed) => {
                    seen.unknown += 1;
                    false
                }
                Err(TryRecvError::Empty) => true,
            });
        let replicas = &self.replicas;
        self.reads.retain_mut(|read| match read.ready.try_recv() {
            Ok(()) => {
                let view = replicas[read.replica].assembly.service.view();
                assert!(view.revision() >= read.known, "a stale read");
                seen.reads += 1;
                false
            }
            Err(TryRecvError::Closed) => false,
            Err(TryRecvError::Empty) => true,
        });
    }

    fn give_up(&mut self) {
        if self.writes.is_empty() {
            return;
        }
        let at = self.choice.choose(self.writes.len() as u32) as usize;
        let write = self.writes.swap_remove(at);
        match write.promise.claim.take() {
            true => self.seen.refused.push(write.key),
            false => self.seen.unknown += 1,
        }
        assert!(write.replica < REPLICAS);
    }

    fn step(&mut self) {
        let at = self.choice.choose(REPLICAS as u32) as usize;
        self.now = self.now + Duration::from_millis(u64::from(self.choice.choose(30)));
        match self.choice.choose(100) {
            0..20 => self.write(at),
            20..25 => self.read(at),
            25..45 => self.requests(at, true),
            45..60 => self.arrive(true),
            60..80 => self.deliver(at),
            80..88 => assert!(self.replicas[at].assembly.applier.run_round().is_ok()),
            88..90 => assert!(self.replicas[at].assembly.flushing.run_once().is_ok()),
            90..95 => {
                self.replicas[at].watch.read();
            }
            95 => self.give_up(),
            96 => self.lead(None),
            97 => self.lead(Some(id(at))),
            98 if self.one_in(3) => self.restart(at),
            99 => self.install(at, (at + 1) % REPLICAS),
            _ => self.answers(),
        }
    }

    /// Without faults everything comes to an end.
    fn heal(&mut self) {
        self.lead(Some(id(0)));
        for _ in 0..200 {
            self.now = self.now + Duration::from_millis(500);
            for at in 0..REPLICAS {
                self.requests(at, false);
            }
            while !self.under_way.is_empty() {
                self.arrive(false);
            }
            for at in 0..REPLICAS {
                while (self.replicas[at].delivered as usize) < self.order.len() {
                    self.deliver(at);
                }
                self.replicas[at].assembly.applier.run_round().unwrap();
            }
            self.answers();
            let pending = |it: &Replica| it.assembly.service.metrics().pending;
            let all: u64 = self.replicas.iter().map(pending).sum();
            if self.writes.is_empty() && self.reads.is_empty() && all == 0 {
                return;
            }
        }
        panic!("{} writes without an answer", self.writes.len());
    }

    fn check(&mut self) {
        let views: Vec<_> = self
            .replicas
            .iter()
            .map(|it| it.assembly.service.view())
            .collect();
        for view in &views {
            assert_eq!(view.digest(), views[0].digest());
            assert!(view.health().alarms().is_empty());
        }
        self.seen.compared += (0..REPLICAS)
            .filter(|&at| views[0].health().applied(id(at).0) > 0)
            .count();
        let view = &views[0];
        for number in 1..=self.numbers {
            let key = format!("{number}");
            let row = get(view, &key);
            if let Some(row) = &row {
                assert_eq!(row.version, 1, "{key} was carried out more than once");
            }
            if let Some(revision) = self.seen.acknowledged.get(&key) {
                let found = row.as_ref().map(|row| row.mod_revision);
                assert_eq!(found, Some(*revision), "{key} was acknowledged");
            }
            if self.seen.refused.contains(&key) {
                assert_eq!(row, None, "{key} was certainly not carried out");
            }
        }
        for replica in &mut self.replicas {
            while replica.watch.read() {}
            assert_eq!(replica.watch.revision, view.revision());
            let metrics = replica.assembly.service.metrics();
            assert_eq!((metrics.pending, metrics.pending_bytes), (0, 0));
            assert_eq!((metrics.backlog, metrics.backlog_bytes), (0, 0));
        }
    }
}

#[test]
fn what_is_acknowledged_happened_once_and_is_read_and_watched_everywhere() {
    let (mut acknowledged, mut refused, mut unknown) = (0, 0, 0);
    let (mut reads, mut installs, mut compared) = (0, 0, 0);
    for seed in 0..8 {
        let mut world = World::new(seed);
        for _ in 0..3000 {
            world.step();
        }
        world.heal();
        world.check();
        acknowledged += world.seen.acknowledged.len();
        refused += world.seen.refused.len();
        unknown += world.seen.unknown;
        reads += world.seen.reads;
        compared += world.seen.compared;
        installs += world.installs;
    }
    // The schedule must have been hard, and not too hard to achieve anything.
    assert!(acknowledged > 500, "{acknowledged}");
    assert!(reads > 50, "{reads}");
    assert!(refused > 10, "{refused}");
    assert!(unknown > 50, "{unknown}");
    assert!(installs > 5, "{installs}");
    assert!(compared > 20, "{compared}");
}

#[test]
fn a_replica_that_goes_wrong_is_named_by_all() {
    for seed in 0..2 {
        let mut world = World::new(seed);
        for at in 0..1500 {
            let replica = at % REPLICAS;
            world.now = world.now + Duration::from_millis(10);
            match at {
                0 => world.lead(Some(id(0))),
                600 => world.replicas[1].goes_wrong_at = Some(world.order.len() as u64),
                _ if at % 30 < 3 => world.write(replica),
                // From now on it only waits to be started again.
                _ if *world.replicas[replica]
                    .assembly
                    .service
                    .differing()
                    .borrow() => {}
                _ => {
                    world.requests(replica, false);
                    world.arrive(false);
                    world.deliver(replica);
                    let applier = &mut world.replicas[replica].assembly.applier;
                    applier.run_round().unwrap();
                }
            }
        }
        let alarms = world.replicas.iter().map(|it| {
            let view = it.assembly.service.view();
            let alarms = view.health().alarms().iter();
            let members: Vec<u64> = alarms.map(|alarm| alarm.member).collect();
            (members, *it.assembly.service.differing().borrow())
        });
        let alarms: Vec<_> = alarms.collect();
        let named = vec![id(1).0];
        let expected = [
            (named.clone(), false),
            (named.clone(), true),
            (named, false),
        ];
        assert_eq!(alarms, expected, "seed {seed}");
    }
}
