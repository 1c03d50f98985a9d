//! Level by level, so that every state is reached first by a shortest path.
//!
//! Two levels exist at a time: one is taken apart in chunks by all threads while the next is put
//! together. What is behind leaves nothing but fingerprints.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use super::chunk::Chunk;
use super::{Progress, Search, locked};
use crate::model::{Foreseen, Model};
use crate::table::Table;

/// States in a chunk: enough to make taking one cheap, few enough that threads end together.
const CHUNK: usize = 128;
/// Steps that are looked up together: each finds many others that need the same lock, and while one
/// waits for memory the next can already ask for its own.
const BATCH: usize = 2048;

/// The same for steps that were taken to be known: the states that they led to should stay in the cache.
const POOL: usize = 128;

/// Remembers states: plainly, or with where they were reached from.
pub(super) trait Seen: Sync {
    /// A state was reached from another (or from none, if it is initial). Whether for the first time.
    fn arrive(&self, print: u64, from: Option<u64>, depth: u32) -> bool;

    /// The same for many: fills `first` with an answer for each.
    fn arrive_all(&self, arrivals: &[Arrival], depth: u32, first: &mut Vec<bool>) {
        first.clear();
        first.extend(
            arrivals
                .iter()
                .map(|arrival| self.arrive(arrival.print, Some(arrival.from), depth)),
        );
    }

    /// How many states it has seen.
    fn count(&self) -> u64;
}

/// A step from one fingerprint to another.
pub(super) struct Arrival {
    pub(super) print: u64,
    pub(super) from: u64,
}

impl Seen for Table {
    fn arrive(&self, print: u64, _: Option<u64>, _: u32) -> bool {
        self.insert(print)
    }

    fn arrive_all(&self, arrivals: &[Arrival], _: u32, first: &mut Vec<bool>) {
        self.insert_all(arrivals.iter().map(|arrival| arrival.print), first);
    }

    fn count(&self) -> u64 {
        self.len() as u64
    }
}

/// What is worth knowing of the levels.
pub(super) struct Levels {
    /// How many there were behind the first.
    pub(super) depth: u32,
    /// The most states that waited.
    pub(super) waiting_max: u64,
}

/// Explores until nothing is new, or a violation was found and its level is complete, or at `depth_max`.
pub(super) fn run<M: Model>(search: &Search<'_, M>, seen: &impl Seen, depth_max: u32) -> Levels {
    let depth_max = depth_max.min(search.options.depth_max);
    let mut level = first(search, seen);
    let mut levels = Levels {
        depth: 0,
        waiting_max: 0,
    };
    while !level.is_empty() {
        if levels.depth == depth_max {
            search.cut_off();
            break;
        }
        if search.is_stopped() {
            break;
        }
        let waiting: u64 = level.iter().map(|chunk| chunk.len() as u64).sum();
        let next = expand(search, seen, level, levels.depth + 1, waiting);
        let follow: u64 = next.iter().map(|chunk| chunk.len() as u64).sum();
        // While a level is taken apart it shrinks, so both are rarely there in full.
        levels.waiting_max = levels.waiting_max.max(waiting.max(follow));
        levels.depth += u32::from(follow > 0);
        level = next;
    }
    levels
}

/// The initial states.
fn first<M: Model>(search: &Search<'_, M>, seen: &impl Seen) -> Vec<Chunk<M>> {
    let mut chunks = Vec::new();
    let mut chunk = Chunk::new(search);
    for state in search.model.initial() {
        let print = search.model.fingerprint(&state);
        if seen.arrive(print, None, 0) {
            if search.examine(&state, print, 0) {
                search.stop();
            }
            chunk.push(search, &state, print);
        }
    }
    chunk.flush_into(&mut chunks);
    chunks
}

/// Takes a level apart and puts the next one together.
fn expand<M: Model>(
    search: &Search<'_, M>,
    seen: &impl Seen,
    level: Vec<Chunk<M>>,
    depth: u32,
    waiting: u64,
) -> Vec<Chunk<M>> {
    let threads = search.options.threads.min(level.len());
    let level = Mutex::new(level);
    let next = Mutex::new(Vec::new());
    let waiting = AtomicU64::new(waiting);
    let work = || {
        let mut worker = Worker::new(search, seen, depth);
        loop {
            // Not in the head of the loop: the lock would be held through its body.
            let chunk = locked(&level).pop();
            let Some(chunk) = chunk.filter(|_| !search.is_full()) else {
                break;
            };
            let taken = chunk.len() as u64;
            worker.expand(chunk, &next);
            let waiting = waiting.fetch_sub(taken, Ordering::Relaxed) - taken;
            worker.chunk_done(waiting);
        }
        worker.out.flush_into(&mut locked(&next));
    };
    if threads <= 1 {
        work();
    } else {
        thread::scope(|scope| {
            for _ in 0..threads {
                scope.spawn(work);
            }
        });
    }
    next.into_inner()
        .expect("a thread that panicked has ended the exploration")
}

/// One thread's part in a level.
struct Worker<'a, M: Model, V: Seen> {
    search: &'a Search<'a, M>,
    seen: &'a V,
    depth: u32,
    out: Chunk<M>,
    actions: Vec<M::Action>,
    /// Steps that were not looked up yet.
    arrivals: Vec<Arrival>,
    /// How each of them was taken, or will be.
    ways: Vec<Way<M::Action>>,
    /// For each of them, whether it leads to a new state.
    first: Vec<bool>,
    /// States that steps led to. Used again and again, so that steps to known states need no memory of
    /// their own.
    pool: Vec<M::State>,
    /// How many of them are in use.
    pooled: usize,
    /// The same for a state that was foreseen.
    scratch: Option<M::State>,
    steps: u64,
    violated: bool,
}

/// How a step is taken.
enum Way<A> {
    /// It was, and the state is at this place of the pool.
    Taken(usize),
    /// If need be, from the chunk's state at this place.
    Foreseen(usize, A),
}

impl<'a, M: Model, V: Seen> Worker<'a, M, V> {
    fn new(search: &'a Search<'a, M>, seen: &'a V, depth: u32) -> Worker<'a, M, V> {
        Worker {
            search,
            seen,
            depth,
            out: Chunk::new(search),
            actions: Vec::new(),
            arrivals: Vec::new(),
            ways: Vec::new(),
            first: Vec::new(),
            pool: Vec::new(),
            pooled: 0,
            scratch: None,
            steps: 0,
            violated: false,
        }
    }

    fn expand(&mut self, chunk: Chunk<M>, next: &Mutex<Vec<Chunk<M>>>) {
        let states = chunk.into_states(self.search);
        for (place, (state, print)) in states.iter().enumerate() {
            self.expand_state(place, state, *print);
            if self.arrivals.len() >= BATCH || self.pooled >= POOL {
                self.settle(&states, next);
            }
        }
        self.settle(&states, next);
    }

    /// Takes all steps from a state, or foresees them.
    fn expand_state(&mut self, place: usize, state: &M::State, from: u64) {
        let model = self.search.model;
        self.actions.clear();
        model.actions(state, &mut self.actions);
        while let Some(action) = self.actions.pop() {
            let (print, way) = match self.search.foresee(state, from, &action) {
                Foreseen::Nothing => continue,
                Foreseen::Print(print) => (print, Way::Foreseen(place, action)),
                Foreseen::Unknown => {
                    match self.pool.get_mut(self.pooled) {
                        Some(next) => next.clone_from(state),
                        None => self.pool.push(state.clone()),
                    }
                    let next = &mut self.pool[self.pooled];
                    if !model.apply(next, &action, &mut self.actions) {
                        continue;
                    }
                    self.pooled += 1;
                    (model.fingerprint(next), Way::Taken(self.pooled - 1))
                }
            };
            self.steps += 1;
            self.arrivals.push(Arrival { print, from });
            self.ways.push(way);
        }
    }

    /// Looks up where the steps lead to, and keeps what is new.
    fn settle(&mut self, states: &[(M::State, u64)], next: &Mutex<Vec<Chunk<M>>>) {
        let (search, depth) = (self.search, self.depth);
        self.seen.arrive_all(&self.arrivals, depth, &mut self.first);
        let arrivals = self.arrivals.drain(..).zip(self.ways.drain(..));
        let first = arrivals.zip(&self.first).filter(|(_, first)| **first);
        for ((Arrival { print, .. }, way), _) in first {
            let state = match way {
                Way::Taken(place) => &self.pool[place],
                Way::Foreseen(place, action) => {
                    let before = &states[place].0;
                    let state = match &mut self.scratch {
                        Some(state) => {
                            state.clone_from(before);
                            state
                        }
                        none => none.insert(before.clone()),
                    };
                    search.model.apply(state, &action, &mut Vec::new());
                    debug_assert_eq!(search.model.fingerprint(state), print);
                    state
                }
            };
            self.violated |= search.examine(state, print, depth);
            self.out.push(search, state, print);
            if self.out.len() >= CHUNK {
                self.out.flush_into(&mut locked(next));
            }
        }
        self.pooled = 0;
    }

    /// Between two chunks: tells what happened, and looks whether to go on.
    fn chunk_done(&mut self, waiting: u64) {
        let generated = self.search.count_steps(self.steps);
        self.steps = 0;
        if self.violated {
            self.search.stop();
        }
        let options = self.search.options;
        if options.watcher.is_none() && options.states_max == u64::MAX {
            return;
        }
        let distinct = self.seen.count();
        if distinct >= options.states_max {
            self.search.fill();
        }
        if let Some(watcher) = options.watcher {
            watcher(Progress {
                distinct,
                generated,
                depth: self.depth,
                waiting,
            });
        }
    }
}
