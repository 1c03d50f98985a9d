//! What a replica must be told to start, and the limits that it keeps.

use alloc::vec::Vec;
use core::time::Duration;

use quorate_core::{Faults, Links, Model, NodeId, Timing};

use super::Flaw;

/// The adversary that Raft withstands.
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
    /// All voting members.
    pub members: Vec<NodeId>,
    /// How often a leader lets others hear of it.
    pub heartbeat: Duration,
    /// After how long a silence a leader is given up; elections are spread over as long again.
    pub election_timeout: Duration,
    /// For how long a replica that has answered a heartbeat helps nobody else to be elected, so that the
    /// leader may answer reads without asking; zero for not at all. The same for all replicas.
    pub lease: Duration,
    /// By how many millionths the rate of a clock differs from the true one at most. Only leases
    /// depend on it.
    pub drift_ppm: u32,
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

impl Config {
    /// The defaults for these members.
    #[must_use]
    pub fn new(members: impl Into<Vec<NodeId>>) -> Config {
        Config {
            members: members.into(),
            heartbeat: Duration::from_millis(100),
            election_timeout: Duration::from_millis(1000),
            lease: Duration::ZERO,
            drift_ppm: 10_000,
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
}
