//! Learning what is chosen, and delivering it ("Paxos Made Simple", 2.3 and 3).

use quorate_core::{Effects, NodeId};
use quorate_problems::total_order::Output;

use super::MultiPaxos;
use super::ballot::Slot;

impl MultiPaxos {
    /// Everything through `slot` is chosen, says the leader of this ballot. Where this replica has what
    /// that leader proposed, it knows what.
    pub(super) fn learn_through(&mut self, slot: Slot, fx: &mut Effects<MultiPaxos>) {
        self.told = self.told.max(slot);
        self.deliver(fx);
    }

    /// Delivers what is chosen and known, in order.
    pub(super) fn deliver(&mut self, fx: &mut Effects<MultiPaxos>) {
        self.note_tenures(fx);
        let end = self.deliverable();
        while self.chosen < end {
            self.chosen = self.chosen.next();
            let vote = self.slots.vote(self.chosen);
            let entry = &vote
                .expect("what is known and not yet delivered is here")
                .entry;
            // Values of earlier ballots may stand behind those of later ones; the order of epochs must
            // not go back (see `README.md`).
            self.epoch = self.epoch.max(entry.epoch);
            fx.output(Output::Deliver {
                position: self.chosen.0,
                epoch: self.epoch.0,
                payload: entry.payload(),
            });
        }
        self.tell_members(fx);
    }

    /// The slots that this ballot has filled here without a hole may have grown.
    pub(super) fn advance_prefix(&mut self) {
        while self.slots.is_in(self.prefix.next(), self.promised) {
            self.prefix = self.prefix.next();
        }
    }

    /// Acceptor: more is chosen.
    pub(super) fn on_chosen(&mut self, from: NodeId, through: Slot, fx: &mut Effects<MultiPaxos>) {
        if self.hear(from, fx) {
            self.learn_through(through, fx);
        }
    }
}
