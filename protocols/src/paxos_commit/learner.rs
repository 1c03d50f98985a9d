//! What is chosen in all instances decides the transaction: commit if it is a yes in each (4.2).

use quorate_core::{Effects, NodeId};
use quorate_problems::atomic_commitment::{Outcome, Output, Vote};

use super::leader::Phase;
use super::{Message, PaxosCommit, Record, Timer};
use crate::synod::Ballot;

impl PaxosCommit {
    /// Whether a message is to be looked at: not if all is over, or if nothing may be promised any more.
    pub(super) fn admit(
        &self,
        from: NodeId,
        message: &Message,
        fx: &mut Effects<PaxosCommit>,
    ) -> bool {
        let is_over = matches!(
            message,
            Message::Decided { .. } | Message::Vote { vote: Vote::No }
        );
        let Some(outcome) = self.outcome else {
            return !self.damaged || is_over;
        };
        let waits = matches!(
            message,
            Message::Vote { .. }
                | Message::Prepare { .. }
                | Message::Accept { .. }
                | Message::Wondering
        );
        if waits && from != self.me {
            // Early: what is decided stays decided, whatever this disk forgets.
            fx.send_early(from, Message::Decided { outcome });
        }
        false
    }

    /// Leader of ballot 0: an acceptor has everybody's yes. With a quorum of those, each is chosen.
    pub(super) fn on_collected(&mut self, from: NodeId, fx: &mut Effects<PaxosCommit>) {
        self.collected.insert(from);
        let collected = &self.collected;
        if self.config.quorums.is_quorum(|id| collected.contains(&id)) {
            self.announce(Outcome::Commit, fx);
        }
    }

    /// Leader of a later ballot.
    pub(super) fn on_accepted(
        &mut self,
        from: NodeId,
        ballot: Ballot,
        fx: &mut Effects<PaxosCommit>,
    ) {
        let Some(attempt) = self.attempt.as_mut().filter(|one| one.ballot == ballot) else {
            return; // Its ballot was given up.
        };
        let Phase::Accepting { votes, accepted } = &mut attempt.phase else {
            return; // Nobody accepts before it is asked to.
        };
        accepted.insert(from);
        if !self.config.quorums.is_quorum(|id| accepted.contains(&id)) {
            return;
        }
        let unanimous = votes.iter().all(|ruling| ruling.vote == Vote::Yes);
        let outcome = match unanimous {
            true => Outcome::Commit,
            false => Outcome::Abort,
        };
        self.announce(outcome, fx);
    }

    fn announce(&mut self, outcome: Outcome, fx: &mut Effects<PaxosCommit>) {
        for &to in self.config.members() {
            if to != self.me {
                // Early: it is chosen by what a quorum has on disk, whether this disk knows or not.
                fx.send_early(to, Message::Decided { outcome });
            }
        }
        self.decide(outcome, fx);
    }

    /// It is decided, so nothing else is of any use: whoever asks is told so.
    pub(super) fn decide(&mut self, outcome: Outcome, fx: &mut Effects<PaxosCommit>) {
        self.outcome = Some(outcome);
        self.attempt = None;
        self.damaged = false;
        fx.compact(fx.frame(), [Record::Decided { outcome }]);
        fx.stop_timer(Timer::Patience);
        fx.output(Output::Decide(outcome));
    }
}
