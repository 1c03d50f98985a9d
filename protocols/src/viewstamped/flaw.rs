//! Viewstamped Replication's part of the museum of famous bugs.

use quorate_core::Effects;

use super::Viewstamped;
use crate::museum::museum;

museum! {
    TruncatingTransfer = "truncating-transfer":
        "who hears of a later view drops what is not committed and is in that view before it has its log",
        "Liskov and Cowling 2012, section 5.2; found by Vanlightly's TLA+ study, 2022";
    ForgottenView = "forgotten-view":
        "DoViewChange leaves before the view that it promises is on disk",
        "Liskov and Cowling 2012, section 4.2, without the recovery that makes up for it";
    LongestLog = "longest-log":
        "a view begins with the longest log, whichever view that is from",
        "Liskov and Cowling 2012, section 4.2, step 3";
    OldPromises = "old-promises":
        "a DoViewChange counts although its sender has recovered since, and forgotten it",
        "Michael et al., Recovering shared objects without stable storage, 2017";
    HastyRecovery = "hasty-recovery":
        "a recovering replica does not wait for the log of the newest view's primary",
        "Liskov and Cowling 2012, section 4.3, step 3";
    BlindResume = "blind-resume":
        "a backup that missed operations goes on with the next ones",
        "Liskov and Cowling 2012, section 5.2: why there is a state transfer";
    ResumedPrimary = "resumed-primary":
        "a primary that restarts goes on in its view with the log that survived",
        "found here: what leaves before the primary's disk has it must not be replaced";
    EarlyOk = "early-ok":
        "PrepareOk leaves before the operation is on disk",
        "Liskov and Cowling 2012, section 4.1, step 4, with a disk in place of the recovery";
    ReadUnconfirmed = "read-unconfirmed":
        "a primary answers reads without asking whether it is still primary",
        "Liskov and Cowling 2012, section 6.3";
    ReadTooSoon = "read-too-soon":
        "a new primary answers reads before what its view began with is committed",
        "Ongaro's thesis 2014, section 6.4, step 1, which holds here too";
    HastyEpoch = "hasty-epoch":
        "a new member takes part before it has what its epoch begins with",
        "Liskov and Cowling 2012, section 7.1.1: what status transitioning is for";
    EndlessEpoch = "endless-epoch":
        "those who are replaced go on behind the operation that replaces them",
        "Liskov and Cowling 2012, section 7.1: why it is the last request of its epoch";
    ForgottenEpoch = "forgotten-epoch":
        "who enters an epoch does not write down who takes part in it",
        "Liskov and Cowling 2012, section 7, without the recovery that makes up for it";
}

impl Viewstamped {
    /// Whether this replica has the flaw.
    pub(super) fn has(&self, flaw: Flaw) -> bool {
        self.config.flaw == Some(flaw)
    }

    /// With the flaw, the message sent last does not wait for the disk.
    pub(super) fn leak(&self, flaw: Flaw, fx: &mut Effects<Viewstamped>) {
        if self.has(flaw)
            && let Some(mail) = fx.mail.last_mut()
        {
            mail.early = true;
        }
    }
}
