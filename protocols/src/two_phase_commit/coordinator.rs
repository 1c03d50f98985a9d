//! The coordinator: it collects votes, and decides.

use alloc::collections::BTreeSet;
use alloc::vec::Vec;

use quorate_core::{Effects, NodeId};
use quorate_problems::atomic_commitment::{Outcome, Output};

use super::participant::Standing;
use super::{Flaw, Message, Record, Timer, TwoPhaseCommit};

/// The coordinator's books.
#[derive(Clone, Default, Hash, Debug)]
pub(super) struct Collecting {
    /// Who voted yes.
    pub(super) yes: BTreeSet<NodeId>,
    /// Whether those that are missing were asked once more.
    pub(super) asked_again: bool,
}

impl TwoPhaseCommit {
    /// The coordinator hears of the transaction. A crash from here on is a reason to abort, so that is
    /// written down first.
    pub(super) fn maybe_collect(&mut self, fx: &mut Effects<TwoPhaseCommit>) {
        let undecided = matches!(
            self.standing,
            Standing::Working | Standing::Uncertain { .. }
        );
        if !self.coordinates() || !undecided || self.collecting.is_some() {
            return;
        }
        self.collecting = Some(Collecting::default());
        fx.persist(Record::Collecting);
        for to in self.others() {
            fx.send(to, Message::Prepare);
        }
        self.await_votes(fx);
    }

    fn await_votes(&self, fx: &mut Effects<TwoPhaseCommit>) {
        let timeout = self.config.votes_timeout;
        fx.set_timer(Timer::Votes, timeout..timeout);
    }

    pub(super) fn on_yes(&mut self, from: NodeId, fx: &mut Effects<TwoPhaseCommit>) {
        if let Standing::Decided { outcome, .. } = self.standing {
            if from != self.me {
                fx.send(from, Message::Outcome { outcome });
            }
            return;
        }
        self.maybe_collect(fx);
        let Some(collecting) = &mut self.collecting else {
            return; // It was damaged, and knows nothing of any votes.
        };
        collecting.yes.insert(from);
        let (votes, size) = (collecting.yes.len(), self.config.members.len());
        let enough = match self.has(Flaw::MajorityCommit) {
            true => votes > size / 2,
            false => votes == size,
        };
        if enough {
            self.announce(Outcome::Commit, fx);
        }
    }

    pub(super) fn on_no(&mut self, from: NodeId, fx: &mut Effects<TwoPhaseCommit>) {
        self.maybe_collect(fx);
        if self.collecting.is_some() {
            self.announce(Outcome::Abort, fx);
        } else if let Standing::Decided { outcome, .. } = self.standing {
            fx.send(from, Message::Outcome { outcome });
        } else {
            // It has forgotten what it was about to decide, but with a no there is only one outcome.
            self.on_outcome(Outcome::Abort, fx);
        }
    }

    /// The coordinator waited long enough: it asks once more, and then gives up.
    pub(super) fn on_votes_late(&mut self, fx: &mut Effects<TwoPhaseCommit>) {
        let Some(collecting) = &mut self.collecting else {
            return;
        };
        let again = core::mem::replace(&mut collecting.asked_again, true);
        let members = self.config.members.iter().copied();
        let missing: Vec<_> = members.filter(|id| !collecting.yes.contains(id)).collect();
        if !again {
            for to in missing.into_iter().filter(|&id| id != self.me) {
                // Early: a question promises nothing.
                fx.send_early(to, Message::Prepare);
            }
            self.await_votes(fx);
            return;
        }
        for id in missing {
            fx.output(Output::Suspect(id));
        }
        self.announce(Outcome::Abort, fx);
    }

    /// Decides for all.
    pub(super) fn announce(&mut self, outcome: Outcome, fx: &mut Effects<TwoPhaseCommit>) {
        self.decide(outcome, fx);
        for to in self.others() {
            // Held: after a crash without its record the coordinator would decide anew.
            fx.send(to, Message::Outcome { outcome });
            self.leak(Flaw::ForgetfulCoordinator, fx);
        }
    }
}
