//! The state of the key-value machine: redb below, memory above.
//!
//! Rows never change. New ones go to a layer in memory (`layer`), which readers walk without a
//! lock; when it is full it is frozen, and a flush writes it to redb in one durable transaction
//! together with the rest of the state as it stood at that position (`flush`). A [`View`] is a
//! published revision, the layers in memory and a read transaction. Compaction forgets at once and
//! frees space later, in small steps (`sweep`). A checkpoint for a peer is the content of one
//! read transaction (`export`, `import`).

mod blocks;
mod counts;
mod damage;
mod defragment;
mod export;
mod files;
mod flush;
mod import;

pub(crate) mod layer;
pub(crate) mod leases;
pub(crate) mod range;
pub(crate) mod row;
pub(crate) mod scan;
mod scrub;
pub(crate) mod shared;
pub mod snapshot;
pub(crate) mod state;
mod sweep;
pub(crate) mod tables;
#[cfg(test)]
mod tests;
mod upkeep;
mod view;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::command::Member;

pub use defragment::Defragmentation;
pub use export::{Checkpoints, Export};
pub use files::{Directory, Files};
pub use flush::{Flusher, Worked};
pub use import::Import;
pub use upkeep::Upkeep;
pub use view::{Size, View, Views};

/// How a store is opened.
#[derive(Clone, Debug)]
pub struct Options {
    /// The directory of its files.
    pub dir: PathBuf,
    /// How much memory redb may use for pages.
    pub cache_bytes: usize,
    /// How large a layer in memory grows before it is frozen and written. Up to three are in memory.
    pub layer_bytes: usize,
    /// After how many positions a layer is frozen although it is not full, so that the log does not grow
    /// without bound by entries that change next to nothing.
    pub layer_positions: u64,
    /// The members of a new cluster; a store that exists has its own.
    pub members: Vec<Member>,
    /// There must be a store already: if there is none it was lost.
    pub expected: bool,
    /// How old the oldest change in memory may become before a flush is asked for although the layer
    /// is not full. None if only size counts, which makes runs repeatable.
    pub flush_after: Option<Duration>,
    /// How many events one step of a sweep looks at.
    pub sweep_events: usize,
    /// How long to wait before everything at rest is looked at again. None if nobody looks by itself.
    pub scrub_every: Option<Duration>,
    /// How many bytes one step of giving space back copies.
    pub copy_step_bytes: usize,
    /// How far the file may grow while one checkpoint is read, before that reading is given up: a
    /// reader keeps old pages from being used again.
    pub export_growth_bytes_max: u64,
    /// The files, if they are not in `dir`: for simulations.
    pub files: Option<Arc<dyn Files>>,
    /// A famous bug, for searches to find. Nothing that serves users sets it.
    pub flaw: Option<Flaw>,
}

/// Famous bugs, kept so that tests can prove they would be noticed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Flaw {
    /// A batch that was applied before is applied again: exactly-once is broken by any repetition
    /// ("The client may retry, so commands can be executed more than once": Raft, section 8).
    DuplicateAppliedTwice,
    /// A checkpoint brings the rows and not the table of batches that were applied, so that what is
    /// delivered again after it takes effect again (Ongaro's thesis, 6.3: sessions are part of the
    /// state and of every snapshot).
    SnapshotDropsSessions,
    /// A state that was confirmed to be new is taken to be as new as the answer, not as the question: what
    /// others acknowledged in between is missing from a read that may be so old and no older.
    FreshWhenAnswered,
    /// Under the alarm NOSPACE deletions are refused too, so that nobody can make room.
    NoRoomToDelete,
    /// Leadership is handed over as soon as a disk stalls, for however short a moment.
    HastyHandOver,
}

impl Flaw {
    /// All of them.
    pub const ALL: [Flaw; 5] = [
        Flaw::DuplicateAppliedTwice,
        Flaw::SnapshotDropsSessions,
        Flaw::FreshWhenAnswered,
        Flaw::NoRoomToDelete,
        Flaw::HastyHandOver,
    ];

    /// Its name on a command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Flaw::DuplicateAppliedTwice => "duplicate-applied-twice",
            Flaw::SnapshotDropsSessions => "snapshot-drops-sessions",
            Flaw::FreshWhenAnswered => "fresh-when-answered",
            Flaw::NoRoomToDelete => "no-room-to-delete",
            Flaw::HastyHandOver => "hasty-hand-over",
        }
    }
}

impl Options {
    /// The usual values.
    #[must_use]
    pub fn new(dir: impl Into<PathBuf>) -> Options {
        Options {
            dir: dir.into(),
            cache_bytes: 256 << 20,
            layer_bytes: 64 << 20,
            layer_positions: 100_000,
            members: Vec::new(),
            expected: false,
            flush_after: Some(Duration::from_secs(10)),
            sweep_events: 10_000,
            scrub_every: Some(Duration::from_secs(3600)),
            copy_step_bytes: 4 << 20,
            export_growth_bytes_max: 4 << 30,
            files: None,
            flaw: None,
        }
    }
}

/// The file with the state.
pub(crate) const STORE_FILE: &str = "store.redb";
