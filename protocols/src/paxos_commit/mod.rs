//! Paxos commit (Gray and Lamport, "Consensus on transaction commit", 2006).
//!
//! What every participant votes is decided by an instance of the synod, in which it alone has ballot 0.
//! So its vote is known as long as a quorum of acceptors is, and not only to a coordinator: whoever loses
//! patience becomes the leader, finds out how each instance ends, and tells all. All instances share their
//! messages. With one acceptor it would be two-phase commit. The acceptors and what is made of promises
//! are those of `crate::synod`.

mod acceptor;
mod config;
mod describe;
mod flaw;
mod invariants;
mod leader;
mod learner;
mod message;
#[cfg(test)]
mod paper;
mod participant;
mod restart;

use alloc::collections::{BTreeMap, BTreeSet};

use quorate_core::{Boot, Effects, Model, NodeId, Protocol, Status};
use quorate_problems::atomic_commitment::{AtomicCommitment, Outcome, Request, Vote};

use crate::synod::Acceptor;
pub use config::Config;
pub use flaw::Flaw;
pub use invariants::one_vote;
use leader::Attempt;
pub use message::{Cast, Message, Record, Ruling, Timer};

/// One process: participant, acceptor of all instances, and leader if need be.
#[derive(Clone, Hash, Debug)]
pub struct PaxosCommit {
    me: NodeId,
    config: Config,
    /// Its own vote.
    vote: Option<Vote>,
    /// What it has promised and accepted in the instance of each participant.
    acceptors: BTreeMap<NodeId, Acceptor<Vote>>,
    /// Leader of ballot 0: who has accepted a yes of everybody.
    collected: BTreeSet<NodeId>,
    /// The last round in which this process began a ballot.
    begun: u64,
    /// The last round that it heard of.
    heard: u64,
    /// Its ballot, while it tries one.
    attempt: Option<Attempt>,
    /// How often it lost its patience in this life.
    failures: u32,
    /// What is decided, once it knows.
    outcome: Option<Outcome>,
    /// It may have forgotten promises and its vote, and so makes no more of them.
    damaged: bool,
    /// Frames written since all was stated anew.
    written: u32,
}

impl Protocol for PaxosCommit {
    type Problem = AtomicCommitment;
    type Config = Config;
    type Message = Message;
    type Timer = Timer;
    type Record = Record;

    const MODEL: Model = config::MODEL;

    fn open(
        config: &Config,
        boot: Boot<'_, PaxosCommit>,
        fx: &mut Effects<PaxosCommit>,
    ) -> PaxosCommit {
        PaxosCommit::restart(config, boot, fx)
    }

    fn on_request(&mut self, Request::Vote(vote): Request, fx: &mut Effects<PaxosCommit>) {
        self.on_vote(vote, fx);
    }

    fn on_message(&mut self, from: NodeId, message: Message, fx: &mut Effects<PaxosCommit>) {
        if !self.admit(from, &message, fx) {
            return;
        }
        match message {
            Message::Vote { vote: Vote::Yes } => self.on_yes(from, fx),
            Message::Vote { vote: Vote::No } => self.decide(Outcome::Abort, fx),
            Message::Collected => self.on_collected(from, fx),
            Message::Prepare { ballot } => self.on_prepare(from, ballot, fx),
            Message::Promise { ballot, accepted } => self.on_promise(from, ballot, accepted, fx),
            Message::Accept { ballot, votes } => self.on_accept(from, ballot, &votes, fx),
            Message::Accepted { ballot } => self.on_accepted(from, ballot, fx),
            Message::Outbid { ballot, promised } => self.on_outbid(ballot, promised, fx),
            Message::Decided { outcome } => self.decide(outcome, fx),
            Message::Wondering => {} // Nor does this process know.
        }
    }

    fn on_timer(&mut self, timer: Timer, fx: &mut Effects<PaxosCommit>) {
        match timer {
            Timer::Patience => self.on_patience(fx),
        }
    }

    fn window(&self) -> usize {
        usize::from(self.vote.is_none())
    }

    fn status(&self) -> Status {
        self.summary()
    }

    fn invariants(&self) {
        self.check();
    }
}
