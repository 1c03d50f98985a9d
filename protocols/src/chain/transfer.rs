//! Handing over the head's place: the head takes no more requests, waits until the tail has all, and
//! asks the view service for a chain that begins with another.

use quorate_core::{Effects, NodeId};

use super::Chain;
use super::message::Timer;

impl Chain {
    /// The layer above wants another head.
    pub(super) fn on_transfer(&mut self, to: Option<NodeId>, fx: &mut Effects<Chain>) {
        let target = match to {
            Some(to) => self.view.members.iter().copied().find(|&id| id == to),
            // All have the same in the end; the successor has it first.
            None => self.successor(),
        };
        if let Some(target) = target.filter(|&target| self.orders() && target != self.me) {
            self.transfer = Some(target);
            let timeout = self.config.election_timeout;
            fx.set_timer(Timer::Transfer, timeout..timeout);
            self.maybe_hand_over(fx);
        }
    }

    /// Head: the transfer took too long, so it goes on.
    pub(super) fn abandon_transfer(&mut self, fx: &mut Effects<Chain>) {
        self.transfer = None;
        self.seat.report(fx, |report| report.successor = None);
    }

    /// Head: once the tail has all, whoever comes next loses nothing.
    pub(super) fn maybe_hand_over(&mut self, fx: &mut Effects<Chain>) {
        if let Some(to) = self.transfer
            && self.stored == self.log.last().index
        {
            self.seat.report(fx, |report| report.successor = Some(to));
        }
    }
}
