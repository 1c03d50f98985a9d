//! What a person is shown of a replica.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use super::Chain;
use crate::log::Log;

impl Chain {
    /// The log, for whoever has nothing else left of a cluster.
    #[must_use]
    pub fn log(&self) -> &Log {
        &self.log
    }

    /// The view, how far the log is stored and delivered, the log, and the links.
    #[must_use]
    pub fn describe(&self) -> String {
        let members: Vec<_> = self.view.members.iter().map(|id| format!("{id}")).collect();
        let entries: Vec<_> = self
            .log
            .iter()
            .map(|(_, entry, _)| format!("{entry:?}"))
            .collect();
        let mut text = format!(
            "view {:?} of {}{}, stored {:?}, commit {:?}, log {:?} | {}",
            self.view.number,
            members.join(" "),
            if self.established { "" } else { " (to begin)" },
            self.stored,
            self.commit,
            self.log.base(),
            entries.join(" ")
        );
        for (id, link) in &self.links {
            let (stored, next, flow) = (link.stored, link.next, link.flow);
            text += &format!("\n   {id} stored {stored:?}, next {next:?}, {flow:?}");
        }
        text
    }
}

impl fmt::Debug for Chain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.describe())
    }
}
