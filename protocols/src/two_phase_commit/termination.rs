//! What participants do if the coordinator is silent: they ask one another (cooperative termination,
//! Bernstein, Hadzilacos and Goodman 1987, section 7.4). It helps if anybody has heard the outcome, or has
//! not voted yet and can abort for all. If all have voted yes and none has heard, all are blocked.

use quorate_core::{Effects, NodeId};
use quorate_problems::atomic_commitment::{Outcome, Output};

use super::participant::Standing;
use super::{Flaw, Message, TwoPhaseCommit};

impl TwoPhaseCommit {
    /// It waited long enough: it asks everybody, the coordinator once more. If it did so before, and
    /// nobody knew, it is blocked.
    pub(super) fn on_outcome_late(&mut self, fx: &mut Effects<TwoPhaseCommit>) {
        if self.has(Flaw::HeuristicAbort) && matches!(self.standing, Standing::Uncertain(_)) {
            fx.output(Output::Suspect(self.config.coordinator));
            self.decide(Outcome::Abort, fx);
            return;
        }
        let voted = matches!(self.standing, Standing::Uncertain(_));
        let (Standing::Uncertain(doubt) | Standing::Damaged(doubt)) = &mut self.standing else {
            return;
        };
        if doubt.asked && !doubt.blocked {
            doubt.blocked = true;
            fx.output(Output::Blocked);
        }
        doubt.asked = true;
        if voted {
            self.send_yes(fx);
        }
        for to in self.others() {
            // Early: a question promises nothing.
            fx.send_early(to, Message::Inquiry);
        }
        self.await_outcome(fx);
    }

    pub(super) fn on_inquiry(&mut self, from: NodeId, fx: &mut Effects<TwoPhaseCommit>) {
        match self.standing {
            Standing::Decided { outcome, .. } => fx.send(from, Message::Outcome { outcome }),
            // The coordinator decides when it has all votes, or has waited long enough.
            Standing::Working | Standing::Uncertain(_) if self.coordinates() => {
                self.maybe_collect(fx);
            }
            // "q has not voted yet: q can unilaterally decide Abort." Somebody waits for the coordinator,
            // so it may have failed.
            Standing::Working => {
                fx.output(Output::Suspect(self.config.coordinator));
                self.decide(Outcome::Abort, fx);
                let outcome = Outcome::Abort;
                fx.send(from, Message::Outcome { outcome });
                fx.send(self.config.coordinator, Message::No);
            }
            // Held as well as it could be early: it is on disk that this process voted yes.
            Standing::Uncertain(_) => fx.send(from, Message::Uncertain),
            Standing::Damaged(_) => {} // It cannot say anything.
        }
    }

    pub(super) fn on_uncertain(&mut self, from: NodeId) {
        if let Standing::Uncertain(doubt) | Standing::Damaged(doubt) = &mut self.standing {
            doubt.uncertain.insert(from);
        }
    }
}
