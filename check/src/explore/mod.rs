//! Exploration of everything that a model can do.

mod breadth;
mod chunk;
mod depth;
mod graph;
mod report;
mod sleep;
mod trail;

use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

use crate::model::{Foreseen, Independence, Kind, Model, Packing, Property};
use crate::table::Table;

pub use report::{Counterexample, Extent, Outcome, Report, Verdict};

/// Explores a model: create one, say how, and call [`Explorer::breadth_first`] or
/// [`Explorer::depth_first`].
pub struct Explorer<'a, M: Model> {
    model: &'a M,
    threads: usize,
    depth_max: u32,
    states_max: u64,
    plain: bool,
    watcher: Option<&'a (dyn Fn(Progress) + Sync)>,
}

/// How far an exploration has come.
#[derive(Clone, Copy, Debug)]
pub struct Progress {
    /// Different states so far.
    pub distinct: u64,
    /// Steps taken so far.
    pub generated: u64,
    /// How deep it is.
    pub depth: u32,
    /// How many states of this depth have not been expanded yet.
    pub waiting: u64,
}

impl<'a, M: Model> Explorer<'a, M> {
    /// All of the model, with all cores.
    pub fn new(model: &'a M) -> Explorer<'a, M> {
        let cores = std::thread::available_parallelism();
        Explorer {
            model,
            threads: cores.map_or(1, usize::from),
            depth_max: u32::MAX,
            states_max: u64::MAX,
            plain: false,
            watcher: None,
        }
    }

    /// With so many threads.
    #[must_use]
    pub fn threads(mut self, threads: usize) -> Self {
        self.threads = threads.max(1);
        self
    }

    /// No deeper than this many steps.
    #[must_use]
    pub fn depth_max(mut self, depth_max: u32) -> Self {
        self.depth_max = depth_max;
        self
    }

    /// Not many more states than this.
    #[must_use]
    pub fn states_max(mut self, states_max: u64) -> Self {
        self.states_max = states_max;
        self
    }

    /// Without the model's help: every step is taken although it might be foreseen, and states wait as
    /// they are although they might be packed.
    #[must_use]
    pub fn plain(mut self) -> Self {
        self.plain = true;
        self
    }

    /// Tells somebody now and then how far it has come.
    #[must_use]
    pub fn watched_by(mut self, watcher: &'a (dyn Fn(Progress) + Sync)) -> Self {
        self.watcher = Some(watcher);
        self
    }

    /// Explores level by level: every counterexample is a shortest one.
    #[must_use]
    pub fn breadth_first(&self) -> Report<M> {
        let begun = Instant::now();
        let search = Search::new(self);
        let seen = Table::default();
        let levels = breadth::run(&search, &seen, u32::MAX);
        let mut report = search.report(levels.depth, levels.waiting_max, begun);
        report.distinct = seen.len() as u64;
        report.table_bytes = seen.bytes();
        let is_live = |property: &Property<M>| property.kind == Kind::Live;
        let live = search.properties.iter().any(is_live);
        if live && report.extent == Extent::Exhausted {
            graph::judge(&search);
        }
        report.verdicts = search.verdicts(report.extent);
        report.elapsed = begun.elapsed();
        report
    }

    /// Explores one path after the other, each thread its own: little waits, but counterexamples may be
    /// long, and with several threads not the same each time.
    #[must_use]
    pub fn depth_first(&self) -> Report<M> {
        let begun = Instant::now();
        let search = Search::new(self);
        let seen = Table::default();
        let reach = depth::run(&search, &seen);
        let mut report = search.report(reach.depth, reach.waiting_max, begun);
        report.distinct = seen.len() as u64;
        report.table_bytes = seen.bytes();
        report.verdicts = search.verdicts(report.extent);
        report
    }
}

impl<M: Independence> Explorer<'_, M> {
    /// Explores one path after the other, and of steps that can be taken in either order takes them in
    /// one order only: fewer steps, the same states.
    ///
    /// On one thread, whatever was asked for: that no state is lost is shown for visits one after the
    /// other. With two walks at a time each could leave to the other what then neither does.
    #[must_use]
    pub fn depth_first_with_sleep_sets(&self) -> Report<M> {
        let begun = Instant::now();
        let search = Search::new(self);
        let walk = sleep::run(&search);
        let mut report = search.report(walk.depth, u64::from(walk.depth) + 1, begun);
        report.distinct = walk.distinct;
        report.table_bytes = walk.bytes;
        report.verdicts = search.verdicts(report.extent);
        report
    }
}

/// What all parts of one exploration share.
pub(crate) struct Search<'a, M: Model> {
    pub(crate) model: &'a M,
    pub(crate) options: &'a Explorer<'a, M>,
    properties: Vec<Property<M>>,
    /// How states that wait are kept, if not as they are.
    packing: Option<Packing<M>>,
    /// What is known of each of them.
    findings: Vec<Finding>,
    /// Steps taken.
    generated: AtomicU64,
    /// Set once there is no point in going deeper, or no room.
    stop: AtomicBool,
    /// Whether something was left out because of a bound.
    cut_off: AtomicBool,
    /// Whether there are as many states as there may be.
    full: AtomicBool,
}

/// What was found out about one property.
struct Finding {
    kind: Kind,
    name: &'static str,
    /// The shallowest state that settles it; of several the one with the least fingerprint, so that
    /// every run of a breadth-first search finds the same.
    settled: Mutex<Option<(u32, u64)>>,
    /// The same, to be read without a lock.
    is_settled: AtomicBool,
    /// The shallowest state of which limits leave open whether it settles it, and how many there are.
    open: Mutex<Option<(u32, u64, u64)>>,
    /// The path there, if it is known already.
    path: Mutex<Option<Vec<u64>>>,
}

impl<'a, M: Model> Search<'a, M> {
    fn new(options: &'a Explorer<'a, M>) -> Search<'a, M> {
        let properties = options.model.properties();
        let findings = properties.iter().map(|property| Finding {
            kind: property.kind,
            name: property.name,
            settled: Mutex::new(None),
            is_settled: AtomicBool::new(false),
            open: Mutex::new(None),
            path: Mutex::new(None),
        });
        Search {
            model: options.model,
            options,
            packing: (!options.plain).then(|| options.model.packing()).flatten(),
            findings: findings.collect(),
            properties,
            generated: AtomicU64::new(0),
            stop: AtomicBool::new(false),
            cut_off: AtomicBool::new(false),
            full: AtomicBool::new(false),
        }
    }

    /// What the model knows of a step, if its help is wanted.
    fn foresee(&self, state: &M::State, print: u64, action: &M::Action) -> Foreseen {
        match self.options.plain {
            true => Foreseen::Unknown,
            false => self.model.foresee(state, print, action),
        }
    }

    /// Looks at a state that was not seen before. Whether it settles a property for the worse.
    pub(crate) fn examine(&self, state: &M::State, print: u64, depth: u32) -> bool {
        let mut violated = false;
        for (property, finding) in self.properties.iter().zip(&self.findings) {
            let settles = match property.kind {
                Kind::Always => !(property.holds)(self.model, state),
                Kind::Sometimes => {
                    !finding.is_settled.load(Ordering::Relaxed)
                        && (property.holds)(self.model, state)
                }
                Kind::Live => false,
            };
            if settles {
                finding.settle(depth, print);
                violated |= property.kind == Kind::Always;
            }
        }
        violated
    }

    /// A path was found to a violation with this fingerprint: there is no need for more.
    pub(crate) fn violated_by(&self, print: u64, path: Vec<u64>) {
        for (_, finding) in self.findings_of(Kind::Always) {
            if locked(&finding.settled).is_some_and(|(_, found)| found == print) {
                *locked(&finding.path) = Some(path.clone());
            }
        }
        self.stop();
    }

    pub(crate) fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// There is no room for more states.
    pub(crate) fn fill(&self) {
        self.cut_off();
        self.stop();
        self.full.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_full(&self) -> bool {
        self.full.load(Ordering::Relaxed)
    }

    /// Something was left out.
    pub(crate) fn cut_off(&self) {
        self.cut_off.store(true, Ordering::Relaxed);
    }

    pub(crate) fn count_steps(&self, steps: u64) -> u64 {
        self.generated.fetch_add(steps, Ordering::Relaxed) + steps
    }

    fn report(&self, depth: u32, waiting_max: u64, begun: Instant) -> Report<M> {
        let cut_off = self.cut_off.load(Ordering::Relaxed);
        let extent = match (self.is_stopped(), cut_off) {
            (true, _) if self.violated() => Extent::Stopped,
            (true, _) | (_, true) => Extent::Bounded,
            (false, false) => Extent::Exhausted,
        };
        let mut report = Report::new(extent);
        report.generated = self.generated.load(Ordering::Relaxed);
        report.depth = depth;
        report.waiting_max = waiting_max;
        report.elapsed = begun.elapsed();
        report.verdicts = self.verdicts_without_paths(extent);
        report
    }

    fn violated(&self) -> bool {
        let mut always = self.findings.iter().filter(|f| f.kind == Kind::Always);
        always.any(|finding| finding.is_settled.load(Ordering::Relaxed))
    }

    fn verdicts_without_paths(&self, extent: Extent) -> Vec<Verdict<M>> {
        let findings = self.findings.iter();
        findings.map(|f| f.verdict(extent, |_, _| None)).collect()
    }

    /// The verdicts, with a path to each violation.
    fn verdicts(&self, extent: Extent) -> Vec<Verdict<M>> {
        let path = |finding: &Finding, target: (u32, u64)| {
            let known = locked(&finding.path).take();
            let prints = known.unwrap_or_else(|| trail::find(self, target));
            Some(trail::replay(self.model, &prints))
        };
        let findings = self.findings.iter();
        findings.map(|f| f.verdict(extent, path)).collect()
    }

    fn findings_of(&self, kind: Kind) -> impl Iterator<Item = (usize, &Finding)> {
        let findings = self.findings.iter().enumerate();
        findings.filter(move |(_, finding)| finding.kind == kind)
    }
}

impl Finding {
    fn settle(&self, depth: u32, print: u64) {
        let mut settled = locked(&self.settled);
        let found = (depth, print);
        *settled = Some(settled.map_or(found, |before| before.min(found)));
        self.is_settled.store(true, Ordering::Relaxed);
    }

    fn leave_open(&self, depth: u32, print: u64, count: u64) {
        *locked(&self.open) = Some((depth, print, count));
    }

    fn verdict<M: Model>(
        &self,
        extent: Extent,
        path: impl Fn(&Finding, (u32, u64)) -> Option<Counterexample<M>>,
    ) -> Verdict<M> {
        let settled = *locked(&self.settled);
        let outcome = match (self.kind, settled, extent) {
            (Kind::Sometimes, Some((depth, _)), _) => Outcome::Seen { depth },
            (Kind::Sometimes, None, Extent::Exhausted) => Outcome::NeverSeen,
            (Kind::Sometimes, None, _) => Outcome::NotSeenYet,
            (Kind::Always | Kind::Live, Some(target), _) => Outcome::Violated(path(self, target)),
            (Kind::Live, None, Extent::Exhausted) => match *locked(&self.open) {
                Some((depth, print, states)) => Outcome::OpenFrom {
                    states,
                    first: path(self, (depth, print)),
                },
                None => Outcome::Holds,
            },
            (Kind::Always, None, Extent::Exhausted) => Outcome::Holds,
            (Kind::Always, None, _) => Outcome::HoldsSoFar,
            (Kind::Live, None, _) => Outcome::Undecided,
        };
        let (name, kind) = (self.name, self.kind);
        Verdict {
            name,
            kind,
            outcome,
        }
    }
}

/// What a lock protects; a thread that panicked ends the exploration anyway.
fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
