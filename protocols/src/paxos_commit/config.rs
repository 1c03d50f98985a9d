//! What a process must be told to start.

use alloc::vec::Vec;
use core::time::Duration;

use quorate_core::{Faults, Links, Model, NodeId, Timing};
use quorate_quorums::{Rule, System};

use super::Flaw;

/// The adversary that it withstands. Unlike two-phase commit it also comes to an end: as soon as bounds on
/// time hold, for whoever is left if that is a quorum.
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
    /// All participants, each of which is an acceptor too, and what a quorum of them is.
    pub(super) quorums: System,
    /// Who collects the votes as long as nothing goes wrong. Everybody can take its place.
    pub leader: NodeId,
    /// How long to wait, at least, before taking its place.
    pub patience: Duration,
    /// A bug to have, in tests and in the lab.
    pub flaw: Option<Flaw>,
}

impl Config {
    /// The defaults for these members, the first of which is the leader: majorities.
    ///
    /// # Panics
    /// If there are no members.
    #[must_use]
    pub fn new(members: impl Into<Vec<NodeId>>) -> Config {
        let members = members.into();
        let quorums = System::new(Rule::Majority, &members);
        Config {
            leader: *members.first().expect("somebody takes part"),
            quorums: quorums.expect("a majority of somebody is a quorum"),
            patience: Duration::from_millis(200),
            flaw: None,
        }
    }

    /// All participants.
    #[must_use]
    pub fn members(&self) -> &[NodeId] {
        self.quorums.members()
    }
}
