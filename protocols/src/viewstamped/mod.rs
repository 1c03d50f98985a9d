//! Viewstamped Replication Revisited (Liskov and Cowling, 2012): the primary's turn goes round.
//!
//! Views are numbered, and each number says who is primary. The primary orders, and has backups copy its
//! log; if it is missed, a quorum moves on to the next view, which begins with the latest log that any
//! of them has. `README.md` has the table of messages and what deviates from the paper; each file
//! below is one section of it.

mod checkpoint;
mod config;
mod crashes;
mod describe;
mod epoch;
mod flaw;
mod forward;
mod invariants;
mod message;
mod normal;
#[cfg(test)]
mod paper;
mod primary;
mod reads;
mod reconfiguration;
mod recovery;
mod replicas;
mod restart;
mod role;
mod state_transfer;
mod suspicion;
mod transfer;
mod transition;
mod view_change;

use quorate_core::{Boot, Checkpoint, Effects, Model, NodeId, Protocol, Status};
use quorate_problems::total_order::{Request, TotalOrder};

use crate::log::Log;
pub use crate::log::{Content, Entries, Entry, Epoch as View, Index, Position};
use crate::members::Members as Replicas;

pub use config::{Config, Memory};
pub use crashes::Crashes;
pub use epoch::Epoch;
pub use flaw::Flaw;
pub use invariants::Section8;
pub use message::{Message, Record, Timer};
use role::Role;
use suspicion::Suspicion;

/// One replica.
#[derive(Clone, Hash, Debug)]
pub struct Viewstamped {
    me: NodeId,
    incarnation: u64,
    config: Config,
    /// The epoch that this replica is in, or in which it recovers: who takes part.
    epoch: Epoch,
    /// Its voters.
    replicas: Replicas,
    /// The view-number.
    view: View,
    /// The last view in which the status was normal: the log is that view's.
    normal: View,
    log: Log,
    /// The commit-number: everything through here is committed and has been delivered.
    commit: Index,
    role: Role,
    suspicion: Suspicion,
    crashes: Crashes,
    /// Whether somebody was asked for missing entries and has not answered yet.
    asked: bool,
    /// What the layer above was last told of view and primary.
    told: (View, Option<NodeId>),
    /// The version of the members that it was told last.
    told_members: u64,
}

impl Protocol for Viewstamped {
    type Problem = TotalOrder;
    type Config = Config;
    type Message = Message;
    type Timer = Timer;
    type Record = Record;

    const MODEL: Model = config::MODEL;

    fn open(config: &Config, boot: Boot<'_, Self>, fx: &mut Effects<Self>) -> Self {
        Viewstamped::restart(config, boot, fx)
    }

    fn on_request(&mut self, request: Request, fx: &mut Effects<Self>) {
        match request {
            Request::Broadcast(payload) => self.on_broadcast(payload, fx),
            Request::Read { id } => self.on_read(id, fx),
            Request::Compact(checkpoint) => self.on_compact(checkpoint, fx),
            Request::Transfer { to } => self.on_transfer(to, fx),
            Request::Reconfigure(members) => self.on_reconfigure(members, fx),
        }
    }

    fn on_message(&mut self, from: NodeId, message: Message, fx: &mut Effects<Self>) {
        if self.admit(from, &message, fx) {
            self.take(from, message, fx);
        }
    }

    fn on_timer(&mut self, timer: Timer, fx: &mut Effects<Self>) {
        match timer {
            Timer::Silence => self.on_silence(fx),
            Timer::Repeat => self.on_repeat(fx),
            Timer::Heartbeat => self.on_heartbeat(fx),
            Timer::CheckQuorum => self.on_check_quorum(fx),
            Timer::Transfer => self.abandon_transfer(),
        }
    }

    fn window(&self) -> usize {
        self.room()
    }

    fn status(&self) -> Status {
        self.summary()
    }

    fn invariants(&self) {
        self.check();
    }

    fn attachment(message: &mut Message) -> Option<&mut Checkpoint> {
        message.checkpoint()
    }
}
