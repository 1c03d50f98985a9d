//! Requests, wherever they are made: they are passed on to the head, which orders them (van Renesse
//! and Schneider, section 3).

use quorate_core::{Effects, Payload};

use super::Chain;
use super::message::Message;
use crate::log::Content;

impl Chain {
    /// The layer above wants a payload ordered.
    pub(super) fn on_broadcast(&mut self, payload: Payload, fx: &mut Effects<Chain>) {
        match self.head() {
            Some(head) if head == self.me => self.propose(payload, fx),
            // Early: a request promises nothing.
            Some(head) => fx.send_early(head, Message::Forward { payload }),
            None => {} // Lost; the edge broadcasts again once there is a head.
        }
    }

    /// Head: appends a payload. Elsewhere it is lost: passing it on once more could go round in
    /// circles.
    pub(super) fn propose(&mut self, payload: Payload, fx: &mut Effects<Chain>) {
        // Each replica keeps to its window, so more than all of them together is repetition.
        let replicas = self.seat.copies().count().max(self.config.members.len());
        let entries_max = (self.config.window * replicas) as u64;
        let welcome = self.pending_entries() < entries_max
            && self.pending_bytes() < self.config.window_bytes_max;
        if self.orders() && welcome {
            self.append(Content::Command(payload), fx);
        }
    }

    /// How many more requests are welcome.
    pub(super) fn room(&self) -> usize {
        match self.head() {
            Some(head) if head != self.me => self.config.window,
            Some(_) if self.orders() && self.pending_bytes() < self.config.window_bytes_max => {
                let pending = usize::try_from(self.pending_entries()).unwrap_or(usize::MAX);
                self.config.window.saturating_sub(pending)
            }
            // Without a head, and while the head's place is handed over, what is broadcast is lost.
            Some(_) | None => 0,
        }
    }

    fn pending_entries(&self) -> u64 {
        self.log.last().index.since(self.commit)
    }

    fn pending_bytes(&self) -> u64 {
        self.log.bytes_between(self.commit, self.log.last().index)
    }
}
