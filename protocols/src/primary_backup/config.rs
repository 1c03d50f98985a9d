//! What a replica must be told to start, and the limits that it keeps.

use alloc::vec::Vec;
use core::time::Duration;

use quorate_core::{Faults, Links, Model, NodeId, Timing};

use super::Flaw;
use crate::raft;
use crate::views::{self, Service};

/// The adversary that synchronous replication with views withstands.
pub(super) const MODEL: Model = Model {
    faults: Faults::CrashRecovery,
    links: Links {
        lose: true,
        duplicate: true,
        reorder: true,
    },
    timing: Timing::PartiallySynchronous,
};

/// What a replica must be told to start. `S` configures the protocol that replicates the view service.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Config<S> {
    /// All processes at first.
    pub members: Vec<NodeId>,
    /// Those of them that keep copies at first. A process that does not is the view service and nothing
    /// else.
    pub copies: Vec<NodeId>,
    /// Who the view service is.
    pub service: Service<S>,
    /// How many members a view has at least, if not a majority of the copies, with which whatever is
    /// acknowledged survives the loss of any minority for good; with 1, the last survivor goes on alone.
    pub members_min: Option<usize>,
    /// When an update is acknowledged.
    pub mode: Mode,
    /// How the primary knows that it may answer reads.
    pub reads: ReadsBy,
    /// Who says that there must be another primary.
    pub promotion: Promotion,
    /// How often the primary lets others hear of it, and everybody pings the view service.
    pub heartbeat: Duration,
    /// After how long a silence a server is taken for dead.
    pub election_timeout: Duration,
    /// How long a snapshot may be on its way before it is sent again.
    pub snapshot_retry: Duration,
    /// How many requests may be under way at once: the edge keeps the rest and batches them.
    pub window: usize,
    /// How many bytes of entries may be under way before no more requests are welcome.
    pub window_bytes_max: u64,
    /// How many entries may be sent to a peer ahead of its answers.
    pub flight_entries_max: u64,
    /// How many bytes of entries may be sent to a peer ahead of its answers.
    pub flight_bytes_max: u64,
    /// How many bytes of entries go into one message.
    pub message_bytes_max: u64,
    /// How many bytes of entries are kept although the application's state contains them, so that a
    /// peer that was briefly slow or away needs no snapshot. Four times as many while a peer is
    /// being sent one, so that it finds the entries behind it when it has loaded it.
    pub retention_bytes: u64,
    /// A bug to have, in tests and in the lab.
    pub flaw: Option<Flaw>,
}

/// When an update is acknowledged.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Mode {
    /// When every member of the view has it on disk.
    Synchronous,
    /// When the primary has it on disk. A primary that is lost then takes with it what it has
    /// acknowledged and not yet sent: for the lab.
    Asynchronous,
}

/// How the primary knows that it may answer reads.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum ReadsBy {
    /// All members of its view confirm, for each round of reads, that they know of no later view.
    Confirmation,
    /// The view service has answered it lately. That assumes bounds on clocks and delays: for the lab.
    Lease,
}

/// Who says that there must be another primary.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Promotion {
    /// The view service, when the primary does not ping.
    Automatic,
    /// An operator, who makes sure that the old primary is off.
    ByOperator,
}

impl Config<raft::Config> {
    /// The defaults for these members, who replicate the view service by Raft.
    #[must_use]
    pub fn new(members: impl Into<Vec<NodeId>>) -> Config<raft::Config> {
        let members = members.into();
        let service = raft::Config::new(members.clone());
        Config {
            service: Service::Replicated(service),
            members_min: None,
            mode: Mode::Synchronous,
            reads: ReadsBy::Confirmation,
            promotion: Promotion::Automatic,
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
            copies: members.clone(),
            members,
        }
    }
}

impl<S: Clone> Config<S> {
    /// For how many heartbeats nobody is taken for dead.
    pub(super) fn patience(&self) -> u32 {
        let heartbeat = self.heartbeat.as_micros().max(1);
        let beats = self.election_timeout.as_micros() / heartbeat;
        u32::try_from(beats).unwrap_or(u32::MAX).max(1)
    }

    /// What the view service must be told.
    pub(super) fn views(&self) -> views::Config<S> {
        views::Config {
            service: self.service.clone(),
            servers: self.copies.clone(),
            members_min: self.members_min,
            ping: self.heartbeat,
            patience: match self.promotion {
                Promotion::Automatic => self.patience(),
                Promotion::ByOperator => u32::MAX,
            },
            careless: self.flaw.and_then(Flaw::of_the_service),
        }
    }
}
