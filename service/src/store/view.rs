//! What readers read.

use std::ops::ControlFlow;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};

use bytes::Bytes;
use quorate_core::Checkpoint;

use super::STORE_FILE;
use super::row::{Span, Stamp};
use super::scan::{History, scan};
use super::shared::{Published, Shared};
use crate::command::{KeyRange, Range};
use crate::error::Error;
use crate::health::Health;
use crate::members::Members;
use crate::reply::{LeaseStatus, RangeReply, Revision};

/// Where views come from. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Views {
    pub(crate) shared: Arc<Shared>,
}

impl Views {
    /// The state as it was last published. Takes no lock.
    #[must_use]
    pub fn view(&self) -> View {
        View {
            published: self.shared.published.load_full(),
            shared: self.shared.clone(),
        }
    }
}

/// The state at one moment. It stays as it is while newer changes are applied, flushed and
/// compacted; only leases are always shown as they are now. Keeping a view keeps its memory and its
/// disk pages, so views are for the length of a request.
#[derive(Clone, Debug)]
pub struct View {
    published: Arc<Published>,
    shared: Arc<Shared>,
}

/// How much space the store takes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Size {
    /// The length of its file.
    pub on_disk: u64,
    /// The bytes of all rows and events, on disk and in memory.
    pub in_use: u64,
}

impl View {
    /// The newest revision.
    #[must_use]
    pub fn revision(&self) -> i64 {
        self.published.revision
    }

    /// The oldest revision that can be read; -1 if nothing was compacted.
    #[must_use]
    pub fn compacted(&self) -> i64 {
        self.published.compacted
    }

    /// The last position that it contains.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.published.checkpoint.position
    }

    /// The last position that it contains, with its epoch.
    #[must_use]
    pub fn checkpoint(&self) -> Checkpoint {
        self.published.checkpoint
    }

    /// A number chained over all changes so far: equal on all replicas at one position.
    #[must_use]
    pub fn digest(&self) -> u64 {
        self.published.digest
    }

    /// The agreed time, milliseconds.
    #[must_use]
    pub fn clock_ms(&self) -> u64 {
        self.published.now_ms
    }

    /// The members of the cluster.
    #[must_use]
    pub fn members(&self) -> &Members {
        &self.published.members
    }

    /// How they are.
    #[must_use]
    pub fn health(&self) -> &Health {
        &self.published.health
    }

    /// Reads keys. A revision of 0 or less means the newest.
    ///
    /// # Errors
    /// If the revision is compacted or does not exist yet, or the store is damaged.
    pub fn range(&self, range: &Range) -> Result<RangeReply, Error> {
        let revision = match range.revision {
            ..=0 => self.revision(),
            revision if revision > self.revision() => {
                return Err(Error::FutureRevision {
                    current: self.revision(),
                });
            }
            revision => revision,
        };
        self.check_compacted(revision)?;
        super::range::range(&self.published.layers, Stamp::end_of(revision), range)
            .map_err(|error| self.shared.damage.explain(error))
    }

    /// A checksum over all rows as of a revision: the same on every replica, whatever each has compacted and
    /// wherever it keeps its rows. It reads them all, so it takes a while.
    ///
    /// # Errors
    /// As [`View::range`].
    pub fn hash(&self, revision: i64) -> Result<u32, Error> {
        if revision > self.revision() {
            return Err(Error::FutureRevision {
                current: self.revision(),
            });
        }
        self.check_compacted(revision)?;
        let mut crc = 0;
        let all = KeyRange {
            key: Bytes::new(),
            end: Bytes::from_static(b"\0"),
        };
        let layers = &self.published.layers;
        let scanned = scan(layers, Span::of(&all), Stamp::end_of(revision), |row| {
            let kv = row.to_kv(false);
            for part in [&kv.key, &kv.value] {
                crc = crc32c::crc32c_append(crc, &(part.len() as u64).to_le_bytes());
                crc = crc32c::crc32c_append(crc, part);
            }
            for number in [kv.create_revision, kv.mod_revision, kv.version, kv.lease] {
                crc = crc32c::crc32c_append(crc, &number.to_le_bytes());
            }
            ControlFlow::Continue(())
        });
        scanned.map_err(|error| self.shared.damage.explain(error))?;
        Ok(crc)
    }

    fn check_compacted(&self, revision: i64) -> Result<(), Error> {
        if revision < self.compacted() {
            return Err(Error::Compacted {
                compacted: self.compacted(),
            });
        }
        Ok(())
    }

    /// All changes of a range from revision `from` on, in order and with the rows before them: whole
    /// revisions, until there are about `bytes_max` bytes of them or enough others were looked at.
    /// Answers also the revision at which to go on; all is read once that is behind
    /// [`View::revision`]. There may be no changes although there is more to read.
    ///
    /// # Errors
    /// If `from` is compacted, or the store is damaged.
    pub fn history(
        &self,
        range: &KeyRange,
        from: i64,
        bytes_max: usize,
    ) -> Result<(Vec<Revision>, i64), Error> {
        self.check_compacted(from)?;
        // There are no changes before the first revision.
        let from = from.max(1);
        if from > self.revision() {
            return Ok((Vec::new(), from));
        }
        let layers = &self.published.layers;
        let mut history = History::new(layers, Span::of(range), self.compacted(), bytes_max.max(1));
        let next = history.read(from, self.revision());
        let next = next.map_err(|error| self.shared.damage.explain(error))?;
        Ok((history.revisions, next))
    }

    /// A lease, as it is now.
    #[must_use]
    pub fn lease(&self, id: i64) -> Option<LeaseStatus> {
        let leases = self.shared.leases.read();
        let leases = leases.unwrap_or_else(PoisonError::into_inner);
        leases.status(id, self.published.now_ms)
    }

    /// The ids of all leases, in order.
    #[must_use]
    pub fn leases(&self) -> Vec<i64> {
        let leases = self.shared.leases.read();
        leases.unwrap_or_else(PoisonError::into_inner).ids()
    }

    /// How many leases there are.
    #[must_use]
    pub fn lease_count(&self) -> usize {
        let leases = self.shared.leases.read();
        leases.unwrap_or_else(PoisonError::into_inner).len()
    }

    /// How much space the store takes.
    ///
    /// # Errors
    /// If the disk fails.
    pub fn size(&self) -> Result<Size, Error> {
        let on_disk = self.shared.files.len(STORE_FILE);
        let on_disk = on_disk.map_err(|error| Error::Storage(error.to_string()))?;
        Ok(Size {
            on_disk,
            in_use: self.bytes_in_use(),
        })
    }

    /// The bytes of all rows and events, on disk and in memory.
    #[must_use]
    pub fn bytes_in_use(&self) -> u64 {
        let layers = &self.published.layers;
        let memory = layers.memory.iter();
        let memory = memory.map(|layer| layer.stored_bytes.load(Ordering::Relaxed));
        layers.base.sweep.stored_bytes + memory.sum::<u64>()
    }

    /// Whether the space of everything that was compacted by this revision has been freed.
    #[must_use]
    pub fn compaction_finished(&self, revision: i64) -> bool {
        self.published.layers.base.sweep.finished >= revision
    }
}
