//! Requests, wherever they are made: a backup passes them on to the primary. In the paper clients talk
//! to the primary themselves; here every replica has an edge that its clients talk to.

use quorate_core::{Effects, Payload};

use super::message::Message;
use super::role::Role;
use super::{Content, Viewstamped};

impl Viewstamped {
    /// The layer above wants a payload ordered.
    pub(super) fn on_broadcast(&mut self, payload: Payload, fx: &mut Effects<Viewstamped>) {
        match self.leader() {
            Some(primary) if primary == self.me => self.propose(payload, fx),
            // Early: a request promises nothing.
            Some(primary) => fx.send_early(primary, Message::Forward { payload }),
            None => {} // Lost; the edge broadcasts again once there is a primary.
        }
    }

    /// Primary: appends a payload. Elsewhere it is lost: passing it on once more could go round in
    /// circles.
    pub(super) fn propose(&mut self, payload: Payload, fx: &mut Effects<Viewstamped>) {
        // Each replica keeps to its window, so more than all of them together is repetition.
        let edges = self.epoch.members.iter().count();
        let entries_max = (self.config.window * edges) as u64;
        let welcome = self.pending_entries() < entries_max
            && self.pending_bytes() < self.config.window_bytes_max;
        if let Role::Primary(primary) = &self.role
            && primary.successor.is_none()
            && !self.is_ending()
            && welcome
        {
            self.append(Content::Command(payload), fx);
        }
    }

    /// How many more requests are welcome.
    pub(super) fn room(&self) -> usize {
        match &self.role {
            // What would come of it is not of this epoch any more.
            _ if self.is_ending() || !self.epoch.members.contains(self.me) => 0,
            // Who hands over takes nothing more, and who misses its quorum gets nothing done.
            Role::Primary(primary) if primary.successor.is_some() => 0,
            Role::Primary(_) | Role::Backup if self.suspicion.suspects => 0,
            Role::Primary(_) if self.pending_bytes() >= self.config.window_bytes_max => 0,
            Role::Primary(_) => {
                let pending = usize::try_from(self.pending_entries()).unwrap_or(usize::MAX);
                self.config.window.saturating_sub(pending)
            }
            Role::Backup => self.config.window,
            // Without a primary, what is broadcast is lost.
            Role::Starting
            | Role::Changing(_)
            | Role::Recovering(_)
            | Role::Transitioning(_)
            | Role::Outside { .. } => 0,
        }
    }

    fn pending_entries(&self) -> u64 {
        self.log.last().index.since(self.commit)
    }

    fn pending_bytes(&self) -> u64 {
        self.log.bytes_between(self.commit, self.log.last().index)
    }
}
