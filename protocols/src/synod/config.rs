//! What a process must be told to start.

use alloc::vec::Vec;
use core::time::Duration;

use quorate_core::{Faults, Links, Model, NodeId, Timing};
use quorate_quorums::{Apart, Rule, System, Unfit, intersect};

use super::Flaw;

/// The adversary that the synod withstands. It decides once bounds on time hold for long enough; that
/// nothing can be promised without them is the theorem of Fischer, Lynch and Paterson (2.4 of the paper
/// says so).
pub(super) const MODEL: Model = Model {
    faults: Faults::CrashRecovery,
    links: Links {
        lose: true,
        duplicate: true,
        reorder: true,
    },
    timing: Timing::PartiallySynchronous,
};

/// What a process must be told to start.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Config {
    /// Which acceptors must promise before a ballot may have a value.
    pub(super) promises: System,
    /// Which acceptors must accept a value before it is chosen.
    pub(super) accepts: System,
    /// How long to wait, at least, before another ballot.
    pub patience: Duration,
    /// A bug to have, in tests and in the lab.
    pub flaw: Option<Flaw>,
}

/// Why a configuration is refused.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Refused {
    /// A rule does not fit the members.
    Unfit(Unfit),
    /// A quorum of promises might not hear of a value that is chosen.
    Apart(Apart),
}

impl core::fmt::Display for Refused {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Refused::Unfit(unfit) => unfit.fmt(f),
            Refused::Apart(apart) => write!(
                f,
                "a ballot could miss what an earlier one has chosen: {apart}"
            ),
        }
    }
}

impl Config {
    /// The defaults for these members: majorities.
    ///
    /// # Panics
    /// If there are no members.
    #[must_use]
    pub fn new(members: impl Into<Vec<NodeId>>) -> Config {
        let config = Config::with_quorums(&members.into(), Rule::Majority, Rule::Majority);
        config.expect("two majorities of somebody have a member in common")
    }

    /// With these quorums for promises and for acceptances. The two need only meet each other (Howard,
    /// Malkhi and Spiegelman, "Flexible Paxos", 2016).
    ///
    /// # Errors
    /// If they do not.
    pub fn with_quorums(
        members: &[NodeId],
        promises: Rule,
        accepts: Rule,
    ) -> Result<Config, Refused> {
        let promises = System::new(promises, members).map_err(Refused::Unfit)?;
        let accepts = System::new(accepts, members).map_err(Refused::Unfit)?;
        intersect(&promises, &accepts).map_err(Refused::Apart)?;
        Ok(Config {
            promises,
            accepts,
            patience: Duration::from_millis(50),
            flaw: None,
        })
    }

    /// All processes: each is proposer, acceptor and learner.
    #[must_use]
    pub fn members(&self) -> &[NodeId] {
        self.promises.members()
    }
}
