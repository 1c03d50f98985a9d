//! Log compaction, and snapshots for those who want to join (van Renesse and Schneider, section 3.3: a
//! new tail is brought up to date before it serves).
//!
//! The application's state is the snapshot, and the application decides when it is durable. What the
//! log then need not hold any more is dropped, except for a tail of bounded size.

use quorate_core::{Checkpoint, Effects, NodeId};
use quorate_problems::total_order::Output;

use super::Chain;
use super::link::Flow;
use super::message::Record;
use crate::log::{Index, Position};

impl Chain {
    /// The application's state is durable through `checkpoint`.
    pub(super) fn on_compact(&mut self, checkpoint: Checkpoint, fx: &mut Effects<Chain>) {
        if self.loss.is_some() {
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

    /// The predecessor, or the tail that this replica wants to join behind, has dropped what is
    /// lacking here, and sent the state instead.
    pub(super) fn on_snapshot(
        &mut self,
        from: NodeId,
        checkpoint: Checkpoint,
        fx: &mut Effects<Chain>,
    ) {
        if self.feeder() != Some(from) {
            return;
        }
        self.unfed = 0;
        let end = Position::from(checkpoint);
        if self.log.matches(end) {
            // The entries are all here, and now known to be committed.
            self.commit_through(end.index, fx);
        } else if end.index > self.commit {
            self.log.reset(end);
            self.commit = end.index;
            self.restate(Record::Reset(end), fx);
            fx.output(Output::Install(checkpoint));
        }
        // Otherwise this replica is further already, and what it has committed the other has too.
        self.agree(from, end.index, fx);
    }

    /// Writes down again what the frames that are now forgotten said: the view, where the log begins, and
    /// all of the view service. The entries that remain are in the frames that remain.
    pub(super) fn restate(&mut self, beginning: Record, fx: &mut Effects<Chain>) {
        let keep_from = self.log.oldest_frame().unwrap_or(fx.frame());
        self.seat.restate(fx);
        fx.compact(keep_from, [Record::Entered(self.view.clone()), beginning]);
    }

    /// How many bytes of entries to keep behind the application's state.
    fn retention(&self) -> u64 {
        let mut links = self.links.values();
        let installing = links.any(|link| matches!(link.flow, Flow::Snapshot { .. }));
        let factor = if installing { 4 } else { 1 };
        self.config.retention_bytes.saturating_mul(factor)
    }
}
