//! The synod: consensus on one value (Lamport, "Paxos Made Simple", 2001).
//!
//! A proposer numbers its attempts, its *ballots*. It first has a quorum of acceptors promise to take
//! part in no earlier ballot and tell what they have accepted so far, and then asks them to accept a
//! value: one that may be chosen already, if there is any, and else its own. What a quorum has accepted
//! is chosen. `README.md` has the table of messages; each file below is one role of the paper.

mod acceptor;
mod backoff;
mod ballot;
mod config;
mod describe;
mod flaw;
mod invariants;
mod learner;
mod message;
#[cfg(test)]
mod paper;
mod promises;
mod proposer;
mod restart;
mod vote;

use quorate_core::{Boot, Effects, Model, NodeId, Payload, Protocol, Status};
use quorate_problems::consensus::{Consensus, Request};

pub use acceptor::{Acceptor, Outbid};
pub use ballot::{Ballot, Proposal};
pub use config::{Config, Refused};
pub use flaw::Flaw;
pub use invariants::one_value;
pub use message::{Message, Record, Timer};
pub use promises::Promises;
use proposer::Attempt;

/// One process: proposer, acceptor and learner.
#[derive(Clone, Hash, Debug)]
pub struct Synod {
    me: NodeId,
    config: Config,
    acceptor: Acceptor<Payload>,
    /// What the layer above wants, in this life.
    wanted: Option<Payload>,
    /// The last round in which this process began a ballot.
    begun: u64,
    /// The last round that it heard of.
    heard: u64,
    /// Its ballot, while it tries one.
    attempt: Option<Attempt>,
    /// How often it lost its patience in this life.
    failures: u32,
    /// What is chosen, once it knows.
    decided: Option<Payload>,
    /// It may have forgotten promises, and so makes no more of them.
    damaged: bool,
    /// Frames written since all was stated anew.
    written: u32,
}

impl Protocol for Synod {
    type Problem = Consensus;
    type Config = Config;
    type Message = Message;
    type Timer = Timer;
    type Record = Record;

    const MODEL: Model = config::MODEL;

    fn open(config: &Config, boot: Boot<'_, Synod>, fx: &mut Effects<Synod>) -> Synod {
        Synod::restart(config, boot, fx)
    }

    fn on_request(&mut self, Request::Propose(value): Request, fx: &mut Effects<Synod>) {
        self.on_propose(value, fx);
    }

    fn on_message(&mut self, from: NodeId, message: Message, fx: &mut Effects<Synod>) {
        if !self.admit(from, &message, fx) {
            return;
        }
        match message {
            Message::Prepare { ballot } => self.on_prepare(from, ballot, fx),
            Message::Promise { ballot, accepted } => self.on_promise(from, ballot, accepted, fx),
            Message::Accept { ballot, value } => self.on_accept(from, ballot, value, fx),
            Message::Accepted { ballot } => self.on_accepted(from, ballot, fx),
            Message::Outbid { ballot, promised } => self.on_outbid(ballot, promised, fx),
            Message::Decided { value } => self.decide(value, fx),
            Message::Wondering => {} // Nor does this process know.
        }
    }

    fn on_timer(&mut self, timer: Timer, fx: &mut Effects<Synod>) {
        match timer {
            Timer::Patience => self.on_patience(fx),
        }
    }

    fn window(&self) -> usize {
        usize::from(self.wanted.is_none())
    }

    fn status(&self) -> Status {
        self.summary()
    }

    fn invariants(&self) {
        self.check();
    }
}
