//! Requests, wherever they are made: a follower passes them on to the leader (paper 8).

use quorate_core::{Effects, Payload};

use crate::log::Content;

use super::Raft;
use super::message::Message;
use super::role::Role;

impl Raft {
    /// The layer above wants a payload ordered.
    pub(super) fn on_broadcast(&mut self, payload: Payload, fx: &mut Effects<Raft>) {
        match self.leader {
            Some(leader) if leader == self.me => self.propose(payload, fx),
            // Early: a request promises nothing.
            Some(leader) => fx.send_early(leader, Message::Forward { payload }),
            None => {} // Lost; the edge broadcasts again once somebody leads.
        }
    }

    /// Leader: appends a payload. Elsewhere it is lost: passing it on once more could go round in
    /// circles.
    pub(super) fn propose(&mut self, payload: Payload, fx: &mut Effects<Raft>) {
        let Role::Leader(leader) = &self.role else {
            return;
        };
        // Each replica keeps to its window, so more than all of them together is repetition.
        let entries_max = (self.config.window * leader.peers.len()) as u64;
        let welcome = self.pending_entries() < entries_max
            && self.pending_bytes() < self.config.window_bytes_max;
        if leader.transfer.is_none() && welcome {
            self.append(Content::Command(payload), fx);
        }
    }

    /// How many more requests are welcome.
    pub(super) fn room(&self) -> usize {
        match &self.role {
            // Thesis 3.10: a leader that hands over takes nothing more.
            Role::Leader(leader) if leader.transfer.is_some() => 0,
            Role::Leader(_) if self.pending_bytes() >= self.config.window_bytes_max => 0,
            Role::Leader(_) => {
                let pending = usize::try_from(self.pending_entries()).unwrap_or(usize::MAX);
                self.config.window.saturating_sub(pending)
            }
            Role::Follower if self.leader.is_some() => self.config.window,
            // Without a leader, what is broadcast is lost.
            Role::Follower
            | Role::PreCandidate { .. }
            | Role::Candidate { .. }
            | Role::Damaged(_) => 0,
        }
    }

    fn pending_entries(&self) -> u64 {
        self.log.last().index.since(self.commit)
    }

    fn pending_bytes(&self) -> u64 {
        self.log.bytes_between(self.commit, self.log.last().index)
    }
}
