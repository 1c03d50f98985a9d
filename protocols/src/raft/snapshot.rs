//! Log compaction and snapshots (paper 7).
//!
//! The application's state is the snapshot, and the application decides when it is durable. What
//! the log then need not hold any more is dropped, except for a tail of bounded size. A peer that
//! needs more than that is sent the state itself, as an attachment.

use quorate_core::{Checkpoint, Effects, NodeId};
use quorate_problems::total_order::Output;

use crate::log::{Index, Position};

use super::leader::Flow;
use super::message::Record;
use super::role::Role;
use super::{Beginning, Configuration, Configurations, Raft};

impl Raft {
    /// The application's state is durable through `checkpoint`.
    pub(super) fn on_compact(&mut self, checkpoint: Checkpoint, fx: &mut Effects<Raft>) {
        if matches!(self.role, Role::Damaged(_)) {
            return;
        }
        let durable = Index(checkpoint.position).min(self.commit);
        let base = self.log.tail(durable, self.retention());
        if base <= self.log.base().index {
            return;
        }
        self.log.compact(base);
        self.configurations.compact(base);
        let (position, members) = (self.log.base(), self.configurations.at(base).clone());
        self.restate(Record::Base { position, members }, fx);
    }

    /// Follower: the leader has dropped what this replica lacks, and sent the state instead.
    pub(super) fn on_snapshot(
        &mut self,
        from: NodeId,
        checkpoint: Checkpoint,
        through: Index,
        members: &[(Index, Configuration)],
        fx: &mut Effects<Raft>,
    ) {
        if !self.hear(from, fx) {
            return;
        }
        let end = Position::from(checkpoint);
        // The world attaches its newest state: the leader may have learned who takes part there only after
        // it asked for one to be sent. It asks again.
        let known = members.iter().rfind(|(from, _)| *from <= end.index);
        let (Some((_, members)), true) = (known, end.index <= through) else {
            return;
        };
        if self.beginning != Beginning::Durable {
            return; // It asks again here too.
        }
        if self.log.matches(end) {
            // Figure 13, step 6: the entries are all here, and now known to be committed.
            self.commit_through(end.index, fx);
        } else if end.index > self.commit {
            self.log.reset(end);
            self.configurations = Configurations::new(end.index, members.clone());
            self.commit = end.index;
            self.maybe_rejoined(fx);
            self.restate(self.reset_record(), fx);
            if end.index > self.delivered {
                self.delivered = end.index;
                fx.output(Output::Install(checkpoint));
            }
            self.tell_members(fx);
        }
        // Otherwise this replica is further already, and what it has committed the leader has too.
        let index = self.commit;
        self.acknowledge(from, index, fx);
    }

    /// Writes down again what the frames that are now forgotten said: where the log begins. The entries that
    /// remain are in the frames that remain, and each frame says what was promised.
    fn restate(&self, beginning: Record, fx: &mut Effects<Raft>) {
        let keep_from = self.log.oldest_frame().unwrap_or(fx.frame());
        fx.compact(keep_from, [beginning]);
    }

    /// How many bytes of entries to keep behind the application's state.
    fn retention(&self) -> u64 {
        let installing = match &self.role {
            Role::Leader(leader) => {
                let mut peers = leader.peers.values();
                peers.any(|peer| matches!(peer.flow, Flow::Snapshot { .. }))
            }
            Role::Follower
            | Role::PreCandidate { .. }
            | Role::Candidate { .. }
            | Role::Damaged(_) => false,
        };
        let factor = if installing { 4 } else { 1 };
        self.config.retention_bytes.saturating_mul(factor)
    }
}
