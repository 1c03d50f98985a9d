//! The real world: write-ahead log, peer connections, clock and threads around a node.
//!
//! [`Replica::spawn`] runs one replica of any protocol: a thread that owns the node and the layer
//! above it (the [`Edge`](quorate_node::Edge)), a thread that owns the [`log`], and tasks for the
//! [`peers`]. A [`Directory`] says whose data it is and keeps others away. Nothing here knows any
//! protocol.

mod clock;
mod directory;
pub mod disk;
mod fail_stop;
#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzzing;
pub mod log;
mod mailbox;
mod metrics;
mod pace;
pub mod peers;
mod replica;
mod rounds;
mod storage;
#[cfg(test)]
mod toy;
mod writer;

use std::hash::{BuildHasher, RandomState};

pub use clock::Clock;
pub use directory::{Directory, DirectoryError, Identity};
pub use fail_stop::FailStop;
pub use mailbox::{Mailbox, Waker, mailbox};
pub use metrics::{BUCKETS, Histogram, Metrics, PeerMetrics};
pub use pace::{DiskWatch, Pace, SLOW_PATIENCE, SLOW_SYNC, SlowDisk};
pub use peers::{
    Checkpoints, Introductions, NoCheckpoints, NoIntroductions, PeerList, PeerOptions, PeersHandle,
    Receiving, ask,
};
pub use replica::{Observer, Options, Replica, SpawnError, look_at};
pub use rounds::{Next, Outside, Rounds};
pub use storage::{Storage, StorageError};

/// Something random from the operating system: it seeds the keys of the standard hash maps.
fn random_seed() -> u64 {
    RandomState::new().hash_one(std::process::id())
}
