//! What a person is shown of a replica.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::Viewstamped;
use super::role::Role;
use crate::log::Log;

impl Viewstamped {
    /// The log, for whoever has nothing else left of a cluster.
    #[must_use]
    pub fn log(&self) -> &Log {
        &self.log
    }

    /// View, commit-number and log, and what its role knows.
    #[must_use]
    pub fn describe(&self) -> String {
        let entries: Vec<_> = self
            .log
            .iter()
            .map(|(_, entry, _)| format!("{entry:?}"))
            .collect();
        let epoch = match self.epoch.number() {
            0 => String::new(),
            number => format!("epoch {number} of {}, ", self.epoch.members),
        };
        let mut text = format!(
            "{epoch}view {:?}, last normal {:?}, commit {:?}, log {:?} | {}",
            self.view,
            self.normal,
            self.commit,
            self.log.base(),
            entries.join(" ")
        );
        match &self.role {
            Role::Primary(primary) => {
                for (id, peer) in primary.peers.iter().filter(|(id, _)| **id != self.me) {
                    let (matched, next) = (peer.matched, peer.next);
                    text += &format!("\n   {id} has {matched:?}, is sent {next:?} next");
                }
            }
            Role::Changing(change) => text += &format!("\n   {change:?}"),
            Role::Recovering(recovery) => text += &format!("\n   {recovery:?}"),
            Role::Transitioning(transition) => text += &format!("\n   {transition:?}"),
            Role::Starting | Role::Backup | Role::Outside { .. } => {}
        }
        text
    }
}
