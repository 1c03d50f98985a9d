//! What a process says of itself.

use alloc::format;
use alloc::string::String;

use quorate_core::Status;

use super::Synod;
use super::proposer::Phase;

impl Synod {
    pub(super) fn summary(&self) -> Status {
        let role = match (&self.decided, &self.attempt) {
            (Some(_), _) => "learner",
            (None, _) if self.damaged => "damaged",
            (None, Some(_)) => "proposer",
            (None, None) => "acceptor",
        };
        Status {
            role,
            epoch: self.acceptor.promised().round,
            leader: None,
            head: u64::from(self.acceptor.accepted().is_some()),
            decided: u64::from(self.decided.is_some()),
            whole: true,
            repaired: 0,
        }
    }

    /// What it promised and accepted, and how far its ballot is.
    #[must_use]
    pub fn describe(&self) -> String {
        if let Some(value) = &self.decided {
            return format!("knows that {value:?} is chosen");
        }
        let mut text = format!("promised {:?}", self.acceptor.promised());
        if let Some(accepted) = self.acceptor.accepted() {
            text += &format!(", accepted {accepted:?}");
        }
        match self.attempt.as_ref().map(|one| (one.ballot, &one.phase)) {
            None => {}
            Some((ballot, Phase::Preparing(_))) => text += &format!(", prepares {ballot:?}"),
            Some((ballot, Phase::Accepting { value, accepted })) => {
                text += &format!(", asks for {ballot:?} {value:?}, accepted by {accepted:?}");
            }
        }
        text
    }
}
