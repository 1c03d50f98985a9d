//! The state of a world. Its parts are shared between states and never changed in place, so that a
//! step copies only what it touches and a fingerprint is put together from those of the parts.

use std::sync::Arc;

use quorate_core::{Checkpoint, Protocol};
use quorate_node::Node;
use quorate_problems::Workload;

use super::disk::Disk;
use super::prints::Prints;
use super::{Checkable, Judge, World, name};

/// How many kinds of timers can be counted apart: all those without a limit of their own are the
/// first kind.
pub(super) const TIMER_CLASSES: usize = 6;

/// The state of a world.
pub struct State<P: Checkable> {
    pub(super) machines: Vec<Arc<Machine<P>>>,
    /// Mail under way, oldest first. The order is only for scripts: it is not part of what the state
    /// is.
    pub(super) mail: Vec<Arc<Letter>>,
    pub(super) above: Arc<Above<P>>,
    pub(super) judged: Arc<Judged<P>>,
    pub(super) spent: Spent,
    /// The promise that was broken, if one was: then nothing happens any more.
    pub(super) violated: Option<Arc<str>>,
}

/// One computer.
pub(super) struct Machine<P: Checkable> {
    pub(super) node: Option<Node<P>>,
    pub(super) disk: Disk,
    pub(super) incarnation: u64,
    /// The running timers, each with the budget that it runs out on.
    pub(super) timers: Vec<(P::Timer, u8)>,
    pub(super) prints: Prints,
}

/// Mail under way, from one place to another.
pub(super) struct Letter {
    pub(super) from: usize,
    pub(super) to: usize,
    /// The name of the message's variant.
    pub(super) kind: String,
    pub(super) bytes: Arc<Vec<u8>>,
    /// The application state attached to it.
    pub(super) attached: Option<Checkpoint>,
    pub(super) prints: Prints,
}

/// What is above the replicas, and who watches it.
pub(super) struct Above<P: Checkable> {
    pub(super) oracle: <P::Problem as Workload>::Oracle,
    pub(super) apps: Vec<<P::Problem as Workload>::App>,
    pub(super) prints: Prints,
}

/// Who watches the replicas themselves.
pub(super) struct Judged<P> {
    pub(super) judge: Box<dyn Judge<P>>,
    pub(super) prints: Prints,
}

/// How much of what may happen has happened.
#[derive(Clone, Copy, Default, Hash, Debug)]
pub(super) struct Spent {
    pub(super) fires: [u8; TIMER_CLASSES],
    pub(super) requests: u8,
    pub(super) crashes: u8,
    pub(super) losses: u8,
    pub(super) duplicates: u8,
}

impl<P: Checkable> State<P> {
    /// The machines are there, but none runs.
    pub(super) fn new(world: &World<P>) -> State<P> {
        let machines = (0..world.members.len()).map(|at| {
            let machine = Machine {
                node: None,
                disk: Disk::default(),
                incarnation: 0,
                timers: Vec::new(),
                prints: Prints::default(),
            };
            Arc::new(world.printed_machine(at, machine))
        });
        let above = Above {
            oracle: Default::default(),
            apps: world.members.iter().map(|_| Default::default()).collect(),
            prints: Prints::default(),
        };
        State {
            machines: machines.collect(),
            mail: Vec::new(),
            above: Arc::new(world.printed_above(above)),
            judged: Arc::new(world.printed_judge(world.judge.copy())),
            spent: Spent::default(),
            violated: None,
        }
    }

    /// The promise that was broken, if one was.
    #[must_use]
    pub fn violation(&self) -> Option<&str> {
        self.violated.as_deref()
    }

    /// The replicas that are up.
    pub fn replicas(&self) -> impl Iterator<Item = &P> {
        let nodes = self.machines.iter().filter_map(|m| m.node.as_ref());
        nodes.map(Node::protocol)
    }

    pub(super) fn violate(&mut self, reason: impl Into<Arc<str>>) {
        if self.violated.is_none() {
            self.violated = Some(reason.into());
        }
    }
}

impl<P: Checkable> Machine<P> {
    /// The running timers of a node, with the budget of each.
    pub(super) fn timers_of(world: &World<P>, node: &Node<P>) -> Vec<(P::Timer, u8)> {
        let budget = |timer: <P as Protocol>::Timer| {
            let named = &world.limits.fires_of;
            let name = (!named.is_empty()).then(|| name(&timer));
            let own = named
                .iter()
                .position(|(other, _)| Some(other) == name.as_ref());
            own.map_or(0, |own| own as u8 + 1)
        };
        let timers = node.timers().iter();
        timers.map(|(timer, _)| (timer, budget(timer))).collect()
    }
}

// Derived instances would ask the same of all that `P` names.
impl<P: Checkable> Clone for State<P> {
    fn clone(&self) -> State<P> {
        State {
            machines: self.machines.clone(),
            mail: self.mail.clone(),
            above: self.above.clone(),
            judged: self.judged.clone(),
            spent: self.spent,
            violated: self.violated.clone(),
        }
    }

    /// Into memory that is there.
    fn clone_from(&mut self, source: &State<P>) {
        self.machines.clone_from(&source.machines);
        self.mail.clone_from(&source.mail);
        self.above.clone_from(&source.above);
        self.judged.clone_from(&source.judged);
        self.spent = source.spent;
        self.violated.clone_from(&source.violated);
    }
}
