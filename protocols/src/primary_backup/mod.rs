//! Primary-backup: total order by one replica at a time (Alsberg and Day, "A principle for resilient
//! sharing of distributed resources", 1976; Budhiraja, Marzullo, Schneider and Toueg, "The
//! primary-backup approach", 1993; with the views of MIT 6.824's second lab).
//!
//! The primary orders what it is asked to order and sends it to all backups of its view; what every
//! member of the view has on disk is delivered. A view service says who is primary: see
//! [`crate::views`]. `README.md` has the table of messages; each file below is one part of it.

mod config;
mod describe;
mod flaw;
mod forward;
mod invariants;
mod lost;
mod membership;
mod message;
#[cfg(test)]
mod paper;
mod primary;
mod reads;
mod restart;
mod snapshot;
mod transfer;
mod update;
mod view;

use quorate_core::{Boot, Checkpoint, Effects, Model, NodeId, Protocol, Status};
use quorate_problems::total_order::{Request, TotalOrder};

use crate::log::{Content, Entries, Entry, Epoch, Index, Log, Position};
use crate::raft::Raft;
use crate::views::{self, Number, Replicator, Seat};

pub use config::{Config, Mode, Promotion, ReadsBy};
pub use flaw::Flaw;
pub use invariants::Completeness;
pub use message::{Message, Record, Timer};
use view::Role;

/// One replica. `M` replicates the view service, where it is replicated.
#[derive(Clone, Hash)]
pub struct PrimaryBackup<M: Replicator = Raft> {
    me: NodeId,
    incarnation: u64,
    config: Config<M::Config>,
    /// Its part in the view service.
    seat: Seat<M>,
    /// The latest view that it knows of: it accepts nothing from an earlier one.
    number: Number,
    log: Log,
    /// Everything through here is at every member of some view, and has been delivered.
    commit: Index,
    /// The primary of this view, once it is known to be active.
    leader: Option<NodeId>,
    /// What the layer above was last told of view and primary.
    told: (Number, Option<NodeId>),
    role: Role,
    /// It lost records, and has not been a member of a view since that was active.
    forgot: bool,
}

impl<M: Replicator> Protocol for PrimaryBackup<M> {
    type Problem = TotalOrder;
    type Config = Config<M::Config>;
    type Message = Message<M::Message>;
    type Timer = Timer<M::Timer>;
    type Record = Record<M::Record>;

    const MODEL: Model = config::MODEL;

    fn open(config: &Self::Config, boot: Boot<'_, Self>, fx: &mut Effects<Self>) -> Self {
        PrimaryBackup::restart(config, boot, fx)
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

    fn on_message(&mut self, from: NodeId, message: Self::Message, fx: &mut Effects<Self>) {
        if !self.admit(from, &message, fx) {
            return;
        }
        match message {
            Message::Update {
                view,
                previous,
                commit,
                entries,
            } => self.on_update(from, view, previous, commit, &entries, fx),
            Message::Updated { index, .. } => self.on_updated(from, index, fx),
            Message::Differs { previous, hint, .. } => self.on_differs(from, previous, hint, fx),
            Message::Leading { round, commit, .. } => self.on_leading(from, round, commit, fx),
            Message::Heard { round, .. } => self.on_heard(from, round, fx),
            Message::Committed { commit, .. } => self.on_committed(from, commit, fx),
            Message::Snapshot { checkpoint, .. } => self.on_snapshot(from, checkpoint, fx),
            Message::Superseded { .. } => {} // Its view was all it had to say.
            Message::Forward { payload } => self.propose(payload, fx),
            Message::ReadAsked { incarnation, id } => self.on_read_asked(from, incarnation, id, fx),
            Message::ReadReady { id, index, .. } => self.on_read_ready(id, index, fx),
            Message::Ping(_)
            | Message::Current(_)
            | Message::Unchanged { .. }
            | Message::Service(_)
            | Message::State { .. } => self.on_views(from, message, fx),
        }
    }

    fn on_timer(&mut self, timer: Self::Timer, fx: &mut Effects<Self>) {
        match timer {
            Timer::Silence => self.on_silence(fx),
            Timer::Heartbeat => self.on_heartbeat(fx),
            Timer::Transfer => self.abandon_transfer(fx),
            Timer::Lease => self.on_lease_over(fx),
            Timer::Ping => self.on_views_timer(views::Timer::Ping, fx),
            Timer::Tick => self.on_views_timer(views::Timer::Tick, fx),
            Timer::Service(timer) => self.on_views_timer(views::Timer::Service(timer), fx),
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

    fn attachment(message: &mut Self::Message) -> Option<&mut Checkpoint> {
        message.checkpoint()
    }
}
