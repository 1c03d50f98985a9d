//! What the view service is made of, and how patient it is.

use alloc::vec::Vec;
use core::time::Duration;

use quorate_core::{NodeId, Protocol};
use quorate_problems::total_order::TotalOrder;

use crate::raft::{self, Raft};

/// What a server must be told of the view service.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Config<S> {
    /// Who the service is.
    pub service: Service<S>,
    /// Who keeps copies at first, and so can be a member of views.
    pub servers: Vec<NodeId>,
    /// How many members a view has at least, if it is not a majority of the servers, which survives
    /// what the service itself survives if it is replicated among them; 1 lets the last survivor go on
    /// alone.
    pub members_min: Option<usize>,
    /// How often servers ping, and how long a tick is.
    pub ping: Duration,
    /// For how many ticks the service waits for a ping before it takes a server for dead.
    pub patience: u32,
    /// A rule that the service does not keep, in tests and in the lab.
    pub careless: Option<Careless>,
}

/// Who the view service is.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Service<S> {
    /// One process: a single point of failure.
    Alone {
        /// It.
        node: NodeId,
    },
    /// The servers themselves, by a protocol for total order with this configuration.
    Replicated(S),
}

/// A rule that the service does not keep.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Careless {
    /// It leaves a view that was not acknowledged for one of its members, which may not have everything.
    Hasty,
    /// If nobody is left who has everything, it starts over with whoever is there.
    StartsOver,
    /// It does not care who lost records.
    Forgetful,
}

/// A protocol for total order that can replicate the view service.
pub trait Replicator: Protocol<Problem = TotalOrder> + Clone {
    /// Who takes part at first.
    fn members(config: &Self::Config) -> &[NodeId];

    /// The configuration with these members and times: how often leaders let others hear of them, and after
    /// how long a silence they are given up. The state that it orders is tiny, so no log is kept for laggards.
    fn paced(
        config: &Self::Config,
        members: &[NodeId],
        heartbeat: Duration,
        silence: Duration,
    ) -> Self::Config;
}

impl Replicator for Raft {
    fn members(config: &raft::Config) -> &[NodeId] {
        &config.members
    }

    fn paced(
        config: &raft::Config,
        members: &[NodeId],
        heartbeat: Duration,
        silence: Duration,
    ) -> raft::Config {
        raft::Config {
            members: members.to_vec(),
            heartbeat,
            election_timeout: silence,
            retention_bytes: 0,
            ..config.clone()
        }
    }
}
