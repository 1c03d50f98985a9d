//! Paxos commit's part of the museum of famous bugs.

use quorate_core::Effects;

use super::PaxosCommit;
use crate::museum::museum;

museum! {
    EarlyAccepted = "early-accepted": "an acceptance leaves before it is on disk",
        "Gray and Lamport 2006, section 4.1: acceptors write to stable storage before they answer";
    PresumedYes = "presumed-yes": "a new leader takes the silence of a participant for a yes",
        "Gray and Lamport 2006, section 4.2: the leader proposes aborted where it is free to";
    IgnoredVotes = "ignored-votes": "a new leader aborts without regard to what acceptors have accepted",
        "Gray and Lamport 2006, section 4.2: the leader proposes aborted where it is free to";
}

impl PaxosCommit {
    /// Whether this process has the flaw.
    pub(super) fn has(&self, flaw: Flaw) -> bool {
        self.config.flaw == Some(flaw)
    }

    /// With the flaw, the message sent last does not wait for the disk.
    pub(super) fn leak(&self, flaw: Flaw, fx: &mut Effects<PaxosCommit>) {
        if self.has(flaw)
            && let Some(mail) = fx.mail.last_mut()
        {
            mail.early = true;
        }
    }
}
