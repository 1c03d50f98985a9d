//! The one place that chooses a protocol; everything else works with any total order.

use std::time::Duration;

use clap::ValueEnum;
use quorate_core::{NodeId, Protocol};
use quorate_problems::total_order::TotalOrder;
use quorate_protocols::raft;

/// How the members agree on an order.
#[derive(ValueEnum, Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(crate) enum Name {
    /// Raft: a leader is elected by votes.
    #[default]
    Raft,
}

/// What every protocol is told.
pub(super) struct Settings {
    /// All members.
    pub(super) members: Vec<NodeId>,
    /// How often a leader shows that it is alive.
    pub(super) heartbeat: Duration,
    /// How long others wait for that.
    pub(super) election_timeout: Duration,
    /// How much of the log to keep for slow peers behind what is in the store, bytes.
    pub(super) retention_bytes: u64,
}

/// A protocol that members can run.
pub(super) trait Served:
    Protocol<Problem = TotalOrder, Config: Send, Message: Send> + 'static
{
    /// The protocol's own words for the settings.
    fn config(settings: Settings) -> Self::Config;
}

/// Work that is done with the protocol of a name.
pub(super) trait With {
    /// What comes of it.
    type Answer;

    /// Does it.
    fn with<P: Served>(self) -> Self::Answer;
}

impl Name {
    /// Its name on the command line.
    pub(crate) fn name(self) -> String {
        let value = self.to_possible_value();
        value.map_or_else(String::new, |value| value.get_name().to_owned())
    }

    /// Does something with the protocol of this name.
    pub(super) fn with<W: With>(self, work: W) -> W::Answer {
        match self {
            Name::Raft => work.with::<raft::Raft>(),
        }
    }
}

impl Served for raft::Raft {
    fn config(settings: Settings) -> raft::Config {
        raft::Config {
            heartbeat: settings.heartbeat,
            election_timeout: settings.election_timeout,
            retention_bytes: settings.retention_bytes,
            ..raft::Config::new(settings.members)
        }
    }
}
