//! What one step asks of the outside world.

use alloc::vec::Vec;
use core::ops::Range;
use core::time::Duration;

use crate::choice::Choice;
use crate::ids::{Frame, NodeId};
use crate::protocol::{Output, Protocol};

/// Everything that one step asks for. Protocols fill it through the methods; the node, which owns
/// and reuses it so that a step allocates nothing, empties the fields.
#[derive(Clone)]
pub struct Effects<P: Protocol> {
    /// Records to append, in order: together they are the step's frame.
    pub records: Vec<P::Record>,
    /// If set, no frame before this one is needed any more once this step's frame is durable.
    pub keep_from: Option<Frame>,
    /// Mail to send, in order.
    pub mail: Vec<Mail<P>>,
    /// Timers to start and stop, in order.
    pub timers: Vec<TimerChange<P>>,
    /// Outputs for the layer above, in order.
    pub outputs: Vec<Output<P>>,
    /// The frame that this step's records will be written in.
    pub frame: Frame,
    /// Where chance comes from.
    pub choice: Choice,
}

/// One message on its way out.
#[derive(Clone)]
pub struct Mail<P: Protocol> {
    /// The receiver, which may be the sender.
    pub to: NodeId,
    /// What it says.
    pub message: P::Message,
    /// Whether it may leave before this step's records are durable.
    pub early: bool,
}

/// A change to one named timer.
#[derive(Clone)]
pub struct TimerChange<P: Protocol> {
    /// Which timer.
    pub timer: P::Timer,
    /// When it runs out, as a range from which the node picks; `None` stops it.
    pub after: Option<Range<Duration>>,
}

impl<P: Protocol> Effects<P> {
    /// No effects yet.
    #[must_use]
    pub fn new(choice: Choice) -> Effects<P> {
        Effects {
            records: Vec::new(),
            keep_from: None,
            mail: Vec::new(),
            timers: Vec::new(),
            outputs: Vec::new(),
            frame: Frame(1),
            choice,
        }
    }

    /// Appends a record to stable storage.
    pub fn persist(&mut self, record: P::Record) {
        self.records.push(record);
    }

    /// The frame that this step's records will be written in, to be remembered for
    /// [`Effects::compact`].
    #[must_use]
    pub fn frame(&self) -> Frame {
        self.frame
    }

    /// Forgets every frame before `keep_from`. `records` restate what is still needed of them; they
    /// are written now, and the old frames go once they are durable. Replay after a restart sees
    /// the frames from `keep_from` on, in the order written, so `records` come after some of what
    /// they summarise.
    pub fn compact(&mut self, keep_from: Frame, records: impl IntoIterator<Item = P::Record>) {
        assert!(keep_from <= self.frame, "frames to come cannot be dropped");
        self.records.extend(records);
        self.keep_from = self.keep_from.max(Some(keep_from));
    }

    /// Sends a message once all that this replica wrote so far, this step included, is durable. Mail
    /// to oneself is how a replica counts its own vote.
    pub fn send(&mut self, to: NodeId, message: P::Message) {
        self.mail.push(Mail {
            to,
            message,
            early: false,
        });
    }

    /// Sends a message at once. It must promise nothing that this replica could forget: each use
    /// carries a comment `// Early:` that says why.
    pub fn send_early(&mut self, to: NodeId, message: P::Message) {
        self.mail.push(Mail {
            to,
            message,
            early: true,
        });
    }

    /// Starts, or restarts, a timer that runs out after a time picked from the range.
    pub fn set_timer(&mut self, timer: P::Timer, after: Range<Duration>) {
        self.timers.push(TimerChange {
            timer,
            after: Some(after),
        });
    }

    /// Stops a timer; nothing happens if it does not run.
    pub fn stop_timer(&mut self, timer: P::Timer) {
        self.timers.push(TimerChange { timer, after: None });
    }

    /// Hands an output to the layer above.
    pub fn output(&mut self, output: Output<P>) {
        self.outputs.push(output);
    }

    /// A number below `n`: seeded in production and simulation, every value in the model checker.
    pub fn choose(&mut self, n: u32) -> u32 {
        self.choice.choose(n)
    }
}
