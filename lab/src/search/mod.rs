//! Runs many seeds, on all cores, and reports what they came to.

mod report;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use quorate_core::Protocol;
use quorate_problems::Workload;
use quorate_problems::total_order::TotalOrder;
use quorate_sim::cluster;
use quorate_sim::random::{self, Hurt};
use quorate_sim::{Failure, Suite};

pub use report::Report;

/// Which seeds, and how.
#[derive(Clone, Debug)]
pub struct Search {
    /// The first seed.
    pub first: u64,
    /// How many.
    pub seeds: u64,
    /// Whether to go on after a violation.
    pub keep_going: bool,
    /// How many seeds run at the same time.
    pub threads: usize,
    /// Every so many seeds one is run a second time, which must be the same run; 0 for none.
    pub again_every: u64,
}

impl Default for Search {
    fn default() -> Search {
        Search {
            first: 0,
            seeds: 1000,
            keep_going: false,
            threads: thread::available_parallelism().map_or(1, usize::from),
            again_every: 10,
        }
    }
}

/// What one seed came to, in words that fit every world.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct Figures {
    /// What was asked for.
    pub operations: u64,
    /// What was decided, delivered or answered.
    pub decided: u64,
    /// Steps of replicas.
    pub steps: u64,
    /// Messages that arrived.
    pub messages: u64,
    /// Faults, by kind.
    pub faults: BTreeMap<&'static str, u64>,
    /// How much time passed in the world.
    pub simulated: Duration,
    /// A hash of the whole run.
    pub digest: u64,
}

impl Figures {
    fn add(&mut self, other: &Figures) {
        self.operations += other.operations;
        self.decided += other.decided;
        self.steps += other.steps;
        self.messages += other.messages;
        self.simulated += other.simulated;
        for (kind, count) in &other.faults {
            *self.faults.entry(kind).or_default() += count;
        }
    }
}

/// Runs seeds in the world in which time is only an order.
pub fn schedules<P: Protocol>(
    suite: &Suite<P>,
    hurt: &Hurt,
    search: &Search,
    progress: &(dyn Fn(&Figures) + Sync),
) -> Report
where
    P::Problem: Workload,
{
    search.run(progress, |seed| {
        let summary = random::run(suite, seed, hurt)?;
        let counts = summary.counts;
        let faults = [
            ("cut links", counts.cuts),
            ("lost mail", counts.dropped),
            ("doubled mail", counts.duplicated),
            ("forged mail", counts.forgeries),
            ("crashes", counts.crashes),
            ("restarts", counts.restarts),
            ("early timers", counts.fired),
            ("damaged disks", counts.damages),
            ("lying disks", counts.lost_frames),
        ];
        Ok(Figures {
            operations: counts.requests,
            decided: summary.decided,
            steps: summary.steps,
            messages: counts.delivered,
            faults: BTreeMap::from(faults),
            simulated: summary.time,
            digest: summary.digest,
        })
    })
}

/// Runs seeds in the world in which whole replicas serve clients in simulated time.
pub fn clusters<P>(
    suite: &Suite<P>,
    hurt: &cluster::Hurt,
    search: &Search,
    progress: &(dyn Fn(&Figures) + Sync),
) -> Report
where
    P: Protocol<Problem = TotalOrder>,
{
    search.run(progress, |seed| {
        cluster::run(suite, seed, hurt).map(|summary| of_cluster(&summary))
    })
}

/// Runs one plan of such a world, twice: it must be the same run.
pub fn plan<P>(suite: &Suite<P>, plan: &cluster::Plan) -> Report
where
    P: Protocol<Problem = TotalOrder>,
{
    let search = Search {
        seeds: 1,
        ..Search::default()
    };
    search.run(&|_| {}, |seed| {
        let outcome = cluster::run_plan(suite, plan);
        let summary = outcome.map_err(|broken| Failure {
            seed,
            reason: broken.reason,
            script: plan.to_string(),
        })?;
        Ok(of_cluster(&summary))
    })
}

fn of_cluster(summary: &cluster::Summary) -> Figures {
    let faults = [
        ("planned faults", summary.faults),
        ("power failures", summary.crashes),
        ("killed processes", summary.kills),
        ("processes that gave up on their disk", summary.ends),
        ("starts on a damaged log", summary.damaged),
        ("starts on a damaged store", summary.rebuilt),
        ("checkpoints sent", summary.checkpoints),
        ("leases granted", summary.leases),
        ("serializable reads", summary.glances),
        ("reads of bounded age", summary.aged),
        ("hand-overs by slow disks", summary.handed_over),
        ("refused for want of room", summary.no_room),
        ("compactions", summary.compactions),
        ("changes of the members", summary.changes),
        ("clusters without a quorum of whole disks", summary.stuck),
        ("histories too hard to judge", summary.gave_up),
    ];
    Figures {
        operations: summary.operations,
        decided: summary.answered,
        steps: summary.events,
        messages: summary.messages,
        faults: BTreeMap::from(faults),
        simulated: Duration::from_nanos(summary.simulated),
        digest: summary.hash,
    }
}

/// What the threads of a search share.
#[derive(Default)]
struct Shared {
    next: AtomicU64,
    stop: AtomicBool,
    found: Mutex<Found>,
}

#[derive(Default)]
struct Found {
    runs: u64,
    totals: Figures,
    failures: Vec<Failure>,
}

impl Search {
    /// Runs the seeds. Of several failures the lowest seed's comes first.
    pub fn run(
        &self,
        progress: &(dyn Fn(&Figures) + Sync),
        one: impl Fn(u64) -> Result<Figures, Failure> + Sync,
    ) -> Report {
        let begin = Instant::now();
        let shared = Shared::default();
        thread::scope(|scope| {
            for _ in 0..self.threads.max(1) {
                scope.spawn(|| self.work(&shared, progress, &one));
            }
        });
        let found = shared.found.into_inner();
        let mut found = found.expect("no thread panics with the lock held");
        found.failures.sort_by_key(|failure| failure.seed);
        if !self.keep_going {
            // Others may have been found while this one was made small.
            found.failures.truncate(1);
        }
        Report {
            first: self.first,
            seeds: found.runs,
            totals: found.totals,
            failures: found.failures,
            wall: begin.elapsed(),
        }
    }

    fn work(
        &self,
        shared: &Shared,
        progress: &(dyn Fn(&Figures) + Sync),
        one: &(impl Fn(u64) -> Result<Figures, Failure> + Sync),
    ) {
        while !shared.stop.load(Ordering::Relaxed) {
            // Seeds are handed out in order, so whoever finds a failure knows that every lower seed
            // is finished or being run.
            let number = shared.next.fetch_add(1, Ordering::Relaxed);
            if number >= self.seeds {
                return;
            }
            let seed = self.first + number;
            let mut outcome = one(seed);
            if self.again_every > 0 && number.is_multiple_of(self.again_every) {
                outcome = outcome.and_then(|figures| again(seed, figures, one));
            }
            if let Ok(figures) = &outcome {
                progress(figures);
            }
            let found = shared.found.lock();
            let mut found = found.expect("no thread panics with the lock held");
            found.runs += 1;
            match outcome {
                Ok(figures) => found.totals.add(&figures),
                Err(failure) => {
                    found.failures.push(failure);
                    shared.stop.fetch_or(!self.keep_going, Ordering::Relaxed);
                }
            }
        }
    }
}

/// A seed decides everything, so the same seed must give the same run.
fn again(
    seed: u64,
    figures: Figures,
    one: &impl Fn(u64) -> Result<Figures, Failure>,
) -> Result<Figures, Failure> {
    match one(seed) {
        Ok(second) if second == figures => Ok(figures),
        second => Err(Failure {
            seed,
            reason: format!(
                "determinism: the same seed gave two runs, {figures:?} and then {second:?}"
            ),
            script: String::new(),
        }),
    }
}
