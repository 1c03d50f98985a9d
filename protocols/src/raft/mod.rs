//! Raft: consensus by a strong leader (Ongaro and Ousterhout, "In search of an understandable
//! consensus algorithm", 2014; Ongaro's thesis, 2014).
//!
//! A leader is elected for a term, appends what it is asked to order to its log, and has followers
//! copy that log; what a quorum has on disk is committed and delivered. `README.md` has the table of
//! messages and what deviates from the paper; each file below is one section of it.

mod commit;
mod config;
mod configurations;
mod describe;
mod dispatch;
mod election;
mod flaw;
mod forward;
mod invariants;
mod leader;
mod lease;
mod membership;
mod message;
#[cfg(test)]
mod paper;
mod reads;
mod recovery;
mod rename;
mod repair;
mod replay;
mod replication;
mod restart;
mod role;
mod snapshot;
mod stability;
mod transfer;

use quorate_core::{Boot, Checkpoint, Effects, Model, NodeId, Protocol, Status};
use quorate_problems::total_order::{Request, TotalOrder};

use crate::log::Log;
pub use crate::log::{Content, Entries, Entry, Epoch as Term, Index, Position};
pub use crate::members::Configuration;

pub use config::Config;
use configurations::Configurations;
pub use flaw::Flaw;
pub use invariants::Figure3;
pub use message::{Message, Record, Timer};
use recovery::Rejoin;
use restart::Beginning;
use role::Role;
pub use stability::Stability;

/// One Raft replica.
#[derive(Clone, Hash, Debug)]
pub struct Raft {
    me: NodeId,
    incarnation: u64,
    config: Config,
    configurations: Configurations,
    term: Term,
    vote: Option<NodeId>,
    log: Log,
    /// Everything through here is committed.
    commit: Index,
    /// Everything through here has been delivered: the application's state may have survived where the
    /// end of the log has not.
    delivered: Index,
    /// Who leads this term, as long as it is heard from.
    leader: Option<NodeId>,
    /// What the layer above was last told of term and leader.
    told: (Term, Option<NodeId>),
    /// The version of the members that it was last told of.
    told_members: u64,
    role: Role,
    /// Whether a lease that it gave its leader may not have ended yet.
    leased: bool,
    /// Records were lost: promises wait.
    rejoining: Option<Rejoin>,
    beginning: Beginning,
    /// The promises that the last frame says.
    sealed: (Term, Option<NodeId>, bool),
    /// How many entries others have put back.
    repaired: u64,
}

impl Protocol for Raft {
    type Problem = TotalOrder;
    type Config = Config;
    type Message = Message;
    type Timer = Timer;
    type Record = Record;

    const MODEL: Model = config::MODEL;

    fn open(config: &Config, boot: Boot<'_, Raft>, fx: &mut Effects<Raft>) -> Raft {
        Raft::restart(config, boot, fx)
    }

    fn on_request(&mut self, request: Request, fx: &mut Effects<Raft>) {
        match request {
            Request::Broadcast(payload) => self.on_broadcast(payload, fx),
            Request::Read { id } => self.on_read(id, fx),
            Request::Compact(checkpoint) => self.on_compact(checkpoint, fx),
            Request::Transfer { to } => self.on_transfer(to, fx),
            Request::Reconfigure(members) => self.on_reconfigure(members, fx),
        }
        self.seal(fx);
    }

    fn on_message(&mut self, from: NodeId, message: Message, fx: &mut Effects<Raft>) {
        self.receive(from, message, fx);
        self.seal(fx);
    }

    fn on_timer(&mut self, timer: Timer, fx: &mut Effects<Raft>) {
        match timer {
            Timer::Silence => self.on_silence(fx),
            Timer::Election => self.canvass(fx),
            Timer::Heartbeat => self.on_heartbeat(fx),
            Timer::CheckQuorum => self.on_check_quorum(fx),
            Timer::Transfer => self.abandon_transfer(),
            Timer::Recovery => self.ask_for_help(fx),
            Timer::Lease => self.on_lease_ended(),
            Timer::Term(round) => self.on_term_ended(round),
        }
        self.seal(fx);
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
