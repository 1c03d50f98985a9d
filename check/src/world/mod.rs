//! Every schedule of a few replicas: the same nodes that run in the simulator and in the server.
//!
//! Mail arrives in any order, is lost and arrives twice; disks finish whenever they like; machines stop
//! with any part of what was not durable, and start again; timers run out; requests are made anywhere;
//! choices fall in every way. Time is only an order. [`Limits`] say how often each may happen, since
//! the explorer needs an end.

mod actions;
mod disk;
mod independence;
mod local;
mod packed;
mod prints;
mod state;
mod words;

use std::fmt::Debug;
use std::hash::Hash;

use quorate_core::{Faults, NodeId, Problem, Protocol, Status};
use quorate_problems::Workload;

use crate::fingerprint::fingerprint;
use crate::model::{Model, Packing, Property};
use prints::Permutation;
use state::Known;

pub use actions::{Action, Event};
pub use prints::{Names, Symmetry};
pub use state::State;

/// A protocol that can be checked: replicas can be copied, told apart and moved between threads.
pub trait Checkable:
    Protocol<
        Problem: Workload<Oracle: Send + Sync, App: Send + Sync>
                     + Problem<Request: Send + Sync, Output: Send + Sync>,
        Config: Send + Sync,
        Message: Send + Sync,
        Timer: Hash + Send + Sync,
        Record: Send + Sync,
    > + Clone
    + Hash
    + Send
    + Sync
    + 'static
{
}

impl<P> Checkable for P where
    P: Protocol<
            Problem: Workload<Oracle: Send + Sync, App: Send + Sync>
                         + Problem<Request: Send + Sync, Output: Send + Sync>,
            Config: Send + Sync,
            Message: Send + Sync,
            Timer: Hash + Send + Sync,
            Record: Send + Sync,
        > + Clone
        + Hash
        + Send
        + Sync
        + 'static
{
}

/// Watches all replicas of a run and says what is wrong with them as a whole. What it remembers is
/// part of the state of the world.
pub trait Judge<P>: Send + Sync {
    /// Looks at the replicas that are up.
    ///
    /// # Errors
    /// What is wrong.
    fn observe(&mut self, replicas: &[&P]) -> Result<(), String>;

    /// Another one that remembers the same.
    fn copy(&self) -> Box<dyn Judge<P>>;

    /// What it remembers, if the replicas had these names.
    fn fingerprint(&self, names: &Names<'_>) -> u64;
}

/// A judge to whom everything is right.
#[derive(Clone, Copy, Debug)]
pub struct Lenient;

impl<P> Judge<P> for Lenient {
    fn observe(&mut self, _: &[&P]) -> Result<(), String> {
        Ok(())
    }

    fn copy(&self) -> Box<dyn Judge<P>> {
        Box::new(Lenient)
    }

    fn fingerprint(&self, _: &Names<'_>) -> u64 {
        0
    }
}

/// A judge made of something that watches.
pub struct Watching<P, W> {
    /// What it remembers.
    pub memory: W,
    /// Looks at the replicas that are up.
    pub observe: fn(&mut W, &[&P]) -> Result<(), String>,
    /// What it would remember if the replicas had these names.
    pub renamed: fn(&W, &Names<'_>) -> W,
}

impl<P: 'static, W: Clone + Hash + Send + Sync + 'static> Judge<P> for Watching<P, W> {
    fn observe(&mut self, replicas: &[&P]) -> Result<(), String> {
        (self.observe)(&mut self.memory, replicas)
    }

    fn copy(&self) -> Box<dyn Judge<P>> {
        Box::new(Watching {
            memory: self.memory.clone(),
            observe: self.observe,
            renamed: self.renamed,
        })
    }

    fn fingerprint(&self, names: &Names<'_>) -> u64 {
        fingerprint(&(self.renamed)(&self.memory, names))
    }
}

/// How much may happen in one run.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Limits {
    /// How often timers may run out, all together and without those named in `fires_of`.
    pub fires: u8,
    /// How often the timers of some names may run out.
    pub fires_of: Vec<(String, u8)>,
    /// What is asked for, in the words of a script without the replica: `broadcast x`. In this order,
    /// each once, each by any replica at any time.
    pub requests: Vec<String>,
    /// How often a machine may stop. It may start again at any time after.
    pub crashes: u8,
    /// How much mail may be lost. Where mail may overtake, what is lost is what never arrives, so this
    /// is seldom worth its states.
    pub losses: u8,
    /// How often mail may be doubled.
    pub duplicates: u8,
    /// How often the timers of some names may run out after that: once one of these has, nothing is
    /// hurt any more. Mail arrives, disks finish, machines start again, and nothing else happens. From
    /// each state before, that must suffice for all to follow one leader and to have decided what any
    /// of them has. Nothing is asked for if there are none.
    pub patience: Vec<(String, u8)>,
    /// Whether a replica does nothing else before its disk has finished. That keeps worlds small, but
    /// leaves out what can happen to a replica with a slow disk.
    pub prompt_disks: bool,
}

/// A small world of one protocol.
pub struct World<P: Checkable> {
    members: Vec<NodeId>,
    config: P::Config,
    limits: Limits,
    judge: Box<dyn Judge<P>>,
    symmetry: Option<Symmetry<P>>,
    permutations: Vec<Permutation>,
    /// The parts of all states.
    known: Known<P>,
}

impl<P: Checkable> World<P> {
    /// A world of these members, all of which run.
    ///
    /// # Errors
    /// A limit that exceeds what the protocol claims to withstand, or a request that is none.
    pub fn new(
        members: &[NodeId],
        config: P::Config,
        limits: Limits,
        judge: Box<dyn Judge<P>>,
    ) -> Result<World<P>, String> {
        if let Some(reason) = exceeds::<P>(&limits) {
            return Err(reason);
        }
        World::outside_the_model(members, config, limits, judge)
    }

    /// The same, whatever the protocol claims.
    ///
    /// # Errors
    /// A request that is none.
    pub fn outside_the_model(
        members: &[NodeId],
        config: P::Config,
        limits: Limits,
        judge: Box<dyn Judge<P>>,
    ) -> Result<World<P>, String> {
        /// Budgets are counted in a fixed place in the state.
        const TIMERS_MAX: usize = state::TIMER_CLASSES - 1;
        if limits.fires_of.len() > TIMERS_MAX {
            return Err(format!(
                "at most {TIMERS_MAX} timers can have limits of their own"
            ));
        }
        if limits.patience.len() > state::PATIENCE_CLASSES {
            return Err(format!(
                "at most {} timers can run out of patience",
                state::PATIENCE_CLASSES
            ));
        }
        for request in &limits.requests {
            let words: Vec<&str> = request.split_whitespace().collect();
            match P::Problem::parse(&mut Default::default(), &words) {
                Some(Ok(_)) => {}
                Some(Err(reason)) => return Err(format!("`{request}`: {reason}")),
                None => return Err(format!("`{request}` is no request of this problem")),
            }
        }
        let mut members = members.to_vec();
        members.sort_unstable();
        Ok(World {
            permutations: vec![Permutation::identity(&members)],
            members,
            config,
            limits,
            judge,
            symmetry: None,
            known: Known::default(),
        })
    }

    /// Treats worlds that differ only in the names of replicas as one.
    #[must_use]
    pub fn with_symmetry(mut self, symmetry: Symmetry<P>) -> World<P> {
        self.permutations = Permutation::all(&self.members);
        self.symmetry = Some(symmetry);
        self
    }
}

/// Why these limits are more than the protocol claims to withstand, if they are.
fn exceeds<P: Protocol>(limits: &Limits) -> Option<String> {
    let (faults, links) = (P::MODEL.faults, P::MODEL.links);
    let too_much = [
        (
            limits.crashes > 0 && !faults.admits(Faults::CrashStop),
            "crashes",
        ),
        (limits.losses > 0 && !links.lose, "lost mail"),
        (limits.duplicates > 0 && !links.duplicate, "doubled mail"),
    ];
    let (_, what) = too_much.into_iter().find(|(exceeds, _)| *exceeds)?;
    Some(format!(
        "the protocol does not claim to withstand {what} ({:?})",
        P::MODEL
    ))
}

impl<P: Checkable> Model for World<P> {
    type State = State<P>;
    type Action = Action<P::Timer>;

    fn initial(&self) -> Vec<State<P>> {
        let mut state = State::new(self);
        for machine in 0..self.members.len() {
            let event = Event::Restart { machine };
            self.happen(&mut state, &event, &[], &mut Vec::new());
        }
        self.count_order(&mut state);
        vec![state]
    }

    fn actions(&self, state: &State<P>, actions: &mut Vec<Action<P::Timer>>) {
        self.possible(state, actions);
    }

    fn apply(
        &self,
        state: &mut State<P>,
        action: &Action<P::Timer>,
        others: &mut Vec<Action<P::Timer>>,
    ) -> bool {
        self.happen(state, &action.event, &action.answers, others);
        self.count_order(state);
        true
    }

    fn fingerprint(&self, state: &State<P>) -> u64 {
        state.fingerprint()
    }

    fn packing(&self) -> Option<Packing<World<P>>> {
        Some(Packing {
            pack: World::pack,
            unpack: World::unpack,
        })
    }

    fn properties(&self) -> Vec<Property<World<P>>> {
        let mut properties = vec![
            Property::always("every promise is kept", |_, state: &State<P>| {
                state.violation().is_none()
            }),
            Property::sometimes("something is decided", |world: &World<P>, state| {
                world
                    .replicas(state)
                    .any(|replica| replica.status().decided > 0)
            }),
            Property::sometimes("everybody has decided the same", World::all_agree),
        ];
        if !self.limits.patience.is_empty() {
            let live = Property::live("all can still follow one leader", World::all_follow);
            properties.push(live.from(|_, state| !state.spent.is_patient()));
        }
        properties
    }

    fn is_cut_off(&self, state: &State<P>) -> bool {
        self.leaves_out_a_timer(state)
    }

    fn describe(&self, state: &State<P>, action: &Action<P::Timer>) -> String {
        self.command(state, action)
    }
}

impl<P: Checkable> World<P> {
    /// Whether all members are up and have decided the same, which is something.
    fn all_agree(&self, state: &State<P>) -> bool {
        let mut decided = self.replicas(state).map(|replica| replica.status().decided);
        let first = decided.next().unwrap_or(0);
        first > 0
            && decided.all(|other| other == first)
            && self.replicas(state).count() == self.members.len()
    }

    /// Whether they besides follow one leader in one epoch, and have nothing that is not decided.
    fn all_follow(&self, state: &State<P>) -> bool {
        let mut statuses = self.replicas(state).map(|replica| replica.status());
        let Some(first) = statuses.next() else {
            return false;
        };
        let same = |other: Status| (other.leader, other.epoch) == (first.leader, first.epoch);
        let mut heads = self.replicas(state).map(|replica| replica.status());
        first.leader.is_some()
            && statuses.all(same)
            && heads.all(|status| status.head == status.decided)
            && self.all_agree(state)
    }
}

/// The name of a variant, as `Debug` writes it: what scripts call messages and timers.
fn name(value: &impl Debug) -> String {
    let mut text = format!("{value:?}");
    let end = text.find(|c: char| !c.is_alphanumeric());
    text.truncate(end.unwrap_or(text.len()));
    text
}
