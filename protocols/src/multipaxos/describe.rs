//! What a person is shown of a replica.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::MultiPaxos;
use super::role::Role;

impl MultiPaxos {
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
