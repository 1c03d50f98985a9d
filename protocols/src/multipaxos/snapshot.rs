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
use super::recovery::Rejoin;
use super::role::Role;
use super::tenure::Tenure;
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
            self.tenures.drop_before(end);
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
        tenures: &[Tenure],
        fx: &mut Effects<MultiPaxos>,
    ) {
        if !self.hear(from, fx) {
            return;
        }
        let mut begun = tenures.iter();
        let begun = begun
            .by_ref()
            .filter(|tenure| tenure.after.0 <= checkpoint.position);
        if checkpoint.position > self.prefix.0 && self.adopt(begun, fx) {
            // The state does not contain who governs behind it, and may survive a crash alone.
            self.tenures.arriving = Some((from, checkpoint));
        } else {
            self.install(from, checkpoint, fx);
        }
    }

    /// Acceptor: replaces the state, and says how far it has come.
    pub(super) fn install(
        &mut self,
        from: NodeId,
        checkpoint: Checkpoint,
        fx: &mut Effects<MultiPaxos>,
    ) {
        let end = Position::from(checkpoint);
        if end.index > self.prefix {
            self.slots.drop_through(end);
            (self.chosen, self.prefix, self.epoch) = (end.index, end.index, end.epoch);
            self.told = self.told.max(end.index);
            self.tenures.noted = self.tenures.noted.max(end.index);
            self.advance_prefix();
            self.restate(fx);
            fx.output(Output::Install(checkpoint));
            self.deliver(fx);
        } else if self.leader == Some(from) {
            // The values are all here, and now known to be chosen.
            self.learn_through(end.index, fx);
        }
        if self.leader != Some(from) {
            return;
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
    pub(super) fn restate(&mut self, fx: &mut Effects<MultiPaxos>) {
        let keep_from = self.slots.oldest_frame().unwrap_or(fx.frame());
        let records = [self.promise_record(), Record::Base(self.slots.base())];
        let tenures = self.tenures.iter().cloned().map(Record::Governs);
        let rejoining = self.rejoining.iter().map(Rejoin::record);
        fx.compact(
            keep_from,
            records.into_iter().chain(tenures).chain(rejoining),
        );
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
