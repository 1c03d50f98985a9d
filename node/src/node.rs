//! The node: a protocol, its gate and its timers.

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::mem;
use core::ops::Range;

use quorate_core::{
    Boot, Checkpoint, Choice, Effects, Frame, Instant, NodeId, Output, Protocol, Request, Status,
    Survival, Wire,
};

use crate::gate::Gate;
use crate::timers::Timers;

/// One replica of protocol `P`. Every call may leave frames to write, mail to send and outputs to
/// apply; the world takes them and carries them out in any order that it likes, since the gate has
/// already decided what may leave.
#[derive(Clone)]
pub struct Node<P: Protocol> {
    me: NodeId,
    protocol: P,
    fx: Effects<P>,
    gate: Gate<Letter<P>>,
    timers: Timers<P::Timer>,
    to_self: VecDeque<P::Message>,
    frames: Frames,
    mail: Vec<Letter<P>>,
    outputs: Vec<Output<P>>,
}

/// What can happen to a replica from outside, besides time and the disk.
pub enum Input<P: Protocol> {
    /// The layer above asks for something.
    Request(Request<P>),
    /// A message arrived.
    Message(NodeId, P::Message),
}

/// A message with its receiver.
#[derive(Clone, Debug)]
pub struct Letter<P: Protocol> {
    /// Who gets it.
    pub to: NodeId,
    /// What it says.
    pub message: P::Message,
}

/// Frames on their way to the disk, encoded one behind the other in one buffer.
#[derive(Clone, Default, Debug)]
pub struct Frames {
    /// The records of all frames.
    pub bytes: Vec<u8>,
    /// Which part of `bytes` is which frame, oldest first.
    pub written: Vec<Written>,
}

/// One frame in [`Frames`].
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Written {
    /// Its number.
    pub frame: Frame,
    /// Its records' bytes.
    pub range: Range<usize>,
    /// If set, no frame before that one is needed once this one is durable.
    pub keep_from: Option<Frame>,
}

impl Frames {
    /// Whether there is nothing to write.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.written.is_empty()
    }

    /// Empties the buffers and keeps their memory.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.written.clear();
    }
}

impl<P: Protocol> Node<P> {
    /// Opens the protocol on what survived. `durable` is the last frame on the disk and `seed` feeds
    /// the protocol's choices.
    pub fn open(
        config: &P::Config,
        boot: Boot<'_, P>,
        durable: Frame,
        choice: Choice,
        now: Instant,
    ) -> Node<P> {
        let me = boot.me;
        let mut fx = Effects::new(choice);
        fx.frame = durable.next();
        let protocol = P::open(config, boot, &mut fx);
        let mut node = Node {
            me,
            protocol,
            fx,
            gate: Gate::new(durable),
            timers: Timers::default(),
            to_self: VecDeque::new(),
            frames: Frames::default(),
            mail: Vec::new(),
            outputs: Vec::new(),
        };
        node.carry_out(now);
        node.settle(now);
        node
    }

    /// One input, and all the mail to itself that follows from it.
    pub fn step(&mut self, input: Input<P>, now: Instant) {
        match input {
            Input::Request(request) => self.protocol.on_request(request, &mut self.fx),
            Input::Message(from, message) => self.protocol.on_message(from, message, &mut self.fx),
        }
        self.carry_out(now);
        self.settle(now);
    }

    /// The disk finished all frames through this one.
    pub fn synced(&mut self, frame: Frame, now: Instant) {
        self.gate.on_synced(frame);
        self.settle(now);
    }

    /// Fires every timer that has run out.
    pub fn expire(&mut self, now: Instant) {
        while let Some(timer) = self.timers.expire(now) {
            self.protocol.on_timer(timer, &mut self.fx);
            self.carry_out(now);
            self.settle(now);
        }
    }

    /// Fires one running timer now, whatever its deadline: in a model, time is only an order.
    pub fn fire(&mut self, timer: P::Timer, now: Instant) {
        self.timers.stop(timer);
        self.protocol.on_timer(timer, &mut self.fx);
        self.carry_out(now);
        self.settle(now);
    }

    /// When the next timer runs out.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Instant> {
        self.timers.next_deadline()
    }

    /// How many more requests that add to the order the protocol welcomes.
    #[must_use]
    pub fn window(&self) -> usize {
        self.protocol.window()
    }

    /// Exchanges the frames to write for an empty buffer, whose memory is used again.
    pub fn take_frames(&mut self, empty: &mut Frames) {
        debug_assert!(empty.is_empty(), "a buffer with frames would lose them");
        mem::swap(&mut self.frames, empty);
    }

    /// Takes the mail that may leave, in order.
    pub fn take_mail(&mut self) -> impl Iterator<Item = Letter<P>> + '_ {
        self.mail.drain(..)
    }

    /// Takes the outputs, in order.
    pub fn take_outputs(&mut self) -> impl Iterator<Item = Output<P>> + '_ {
        self.outputs.drain(..)
    }

    /// This replica's id.
    #[must_use]
    pub fn me(&self) -> NodeId {
        self.me
    }

    /// What the replica says of itself.
    #[must_use]
    pub fn status(&self) -> Status {
        self.protocol.status()
    }

    /// The protocol, for oracles and invariants.
    #[must_use]
    pub fn protocol(&self) -> &P {
        &self.protocol
    }

    /// The gate, for pictures and reports.
    #[must_use]
    pub fn gate(&self) -> &Gate<Letter<P>> {
        &self.gate
    }

    /// The timers, for worlds in which somebody else decides what fires.
    #[must_use]
    pub fn timers(&self) -> &Timers<P::Timer> {
        &self.timers
    }

    /// Where the protocol's choices come from, for worlds that dictate them.
    pub fn choice(&mut self) -> &mut Choice {
        &mut self.fx.choice
    }

    /// Mail to oneself that has passed the gate is the next input, until there is none.
    fn settle(&mut self, now: Instant) {
        loop {
            while let Some(letter) = self.gate.release() {
                if letter.to == self.me {
                    self.to_self.push_back(letter.message);
                } else {
                    self.mail.push(letter);
                }
            }
            let Some(message) = self.to_self.pop_front() else {
                return;
            };
            self.protocol.on_message(self.me, message, &mut self.fx);
            self.carry_out(now);
        }
    }

    /// The step as a transaction: its records become a frame, its held mail waits for that frame.
    fn carry_out(&mut self, now: Instant) {
        let fx = &mut self.fx;
        if !fx.records.is_empty() || fx.keep_from.is_some() {
            let start = self.frames.bytes.len();
            for record in fx.records.drain(..) {
                record.encode(&mut self.frames.bytes);
            }
            self.frames.written.push(Written {
                frame: fx.frame,
                range: start..self.frames.bytes.len(),
                keep_from: fx.keep_from.take(),
            });
            self.gate.on_written();
            fx.frame = fx.frame.next();
        }
        for mail in fx.mail.drain(..) {
            let (to, message) = (mail.to, mail.message);
            match (mail.early, to == self.me) {
                (false, _) => self.gate.hold(Letter { to, message }),
                (true, true) => self.to_self.push_back(message),
                (true, false) => self.mail.push(Letter { to, message }),
            }
        }
        for change in fx.timers.drain(..) {
            match change.after {
                Some(range) => {
                    let spread = range.end.saturating_sub(range.start).as_micros();
                    let spread = u32::try_from(spread).unwrap_or(u32::MAX);
                    let jitter = u64::from(fx.choice.spread(spread.saturating_add(1)));
                    let after = range.start + core::time::Duration::from_micros(jitter);
                    self.timers.set(change.timer, now + after);
                }
                None => self.timers.stop(change.timer),
            }
        }
        self.outputs.append(&mut fx.outputs);
    }
}

/// Opens a node that has never run before: what models and tests start from.
impl<P: Protocol> Node<P> {
    /// A fresh replica with an empty disk.
    pub fn fresh(me: NodeId, config: &P::Config, choice: Choice, now: Instant) -> Node<P> {
        let boot = Boot {
            me,
            incarnation: 1,
            survival: Survival::Fresh,
            records: Box::new(core::iter::empty()),
            checkpoint: Checkpoint::default(),
        };
        Node::open(config, boot, Frame(0), choice, now)
    }
}
