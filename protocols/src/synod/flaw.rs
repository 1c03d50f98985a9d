//! The synod's part of the museum of famous bugs.

use quorate_core::Effects;

use super::Synod;
use crate::museum::museum;

museum! {
    BallotReuse = "ballot-reuse": "a proposer forgets with a crash which ballots it has begun",
        "Lamport, Paxos Made Simple, 2001, section 2.5: proposers remember in stable storage";
    AcceptWithoutPromise = "accept-without-promise": "one promise is enough to ask for acceptance",
        "Lamport, Paxos Made Simple, 2001, section 2.2: phase 2 (a)";
    BrokenPromise = "broken-promise": "an acceptor accepts whatever it has promised",
        "Lamport, Paxos Made Simple, 2001, section 2.2: P1a";
    EarlyPromise = "early-promise": "a promise leaves before it is on disk",
        "Lamport, Paxos Made Simple, 2001, section 2.5: before actually sending the response";
    EarlyAccepted = "early-accepted": "an acceptance leaves before it is on disk",
        "Lamport, Paxos Made Simple, 2001, section 2.5: before actually sending the response";
    AnyValue = "any-value": "a proposer ignores what acceptors have accepted",
        "Lamport, Paxos Made Simple, 2001, section 2.2: P2c";
}

impl Synod {
    /// Whether this process has the flaw.
    pub(super) fn has(&self, flaw: Flaw) -> bool {
        self.config.flaw == Some(flaw)
    }

    /// With the flaw, the message sent last does not wait for the disk.
    pub(super) fn leak(&self, flaw: Flaw, fx: &mut Effects<Synod>) {
        if self.has(flaw)
            && let Some(mail) = fx.mail.last_mut()
        {
            mail.early = true;
        }
    }
}
