//! The state of a world. Its parts are kept once and never changed: a state is their numbers, and its
//! fingerprint is put together from theirs.

use std::marker::PhantomData;
use std::sync::Arc;

use quorate_core::{Checkpoint, Protocol, Request};
use quorate_node::Node;
use quorate_problems::Workload;

use super::disk::Disk;
use super::local::Outcome;
use super::prints::Prints;
use super::{Checkable, Judge, Limits, World, name};
use crate::fingerprint::{combine, fingerprint};
use crate::parts::{Memo, Parts};

/// How many kinds of timers can be counted apart: all those without a limit of their own are the
/// first kind.
pub(super) const TIMER_CLASSES: usize = 6;

/// How many kinds of timers can run out of patience.
pub(super) const PATIENCE_CLASSES: usize = 4;

/// The state of a world.
pub struct State<P: Checkable> {
    /// The number of each machine.
    pub(super) machines: Vec<u32>,
    /// The numbers of the mail under way, oldest first. Where mail may overtake mail the order is only for
    /// scripts, and no part of what the state is.
    pub(super) mail: Vec<u32>,
    pub(super) above: u32,
    pub(super) judged: u32,
    pub(super) spent: Spent,
    /// The promise that was broken, if one was: then nothing happens any more.
    pub(super) violated: Option<Arc<str>>,
    /// The sums of the parts' fingerprints, under each permutation.
    pub(super) sums: Prints,
    pub(super) protocol: PhantomData<fn() -> P>,
}

/// The parts of all states.
pub(super) struct Known<P: Checkable> {
    pub(super) machines: Parts<Machine<P>>,
    pub(super) letters: Parts<Letter>,
    pub(super) aboves: Parts<Above<P>>,
    pub(super) judged: Parts<Judged<P>>,
    /// Why a promise was broken.
    pub(super) failures: Parts<Arc<str>>,
    /// What machines do.
    pub(super) outcomes: Parts<Outcome<P>>,
    /// What those above the replicas do.
    pub(super) told: Parts<Told<P>>,
    /// What the judge said of the replicas, and remembers then.
    pub(super) judgements: Memo<u64, (u32, Option<u32>)>,
}

/// One computer.
pub(super) struct Machine<P: Checkable> {
    pub(super) node: Option<Node<P>>,
    pub(super) disk: Disk,
    pub(super) incarnation: u64,
    pub(super) timers: Vec<Running<P::Timer>>,
    pub(super) prints: Prints,
}

/// A running timer.
pub(super) struct Running<T> {
    pub(super) timer: T,
    /// The budget that it runs out on.
    pub(super) budget: u8,
    /// And that of patience, if there is one.
    pub(super) patience: Option<u8>,
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

/// What came of telling those above the replicas something.
pub(super) struct Told<P: Checkable> {
    pub(super) above: u32,
    pub(super) failure: Option<Arc<str>>,
    pub(super) answer: Answer<P>,
}

/// What those above the replicas answer to what they are told.
pub(super) struct Answer<P: Checkable> {
    /// The request, if they were told to ask for something.
    pub(super) request: Option<Request<P>>,
    /// The application state that is there, if a replica was opened.
    pub(super) checkpoint: Checkpoint,
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
    /// Timers that ran out out of patience.
    pub(super) patience: [u8; PATIENCE_CLASSES],
}

impl Spent {
    /// Whether nothing is hurt any more.
    pub(super) fn is_patient(&self) -> bool {
        self.patience != [0; PATIENCE_CLASSES]
    }
}

// Derived instances would ask the same of `P`.
impl<P: Checkable> Default for Known<P> {
    fn default() -> Known<P> {
        Known {
            machines: Parts::default(),
            letters: Parts::default(),
            aboves: Parts::default(),
            judged: Parts::default(),
            failures: Parts::default(),
            outcomes: Parts::default(),
            told: Parts::default(),
            judgements: Memo::default(),
        }
    }
}

impl<P: Checkable> Default for Answer<P> {
    fn default() -> Answer<P> {
        Answer {
            request: None,
            checkpoint: Checkpoint::default(),
        }
    }
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
            world.number_of_machine(world.printed_machine(at, machine))
        });
        let above = Above {
            oracle: Default::default(),
            apps: world.members.iter().map(|_| Default::default()).collect(),
            prints: Prints::default(),
        };
        let mut state = State {
            machines: machines.collect(),
            mail: Vec::new(),
            above: world.number_of_above(world.printed_above(above)),
            judged: world.number_of_judged(world.printed_judge(world.judge.copy())),
            spent: Spent::default(),
            violated: None,
            sums: Prints::default(),
            protocol: PhantomData,
        };
        state.sums = world.sums(&state);
        state
    }

    /// The promise that was broken, if one was.
    #[must_use]
    pub fn violation(&self) -> Option<&str> {
        self.violated.as_deref()
    }

    pub(super) fn violate(&mut self, reason: impl Into<Arc<str>>) {
        if self.violated.is_none() {
            self.violated = Some(reason.into());
        }
    }

    /// One part takes the place of another in the sums.
    pub(super) fn exchange(&mut self, before: &Prints, after: &Prints) {
        for (sum, (before, after)) in self.sums.iter_mut().zip(before.iter().zip(after)) {
            *sum = sum.wrapping_sub(*before).wrapping_add(*after);
        }
    }

    /// A part joins the sums.
    pub(super) fn add(&mut self, part: &Prints) {
        for (sum, part) in self.sums.iter_mut().zip(part) {
            *sum = sum.wrapping_add(*part);
        }
    }

    /// A part leaves the sums.
    pub(super) fn subtract(&mut self, part: &Prints) {
        for (sum, part) in self.sums.iter_mut().zip(part) {
            *sum = sum.wrapping_sub(*part);
        }
    }
}

impl<P: Checkable> World<P> {
    pub(super) fn machine(&self, number: u32) -> &Machine<P> {
        self.known.machines.get(number)
    }

    pub(super) fn letter(&self, number: u32) -> &Letter {
        self.known.letters.get(number)
    }

    pub(super) fn number_of_machine(&self, machine: Machine<P>) -> u32 {
        self.known.machines.number(machine.prints[0], || machine)
    }

    pub(super) fn number_of_letter(&self, letter: Letter) -> u32 {
        self.known.letters.number(letter.prints[0], || letter)
    }

    pub(super) fn number_of_above(&self, above: Above<P>) -> u32 {
        self.known.aboves.number(above.prints[0], || above)
    }

    pub(super) fn number_of_judged(&self, judged: Judged<P>) -> u32 {
        self.known.judged.number(judged.prints[0], || judged)
    }

    pub(super) fn number_of_failure(&self, reason: &str) -> u32 {
        self.known
            .failures
            .number(fingerprint(reason), || reason.into())
    }

    /// The replicas that are up in a state.
    pub fn replicas(&self, state: &State<P>) -> impl Iterator<Item = &P> {
        let machines = state.machines.iter().map(|&number| self.machine(number));
        let nodes = machines.filter_map(|machine| machine.node.as_ref());
        nodes.map(Node::protocol)
    }

    /// The sums of the parts' fingerprints, under each permutation.
    pub(super) fn sums(&self, state: &State<P>) -> Prints {
        let machines = state.machines.iter();
        let machines = machines.map(|&number| &self.machine(number).prints);
        // Whoever found a promise broken looked no further, so what they remember by then depends on
        // where they began.
        let watches = state.violated.is_none();
        let watching = watches.then(|| {
            let above = &self.known.aboves.get(state.above).prints;
            [above, &self.known.judged.get(state.judged).prints]
        });
        let mut sums = vec![0u64; self.permutations.len()];
        for part in machines.chain(watching.into_iter().flatten()) {
            for (sum, part) in sums.iter_mut().zip(part) {
                *sum = sum.wrapping_add(*part);
            }
        }
        for (at, &number) in state.mail.iter().enumerate() {
            let letter = self.letter(number);
            let before = match Self::KEEPS_ORDER {
                true => self.before_on_link(&state.mail[..at], letter),
                false => 0,
            };
            for (sum, part) in sums.iter_mut().zip(&letter.prints) {
                let part = match before {
                    0 => *part,
                    before => combine(*part, before as u64),
                };
                *sum = sum.wrapping_add(part);
            }
        }
        sums
    }

    /// Whether mail arrives in the order in which it was sent. Then that order is part of what a state is.
    pub(super) const KEEPS_ORDER: bool = !P::MODEL.links.reorder;

    /// Takes the order of mail into account, whose places change with every letter that leaves.
    pub(super) fn count_order(&self, state: &mut State<P>) {
        if Self::KEEPS_ORDER {
            state.sums = self.sums(state);
        }
    }

    /// How much of this mail goes the same way as a letter.
    pub(super) fn before_on_link(&self, mail: &[u32], letter: &Letter) -> usize {
        let links = mail.iter().map(|&other| self.letter(other));
        links
            .filter(|other| (other.from, other.to) == (letter.from, letter.to))
            .count()
    }
}

impl<P: Checkable> Machine<P> {
    /// The running timers of a node, with the budgets of each.
    pub(super) fn timers_of(world: &World<P>, node: &Node<P>) -> Vec<Running<P::Timer>> {
        let Limits {
            fires_of, patience, ..
        } = &world.limits;
        let named = |limits: &[(String, u8)], timer: &<P as Protocol>::Timer| {
            let name = (!limits.is_empty()).then(|| name(timer));
            let own = limits.iter().position(|(o, _)| Some(o) == name.as_ref());
            own.map(|own| own as u8)
        };
        let timers = node.timers().iter();
        let timers = timers.map(|(timer, _)| Running {
            timer,
            budget: named(fires_of, &timer).map_or(0, |own| own + 1),
            patience: named(patience, &timer),
        });
        timers.collect()
    }
}

// Derived instances would ask the same of all that `P` names.
impl<P: Checkable> Clone for State<P> {
    fn clone(&self) -> State<P> {
        State {
            machines: self.machines.clone(),
            mail: self.mail.clone(),
            above: self.above,
            judged: self.judged,
            spent: self.spent,
            violated: self.violated.clone(),
            sums: self.sums.clone(),
            protocol: PhantomData,
        }
    }

    /// Into memory that is there.
    fn clone_from(&mut self, source: &State<P>) {
        self.machines.clone_from(&source.machines);
        self.mail.clone_from(&source.mail);
        (self.above, self.judged) = (source.above, source.judged);
        self.spent = source.spent;
        self.violated.clone_from(&source.violated);
        self.sums.clone_from(&source.sums);
    }
}
