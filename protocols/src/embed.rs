//! A protocol inside a protocol.
//!
//! The inner protocol, the *child*, runs unchanged on effects of its own. The outer one, its parent,
//! wraps the child's records, mail and timers into its own vocabulary, and is given its outputs. Both
//! share the parent's steps, and with them its frames: what a child writes is durable exactly when
//! the parent's frame is.
//!
//! Frames are dropped by the parent alone, whose own records say from where on they are needed. So a
//! copy is kept of all records that the child needs, which are few where a child is embedded, and the
//! parent writes them down again whenever it compacts ([`Embedded::restated`]). A child that never
//! writes keeps no frame alive.

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::hash::{Hash, Hasher};
use core::mem;

use quorate_core::{Boot, Checkpoint, Effects, Frame, Mail, NodeId, Output, Protocol, Survival};
use quorate_core::{Status, TimerChange};

/// A child with its effects.
#[derive(Clone)]
pub struct Embedded<C: Protocol> {
    child: C,
    /// Empty between steps, but for outputs that nobody has taken yet.
    fx: Effects<C>,
    /// The records that the child needs to start again, with the frames that it thinks they are in.
    kept: VecDeque<(Frame, C::Record)>,
    /// Its records were damaged, and it has not yet said by which it wants to replace them.
    damaged: bool,
}

/// How what a child asks for is said by its parent.
pub trait Lift<C: Protocol, P: Protocol> {
    /// Wraps a record.
    fn record(&self, record: C::Record) -> P::Record;

    /// Wraps a message. If it carries an attachment, the parent attaches what it keeps for its child.
    fn message(&self, message: C::Message) -> P::Message;

    /// Wraps the name of a timer.
    fn timer(&self, timer: C::Timer) -> P::Timer;
}

/// What a parent writes down of its child when it drops the frames before.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Restated {
    /// Forget all earlier records of the child: those that follow are what it starts from.
    Anew,
    /// The child has lost records: it must start as damaged.
    Damaged,
}

/// What a parent's replay collects for its child.
pub struct Replay<R> {
    records: Vec<(Frame, R)>,
    damaged: bool,
}

impl<R> Default for Replay<R> {
    fn default() -> Replay<R> {
        Replay {
            records: Vec::new(),
            damaged: false,
        }
    }
}

impl<R> Replay<R> {
    /// The next record of the child.
    pub fn record(&mut self, frame: Frame, record: R) {
        self.records.push((frame, record));
    }

    /// Whether the child has never written anything.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.records.is_empty() && !self.damaged
    }

    /// What was before is replaced by what follows.
    pub fn restated(&mut self, restated: Restated) {
        self.records.clear();
        self.damaged = restated == Restated::Damaged;
    }
}

impl<C: Protocol> Embedded<C> {
    /// Starts the child. `survival` is what became of the parent's records, and `state` is the child's
    /// application, which the parent keeps.
    pub fn open<P: Protocol>(
        config: &C::Config,
        replay: Replay<C::Record>,
        (me, incarnation, survival): (NodeId, u64, Survival),
        state: Checkpoint,
        fx: &mut Effects<P>,
        lift: &impl Lift<C, P>,
    ) -> (Embedded<C>, Step) {
        let survival = match replay.damaged {
            true => Survival::Damaged,
            false => survival,
        };
        let boot = Boot {
            me,
            incarnation,
            survival,
            records: Box::new(replay.records.iter().cloned()),
            checkpoint: state,
        };
        let mut inner = Effects::new(fx.choice.clone());
        inner.frame = fx.frame;
        let child = C::open(config, boot, &mut inner);
        let mut embedded = Embedded {
            child,
            fx: inner,
            kept: VecDeque::from(replay.records),
            damaged: survival == Survival::Damaged,
        };
        mem::swap(&mut fx.choice, &mut embedded.fx.choice);
        let step = embedded.carry_out(fx, lift);
        (embedded, step)
    }

    /// The child.
    #[must_use]
    pub fn child(&self) -> &C {
        &self.child
    }

    /// What the child says of itself.
    #[must_use]
    pub fn status(&self) -> Status {
        self.child.status()
    }

    /// Lets the child take a step. Answers whether it was damaged before and is whole now.
    pub fn step<P: Protocol>(
        &mut self,
        fx: &mut Effects<P>,
        lift: &impl Lift<C, P>,
        step: impl FnOnce(&mut C, &mut Effects<C>),
    ) -> Step {
        self.fx.frame = fx.frame;
        mem::swap(&mut fx.choice, &mut self.fx.choice);
        step(&mut self.child, &mut self.fx);
        mem::swap(&mut fx.choice, &mut self.fx.choice);
        self.carry_out(fx, lift)
    }

    /// Takes the child's outputs, in order.
    pub fn take_outputs(&mut self) -> impl Iterator<Item = Output<C>> + '_ {
        self.fx.outputs.drain(..)
    }

    /// What a parent that drops older frames must write down again, in this order.
    pub fn restated(&self) -> (Restated, impl Iterator<Item = C::Record> + '_) {
        let (restated, count) = match self.damaged {
            true => (Restated::Damaged, 0),
            false => (Restated::Anew, self.kept.len()),
        };
        let kept = self.kept.range(..count);
        (restated, kept.map(|(_, record)| record.clone()))
    }

    /// How many records would have to be written down again.
    #[must_use]
    pub fn kept(&self) -> usize {
        self.kept.len()
    }

    fn carry_out<P: Protocol>(&mut self, fx: &mut Effects<P>, lift: &impl Lift<C, P>) -> Step {
        let keep_from = self.fx.keep_from.take();
        if let Some(keep_from) = keep_from {
            self.kept.retain(|(frame, _)| *frame >= keep_from);
        }
        let mended = self.damaged && keep_from.is_some();
        self.damaged &= !mended;
        for record in self.fx.records.drain(..) {
            self.kept.push_back((fx.frame, record.clone()));
            if !mended {
                fx.persist(lift.record(record));
            }
        }
        for Mail { to, message, early } in self.fx.mail.drain(..) {
            let message = lift.message(message);
            fx.mail.push(Mail { to, message, early });
        }
        for TimerChange { timer, after } in self.fx.timers.drain(..) {
            let timer = lift.timer(timer);
            fx.timers.push(TimerChange { timer, after });
        }
        match mended {
            true => Step::Mended,
            false => Step::Usual,
        }
    }
}

/// What came of a child's step besides its effects.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[must_use]
pub enum Step {
    /// Nothing.
    Usual,
    /// The child was damaged and is whole again: the parent must write down what is restated now,
    /// since what was written before does not count any more.
    Mended,
}

/// The child; what else is kept follows from what is on the disk.
impl<C: Protocol + Hash> Hash for Embedded<C> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.child.hash(state);
        self.damaged.hash(state);
    }
}
