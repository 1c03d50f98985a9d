//! Two-phase commit (Gray, "Notes on data base operating systems", 1978; Bernstein, Hadzilacos and
//! Goodman, "Concurrency control and recovery in database systems", 1987, chapter 7).
//!
//! All send their votes to a coordinator, and it decides: commit if all voted yes. Whoever voted yes must
//! wait for its word, and if the coordinator is gone and nobody else has heard it, for ever: it is
//! *blocked*. `README.md` has the table of messages; `paxos_commit` is what one does about it.

mod config;
mod coordinator;
mod describe;
mod flaw;
mod invariants;
mod message;
#[cfg(test)]
mod paper;
mod participant;
mod rename;
mod restart;
mod termination;

use quorate_core::{Boot, Effects, Model, NodeId, Protocol, Status};
use quorate_problems::atomic_commitment::{AtomicCommitment, Outcome, Request};

pub use config::Config;
use coordinator::Collecting;
pub use flaw::Flaw;
pub use invariants::Unanimity;
pub use message::{Message, Record, Timer};
use participant::Standing;

/// One participant, and perhaps the coordinator too.
#[derive(Clone, Hash, Debug)]
pub struct TwoPhaseCommit {
    me: NodeId,
    config: Config,
    standing: Standing,
    /// The coordinator's books, while it collects votes.
    collecting: Option<Collecting>,
}

impl Protocol for TwoPhaseCommit {
    type Problem = AtomicCommitment;
    type Config = Config;
    type Message = Message;
    type Timer = Timer;
    type Record = Record;

    const MODEL: Model = config::MODEL;

    fn open(
        config: &Config,
        boot: Boot<'_, TwoPhaseCommit>,
        fx: &mut Effects<TwoPhaseCommit>,
    ) -> TwoPhaseCommit {
        TwoPhaseCommit::restart(config, boot, fx)
    }

    fn on_request(&mut self, Request::Vote(vote): Request, fx: &mut Effects<TwoPhaseCommit>) {
        self.on_vote(vote, fx);
    }

    fn on_message(&mut self, from: NodeId, message: Message, fx: &mut Effects<TwoPhaseCommit>) {
        match message {
            Message::Prepare => self.on_prepare(from, fx),
            Message::Yes => self.on_yes(from, fx),
            Message::No => self.on_no(from, fx),
            Message::Outcome { outcome } => self.on_outcome(outcome, fx),
            Message::Inquiry => self.on_inquiry(from, fx),
            Message::Uncertain => self.on_uncertain(from),
        }
    }

    fn on_timer(&mut self, timer: Timer, fx: &mut Effects<TwoPhaseCommit>) {
        match timer {
            Timer::Votes => self.on_votes_late(fx),
            Timer::Outcome => self.on_outcome_late(fx),
        }
    }

    fn window(&self) -> usize {
        usize::from(matches!(self.standing, Standing::Working))
    }

    fn status(&self) -> Status {
        self.summary()
    }

    fn invariants(&self) {
        self.check();
    }
}

impl TwoPhaseCommit {
    fn coordinates(&self) -> bool {
        self.me == self.config.coordinator
    }

    /// Everybody else.
    fn others(&self) -> impl Iterator<Item = NodeId> + use<'_> {
        let members = self.config.members.iter().copied();
        members.filter(|&id| id != self.me)
    }

    /// Decides, and has to remember that: nobody hears of it before it is on disk, this process's own
    /// layer above included, so it tells itself by mail.
    fn decide(&mut self, outcome: Outcome, fx: &mut Effects<TwoPhaseCommit>) {
        self.standing = Standing::Decided {
            outcome,
            told: false,
        };
        self.collecting = None;
        fx.stop_timer(Timer::Votes);
        fx.stop_timer(Timer::Outcome);
        fx.persist(Record::Decided { outcome });
        let message = Message::Outcome { outcome };
        fx.send(self.me, message);
        self.leak(Flaw::ForgetfulCoordinator, fx);
    }
}
