//! Raft's part of the museum of famous bugs.

use quorate_core::Effects;
use quorate_problems::total_order::Membership;

use super::{Configuration, Raft};
use crate::museum::museum;

museum! {
    Figure8 = "figure-8": "a leader commits entries of earlier terms by counting",
        "Ongaro and Ousterhout 2014, section 5.4.2 and figure 8";
    EarlyVote = "early-vote": "a vote leaves before it is on disk",
        "Ongaro and Ousterhout 2014, figure 2: persistent state";
    EarlyAck = "early-ack": "an acknowledgement leaves before the entries are on disk",
        "Ongaro's thesis 2014, section 10.2.1: only the leader may be early";
    ReadUnconfirmed = "read-unconfirmed": "reads are answered without a round of heartbeats",
        "Ongaro's thesis 2014, section 6.4, step 3";
    ReadTooSoon = "read-too-soon": "a new leader answers reads before its first commit",
        "Ongaro's thesis 2014, section 6.4, step 1";
    AnyLog = "any-log": "votes go to candidates whose logs are behind",
        "Ongaro and Ousterhout 2014, section 5.4.1";
    StaleCut = "stale-cut": "a late message cuts entries that were acknowledged",
        "Ongaro and Ousterhout 2014, figure 2: AppendEntries, rule 3";
    RudeCanvass = "rude-canvass": "a canvass succeeds although a quorum hears a live leader",
        "Ongaro's thesis 2014, sections 4.2.3 and 9.6";
    HollowVote = "hollow-vote": "a damaged replica votes before it has what it forgot",
        "Alagappan et al., Protocol-aware recovery, FAST 2018";
    SingleServer = "single-server-change": "one server is added or removed at a time, and a new leader does so before its first commit",
        "Ongaro's thesis 2014, section 4.1, and his correction of 2015";
    LearnerCounts = "learner-counts": "what learners have on disk is counted",
        "Ongaro's thesis 2014, section 4.2.1";
    OldVotes = "old-votes": "votes for a campaign count that its candidate has forgotten",
        "found here, while the argument for recovery was checked";
    BlindFill = "blind-fill": "a hole in a log is filled without a look at the term behind it",
        "Alagappan et al., Protocol-aware recovery, FAST 2018";
    OldPromises = "old-promises": "a damaged replica believes the promises of before the hole in its log",
        "Alagappan et al., Protocol-aware recovery, FAST 2018";
}

impl Flaw {
    /// What these members, ordered next, make of a configuration.
    pub(super) fn after(
        flaw: Option<Flaw>,
        configuration: &Configuration,
        members: &Membership,
    ) -> Configuration {
        let now = &configuration.now().voters;
        let joining = members.voters.iter().filter(|id| !now.contains(id));
        let leaving = now.iter().filter(|id| !members.voters.contains(id));
        let is_single = joining.chain(leaving).count() == 1;
        match flaw {
            Some(Flaw::SingleServer) if is_single => Configuration::settled(members.clone()),
            _ => configuration.then(members),
        }
    }
}

impl Raft {
    /// Whether this replica has the flaw.
    pub(super) fn has(&self, flaw: Flaw) -> bool {
        self.config.flaw == Some(flaw)
    }

    /// With the flaw, the message sent last does not wait for the disk.
    pub(super) fn leak(&self, flaw: Flaw, fx: &mut Effects<Raft>) {
        if self.has(flaw)
            && let Some(mail) = fx.mail.last_mut()
        {
            mail.early = true;
        }
    }
}
