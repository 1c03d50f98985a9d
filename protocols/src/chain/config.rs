//! What a replica must be told to start, and the limits that it keeps.

use alloc::vec::Vec;
use core::time::Duration;

use quorate_core::{Faults, Links, Model, NodeId, Timing};

use super::Flaw;
use super::service::ServiceConfig;
use crate::raft;
use crate::views::{self, Careless};

/// The adversary that this chain withstands. The paper assumes that servers stop and that everybody
/// learns of it; the view service and the view number in every message make up for the difference.
pub(super) const MODEL: Model = Model {
    faults: Faults::CrashRecovery,
    links: Links {
        lose: true,
        duplicate: true,
        reorder: true,
    },
    timing: Timing::PartiallySynchronous,
};

/// What a replica must be told to start.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Config {
    /// All members at first, in the order of the first chain: head first.
    pub members: Vec<NodeId>,
    /// A process beside them that is the view service; without one, the members replicate it.
    pub service: Option<NodeId>,
    /// How many members a chain has at least, if not a majority, which survives what the view service
    /// survives if it is replicated among them; 1 lets the last survivor go on alone.
    pub members_min: Option<usize>,
    /// How often neighbours let each other hear of them.
    pub heartbeat: Duration,
    /// After how long a silence a member is left out of the next view.
    pub election_timeout: Duration,
    /// How long a snapshot may be on its way before it is sent again.
    pub snapshot_retry: Duration,
    /// How many requests may be under way at once: the edge keeps the rest and batches them.
    pub window: usize,
    /// How many bytes of entries may be under way before no more requests are welcome.
    pub window_bytes_max: u64,
    /// How many entries may be passed on ahead of their acknowledgements.
    pub flight_entries_max: u64,
    /// How many bytes of entries may be passed on ahead of their acknowledgements.
    pub flight_bytes_max: u64,
    /// How many bytes of entries go into one message.
    pub message_bytes_max: u64,
    /// How many bytes of entries are kept although the application's state contains them, so that a
    /// replica that was briefly away needs no snapshot. Four times as many while one is being sent,
    /// so that its receiver finds the entries behind it when it has loaded it.
    pub retention_bytes: u64,
    /// A bug to have, in tests and in the lab.
    pub flaw: Option<Flaw>,
}

impl Config {
    /// The defaults for these members.
    #[must_use]
    pub fn new(members: impl Into<Vec<NodeId>>) -> Config {
        let members = members.into();
        Config {
            service: None,
            members_min: None,
            members,
            heartbeat: Duration::from_millis(100),
            election_timeout: Duration::from_millis(1000),
            snapshot_retry: Duration::from_secs(10),
            window: 64,
            window_bytes_max: 64 << 20,
            flight_entries_max: 512,
            flight_bytes_max: 16 << 20,
            message_bytes_max: 1 << 20,
            retention_bytes: 64 << 20,
            flaw: None,
        }
    }

    /// The same with one of the members as the view service, which then keeps no copy. It lets the last
    /// survivor go on alone.
    #[must_use]
    pub fn with_service(mut self, node: NodeId) -> Config {
        self.members.retain(|&id| id != node);
        self.members_min = Some(1);
        self.service = Some(node);
        self
    }

    /// What the view service must be told.
    pub(super) fn service(&self) -> ServiceConfig {
        let heartbeat = self.heartbeat.max(Duration::from_millis(1));
        let patience = self.election_timeout.as_millis() / heartbeat.as_millis();
        ServiceConfig {
            service: match self.service {
                Some(node) => views::Service::Alone { node },
                None => views::Service::Replicated(raft::Config::new(self.members.clone())),
            },
            servers: self.members.clone(),
            members_min: self.members_min,
            ping: heartbeat,
            patience: u32::try_from(patience).unwrap_or(u32::MAX).max(2),
            careless: (self.flaw == Some(Flaw::HastyJoin)).then_some(Careless::Hasty),
        }
    }
}
