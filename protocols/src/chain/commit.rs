//! What is committed, and delivered: what the tail has on disk (van Renesse and Schneider, section 3).

use quorate_core::Effects;
use quorate_problems::total_order::Output;

use super::Chain;
use crate::log::Index;

impl Chain {
    /// Member: commits what the tail has acknowledged, once the chain is known to be complete. Before
    /// that the view may yet be given up for one whose head has not seen the acknowledgement.
    pub(super) fn maybe_commit(&mut self, fx: &mut Effects<Chain>) {
        if self.established && self.is_member() {
            self.commit_through(self.stored, fx);
        }
    }

    /// Delivers everything through `index` that is not delivered yet.
    pub(super) fn commit_through(&mut self, index: Index, fx: &mut Effects<Chain>) {
        // Nobody names more than is here, unless a disk was lost and nobody noticed: then there is
        // nothing to deliver.
        let end = index.min(self.log.last().index);
        while self.commit < end {
            self.commit = self.commit.next();
            let entry = self.log.entry(self.commit);
            let entry = entry.expect("what is committed and not yet delivered is in the log");
            fx.output(Output::Deliver {
                position: self.commit.0,
                epoch: entry.epoch.0,
                payload: entry.payload(),
            });
        }
    }
}
