//! What operators do to a running store: back it up, and give back its space.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use quorate_core::Checkpoint;

use super::defragment::Defragmentation;
use super::export::Export;
use super::shared::{Shared, lock};
use super::snapshot::Snapshot;

/// Looks after a running store. Cheap to clone, usable from any thread.
#[derive(Clone, Debug)]
pub struct Upkeep {
    pub(crate) shared: Arc<Shared>,
}

impl Upkeep {
    /// Asks that everything applied so far go to disk soon. Answers what has to be durable for that.
    #[must_use]
    pub fn ask(&self) -> Checkpoint {
        let published = self.shared.published.load();
        if published.checkpoint != published.layers.base.checkpoint() {
            self.shared.flush_wanted.store(true, Ordering::Relaxed);
        }
        published.checkpoint
    }

    /// Everything through this checkpoint is durable.
    #[must_use]
    pub fn durable(&self) -> Checkpoint {
        self.shared.published.load().layers.base.checkpoint()
    }

    /// The content of the store through [`Upkeep::durable`], as a stream. It reads the whole store once
    /// before it answers. While it exists the disk pages that it needs are not used again, so it ends
    /// with an error if the file has grown too much in the meantime.
    ///
    /// # Errors
    /// If the disk fails.
    pub fn snapshot(&self) -> io::Result<Snapshot> {
        let base = self.shared.published.load().layers.base.clone();
        Snapshot::new(|| Export::new(self.shared.clone(), base.clone()))
    }

    /// Asks that free space be given back to the file system. That is done in the background, in small
    /// steps, and nothing waits for it: [`Upkeep::defragmentation`] tells how far it is. If it is under way
    /// already, this changes nothing.
    pub fn defragment(&self) {
        let mut state = lock(&self.shared.defragmentation);
        if !matches!(*state, Defragmentation::Copying { .. }) {
            *state = Defragmentation::Wanted;
        }
    }

    /// How far giving space back is, or what came of it last.
    #[must_use]
    pub fn defragmentation(&self) -> Defragmentation {
        lock(&self.shared.defragmentation).clone()
    }

    /// Asks that everything at rest be read and verified, in small steps in the background. That is done by
    /// itself now and then, too. What it finds ends the replica, as damage does that a reader finds.
    pub fn scrub(&self) {
        self.shared.scrub_wanted.store(true, Ordering::Relaxed);
    }

    /// How often that was done since the store was opened.
    #[must_use]
    pub fn scrubs(&self) -> u64 {
        self.shared.scrubs.load(Ordering::Relaxed)
    }

    /// How much the file system has left for this store, if it can tell.
    ///
    /// # Errors
    /// If the disk fails.
    pub fn free_bytes(&self) -> io::Result<Option<u64>> {
        self.shared.files.free_bytes()
    }

    /// This store is not what it should be, whatever the reason: the next start sets it aside and begins
    /// with an empty one, and nothing is written to it any more.
    pub fn condemn(&self, reason: &str) {
        self.shared.damage.note(reason);
    }
}
