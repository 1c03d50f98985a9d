//! Multi-Paxos: a replicated log out of many instances of Paxos (Lamport, "The Part-Time Parliament",
//! 1998, and "Paxos Made Simple", 2001; Chandra, Griesemer and Redstone, "Paxos Made Live", 2007; Howard,
//! Malkhi and Spiegelman, "Flexible Paxos", 2016).
//!
//! Each slot of the log is an instance of its own. A leader goes through phase 1 once for all of them, and
//! then each command takes one round trip of phase 2, in any order and many at a time; what is chosen is
//! delivered in the order of slots. `README.md` has the table of messages, what deviates from the papers,
//! and why it is right.

mod accept;
mod ballot;
mod config;
mod describe;
mod election;
mod flaw;
mod forward;
mod invariants;
mod leader;
mod learn;
mod lease;
mod members;
mod message;
#[cfg(test)]
mod paper;
mod prepare;
mod reads;
mod reconfigure;
mod recovery;
mod restart;
mod role;
mod slots;
mod snapshot;
mod stability;
mod tenure;
mod transfer;

use quorate_core::{Boot, Checkpoint, Effects, Model, NodeId, Protocol, Status};
use quorate_problems::total_order::{Request, TotalOrder};

use crate::log::Epoch;
pub use ballot::{Ballot, Cast, Slot, Vote};
pub use config::{BadQuorums, Config, Quorums};
pub use flaw::Flaw;
pub use invariants::Choices;
pub use message::{Message, Record, Timer};
use recovery::Rejoin;
use role::Role;
use slots::Slots;
pub use stability::Stability;
pub use tenure::Tenure;
use tenure::Tenures;

/// One replica: acceptor and learner always, proposer when it has to be.
#[derive(Clone, Hash, Debug)]
pub struct MultiPaxos {
    me: NodeId,
    incarnation: u64,
    config: Config,
    /// Nothing is accepted in a lower ballot.
    promised: Ballot,
    /// What was accepted.
    slots: Slots,
    /// Everything through here is chosen and has been delivered.
    chosen: Slot,
    /// The `chosen` that is on disk, or on its way there.
    recorded: Slot,
    /// The epoch of the last position delivered.
    epoch: Epoch,
    /// In every slot through here is what is chosen, or what the promised ballot proposed.
    prefix: Slot,
    /// Everything through here is chosen, as far as this replica was told.
    told: Slot,
    /// Who leads the promised ballot, as long as it is heard from.
    leader: Option<NodeId>,
    /// What the layer above was last told of ballot and leader.
    announced: (Ballot, Option<NodeId>),
    role: Role,
    /// Who takes part, slot by slot.
    tenures: Tenures,
    /// Records were lost: promises wait until a leader of a higher ballot has told what it found.
    rejoining: Option<Rejoin>,
    /// A leader counts on this replica to promise nothing to others.
    leased: bool,
    /// The last round of heartbeats of this incarnation.
    round: u64,
}

impl Protocol for MultiPaxos {
    type Problem = TotalOrder;
    type Config = Config;
    type Message = Message;
    type Timer = Timer;
    type Record = Record;

    const MODEL: Model = config::MODEL;

    fn open(
        config: &Config,
        boot: Boot<'_, MultiPaxos>,
        fx: &mut Effects<MultiPaxos>,
    ) -> MultiPaxos {
        MultiPaxos::restart(config, boot, fx)
    }

    fn on_request(&mut self, request: Request, fx: &mut Effects<MultiPaxos>) {
        match request {
            Request::Broadcast(payload) => self.on_broadcast(payload, fx),
            Request::Read { id } => self.on_read(id, fx),
            Request::Compact(checkpoint) => self.on_compact(checkpoint, fx),
            Request::Transfer { to } => self.on_transfer(to, fx),
            Request::Reconfigure(members) => self.on_reconfigure(members, fx),
        }
    }

    fn on_message(&mut self, from: NodeId, message: Message, fx: &mut Effects<MultiPaxos>) {
        if self.admit(from, &message, fx) {
            self.take(from, message, fx);
        }
    }

    fn on_timer(&mut self, timer: Timer, fx: &mut Effects<MultiPaxos>) {
        match timer {
            Timer::Silence => self.on_silence(fx),
            Timer::Election => self.canvass(fx),
            Timer::Heartbeat => self.on_heartbeat(fx),
            Timer::CheckQuorum => self.on_check_quorum(fx),
            Timer::Transfer => self.abandon_transfer(fx),
            Timer::Recovery => self.ask_others(fx),
            Timer::Lease => self.on_lease_ended(),
            Timer::Term(round) => self.on_term_ended(round),
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
