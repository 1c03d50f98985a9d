//! The two engines, each over the same models.

use std::fmt;
use std::hash::Hash;
use std::time::{Duration, Instant};

use quorate_check::Explorer;
use stateright::{Checker, Model, Property};

use crate::abd::Abd;
use crate::paxos::Paxos;
use crate::register::{Server, State, With, cast};
use crate::two_phase::{self, Participant, TwoPhase};

/// Quorate's checker, without the help of the models.
pub(crate) const PLAIN: &str = "quorate-plain";

/// What a run came to, as one line.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Measured {
    pub(crate) states: u64,
    pub(crate) elapsed: Duration,
    /// Processor time of all threads.
    pub(crate) busy: Duration,
    pub(crate) memory_kib: u64,
}

impl fmt::Display for Measured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (elapsed, busy) = (self.elapsed.as_nanos(), self.busy.as_nanos());
        write!(f, "{} {elapsed} {busy} {}", self.states, self.memory_kib)
    }
}

impl Measured {
    /// Reads what [`fmt::Display`] wrote.
    pub(crate) fn parse(line: &str) -> Option<Measured> {
        let mut numbers = line.split_whitespace().map(str::parse::<u64>);
        let mut number = || numbers.next()?.ok();
        Some(Measured {
            states: number()?,
            elapsed: Duration::from_nanos(number()?),
            busy: Duration::from_nanos(number()?),
            memory_kib: number()?,
        })
    }
}

/// Runs one model under one engine and prints what it came to.
pub(crate) fn one(engine: &str, model: &str, threads: &str, order: &str) -> Result<(), String> {
    let number = |text: &str| text.parse().map_err(|_| format!("not a number: {text}"));
    let threads = number(threads)?;
    let (name, size) = model.rsplit_once('-').ok_or("a model is NAME-SIZE")?;
    let size: usize = number(size)?;
    let clients = u8::try_from(size).map_err(|_| "too large")?;
    let is_deep = order == "deep";
    let plain = engine == PLAIN;
    let measured = match (engine, name) {
        ("quorate" | PLAIN, "2pc") => quorate(&TwoPhase::new(size), plain, threads, is_deep),
        ("quorate", "paxos") => quorate(&cast::<Paxos>(3, clients), plain, threads, is_deep),
        ("quorate", "abd") => quorate(&cast::<Abd>(2, clients), plain, threads, is_deep),
        (PLAIN, "paxos") => quorate(&With::<Paxos>::new(3, clients), plain, threads, is_deep),
        (PLAIN, "abd") => quorate(&With::<Abd>::new(2, clients), plain, threads, is_deep),
        ("stateright", "2pc") => stateright(Commit(TwoPhase::new(size)), threads, is_deep),
        ("stateright", "paxos") => {
            stateright(Registers(With::<Paxos>::new(3, clients)), threads, is_deep)
        }
        ("stateright", "abd") => {
            stateright(Registers(With::<Abd>::new(2, clients)), threads, is_deep)
        }
        _ => return Err(format!("no engine {engine} for a model {name}")),
    };
    println!("{measured}");
    Ok(())
}

fn quorate<M: quorate_check::Model>(
    model: &M,
    plain: bool,
    threads: usize,
    is_deep: bool,
) -> Measured {
    let begun = Instant::now();
    let mut explorer = Explorer::new(model).threads(threads);
    if plain {
        explorer = explorer.plain();
    }
    let report = match is_deep {
        true => explorer.depth_first(),
        false => explorer.breadth_first(),
    };
    assert!(report.holds(), "the models are right");
    Measured {
        states: report.distinct,
        elapsed: begun.elapsed(),
        busy: busy(),
        memory_kib: peak_kib(),
    }
}

fn stateright<M>(model: M, threads: usize, is_deep: bool) -> Measured
where
    M: Model + Send + Sync + 'static,
    M::State: Clone + Hash + PartialEq + Send + Sync + fmt::Debug + 'static,
    M::Action: Clone + PartialEq + fmt::Debug,
{
    let begun = Instant::now();
    let checker = model.checker().threads(threads);
    let states = match is_deep {
        true => finish(checker.spawn_dfs()),
        false => finish(checker.spawn_bfs()),
    };
    Measured {
        states: states as u64,
        elapsed: begun.elapsed(),
        busy: busy(),
        memory_kib: peak_kib(),
    }
}

fn finish<M>(checker: impl Checker<M>) -> usize
where
    M: Model,
    M::State: Clone + Hash + PartialEq + fmt::Debug,
    M::Action: Clone + PartialEq + fmt::Debug,
{
    let checker = checker.join();
    checker.assert_properties();
    checker.unique_state_count()
}

/// The processor time of this process so far, which counts from its start: a model takes no time to
/// set up. It comes in hundredths of a second.
fn busy() -> Duration {
    let text = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // The name of the program, in brackets, may contain spaces.
    let fields = text.rsplit(')').next().unwrap_or_default();
    let numbers = fields.split_whitespace().skip(11).take(2);
    let ticks: u64 = numbers
        .filter_map(|number| number.parse::<u64>().ok())
        .sum();
    Duration::from_millis(ticks * 10)
}

/// The most memory that this process has had.
fn peak_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmHWM:"));
    let number = line.and_then(|line| line.split_whitespace().nth(1));
    number.and_then(|number| number.parse().ok()).unwrap_or(0)
}

/// Two-phase commit, for stateright.
struct Commit(TwoPhase);

impl Model for Commit {
    type State = two_phase::State;
    type Action = two_phase::Action;

    fn init_states(&self) -> Vec<Self::State> {
        vec![self.0.start()]
    }

    fn actions(&self, state: &Self::State, actions: &mut Vec<Self::Action>) {
        self.0.possible(state, actions);
    }

    fn next_state(&self, state: &Self::State, action: Self::Action) -> Option<Self::State> {
        let mut next = state.clone();
        self.0.happen(&mut next, action);
        Some(next)
    }

    fn properties(&self) -> Vec<Property<Commit>> {
        vec![
            Property::<Commit>::sometimes("abort agreement", |_, state| {
                state.all(Participant::Aborted)
            }),
            Property::<Commit>::sometimes("commit agreement", |_, state| {
                state.all(Participant::Committed)
            }),
            Property::<Commit>::always("consistent", |_, state| state.is_consistent()),
        ]
    }
}

/// Clients of a register, for stateright.
struct Registers<S>(With<S>);

impl<S: Server + 'static> Model for Registers<S> {
    type State = State<S>;
    type Action = usize;

    fn init_states(&self) -> Vec<State<S>> {
        vec![self.0.0.start()]
    }

    fn actions(&self, state: &State<S>, actions: &mut Vec<usize>) {
        self.0.0.possible(state, actions);
    }

    fn next_state(&self, state: &State<S>, action: usize) -> Option<State<S>> {
        let mut next = state.clone();
        self.0.0.deliver(&mut next, action).then_some(next)
    }

    fn properties(&self) -> Vec<Property<Registers<S>>> {
        vec![
            Property::<Registers<S>>::always("linearizable", |_, state| state.is_linearizable()),
            Property::<Registers<S>>::sometimes("value chosen", |_, state| state.is_chosen()),
        ]
    }
}
