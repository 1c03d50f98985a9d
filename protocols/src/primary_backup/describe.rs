//! What a person is shown of a replica.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::PrimaryBackup;
use super::view::Role;
use crate::log::Log;
use crate::views::Replicator;

impl<M: Replicator> PrimaryBackup<M> {
    /// The log, for whoever has nothing else left of a cluster.
    #[must_use]
    pub fn log(&self) -> &Log {
        &self.log
    }

    /// View, delivered position and log; what a primary knows of each copy; what the view service knows.
    #[must_use]
    pub fn describe(&self) -> String {
        let entries: Vec<_> = self
            .log
            .iter()
            .map(|(_, entry, _)| format!("{entry:?}"))
            .collect();
        let mut text = format!(
            "in view {:?}, commit {:?}, log {:?} | {}",
            self.number,
            self.commit,
            self.log.base(),
            entries.join(" ")
        );
        text += &format!("\n   was told of {:?}", self.seat.known());
        if self.seat.serves() {
            let views = self.seat.views();
            let presides = if self.seat.presides() {
                ", presides"
            } else {
                ""
            };
            text += &format!("\n   the view service{presides}: {views:?}");
        }
        if let Role::Primary(primary) = &self.role {
            for (id, peer) in primary.peers.iter().filter(|(id, _)| **id != self.me) {
                let (matched, next, flow) = (peer.matched, peer.next, peer.flow);
                text += &format!("\n   {id} matched {matched:?}, next {next:?}, {flow:?}");
            }
        }
        text
    }
}
