//! Multi-Paxos's part of the museum of famous bugs.

use quorate_core::Effects;

use super::MultiPaxos;
use crate::museum::museum;

museum! {
    BallotReuse = "ballot-reuse": "a ballot is announced before it is on disk, so a crash makes it recur",
        "Chandra, Griesemer and Redstone, Paxos Made Live, 2007, section 4.1 and 5.1";
    AcceptWithoutPromise = "accept-without-promise": "an acceptor accepts in a ballot below its promise",
        "Lamport, Paxos Made Simple, 2001, section 2.2: P1a";
    EarlyPromise = "early-promise": "a promise leaves before it is on disk",
        "Lamport, Paxos Made Simple, 2001, section 2.5";
    EarlyAccept = "early-accept": "an acceptance leaves before it is on disk",
        "Lamport, Paxos Made Simple, 2001, section 2.5";
    AnyValue = "any-value": "a new leader proposes values of its own where phase 1 reported others",
        "Lamport, Paxos Made Simple, 2001, section 2.2: P2c";
    OldestVote = "oldest-vote": "of several reported values the one of the lowest ballot is proposed",
        "Lamport, Paxos Made Simple, 2001, section 2.2: P2c (b)";
    ReadUnconfirmed = "read-unconfirmed": "reads are answered without asking whether somebody else leads",
        "Chandra, Griesemer and Redstone, Paxos Made Live, 2007, section 5.2";
    ReadTooSoon = "read-too-soon": "a new leader answers reads before its holes are filled",
        "Lamport, Paxos Made Simple, 2001, section 3";
    LeaseIgnoresDrift = "lease-ignores-drift": "a leader counts on its lease for as long as it was given",
        "Gray and Cheriton, Leases, 1989, section 5";
    Overrun = "overrun": "a leader proposes behind a membership that is not chosen, for the old members",
        "Lamport, Malkhi and Zhou, Reconfiguring a State Machine, 2010, section 3";
    OldMembers = "old-members": "those who come are not asked what they accepted",
        "Lamport, Paxos Made Simple, 2001, section 3";
    HollowPromise = "hollow-promise": "a damaged replica promises before it has what it forgot",
        "Alagappan et al., Protocol-aware recovery, FAST 2018";
}

impl MultiPaxos {
    /// Whether this replica has the flaw.
    pub(super) fn has(&self, flaw: Flaw) -> bool {
        self.config.flaw == Some(flaw)
    }

    /// With the flaw, the message sent last does not wait for the disk.
    pub(super) fn leak(&self, flaw: Flaw, fx: &mut Effects<MultiPaxos>) {
        if self.has(flaw)
            && let Some(mail) = fx.mail.last_mut()
        {
            mail.early = true;
        }
    }
}
