//! What a person is shown of a replica.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::Raft;
use super::role::Role;
use crate::log::Log;

impl Raft {
    /// The log, for whoever has nothing else left of a cluster.
    #[must_use]
    pub fn log(&self) -> &Log {
        &self.log
    }

    /// Commit index and log, and for a leader what it knows of each peer.
    #[must_use]
    pub fn describe(&self) -> String {
        let entries: Vec<_> = self
            .log
            .iter()
            .map(|(_, entry, _)| format!("{entry:?}"))
            .collect();
        let mut text = format!(
            "commit {:?}, log {:?} | {}",
            self.commit,
            self.log.base(),
            entries.join(" ")
        );
        if let Role::Leader(leader) = &self.role {
            for (id, peer) in leader.peers.iter().filter(|(id, _)| **id != self.me) {
                let (matched, next, flow) = (peer.matched, peer.next, peer.flow);
                text += &format!("\n   {id} matched {matched:?}, next {next:?}, {flow:?}");
            }
        }
        text
    }
}
