//! One path after the other: nothing waits but the path itself and what branches off it.
//!
//! With several threads each walks along its own path. What one has seen none enters again, so they share
//! nothing but the table; who has nothing left to do is given what branches off somebody else's path
//! nearest to its beginning, where most is likely to be left. Which thread comes to a state first is a
//! matter of luck, and so is the path: only one thread finds the same counterexample each time.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, PoisonError};
use std::thread;

use super::{Progress, Search, locked};
use crate::model::{Foreseen, Model};
use crate::table::Table;

/// How often somebody is told, in steps.
const PROGRESS_STEPS: u64 = 1 << 16;
/// How often a thread tells how many steps it took, and looks whether anybody has nothing to do.
const REPORT_STEPS: u64 = 64;

/// A state on the path.
struct Place<M: Model> {
    state: M::State,
    print: u64,
    /// What else can happen there.
    actions: Vec<M::Action>,
}

/// Something to do: what branches off a place.
struct Job<M: Model> {
    /// The fingerprints on the way to the place.
    before: Vec<u64>,
    place: Place<M>,
}

/// What nobody does just now.
struct Jobs<M: Model> {
    waiting: Mutex<Vec<Job<M>>>,
    changed: Condvar,
    threads: usize,
    /// Threads that have nothing to do; changes only while `waiting` is locked.
    idle: AtomicUsize,
}

/// How far it went.
#[derive(Clone, Copy, Default)]
pub(super) struct Reach {
    pub(super) depth: u32,
    /// The most states that were kept at a time, roughly.
    pub(super) waiting_max: u64,
}

/// Explores until nothing is new or a violation was found.
pub(super) fn run<M: Model>(search: &Search<'_, M>, seen: &Table) -> Reach {
    let mut first = Walk::new(search, seen);
    let mut waiting = Vec::new();
    for state in search.model.initial() {
        let print = search.model.fingerprint(&state);
        if seen.insert(print) {
            first.enter(state, print);
            let place = first.path.pop().expect("it was just entered");
            let before = Vec::new();
            waiting.push(Job { before, place });
        }
    }
    // The first is begun first.
    waiting.reverse();
    let threads = search.options.threads;
    let jobs = Jobs {
        waiting: Mutex::new(waiting),
        changed: Condvar::new(),
        threads,
        idle: AtomicUsize::new(0),
    };
    let work = || {
        let mut walk = Walk::new(search, seen);
        let _guard = Guard(search, &jobs);
        while let Some(job) = jobs.take(search) {
            walk.follow(job, &jobs);
        }
        walk.reach
    };
    if threads <= 1 {
        return work();
    }
    let reaches: Vec<Reach> = thread::scope(|scope| {
        let threads: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        let reaches = threads.into_iter().map(|thread| thread.join());
        let reaches = reaches.map(|reach| reach.unwrap_or_else(resume));
        reaches.collect()
    });
    Reach {
        depth: reaches.iter().map(|reach| reach.depth).max().unwrap_or(0),
        waiting_max: reaches.iter().map(|reach| reach.waiting_max).sum(),
    }
}

/// A thread that panicked ends the exploration.
fn resume(panic: Box<dyn std::any::Any + Send>) -> Reach {
    std::panic::resume_unwind(panic)
}

/// Ends the exploration if its thread panics, so that nobody waits for it for ever.
struct Guard<'a, M: Model>(&'a Search<'a, M>, &'a Jobs<M>);

impl<M: Model> Drop for Guard<'_, M> {
    fn drop(&mut self) {
        if thread::panicking() {
            self.0.stop();
            // Whoever is about to wait does so before or has seen it.
            drop(locked(&self.1.waiting));
            self.1.changed.notify_all();
        }
    }
}

impl<M: Model> Jobs<M> {
    /// Waits for something to do. Nothing once nobody has anything, or it is over.
    fn take(&self, search: &Search<'_, M>) -> Option<Job<M>> {
        let mut waiting = locked(&self.waiting);
        self.idle.fetch_add(1, Ordering::Relaxed);
        loop {
            let all_idle = self.idle.load(Ordering::Relaxed) == self.threads;
            if search.is_stopped() || waiting.is_empty() && all_idle {
                self.changed.notify_all();
                return None;
            }
            if let Some(job) = waiting.pop() {
                self.idle.fetch_sub(1, Ordering::Relaxed);
                return Some(job);
            }
            let changed = self.changed.wait(waiting);
            waiting = changed.unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Whether somebody waits for something to do.
    fn are_wanted(&self) -> bool {
        self.idle.load(Ordering::Relaxed) > 0
    }

    fn add(&self, job: Job<M>) {
        locked(&self.waiting).push(job);
        self.changed.notify_one();
    }
}

/// One thread's walk.
struct Walk<'a, M: Model> {
    search: &'a Search<'a, M>,
    seen: &'a Table,
    /// The fingerprints on the way to the first place of the path.
    before: Vec<u64>,
    path: Vec<Place<M>>,
    /// Steps that were not reported yet.
    steps: u64,
    reach: Reach,
}

impl<'a, M: Model> Walk<'a, M> {
    fn new(search: &'a Search<'a, M>, seen: &'a Table) -> Walk<'a, M> {
        Walk {
            search,
            seen,
            before: Vec::new(),
            path: Vec::new(),
            steps: 0,
            reach: Reach::default(),
        }
    }

    /// Does everything that branches off a place, and off what is behind it.
    fn follow(&mut self, job: Job<M>, jobs: &Jobs<M>) {
        self.before = job.before;
        self.path.push(job.place);
        while let Some(place) = self.path.last_mut() {
            let Some(action) = place.actions.pop() else {
                self.path.pop();
                continue;
            };
            self.step(&action);
            if self.search.is_stopped() {
                self.path.clear();
            }
            if self.steps >= REPORT_STEPS {
                self.report();
                if jobs.are_wanted() {
                    self.give(jobs);
                }
            }
        }
        self.report();
    }

    /// Takes a step from the end of the path, and goes on from there if that is new.
    fn step(&mut self, action: &M::Action) {
        let model = self.search.model;
        let place = self.path.last_mut().expect("steps are taken from it");
        let mut taken = None;
        let print = match self.search.foresee(&place.state, place.print, action) {
            Foreseen::Nothing => return,
            Foreseen::Print(print) => print,
            Foreseen::Unknown => {
                let mut state = place.state.clone();
                if !model.apply(&mut state, action, &mut place.actions) {
                    return;
                }
                model.fingerprint(taken.insert(state))
            }
        };
        self.steps += 1;
        if self.seen.insert(print) {
            let state = taken.unwrap_or_else(|| {
                let mut state = place.state.clone();
                model.apply(&mut state, action, &mut Vec::new());
                debug_assert_eq!(model.fingerprint(&state), print);
                state
            });
            self.enter(state, print);
        }
    }

    /// Goes on from a state that was not seen before.
    fn enter(&mut self, state: M::State, print: u64) {
        let search = self.search;
        let depth = (self.before.len() + self.path.len()) as u32;
        let violated = search.examine(&state, print, depth);
        let mut actions = Vec::new();
        if depth < search.options.depth_max {
            search.model.actions(&state, &mut actions);
            // The first action is taken first.
            actions.reverse();
        } else {
            search.cut_off();
        }
        self.path.push(Place {
            state,
            print,
            actions,
        });
        self.reach.depth = self.reach.depth.max(depth);
        self.reach.waiting_max = self.reach.waiting_max.max(self.path.len() as u64);
        if violated {
            let path = self.path.iter().map(|place| place.print);
            let prints = self.before.iter().copied().chain(path);
            search.violated_by(print, prints.collect());
        }
    }

    /// Gives away half of what branches off the first place where that is possible.
    fn give(&mut self, jobs: &Jobs<M>) {
        let last = self.path.len().saturating_sub(1);
        let splits = |(at, place): (usize, &Place<M>)| match at < last {
            true => !place.actions.is_empty(),
            false => place.actions.len() > 1,
        };
        let Some(at) = self.path.iter().enumerate().position(splits) else {
            return;
        };
        let before = self.path[..at].iter().map(|place| place.print);
        let before = self.before.iter().copied().chain(before).collect();
        let place = &mut self.path[at];
        // Those in front would have been taken last.
        let half = place.actions.len().div_ceil(2);
        let place = Place {
            state: place.state.clone(),
            print: place.print,
            actions: place.actions.drain(..half).collect(),
        };
        jobs.add(Job { before, place });
    }

    /// Tells how many steps were taken.
    fn report(&mut self) {
        let steps = std::mem::take(&mut self.steps);
        let generated = self.search.count_steps(steps);
        if generated / PROGRESS_STEPS == (generated - steps) / PROGRESS_STEPS {
            return;
        }
        let distinct = self.seen.len() as u64;
        if distinct >= self.search.options.states_max {
            self.search.fill();
        }
        if let Some(watcher) = self.search.options.watcher {
            watcher(Progress {
                distinct,
                generated,
                depth: (self.before.len() + self.path.len()) as u32,
                waiting: self.path.len() as u64,
            });
        }
    }
}
