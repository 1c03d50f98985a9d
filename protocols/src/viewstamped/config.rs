//! What a replica must be told to start, and the limits that it keeps.

use alloc::vec::Vec;
use core::time::Duration;

use quorate_core::{Faults, Links, Model, NodeId, Timing};

use super::Flaw;

/// The adversary that Viewstamped Replication withstands. A volatile replica forgets everything when it
/// crashes, so of such replicas no more than a minority may be down, or recovering, at once.
pub(super) const MODEL: Model = Model {
    faults: Faults::CrashRecovery,
    links: Links {
        lose: true,
        duplicate: true,
        reorder: true,
    },
    timing: Timing::PartiallySynchronous,
};

/// Where a replica keeps what it has promised.
#[derive(Clone, Copy, PartialEq, Eq, Default, Hash, Debug)]
pub enum Memory {
    /// On disk: whoever restarts goes on where it was.
    #[default]
    Durable,
    /// Nowhere else, as in the paper: whoever restarts recovers from the others (4.3).
    Volatile,
}

/// What a replica must be told to start.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Config {
    /// All replicas. In the order of their names they take turns as primary.
    pub members: Vec<NodeId>,
    /// Where promises are kept.
    pub memory: Memory,
    /// How often a primary lets others hear of it.
    pub heartbeat: Duration,
    /// After how long a silence a primary is suspected, and a view change given up.
    pub view_timeout: Duration,
    /// How long a checkpoint may be on its way before it is sent again.
    pub checkpoint_retry: Duration,
    /// How many requests may be under way at once: the edge keeps the rest and batches them.
    pub window: usize,
    /// How many bytes of entries may be under way before no more requests are welcome.
    pub window_bytes_max: u64,
    /// How many entries may be sent to a backup ahead of its answers.
    pub flight_entries_max: u64,
    /// How many bytes of entries may be sent to a backup ahead of its answers.
    pub flight_bytes_max: u64,
    /// How many bytes of entries go into one message.
    pub message_bytes_max: u64,
    /// How many bytes of entries are kept although the application's state contains them, so that a
    /// replica that was briefly slow or away needs no checkpoint.
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
            memory: Memory::Durable,
            heartbeat: Duration::from_millis(100),
            view_timeout: Duration::from_millis(1000),
            checkpoint_retry: Duration::from_secs(10),
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
