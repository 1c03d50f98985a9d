//! Two-phase commit's part of the museum of famous bugs.

use quorate_core::Effects;

use super::TwoPhaseCommit;
use crate::museum::museum;

museum! {
    EarlyVote = "early-vote": "a yes leaves before it is on disk",
        "Bernstein, Hadzilacos and Goodman 1987, section 7.4: a yes record before the vote";
    ForgetfulCoordinator = "forgetful-coordinator": "the outcome leaves before it is on disk",
        "Bernstein, Hadzilacos and Goodman 1987, section 7.4: a commit record before the message";
    HeuristicAbort = "heuristic-abort": "a participant that has waited too long aborts although it voted yes",
        "X/Open, The XA specification, 1991: heuristic completion";
    MajorityCommit = "majority-commit": "the coordinator takes a majority of yes for unanimity",
        "the slides of the introduction: the flatmates' vote as an example of consensus";
}

impl TwoPhaseCommit {
    /// Whether this process has the flaw.
    pub(super) fn has(&self, flaw: Flaw) -> bool {
        self.config.flaw == Some(flaw)
    }

    /// With the flaw, the message sent last does not wait for the disk.
    pub(super) fn leak(&self, flaw: Flaw, fx: &mut Effects<TwoPhaseCommit>) {
        if self.has(flaw)
            && let Some(mail) = fx.mail.last_mut()
        {
            mail.early = true;
        }
    }
}
