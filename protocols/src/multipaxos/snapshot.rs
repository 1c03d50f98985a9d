//! Compaction and snapshots ("Paxos Made Live", 5.5).
//!
//! The application's state is the snapshot, and the application decides when it is durable. Slots that
//! it contains are dropped, except for a tail of bounded size. A peer that needs more than that is sent
//! the state itself, as an attachment. What was accepted behind a snapshot is kept: it was promised.

use quorate_core::{Checkpoint, Effects, NodeId};
use quorate_problems::total_order::Output;

use super::MultiPaxos;
use super::ballot::Slot;
use super::leader::Flow;
use super::message::{Message, Record};
use super::role::Role;
use crate::log::Position;

impl MultiPaxos {
    /// The application's state is durable through `checkpoint`.
    pub(super) fn on_compact(&mut self, checkpoint: Checkpoint, fx: &mut Effects<MultiPaxos>) {
        if matches!(self.role, Role::Damaged(_)) {
            return;
        }
        let durable = Slot(checkpoint.position).min(self.chosen);
        let end = self.slots.droppable(durable, self.retention());
        if end > self.slots.base().index {
            let epoch = self.slots.epoch_through(end);
            self.slots.drop_through(Position { index: end, epoch });
            self.restate(fx);
        } else if self.chosen > self.recorded {
            // After a restart the slots through here need not be learned again.
            let record = self.promise_record();
            fx.persist(record);
        }
    }

    /// Acceptor: the leader has dropped what this replica lacks, and sent the state instead.
    pub(super) fn on_snapshot(
        &mut self,
        from: NodeId,
        checkpoint: Checkpoint,
        fx: &mut Effects<MultiPaxos>,
    ) {
        if !self.hear(from, fx) {
            return;
        }
        let end = Position::from(checkpoint);
        if end.index <= self.prefix {
            // The values are all here, and now known to be chosen.
            self.learn_through(end.index, fx);
        } else {
            self.slots.drop_through(end);
            (self.chosen, self.prefix, self.epoch) = (end.index, end.index, end.epoch);
            self.told = self.told.max(end.index);
            self.advance_prefix();
            self.restate(fx);
            fx.output(Output::Install(checkpoint));
            self.deliver(fx);
        }
        let first = self.chosen.next();
        fx.send(
            from,
            Message::Accepted {
                ballot: self.promised,
                first,
                last: first.before(),
                through: self.prefix,
            },
        );
    }

    /// Writes down again what the frames that are now forgotten said: the promise, and where the slots
    /// begin. The votes that remain are in the frames that remain.
    fn restate(&mut self, fx: &mut Effects<MultiPaxos>) {
        let keep_from = self.slots.oldest_frame().unwrap_or(fx.frame());
        let rejoining = self.rejoining.then_some(Record::Rejoining);
        let records = [self.promise_record(), Record::Base(self.slots.base())];
        fx.compact(keep_from, records.into_iter().chain(rejoining));
    }

    /// How many bytes of values to keep behind the application's state.
    fn retention(&self) -> u64 {
        let installing = match &self.role {
            Role::Leader(leader) => {
                let mut peers = leader.peers.values();
                peers.any(|peer| matches!(peer.flow, Flow::Snapshot { .. }))
            }
            Role::Acceptor | Role::Canvasser { .. } | Role::Proposer(_) | Role::Damaged(_) => false,
        };
        let factor = if installing { 4 } else { 1 };
        self.config.retention_bytes.saturating_mul(factor)
    }
}
