//! Which message goes where.

use quorate_core::{Effects, NodeId};

use super::Raft;
use super::message::Message;
use super::restart::Beginning;

impl Raft {
    /// A message arrived, perhaps late, twice or out of order.
    pub(super) fn receive(&mut self, from: NodeId, message: Message, fx: &mut Effects<Raft>) {
        if !self.admit(from, &message, fx) {
            return;
        }
        match message {
            Message::PreVote { term, last } => self.on_pre_vote(from, term, last, fx),
            Message::PreGranted { term } => self.on_pre_granted(from, term, fx),
            Message::RequestVote {
                last,
                transfer,
                incarnation,
                ..
            } => self.on_request_vote(from, last, transfer, incarnation, fx),
            Message::Granted { .. } => self.on_granted(from, fx),
            Message::Outdated { .. } => {} // Its term was all it had to say.
            Message::Append {
                previous,
                commit,
                entries,
                ..
            } => self.on_append(from, previous, commit, entries, fx),
            Message::Appended {
                incarnation, index, ..
            } => self.on_appended(from, incarnation, index, fx),
            Message::Rejected { previous, hint, .. } => self.on_rejected(from, previous, hint, fx),
            Message::Leading { round, commit, .. } => self.on_leading(from, round, commit, fx),
            Message::Heard { round, .. } => self.on_heard(from, round, fx),
            Message::Committed { commit, .. } => self.on_committed(from, commit, fx),
            Message::Snapshot {
                checkpoint,
                through,
                members,
                ..
            } => self.on_snapshot(from, checkpoint, through, &members, fx),
            Message::TimeoutNow { .. } => self.on_timeout_now(fx),
            Message::Forward { payload } => self.propose(payload, fx),
            Message::ReadAsked { incarnation, id } => self.on_read_asked(from, incarnation, id, fx),
            Message::ReadReady { id, index, .. } => self.on_read_ready(id, index, fx),
            Message::Recovering { incarnation, state } => {
                self.on_recovering(from, incarnation, state, fx);
            }
            Message::Forgotten { .. } => self.on_forgotten(from),
            Message::Beginning {
                position, members, ..
            } => self.on_beginning(from, position, members, fx),
            Message::Rejoining { incarnation } => self.on_rejoining(from, incarnation, fx),
            Message::Restored { at, .. } => self.on_restored(from, at, fx),
            Message::Lacking {
                incarnation,
                anchor,
                after,
            } => self.on_lacking(from, incarnation, anchor, after, fx),
            Message::Filling {
                previous,
                members,
                entries,
                ..
            } => self.on_filling(from, previous, members, &entries, fx),
            Message::Copied {
                incarnation, index, ..
            } => self.on_copied(from, incarnation, index, fx),
            Message::Begun => self.beginning = Beginning::Durable,
        }
    }
}
