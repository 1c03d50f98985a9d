//! The strategies' part of the museum of famous bugs.

use super::Strategies;
use crate::museum::museum;

museum! {
    Unfenced = "unfenced": "updates of a master that was replaced are still made",
        "Bieniusa 2021, single-master: two processes believe themselves to be the master";
    Resume = "resume": "a replica that was away goes on with the state that it has",
        "Birman, lecture on state machine replication: a replica that missed updates cannot just resume";
    Replay = "replay": "after a restart operations are executed again, not their outcomes restored",
        "Kapritsos, EECS 591: replication in time must reproduce the outcome of all non-deterministic events";
    EagerRead = "eager-read": "the master shows a read what the others may never get",
        "Budhiraja et al. 1993: an answer must wait like the update that it shows";
}

impl Strategies {
    /// Whether this process has the flaw.
    pub(super) fn has(&self, flaw: Flaw) -> bool {
        self.config.flaw == Some(flaw)
    }
}
