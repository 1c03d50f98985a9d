//! What a process says of itself.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use quorate_core::Status;
use quorate_problems::atomic_commitment::{Outcome, Vote};

use super::PaxosCommit;
use super::leader::Phase;

impl PaxosCommit {
    pub(super) fn summary(&self) -> Status {
        let role = match (self.outcome, &self.attempt, self.vote) {
            (Some(Outcome::Commit), _, _) => "committed",
            (Some(Outcome::Abort), _, _) => "aborted",
            _ if self.damaged => "damaged",
            (None, Some(_), _) => "leader",
            (None, None, Some(Vote::Yes)) => "prepared",
            (None, None, Some(Vote::No)) => "aborting",
            (None, None, None) => "working",
        };
        Status {
            role,
            epoch: self.promised().round,
            leader: None,
            head: u64::from(self.vote.is_some()),
            decided: u64::from(self.outcome.is_some()),
            whole: true,
            repaired: 0,
        }
    }

    /// What it promised and accepted, and how far its ballot is.
    #[must_use]
    pub fn describe(&self) -> String {
        if let Some(outcome) = &self.outcome {
            return format!("knows the outcome: {outcome:?}");
        }
        let casts: Vec<_> = self.casts().collect();
        let mut text = format!(
            "voted {:?}, promised {:?}, accepted {casts:?}",
            self.vote,
            self.promised()
        );
        match self.attempt.as_ref().map(|one| (one.ballot, &one.phase)) {
            None => {}
            Some((ballot, Phase::Preparing(_))) => text += &format!(", prepares {ballot:?}"),
            Some((ballot, Phase::Accepting { votes, accepted })) => {
                text += &format!(", asks for {ballot:?} {votes:?}, accepted by {accepted:?}");
            }
        }
        text
    }
}
