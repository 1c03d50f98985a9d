//! The learner (2.3): the proposer of a ballot counts acceptances, and tells all others what is chosen.

use quorate_core::{Effects, NodeId, Payload};
use quorate_problems::consensus::Output;

use super::proposer::Phase;
use super::{Ballot, Message, Record, Synod, Timer};

impl Synod {
    /// Whether a message is to be looked at: not if all is over, or if nothing may be promised any more.
    pub(super) fn admit(&self, from: NodeId, message: &Message, fx: &mut Effects<Synod>) -> bool {
        if let Some(value) = self.decided.clone() {
            let asks = matches!(
                message,
                Message::Prepare { .. } | Message::Accept { .. } | Message::Wondering
            );
            if asks && from != self.me {
                // Early: what is chosen stays chosen, whatever this disk forgets.
                fx.send_early(from, Message::Decided { value });
            }
            return false;
        }
        !self.damaged || matches!(message, Message::Decided { .. })
    }

    pub(super) fn on_accepted(&mut self, from: NodeId, ballot: Ballot, fx: &mut Effects<Synod>) {
        let Some(attempt) = self.attempt.as_mut().filter(|one| one.ballot == ballot) else {
            return; // Its ballot was given up.
        };
        let Phase::Accepting { value, accepted } = &mut attempt.phase else {
            return; // A ballot of an earlier life, which the museum can begin again.
        };
        accepted.insert(from);
        if !self.config.accepts.is_quorum(|id| accepted.contains(&id)) {
            return;
        }
        let value = value.clone();
        for &to in self.config.members() {
            if to != self.me {
                let value = value.clone();
                // Early: it is chosen by what a quorum has on disk, whether this disk knows or not.
                fx.send_early(to, Message::Decided { value });
            }
        }
        self.decide(value, fx);
    }

    /// The value is chosen, so nothing else is of any use: whoever asks is told so.
    pub(super) fn decide(&mut self, value: Payload, fx: &mut Effects<Synod>) {
        self.decided = Some(value.clone());
        self.attempt = None;
        self.damaged = false;
        let decided = Record::Decided {
            value: value.clone(),
        };
        fx.compact(fx.frame(), [decided]);
        fx.stop_timer(Timer::Patience);
        fx.output(Output::Decide(value));
    }
}
