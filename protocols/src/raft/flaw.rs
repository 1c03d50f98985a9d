//! The museum of famous bugs. Each breaks one rule of the protocol, in one line where that rule stands,
//! so that tests can show that searches notice. No server can switch one on.

use quorate_core::Effects;

use super::Raft;

/// A bug that somebody really wrote, or that a paper warns of.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Flaw {
    /// A leader commits entries of earlier terms by counting who has them.
    Figure8,
    /// A vote leaves before it is on disk, so a crash in between lets the voter vote again.
    EarlyVote,
    /// A follower acknowledges entries that are not on its disk yet.
    EarlyAck,
    /// A leader answers reads without asking a quorum whether it still leads.
    ReadUnconfirmed,
    /// A new leader answers reads before it has committed an entry of its own term.
    ReadTooSoon,
    /// A voter does not ask whether the candidate's log is at least as up to date as its own.
    AnyLog,
    /// A follower cuts its log behind the entries of every message, so a late one takes back what
    /// was acknowledged.
    StaleCut,
    /// A canvass is answered although the leader is alive, so one replica with a bad link deposes
    /// leader after leader.
    RudeCanvass,
    /// A replica that lost records votes again before its log holds what it may have forgotten.
    HollowVote,
    /// Votes count although they were asked for before the candidate lost its records.
    OldVotes,
}

impl Flaw {
    /// All of them.
    pub const ALL: [Flaw; 10] = [
        Flaw::Figure8,
        Flaw::EarlyVote,
        Flaw::EarlyAck,
        Flaw::ReadUnconfirmed,
        Flaw::ReadTooSoon,
        Flaw::AnyLog,
        Flaw::StaleCut,
        Flaw::RudeCanvass,
        Flaw::HollowVote,
        Flaw::OldVotes,
    ];

    /// Its name in scripts and on command lines.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Flaw::Figure8 => "figure-8",
            Flaw::EarlyVote => "early-vote",
            Flaw::EarlyAck => "early-ack",
            Flaw::ReadUnconfirmed => "read-unconfirmed",
            Flaw::ReadTooSoon => "read-too-soon",
            Flaw::AnyLog => "any-log",
            Flaw::StaleCut => "stale-cut",
            Flaw::RudeCanvass => "rude-canvass",
            Flaw::HollowVote => "hollow-vote",
            Flaw::OldVotes => "old-votes",
        }
    }

    /// What is wrong, in a sentence.
    #[must_use]
    pub const fn what(self) -> &'static str {
        match self {
            Flaw::Figure8 => "a leader commits entries of earlier terms by counting",
            Flaw::EarlyVote => "a vote leaves before it is on disk",
            Flaw::EarlyAck => "an acknowledgement leaves before the entries are on disk",
            Flaw::ReadUnconfirmed => "reads are answered without a round of heartbeats",
            Flaw::ReadTooSoon => "a new leader answers reads before its first commit",
            Flaw::AnyLog => "votes go to candidates whose logs are behind",
            Flaw::StaleCut => "a late message cuts entries that were acknowledged",
            Flaw::RudeCanvass => "a canvass succeeds although a quorum hears a live leader",
            Flaw::HollowVote => "a damaged replica votes before it has what it forgot",
            Flaw::OldVotes => "votes for a campaign count that its candidate has forgotten",
        }
    }

    /// Where it is told of.
    #[must_use]
    pub const fn source(self) -> &'static str {
        match self {
            Flaw::Figure8 => "Ongaro and Ousterhout 2014, section 5.4.2 and figure 8",
            Flaw::EarlyVote => "Ongaro and Ousterhout 2014, figure 2: persistent state",
            Flaw::EarlyAck => "Ongaro's thesis 2014, section 10.2.1: only the leader may be early",
            Flaw::ReadUnconfirmed => "Ongaro's thesis 2014, section 6.4, step 3",
            Flaw::ReadTooSoon => "Ongaro's thesis 2014, section 6.4, step 1",
            Flaw::AnyLog => "Ongaro and Ousterhout 2014, section 5.4.1",
            Flaw::StaleCut => "Ongaro and Ousterhout 2014, figure 2: AppendEntries, rule 3",
            Flaw::RudeCanvass => "Ongaro's thesis 2014, sections 4.2.3 and 9.6",
            Flaw::HollowVote => "Alagappan et al., Protocol-aware recovery, FAST 2018",
            Flaw::OldVotes => "found here, while the argument for recovery was checked",
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
