//! Log compaction and snapshots.
//!
//! The application's state is the snapshot, and the application decides when it is durable. What the log
//! then need not hold any more is dropped, except for a tail of bounded size. A peer that needs more than
//! that is sent the state itself, as an attachment.

use quorate_core::{Checkpoint, Effects, NodeId};
use quorate_problems::total_order::Output;

use super::primary::Flow;
use super::view::Role;
use super::{Index, Message, Position, PrimaryBackup, Record};
use crate::views::Replicator;

impl<M: Replicator> PrimaryBackup<M> {
    /// The application's state is durable through `checkpoint`.
    pub(super) fn on_compact(&mut self, checkpoint: Checkpoint, fx: &mut Effects<Self>) {
        if matches!(self.role, Role::Lost { .. }) {
            return;
        }
        let durable = Index(checkpoint.position).min(self.commit);
        let base = self.log.tail(durable, self.retention());
        if base <= self.log.base().index {
            return;
        }
        self.log.compact(base);
        self.restate(Record::Base(self.log.base()), fx);
    }

    /// Follower: the primary has dropped what this replica lacks, and sent the state instead.
    pub(super) fn on_snapshot(
        &mut self,
        from: NodeId,
        checkpoint: Checkpoint,
        fx: &mut Effects<Self>,
    ) {
        if !self.hear(from) {
            return;
        }
        let end = Position::from(checkpoint);
        if self.log.matches(end) {
            // The entries are all here, and now known to be everywhere.
            self.commit_through(end.index, fx);
        } else if end.index > self.commit {
            self.log.reset(end);
            self.commit = end.index;
            self.restate(Record::Reset(end), fx);
            fx.output(Output::Install(checkpoint));
        }
        // Otherwise this replica is further already, and what it has delivered the primary has too.
        let (view, index) = (self.number, self.commit);
        fx.send(from, Message::Updated { view, index });
    }

    /// Writes down again what the frames that are now forgotten said: the view, where the log begins,
    /// and what the seat in the view service needs. The entries that remain are in the frames that remain.
    pub(super) fn restate(&mut self, beginning: Record<M::Record>, fx: &mut Effects<Self>) {
        let keep_from = self.log.oldest_frame().unwrap_or(fx.frame());
        let number = self.number;
        fx.compact(keep_from, [Record::View { number }, beginning]);
        self.seat.restate(fx);
    }

    /// How many bytes of entries to keep behind the application's state.
    fn retention(&self) -> u64 {
        let installing = match &self.role {
            Role::Primary(primary) => {
                let mut peers = primary.peers.values();
                peers.any(|peer| matches!(peer.flow, Flow::Snapshot { .. }))
            }
            Role::Follower | Role::Lost { .. } => false,
        };
        let factor = if installing { 4 } else { 1 };
        self.config.retention_bytes.saturating_mul(factor)
    }
}
