//! What a person is shown of a replica.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use quorate_core::Payload;

use super::MultiPaxos;
use super::ballot::Slot;
use super::role::Role;

impl MultiPaxos {
    /// Position, epoch and payload of what was accepted behind a position, in order and up to the first hole: for
    /// whoever has nothing else left of a cluster.
    #[must_use]
    pub fn held_after(&self, position: u64) -> Vec<(u64, u64, Payload)> {
        let from = Slot(position).next();
        let votes = (from.0..).zip(self.slots.votes(from));
        let whole = votes.take_while(|(expected, (slot, _))| slot.0 == *expected);
        let held = whole.map(|(_, (slot, vote))| {
            let epoch = self.slots.epoch_through(slot);
            (slot.0, epoch.0, vote.entry.payload())
        });
        held.collect()
    }

    /// Promise, slots, and for a leader what it knows of each peer.
    #[must_use]
    pub fn describe(&self) -> String {
        let votes = self.slots.votes(self.slots.base().index.next());
        let votes: Vec<_> = votes
            .map(|(slot, vote)| format!("{slot:?}: {vote:?}"))
            .collect();
        let mut text = format!(
            "promised {:?}, chosen {:?}, slots behind {:?} | {}",
            self.promised,
            self.chosen,
            self.slots.base(),
            votes.join(", ")
        );
        for tenure in self
            .tenures
            .iter()
            .filter(|tenure| tenure.members.version > 0)
        {
            text += &format!(" | members {} behind {:?}", tenure.members, tenure.after);
        }
        if let Role::Leader(leader) = &self.role {
            for (id, peer) in leader.peers.iter().filter(|(id, _)| **id != self.me) {
                let (has, next, flow) = (&peer.has, peer.next, peer.flow);
                text += &format!("\n   {id} has {has:?}, next {next:?}, {flow:?}");
            }
        }
        text
    }
}
