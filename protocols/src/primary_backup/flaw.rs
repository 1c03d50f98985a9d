//! Primary-backup's part of the museum of famous bugs.

use quorate_core::Effects;

use super::PrimaryBackup;
use crate::museum::museum;
use crate::views::{Careless, Replicator};

museum! {
    Unfenced = "unfenced": "who believes in an old view is answered as if it were the present one",
        "CS6963, lecture 07b: B must reject P's synchronous replication operations";
    StaleRead = "stale-read": "a primary that was cut off answers reads",
        "CS6963, lecture 07b; Gray and Cheriton 1989 for what a lease would do";
    EarlyAck = "early-ack": "a backup acknowledges an update before it is on disk",
        "Alsberg and Day 1976: an update is safe once two hosts have it";
    HastyView = "hasty-view": "the view service leaves a view before it was acknowledged, for any of its members",
        "MIT 6.824, lab 2: the view service must not change views until the primary acknowledged";
    StartsOver = "starts-over": "the view service starts over with servers that do not have everything",
        "CS6963, lecture 07b: a new P' and B' while the old pair goes on";
    SpareWithoutTransfer = "spare-without-transfer": "a replica that missed updates just resumes",
        "MIT 6.824, lab 2: the primary must send a new backup the whole state";
    SameView = "same-view": "a primary that was stopped goes on in the view that it was primary of",
        "MIT 6.824, lab 2: a restarted primary is treated as dead";
    ForgetfulService = "forgetful-service": "a server that lost its records still counts as one that has everything",
        "Alagappan et al., Protocol-aware recovery, FAST 2018";
}

impl Flaw {
    /// The rule of the view service that this flaw breaks.
    pub(super) fn of_the_service(self) -> Option<Careless> {
        match self {
            Flaw::HastyView => Some(Careless::Hasty),
            Flaw::StartsOver => Some(Careless::StartsOver),
            Flaw::ForgetfulService => Some(Careless::Forgetful),
            Flaw::Unfenced
            | Flaw::StaleRead
            | Flaw::EarlyAck
            | Flaw::SpareWithoutTransfer
            | Flaw::SameView => None,
        }
    }
}

impl<M: Replicator> PrimaryBackup<M> {
    /// Whether this replica has the flaw.
    pub(super) fn has(&self, flaw: Flaw) -> bool {
        self.config.flaw == Some(flaw)
    }

    /// With the flaw, the message sent last does not wait for the disk.
    pub(super) fn leak(&self, flaw: Flaw, fx: &mut Effects<PrimaryBackup<M>>) {
        if self.has(flaw)
            && let Some(mail) = fx.mail.last_mut()
        {
            mail.early = true;
        }
    }
}
