//! The participant: it votes, and waits.

use alloc::collections::BTreeSet;

use quorate_core::{Effects, NodeId};
use quorate_problems::atomic_commitment::{Outcome, Output, Vote};

use super::{Flaw, Message, Record, Timer, TwoPhaseCommit};

/// Where a process stands.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) enum Standing {
    /// It has not voted, and may still abort by itself.
    Working,
    /// It has voted yes and does not know the outcome: its uncertainty period.
    Uncertain(Doubt),
    /// It knows the outcome.
    Decided {
        /// What is decided.
        outcome: Outcome,
        /// Whether the layer above knows.
        told: bool,
    },
    /// It lost records: it may have voted, or may have decided for all.
    Damaged(Doubt),
}

/// What a process knows that must wait for others.
#[derive(Clone, Default, PartialEq, Eq, Hash, Debug)]
pub(super) struct Doubt {
    /// Whether it has asked them.
    pub(super) asked: bool,
    /// Who does not know either.
    pub(super) uncertain: BTreeSet<NodeId>,
    /// Whether it has said that it is blocked.
    pub(super) blocked: bool,
}

impl TwoPhaseCommit {
    /// The layer above votes, or asks again.
    pub(super) fn on_vote(&mut self, vote: Vote, fx: &mut Effects<TwoPhaseCommit>) {
        if self.standing != Standing::Working {
            return;
        }
        match vote {
            Vote::Yes => {
                self.maybe_collect(fx);
                self.standing = Standing::Uncertain(Doubt::default());
                fx.persist(Record::VotedYes);
                self.send_yes(fx);
                self.leak(Flaw::EarlyVote, fx);
                self.await_outcome(fx);
            }
            Vote::No if self.coordinates() => self.announce(Outcome::Abort, fx),
            Vote::No => {
                // A no is a veto: it knows the outcome before anybody else.
                self.decide(Outcome::Abort, fx);
                fx.send(self.config.coordinator, Message::No);
            }
        }
    }

    /// Held: after a crash without its record it would be free to abort.
    pub(super) fn send_yes(&self, fx: &mut Effects<TwoPhaseCommit>) {
        fx.send(self.config.coordinator, Message::Yes);
    }

    /// The coordinator itself need not wait for its own word.
    pub(super) fn await_outcome(&self, fx: &mut Effects<TwoPhaseCommit>) {
        if self.collecting.is_none() {
            let timeout = self.config.outcome_timeout;
            fx.set_timer(Timer::Outcome, timeout..timeout.saturating_mul(2));
        }
    }

    pub(super) fn on_prepare(&mut self, from: NodeId, fx: &mut Effects<TwoPhaseCommit>) {
        match self.standing {
            // Its layer above has been slow, or was not asked yet. Nobody can vote for it.
            Standing::Working => {}
            Standing::Uncertain(_) => self.send_yes(fx),
            Standing::Decided { outcome, .. } => fx.send(from, Message::Outcome { outcome }),
            // Whether it may vote depends on what it has forgotten.
            Standing::Damaged(_) => {}
        }
    }

    /// Somebody knows, or this process does and has it on disk.
    pub(super) fn on_outcome(&mut self, outcome: Outcome, fx: &mut Effects<TwoPhaseCommit>) {
        match &mut self.standing {
            Standing::Decided { told: true, .. } => {}
            Standing::Decided { outcome, told } => {
                *told = true;
                fx.output(Output::Decide(*outcome));
            }
            // A participant that aborted by itself tells the coordinator, which tells all.
            Standing::Working | Standing::Uncertain(_) if self.collecting.is_some() => {
                self.announce(outcome, fx);
            }
            Standing::Working | Standing::Uncertain(_) | Standing::Damaged(_) => {
                // It is on a disk already, so the layer above may know before it is on this one.
                self.standing = Standing::Decided {
                    outcome,
                    told: true,
                };
                fx.stop_timer(Timer::Outcome);
                // Whatever was written before is of no use any more, damaged or not.
                fx.compact(fx.frame(), [Record::Decided { outcome }]);
                fx.output(Output::Decide(outcome));
            }
        }
    }
}
