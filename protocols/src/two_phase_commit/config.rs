//! What a process must be told to start.

use alloc::vec::Vec;
use core::time::Duration;

use quorate_core::{Faults, Links, Model, NodeId, Timing};

use super::Flaw;

/// The adversary under which it is safe. Under the same one nothing is promised about *when* it decides:
/// if the coordinator does not come back, participants can be blocked for good, and say so.
pub(super) const MODEL: Model = Model {
    faults: Faults::CrashRecovery,
    links: Links {
        lose: true,
        duplicate: true,
        reorder: true,
    },
    timing: Timing::Asynchronous,
};

/// What a process must be told to start.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Config {
    /// All participants, in order.
    pub members: Vec<NodeId>,
    /// The one of them that collects the votes.
    pub coordinator: NodeId,
    /// How long the coordinator waits for votes before it asks once more; after as long again it
    /// aborts.
    pub votes_timeout: Duration,
    /// How long a participant waits for the outcome before it asks the others.
    pub outcome_timeout: Duration,
    /// A bug to have, in tests and in the lab.
    pub flaw: Option<Flaw>,
}

impl Config {
    /// The defaults for these members, the first of which is the coordinator.
    ///
    /// # Panics
    /// If there are no members.
    #[must_use]
    pub fn new(members: impl Into<Vec<NodeId>>) -> Config {
        let members = members.into();
        Config {
            coordinator: *members.first().expect("somebody takes part"),
            members,
            votes_timeout: Duration::from_millis(100),
            outcome_timeout: Duration::from_millis(300),
            flaw: None,
        }
    }
}
