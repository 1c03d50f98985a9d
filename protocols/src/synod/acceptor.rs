//! The acceptor: what it has promised, and what it has accepted (2.2, phases 1b and 2b).
//!
//! It is without I/O, so that Paxos commit can use one for each participant. Whoever owns it writes down
//! what changed before anybody hears of it.

use super::ballot::{Ballot, Proposal};

/// One acceptor of one instance.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Acceptor<V> {
    promised: Ballot,
    accepted: Option<Proposal<V>>,
}

impl<V> Default for Acceptor<V> {
    fn default() -> Acceptor<V> {
        Acceptor {
            promised: Ballot::ZERO,
            accepted: None,
        }
    }
}

/// This acceptor has promised to another ballot not to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Outbid {
    /// That ballot.
    pub promised: Ballot,
}

impl<V> Acceptor<V> {
    /// The highest ballot that it promised anything to. It takes part in no lower one.
    #[must_use]
    pub fn promised(&self) -> Ballot {
        self.promised
    }

    /// The proposal with the highest number that it has accepted.
    #[must_use]
    pub fn accepted(&self) -> Option<&Proposal<V>> {
        self.accepted.as_ref()
    }

    /// "If an acceptor receives a prepare request with number n greater than that of any prepare request
    /// to which it has already responded, then it responds with a promise not to accept any more
    /// proposals numbered less than n." The same request again is answered again: mail is lost.
    ///
    /// # Errors
    /// If it has promised more to somebody else.
    pub fn on_prepare(&mut self, ballot: Ballot) -> Result<(), Outbid> {
        self.admit(ballot)?;
        self.promised = ballot;
        Ok(())
    }

    /// "If an acceptor receives an accept request for a proposal numbered n, it accepts the proposal
    /// unless it has already responded to a prepare request having a number greater than n."
    ///
    /// # Errors
    /// If it has.
    pub fn on_accept(&mut self, proposal: Proposal<V>) -> Result<(), Outbid> {
        self.admit(proposal.ballot)?;
        self.accept(proposal);
        Ok(())
    }

    /// Accepts whatever it has promised: to replay what it wrote down, and for a bug of the museum.
    pub(crate) fn accept(&mut self, proposal: Proposal<V>) {
        // Accepting without a promise is a promise too: whoever asked had a quorum of them.
        self.promised = self.promised.max(proposal.ballot);
        self.accepted = Some(proposal);
    }

    fn admit(&self, ballot: Ballot) -> Result<(), Outbid> {
        let promised = self.promised;
        match ballot >= promised {
            true => Ok(()),
            false => Err(Outbid { promised }),
        }
    }
}
