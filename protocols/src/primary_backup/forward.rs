//! Requests, wherever they are made: a follower passes them on to the primary.

use quorate_core::{Effects, Payload};

use super::view::Role;
use super::{Content, Message, PrimaryBackup};
use crate::views::Replicator;

impl<M: Replicator> PrimaryBackup<M> {
    /// The layer above wants a payload ordered.
    pub(super) fn on_broadcast(&mut self, payload: Payload, fx: &mut Effects<Self>) {
        match self.leader {
            Some(leader) if leader == self.me => self.propose(payload, fx),
            // Early: a request promises nothing.
            Some(leader) => fx.send_early(leader, Message::Forward { payload }),
            None => {} // Lost; the edge broadcasts again once there is a primary.
        }
    }

    /// Primary: appends a payload. Elsewhere it is lost: passing it on once more could go round in
    /// circles.
    pub(super) fn propose(&mut self, payload: Payload, fx: &mut Effects<Self>) {
        // Each replica keeps to its window, so more than all of them together is repetition.
        let replicas = match &self.role {
            Role::Primary(primary) => primary.peers.len().max(self.config.members.len()),
            Role::Follower | Role::Lost { .. } => return,
        };
        let entries_max = (self.config.window * replicas) as u64;
        let welcome = self.pending_entries() < entries_max
            && self.pending_bytes() < self.config.window_bytes_max;
        if let Role::Primary(primary) = &self.role
            && primary.active
            && !primary.lapsed
            && primary.transfer.is_none()
            && welcome
        {
            self.append(Content::Command(payload), fx);
        }
    }

    /// How many more requests are welcome.
    pub(super) fn room(&self) -> usize {
        match &self.role {
            // Whoever hands over takes nothing more.
            Role::Primary(primary) if primary.transfer.is_some() => 0,
            Role::Primary(_) if self.pending_bytes() >= self.config.window_bytes_max => 0,
            // Nor does one that cannot finish it.
            Role::Primary(_) if self.leader.is_some() => {
                let pending = usize::try_from(self.pending_entries()).unwrap_or(usize::MAX);
                self.config.window.saturating_sub(pending)
            }
            Role::Follower if self.leader.is_some() => self.config.window,
            // Without a primary, what is broadcast is lost.
            Role::Follower | Role::Primary(_) | Role::Lost { .. } => 0,
        }
    }

    fn pending_entries(&self) -> u64 {
        self.log.last().index.since(self.commit)
    }

    fn pending_bytes(&self) -> u64 {
        self.log.bytes_between(self.commit, self.log.last().index)
    }
}
