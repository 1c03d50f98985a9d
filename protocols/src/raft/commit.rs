//! What is committed, and delivered (paper 5.3, 5.4.2).

use quorate_core::Effects;
use quorate_problems::total_order::Output;

use crate::log::{Content, Index};

use super::role::Role;
use super::{Beginning, Flaw, Raft};

impl Raft {
    /// Leader: commits what a quorum has on disk.
    ///
    /// 5.4.2: only entries of the leader's own term are committed by counting; those before are
    /// committed with them, by Log Matching. Figure 8 shows what else could happen.
    pub(super) fn maybe_commit(&mut self, fx: &mut Effects<Raft>) {
        let Role::Leader(leader) = &self.role else {
            return;
        };
        let reached = self.reached(leader, |peer| peer.acked);
        let own = self.log.epoch_at(reached) == Some(self.term) || self.has(Flaw::Figure8);
        if reached > self.commit && own {
            let before = self.commit;
            self.commit_through(reached, fx);
            self.for_each_peer(|source, to, peer| {
                source.send_committed(to, peer, fx);
                source.send_restored(to, peer, before, fx);
            });
            self.maybe_ask_round(fx);
            self.maybe_proceed(before, fx);
        }
    }

    /// Delivers everything through `index` that is not delivered yet.
    pub(super) fn commit_through(&mut self, index: Index, fx: &mut Effects<Raft>) {
        if self.beginning != Beginning::Durable {
            return; // It will be told again.
        }
        // A leader never names more than what this replica acknowledged, but a replica that lost its
        // disk unnoticed may be told of it all the same: then there is nothing to deliver.
        let end = index.min(self.log.last().index);
        while self.commit < end {
            self.commit = self.commit.next();
            let entry = self.log.entry(self.commit);
            let entry = entry.expect("what is committed and not yet delivered is in the log");
            let is_change = matches!(entry.content, Content::Members(_));
            if self.commit > self.delivered {
                self.delivered = self.commit;
                fx.output(Output::Deliver {
                    position: self.commit.0,
                    epoch: entry.epoch.0,
                    payload: entry.payload(),
                });
            }
            if is_change {
                self.tell_members(fx);
            }
        }
    }
}
