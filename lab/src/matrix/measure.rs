//! What is measured of a cell, each in a run of its own.

use std::time::Duration;

use quorate_core::{Instant, NodeId};
use quorate_problems::replicated::{CallId, Machine, Operation, Outcome};
use quorate_protocols::strategies::{Access, Config, Reads};

use super::cells::{COPIES, Cell};
use super::clients::{Crowd, OFTEN, SELDOM, median};
use super::timed::{Timed, UNIT, at, in_delays};

/// What came out of one cell.
#[derive(Clone, Debug, Default)]
pub struct Measured {
    /// The most acknowledged updates that any moment of a crash of the master costs.
    pub lost_updates: u64,
    /// How old the oldest of them may be, message delays.
    pub lost_delays: f64,
    /// The most acknowledged updates that a read anywhere misses.
    pub stale_versions: u64,
    /// How long ago the first of them was acknowledged, message delays.
    pub stale_delays: f64,
    /// The median time of an update, message delays.
    pub latency: f64,
    /// The same with one slow replica.
    pub latency_slow: f64,
    /// How often each replica executes, for each update.
    pub executions: Vec<f64>,
    /// How many messages each process sends and receives for each update; the proxy last.
    pub load: Vec<f64>,
    /// How many messages an update costs.
    pub messages: f64,
    /// The share of operations answered in time around a crash of the master.
    pub available_crash: f64,
    /// The share of operations answered in time while the master is cut off.
    pub available_cut: f64,
    /// The first promise broken in a run without faults.
    pub broken_quiet: Option<String>,
    /// The same around a crash of the master.
    pub broken_crash: Option<String>,
    /// The same around a partition.
    pub broken_cut: Option<String>,
}

/// An operation answered later than this is as good as not answered.
pub(super) const IN_TIME: f64 = 8.0;
/// Operations asked so long after the trouble began are counted.
const COUNTED: f64 = 15.0;
/// How many runs each seed stands for where a run counts few operations.
const REPEATED: u64 = 12;
/// How many times slower the links of the slow replica are.
const SLOWER: u32 = 5;

/// The master, and in several masters one of them.
const FIRST: NodeId = NodeId(1);

/// Measures everything about a cell.
#[must_use]
pub fn measure(cell: &Cell, machine: Machine, seeds: u64) -> Measured {
    let config = cell.config(machine);
    let bench = Bench {
        cell,
        machine,
        config,
    };
    let mut measured = Measured {
        latency: bench.latency(seeds, None),
        latency_slow: bench.latency(seeds, Some((NodeId(COPIES), SLOWER))),
        ..Measured::default()
    };
    bench.load(&mut measured);
    for seed in 0..seeds {
        bench.loss(seed, &mut measured);
        bench.staleness(seed, &mut measured);
        let share = bench.available(seed, Trouble::Crash) / seeds as f64;
        measured.available_crash += share;
        let share = bench.available(seed, Trouble::Cut) / seeds as f64;
        measured.available_cut += share;
        let runs = [
            (&mut measured.broken_quiet, Trouble::None),
            (&mut measured.broken_crash, Trouble::Crash),
            (&mut measured.broken_cut, Trouble::Cut),
        ];
        for (broken, trouble) in runs {
            if broken.is_none() {
                *broken = bench.broken(seed, trouble);
            }
        }
    }
    measured
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Trouble {
    None,
    Crash,
    Cut,
}

struct Bench<'a> {
    cell: &'a Cell,
    machine: Machine,
    config: Config,
}

impl Bench<'_> {
    /// Six clients that update and read.
    fn crowd(&self, reads: u32) -> Crowd {
        let homes = self.cell.homes();
        let homes = (0..6).map(|client| homes[client % homes.len()]);
        Crowd {
            homes: homes.collect(),
            others: self.cell.others(),
            impatient: false,
            pace: OFTEN,
            reads,
            writes: self.machine == Machine::Register,
            readers_from: usize::MAX,
        }
    }

    /// One client, which does not share a replica with a slow one, and only updates.
    fn latency(&self, seeds: u64, slow: Option<(NodeId, u32)>) -> f64 {
        let mut times = Vec::new();
        for seed in 0..seeds {
            let mut config = self.config.clone();
            // The bound must hold for the slow links too, or the model is left.
            config.delay *= SLOWER;
            let mut timed = Timed::new(&config, seed);
            timed.slow = slow;
            let mut crowd = self.crowd(0);
            // With several masters, at one that does not order for the others.
            let home = crowd.homes.get(1).filter(|home| **home != FIRST);
            crowd.homes = vec![home.copied().unwrap_or(crowd.homes[0])];
            crowd.others = crowd.homes.clone();
            crowd.ask_until(&mut timed, at(0.0), at(200.0));
            times.extend(latencies(&timed));
        }
        median(times).map_or(f64::INFINITY, in_delays)
    }

    fn load(&self, measured: &mut Measured) {
        let mut timed = Timed::new(&self.config, 1);
        timed.judged = false;
        self.crowd(0).ask_until(&mut timed, at(0.0), at(300.0));
        timed.run_until(at(340.0));
        let answered = timed.calls.values().filter(|call| call.answered.is_some());
        let count = answered.count().max(1) as f64;
        measured.messages = timed.mail as f64 / count;
        for (id, work) in &timed.work {
            measured.load.push(work.messages as f64 / count);
            if id.0 <= COPIES {
                measured.executions.push(work.executions as f64 / count);
            }
        }
    }

    /// The master dies: which acknowledged updates does no copy have?
    fn loss(&self, seed: u64, measured: &mut Measured) {
        /// Two moments for each delay, over more than one period of propagation.
        const MOMENTS: u32 = 24;
        for moment in 0..MOMENTS {
            let crash = at(30.0 + f64::from(moment) / 2.0);
            let mut timed = Timed::new(&self.config, seed);
            timed.crash(crash, FIRST);
            self.crowd(0).ask_until(&mut timed, at(0.0), crash);
            timed.run_until(crash + UNIT * 40);
            let acknowledged = timed.calls.iter().filter_map(|(id, call)| {
                let (when, _) = call.answered.filter(|(when, _)| *when <= crash)?;
                (!call.operation.is_read()).then_some((*id, when))
            });
            let lost = acknowledged.filter(|(id, _)| !timed.survives(*id));
            let lost: Vec<_> = lost.map(|(_, when)| crash.since(when)).collect();
            measured.lost_updates = measured.lost_updates.max(lost.len() as u64);
            let oldest = lost.into_iter().max().map_or(0.0, in_delays);
            measured.lost_delays = measured.lost_delays.max(oldest);
        }
    }

    /// One client updates, others read wherever they are.
    fn staleness(&self, seed: u64, measured: &mut Measured) {
        let mut config = self.config.clone();
        config.reads = Reads::Any;
        let mut timed = Timed::new(&config, seed);
        timed.judged = false;
        let mut crowd = self.crowd(0);
        let replicas = (1..=COPIES).map(NodeId);
        crowd.homes = match self.cell.access {
            Access::Proxy => vec![crowd.homes[0]; 4],
            Access::Replica => [crowd.homes[0]].into_iter().chain(replicas).collect(),
        };
        crowd.readers_from = 1;
        crowd.ask_until(&mut timed, at(0.0), at(150.0));
        let mut updates = Vec::new();
        for call in timed
            .calls
            .values()
            .filter(|call| !call.operation.is_read())
        {
            let value = match call.operation {
                Operation::Write(value) => value,
                _ => updates.len() as i64 + 1,
            };
            updates.push((value, call.answered.map(|(when, _)| when)));
        }
        for call in timed.calls.values().filter(|call| call.operation.is_read()) {
            let Some((_, Outcome::Value(seen))) = call.answered else {
                continue;
            };
            let missed = updates.iter().filter_map(|(value, acknowledged)| {
                let when = acknowledged.filter(|when| *when < call.asked)?;
                (*value > seen).then_some(call.asked.since(when))
            });
            let missed: Vec<Duration> = missed.collect();
            measured.stale_versions = measured.stale_versions.max(missed.len() as u64);
            let oldest = missed.into_iter().max().map_or(0.0, in_delays);
            measured.stale_delays = measured.stale_delays.max(oldest);
        }
    }

    /// The share of operations answered in time, of those asked when trouble has just begun.
    fn available(&self, seed: u64, trouble: Trouble) -> f64 {
        let mut counted = Counted::default();
        for repeated in 0..REPEATED {
            let mut timed = Timed::new(&self.config, seed * REPEATED + repeated);
            timed.judged = false;
            let begin = begin(repeated);
            self.make(trouble, begin, &mut timed);
            let mut crowd = self.crowd(3);
            crowd.impatient = true;
            crowd.pace = SELDOM;
            crowd.ask_until(&mut timed, at(0.0), at(90.0));
            counted.add(&timed, begin);
        }
        counted.share()
    }

    /// The master crashes, or is cut off from all others for a while.
    fn make(&self, trouble: Trouble, begin: Instant, timed: &mut Timed) {
        match trouble {
            Trouble::None => {}
            Trouble::Crash => timed.crash(begin, FIRST),
            Trouble::Cut => {
                timed.cut(begin, [FIRST]);
                timed.heal(at(110.0));
            }
        }
    }

    /// The first promise that clients see broken.
    fn broken(&self, seed: u64, trouble: Trouble) -> Option<String> {
        let mut timed = Timed::new(&self.config, seed);
        self.make(trouble, begin(seed), &mut timed);
        let mut crowd = self.crowd(4);
        crowd.homes.truncate(4);
        crowd.ask_until(&mut timed, at(0.0), at(180.0));
        timed.run_until(at(260.0));
        timed.violations.first().cloned()
    }
}

fn latencies(timed: &Timed) -> Vec<Duration> {
    let answered = timed.calls.values().filter_map(|call| {
        let (when, _) = call.answered?;
        Some(when.since(call.asked))
    });
    answered.collect()
}

/// What a crash costs with primary and backups, against what the bounds say.
#[derive(Clone, Debug)]
pub struct Failover {
    /// The protocol in words.
    pub name: &'static str,
    /// The longest time without a master that was measured, and its bound, message delays.
    pub without_master: (f64, f64),
    /// The longest time between a request and its answer without crashes, and its bound.
    pub blocking: (f64, f64),
    /// The first promise broken, if any was.
    pub broken: Option<String>,
}

/// The primary-backup protocols for one crash: reliable channels, and lossy ones.
#[must_use]
pub fn failovers(seeds: u64) -> Vec<Failover> {
    let pair = || Config::new([NodeId(1), NodeId(2)]);
    let mut sent = pair();
    sent.reply = quorate_protocols::strategies::Reply::Sent;
    let waits = pair();
    let mut lossy = pair();
    lossy.resends = 3;
    let delta = |config: &Config| in_delays(config.delay);
    // There and back for each attempt, and a millisecond each so that what comes in the last moment counts.
    // If neither channel loses two in a row, the fourth attempt is answered at the latest.
    let attempts = |config: &Config| f64::from(config.resends + 1);
    let bound = attempts(&lossy) * (2.0 * delta(&lossy) + 0.1);
    [
        ("reliable channels, answers after sending", &sent, None, 0.0),
        (
            "reliable channels, waits for the backup",
            &waits,
            None,
            2.0 * delta(&waits),
        ),
        (
            "lossy channels, resends 3 times",
            &lossy,
            Some((4, 1)),
            bound,
        ),
    ]
    .map(|(name, config, losses, bound)| failover(name, config, losses, bound, seeds))
    .to_vec()
}

fn failover(
    name: &'static str,
    config: &Config,
    losses: Option<(u32, u32)>,
    blocking_bound: f64,
    seeds: u64,
) -> Failover {
    let crowd = Crowd {
        // One at a time: what waits behind another is not what the bound is about.
        homes: vec![FIRST],
        others: vec![FIRST, NodeId(2)],
        impatient: false,
        pace: OFTEN,
        reads: 3,
        writes: false,
        readers_from: usize::MAX,
    };
    let mut found = Failover {
        name,
        without_master: (0.0, in_delays(config.failover_bound())),
        blocking: (0.0, blocking_bound),
        broken: None,
    };
    for seed in 0..seeds {
        for moment in 0..16 {
            let crash = at(30.0 + f64::from(moment) * 0.37);
            let mut timed = Timed::new(config, seed * 100 + moment as u64);
            timed.losses = losses;
            timed.crash(crash, FIRST);
            crowd.ask_until(&mut timed, at(0.0), at(80.0));
            timed.run_until(at(90.0));
            let took = timed
                .leads
                .first()
                .map(|(when, _)| in_delays(when.since(crash)));
            found.without_master.0 = found.without_master.0.max(took.unwrap_or(f64::INFINITY));
            let before = timed.calls.values().filter_map(|call| {
                let (when, _) = call.answered?;
                (when < crash).then(|| in_delays(when.since(call.asked)))
            });
            found.blocking.0 = before.fold(found.blocking.0, f64::max);
            found.broken = found.broken.or_else(|| timed.violations.first().cloned());
        }
    }
    found
}

/// Replication in time against replication in space, on the same service.
#[derive(Clone, Debug)]
pub struct TimeOrSpace {
    /// What it is, in words.
    pub name: &'static str,
    /// The share of operations answered in time around the crash.
    pub available: f64,
    /// Acknowledged updates that are gone at the end.
    pub lost: usize,
    /// The first promise broken, if any was.
    pub broken: Option<String>,
}

/// One machine that is started again, with and without a log, and three copies.
#[must_use]
pub fn time_or_space(seeds: u64) -> Vec<TimeOrSpace> {
    let one = |log: bool| {
        let mut config = Config::new([FIRST]);
        config.log = log;
        config
    };
    let three = Config::new((1..=COPIES).map(NodeId).collect::<Vec<_>>());
    let mut unwatched = three.clone();
    unwatched.failover = false;
    [
        ("one machine, started again, nothing kept", one(false), true),
        (
            "in time: one machine, started again, log replayed",
            one(true),
            true,
        ),
        ("in space: three copies, nobody comes back", three, false),
        ("in space, but nobody looks for crashes", unwatched, false),
    ]
    .map(|(name, config, returns)| crash_and_count(name, &config, returns, seeds))
    .to_vec()
}

/// How long it takes to notice a crash and to start the machine again, message delays.
pub(super) const REPAIR: f64 = 30.0;

fn crash_and_count(name: &'static str, config: &Config, returns: bool, seeds: u64) -> TimeOrSpace {
    let mut found = TimeOrSpace {
        name,
        available: 0.0,
        lost: 0,
        broken: None,
    };
    let crowd = |impatient: bool| Crowd {
        homes: vec![FIRST; 4],
        others: config.succession.clone(),
        impatient,
        pace: if impatient { SELDOM } else { OFTEN },
        reads: 3,
        writes: false,
        readers_from: usize::MAX,
    };
    let run = |seed: u64, impatient: bool| {
        let mut timed = Timed::new(config, seed);
        timed.judged = !impatient;
        timed.crash(begin(seed), FIRST);
        if returns {
            timed.restart(begin(seed) + UNIT.mul_f64(REPAIR), FIRST);
        }
        crowd(impatient).ask_until(&mut timed, at(0.0), at(150.0));
        timed.run_until(at(200.0));
        timed
    };
    let mut counted = Counted::default();
    for seed in 0..seeds {
        for repeated in 0..REPEATED {
            let seed = seed * REPEATED + repeated;
            counted.add(&run(seed, true), begin(seed));
        }
        let timed = run(seed, false);
        let acknowledged: Vec<CallId> = timed.oracle.acknowledged().collect();
        let lost = acknowledged.iter().filter(|id| !timed.survives(**id));
        found.lost = found.lost.max(lost.count());
        found.broken = found.broken.or_else(|| timed.violations.first().cloned());
    }
    found.available = counted.share();
    found
}

/// When trouble begins: at each phase of the signs of life, in turn.
fn begin(seed: u64) -> Instant {
    at(50.0 + (seed % REPEATED) as f64 * 0.45)
}

/// Operations asked when trouble has just begun.
#[derive(Default)]
struct Counted {
    asked: usize,
    in_time: usize,
}

impl Counted {
    fn add(&mut self, timed: &Timed, begin: Instant) {
        let end = begin + UNIT.mul_f64(COUNTED);
        for call in timed.calls.values() {
            if call.asked < begin || call.asked >= end {
                continue;
            }
            let took = call.answered.map(|(when, _)| when.since(call.asked));
            self.asked += 1;
            self.in_time += usize::from(took.is_some_and(|took| in_delays(took) <= IN_TIME));
        }
    }

    fn share(&self) -> f64 {
        self.in_time as f64 / self.asked.max(1) as f64
    }
}
