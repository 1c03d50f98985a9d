//! Requests, wherever they are made: who does not lead passes them on; and the window.

use quorate_core::{Effects, Payload};

use super::MultiPaxos;
use super::message::Message;
use super::role::Role;

impl MultiPaxos {
    /// The layer above wants a payload ordered.
    pub(super) fn on_broadcast(&mut self, payload: Payload, fx: &mut Effects<MultiPaxos>) {
        match self.leader {
            Some(leader) if leader == self.me => self.on_forward(payload, fx),
            // Early: a request promises nothing.
            Some(leader) => fx.send_early(leader, Message::Forward { payload }),
            None => {} // Lost; the edge broadcasts again once somebody leads.
        }
    }

    /// Leader: proposes a payload. Elsewhere it is lost: passing it on once more could go round in
    /// circles.
    pub(super) fn on_forward(&mut self, payload: Payload, fx: &mut Effects<MultiPaxos>) {
        // Each replica keeps to its window, so more than all of them together is repetition.
        let members = self.reign().tenure.members.iter().count();
        let slots_max = (self.config.window * members) as u64;
        if let Role::Leader(leader) = &self.role
            && leader.transfer.is_none()
            && self.pending_slots() < slots_max
            && self.pending_bytes() < self.config.window_bytes_max
        {
            self.propose_or_wait(payload, fx);
        }
    }

    /// How many more requests are welcome.
    pub(super) fn room(&self) -> usize {
        match &self.role {
            // A leader that hands over takes nothing more.
            Role::Leader(leader) if leader.transfer.is_some() => 0,
            Role::Leader(_) if self.pending_bytes() >= self.config.window_bytes_max => 0,
            Role::Leader(_) => {
                let pending = usize::try_from(self.pending_slots()).unwrap_or(usize::MAX);
                self.config.window.saturating_sub(pending)
            }
            Role::Acceptor if self.leader.is_some() => self.config.window,
            // Without a leader, what is broadcast is lost.
            Role::Acceptor | Role::Canvasser { .. } | Role::Proposer(_) | Role::Damaged(_) => 0,
        }
    }

    /// Slots proposed here that are not known to be chosen, and what waits for one.
    fn pending_slots(&self) -> u64 {
        match &self.role {
            Role::Leader(leader) => {
                let proposed = leader.next.before().since(self.chosen);
                proposed + leader.change.waiting_slots()
            }
            Role::Acceptor | Role::Canvasser { .. } | Role::Proposer(_) | Role::Damaged(_) => 0,
        }
    }

    fn pending_bytes(&self) -> u64 {
        match &self.role {
            Role::Leader(leader) => {
                let last = leader.next.before();
                self.slots.bytes_between(self.chosen, last) + leader.change.waiting_bytes()
            }
            Role::Acceptor | Role::Canvasser { .. } | Role::Proposer(_) | Role::Damaged(_) => 0,
        }
    }
}
