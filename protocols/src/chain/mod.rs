//! Chain replication (van Renesse and Schneider, "Chain replication for supporting high throughput and
//! availability", 2004) with reads at every replica (Terrace and Freedman, "CRAQ", 2009).
//!
//! The head orders, everybody passes on, what has reached the tail is committed, and a view service says
//! who stands where. `README.md` has the messages, the deviations, and why nothing is lost.

mod commit;
mod config;
mod describe;
mod flaw;
mod forward;
mod invariants;
mod join;
mod link;
mod loss;
mod message;
#[cfg(test)]
mod paper;
mod reads;
mod restart;
mod service;
mod snapshot;
mod transfer;
mod update;
mod view;

use alloc::collections::BTreeMap;

use quorate_core::{Boot, Checkpoint, Effects, Model, NodeId, Protocol, Status};
use quorate_problems::total_order::{Request, TotalOrder};

use crate::log::{Index, Log};
pub use crate::views::{Number as ViewNumber, View};
pub use config::Config;
pub use flaw::Flaw;
pub use invariants::Chains;
use link::Link;
pub use message::{Answer, Message, Question, Record, Timer};

/// One replica of a chain.
#[derive(Clone, Hash)]
pub struct Chain {
    me: NodeId,
    incarnation: u64,
    config: Config,
    seat: service::Service,
    /// The view that this replica has entered.
    view: View,
    /// Whether the view service has written down that everybody in the view has everything.
    established: bool,
    log: Log,
    /// Everything through here is committed and has been delivered.
    commit: Index,
    /// The log agrees with the head's through here; unknown when a view begins.
    agreed: Option<Index>,
    /// In this view it was said that from here to the tail all have this on disk.
    stored: Index,
    /// Whom it passes updates on to: its successor; behind the tail, those who want to join.
    links: BTreeMap<NodeId, Link>,
    /// For how many heartbeats nothing was passed on to this replica.
    unfed: u32,
    reads: reads::Reads,
    /// Head: whom the head's place is being handed to.
    transfer: Option<NodeId>,
    /// What the layer above was last told of view and head.
    told: (ViewNumber, Option<NodeId>),
    /// Records were lost: it takes part in nothing until the view service knows.
    loss: Option<loss::Loss>,
    /// It lost records, and has not been a member of a view since that was active.
    forgot: bool,
}

impl Protocol for Chain {
    type Problem = TotalOrder;
    type Config = Config;
    type Message = Message;
    type Timer = Timer;
    type Record = Record;

    const MODEL: Model = config::MODEL;

    fn open(config: &Config, boot: Boot<'_, Chain>, fx: &mut Effects<Chain>) -> Chain {
        Chain::restart(config, boot, fx)
    }

    fn on_request(&mut self, request: Request, fx: &mut Effects<Chain>) {
        match request {
            Request::Broadcast(payload) => self.on_broadcast(payload, fx),
            Request::Read { id } => self.on_read(id, fx),
            Request::Compact(checkpoint) => self.on_compact(checkpoint, fx),
            Request::Transfer { to } => self.on_transfer(to, fx),
            Request::Reconfigure(members) => self.on_reconfigure(members, fx),
        }
    }

    fn on_message(&mut self, from: NodeId, message: Message, fx: &mut Effects<Chain>) {
        if !self.admits(&message) {
            return;
        }
        match message {
            Message::Ping(_)
            | Message::Current(_)
            | Message::Unchanged { .. }
            | Message::Views(_) => self.on_views_message(from, message, fx),
            Message::Update {
                previous,
                commit,
                entries,
                ..
            } => self.on_update(from, previous, commit, &entries, fx),
            Message::Stored { index, .. } => self.on_stored(from, index, fx),
            Message::Linked { index, stored, .. } => self.on_linked(from, index, stored, fx),
            Message::Missing { previous, hint, .. } => self.on_missing(from, previous, hint, fx),
            Message::Entered { last, .. } => self.on_entered(from, last, fx),
            Message::Snapshot { checkpoint, .. } => self.on_snapshot(from, checkpoint, fx),
            Message::Forward { payload } => self.propose(payload, fx),
            Message::VersionAsked {
                question, relay, ..
            } => self.on_asked(from, question, relay, fx),
            Message::Version {
                question, answer, ..
            } => self.on_version(from, question, answer, fx),
        }
    }

    fn on_timer(&mut self, timer: Timer, fx: &mut Effects<Chain>) {
        match timer {
            Timer::Ping | Timer::Tick | Timer::Views(_) => self.on_views_timer(timer, fx),
            Timer::Heartbeat => self.on_heartbeat(fx),
            Timer::Silence => self.on_silence(fx),
            Timer::Transfer => self.abandon_transfer(fx),
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
