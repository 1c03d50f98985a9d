//! Giving free space back, while everything goes on.
//!
//! The store is copied into a new file, a bounded slice at a time, from what one read transaction sees. Meanwhile
//! layers go to the old file as always, and no space of compacted rows is freed: so the events tell exactly
//! which rows came since, and those follow, slice by slice. When nothing is missing any more the new file
//! gets the name of the store, and whoever reads goes on with the old one until it is done. A crash at any
//! moment leaves one of the two.

use std::io;
use std::ops::Bound;
use std::sync::Arc;

use redb::{Database, Durability, ReadableTableMetadata, Table, WriteTransaction};

use super::STORE_FILE;
use super::files::Files;
use super::row::{Stamp, encode_row_key};
use super::shared::{Disk, Shared, lock, open_file};
use super::tables::{
    Base, EVENTS, LEASE_KEYS, LEASES, META, META_KEY, ROWS, decode_event, storage,
};
use crate::error::Error;

/// The file being made; removed at the next start.
const COPY_FILE: &str = "compact.redb";
/// How much redb may use for it.
const CACHE_BYTES: usize = 32 << 20;

/// How far giving space back has come.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub enum Defragmentation {
    /// Nobody has asked for it.
    #[default]
    Idle,
    /// It is wanted, and will begin soon.
    Wanted,
    /// Under way.
    Copying {
        /// How many bytes of rows and events were copied.
        copied: u64,
        /// How many there are.
        of: u64,
    },
    /// Finished.
    Done {
        /// The length of the file before.
        from: u64,
        /// Its length after.
        to: u64,
    },
    /// Given up: everything is as it was.
    Failed(String),
}

/// A copy of the store in the making.
#[derive(Debug)]
pub(crate) struct Copy {
    /// What is copied first.
    source: Arc<Base>,
    target: Database,
    stage: Stage,
    copied: u64,
    /// How much is copied in one step.
    step_bytes: usize,
}

/// What comes next.
#[derive(Clone, Debug)]
enum Stage {
    /// Rows behind this key.
    Rows(Vec<u8>),
    /// Events behind this stamp.
    Events(Stamp),
    /// What came since, behind this stamp.
    News(Stamp),
}

/// Removes what an earlier incarnation left.
pub(super) fn clean_up(files: &dyn Files) -> io::Result<()> {
    match files.list()?.iter().any(|name| name == COPY_FILE) {
        true => files.remove(COPY_FILE),
        false => Ok(()),
    }
}

impl Copy {
    fn begin(shared: &Shared, source: Arc<Base>) -> Result<Copy, Error> {
        clean_up(&*shared.files).map_err(|error| Error::Storage(error.to_string()))?;
        let target = open_file(&*shared.files, COPY_FILE, CACHE_BYTES, None)?;
        Ok(Copy {
            source,
            target,
            stage: Stage::Rows(Vec::new()),
            copied: 0,
            step_bytes: shared.options.copy_step_bytes,
        })
    }

    /// Copies the next slice. Whether everything is copied that `now` has.
    fn step(&mut self, now: &Base) -> Result<bool, Error> {
        let mut write = self.target.begin_write().map_err(storage)?;
        // It need not be durable before it is complete.
        write.set_durability(Durability::None).map_err(storage)?;
        let mut complete = false;
        match self.stage.clone() {
            Stage::Rows(behind) => match self.rows(&write, &behind)? {
                Some(last) => self.stage = Stage::Rows(last),
                None => self.stage = Stage::Events(Stamp::FIRST),
            },
            Stage::Events(behind) => match self.events(&write, behind)? {
                Some(last) => self.stage = Stage::Events(last),
                None => self.stage = Stage::News(Stamp::end_of(self.source.meta.revision)),
            },
            Stage::News(behind) => match self.news(&write, behind, now)? {
                Some(last) => self.stage = Stage::News(last),
                None => complete = true,
            },
        }
        write.commit().map_err(storage)?;
        Ok(complete)
    }

    /// Answers the last key if there may be more.
    fn rows(&mut self, write: &WriteTransaction, behind: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        let mut table = write.open_table(ROWS).map_err(storage)?;
        let mut end = table
            .upper_bound_mut(Bound::<&[u8]>::Unbounded)
            .map_err(storage)?;
        let start = (Bound::Excluded(behind), Bound::Unbounded);
        let mut bytes = 0;
        let mut last = None;
        for entry in self.source.rows.range::<&[u8]>(start).map_err(storage)? {
            let (key, row) = entry.map_err(storage)?;
            end.insert_before(key.value(), row.value())
                .map_err(storage)?;
            bytes += key.value().len() + row.value().len();
            if bytes >= self.step_bytes {
                last = Some(key.value().to_vec());
                break;
            }
        }
        self.copied += bytes as u64;
        end.close().map_err(storage)?;
        Ok(last)
    }

    /// Answers the last stamp if there may be more.
    fn events(&mut self, write: &WriteTransaction, behind: Stamp) -> Result<Option<Stamp>, Error> {
        let mut table: Table<'_, &[u8; Stamp::BYTES], &[u8]> =
            write.open_table(EVENTS).map_err(storage)?;
        let mut end = table
            .upper_bound_mut(Bound::<&[u8; Stamp::BYTES]>::Unbounded)
            .map_err(storage)?;
        let start = behind.to_bytes();
        let start = (Bound::Excluded(&start), Bound::Unbounded);
        let range = self.source.events.range::<&[u8; Stamp::BYTES]>(start);
        let mut bytes = 0;
        let mut last = None;
        for entry in range.map_err(storage)? {
            let (stamp, event) = entry.map_err(storage)?;
            end.insert_before(stamp.value(), event.value())
                .map_err(storage)?;
            bytes += Stamp::BYTES + event.value().len();
            if bytes >= self.step_bytes {
                last = Some(Stamp::from_bytes(*stamp.value()));
                break;
            }
        }
        self.copied += bytes as u64;
        end.close().map_err(storage)?;
        Ok(last)
    }

    /// Copies events that came since, each with its row. Answers the last stamp if there may be more.
    fn news(
        &mut self,
        write: &WriteTransaction,
        behind: Stamp,
        now: &Base,
    ) -> Result<Option<Stamp>, Error> {
        let mut rows: Table<'_, &[u8], &[u8]> = write.open_table(ROWS).map_err(storage)?;
        let mut events: Table<'_, &[u8; Stamp::BYTES], &[u8]> =
            write.open_table(EVENTS).map_err(storage)?;
        let start = behind.to_bytes();
        let start = (Bound::Excluded(&start), Bound::Unbounded);
        let mut stored_key = Vec::new();
        let mut bytes = 0;
        let range = now.events.range::<&[u8; Stamp::BYTES]>(start);
        for entry in range.map_err(storage)? {
            let (at, event) = entry.map_err(storage)?;
            let stamp = Stamp::from_bytes(*at.value());
            let (_, key) = decode_event(stamp, event.value())?;
            stored_key.clear();
            encode_row_key(key, stamp, &mut stored_key);
            let row = now.rows.get(&stored_key[..]).map_err(storage)?;
            let row = row.ok_or_else(|| {
                Error::Damaged(format!(
                    "an event of revision {} without its row",
                    stamp.main
                ))
            })?;
            rows.insert(&stored_key[..], row.value()).map_err(storage)?;
            events.insert(at.value(), event.value()).map_err(storage)?;
            bytes += stored_key.len() + row.value().len() + Stamp::BYTES + event.value().len();
            if bytes >= self.step_bytes {
                self.copied += bytes as u64;
                return Ok(Some(stamp));
            }
        }
        self.copied += bytes as u64;
        Ok(None)
    }

    /// Copies what is small, makes all of it durable and closes the file.
    fn finish(self, now: &Base) -> Result<(), Error> {
        let mut write = self.target.begin_write().map_err(storage)?;
        write.set_quick_repair(true);
        {
            let rows = write.open_table(ROWS).map_err(storage)?;
            let events = write.open_table(EVENTS).map_err(storage)?;
            let copied = (rows.len().map_err(storage)?, events.len().map_err(storage)?);
            let wanted = (
                now.rows.len().map_err(storage)?,
                now.events.len().map_err(storage)?,
            );
            if copied != wanted {
                return Err(Error::Storage(format!(
                    "the copy has {copied:?} rows and events, and not {wanted:?}"
                )));
            }
            let mut leases = write.open_table(LEASES).map_err(storage)?;
            for entry in now.leases.range::<i64>(..).map_err(storage)? {
                let (id, lease) = entry.map_err(storage)?;
                leases.insert(id.value(), lease.value()).map_err(storage)?;
            }
            let mut keys = write.open_table(LEASE_KEYS).map_err(storage)?;
            for entry in now.lease_keys.range::<&[u8]>(..).map_err(storage)? {
                let (key, crc) = entry.map_err(storage)?;
                keys.insert(key.value(), crc.value()).map_err(storage)?;
            }
            let mut meta = write.open_table(META).map_err(storage)?;
            let record = now.meta.encode(&now.sweep);
            meta.insert(META_KEY, &record[..]).map_err(storage)?;
        }
        write.commit().map_err(storage)?;
        self.target.close().map_err(storage)
    }
}

impl Shared {
    /// Whether there is something to copy.
    pub(super) fn wants_copy(&self, disk: &Disk) -> bool {
        disk.copy.is_some() || *lock(&self.defragmentation) == Defragmentation::Wanted
    }

    /// Takes a step of copying the store. What goes wrong with the copy is no harm.
    pub(super) fn copy_step(&self, disk: &mut Disk) -> Result<(), Error> {
        match self.try_copy_step(disk) {
            Ok(true) => self.switch(disk),
            Ok(false) => Ok(()),
            Err(Error::Damaged(what)) => Err(Error::Damaged(what)),
            Err(error) => {
                tracing::warn!(%error, "space is not given back");
                self.give_up_copy(disk, error.to_string());
                Ok(())
            }
        }
    }

    /// Forgets a copy that is under way.
    pub(super) fn give_up_copy(&self, disk: &mut Disk, why: String) {
        disk.copy = None;
        let mut state = lock(&self.defragmentation);
        if !matches!(
            *state,
            Defragmentation::Wanted | Defragmentation::Copying { .. }
        ) {
            return;
        }
        // What remains is removed when the next one begins, too.
        let _ = clean_up(&*self.files);
        *state = Defragmentation::Failed(why);
    }

    /// Whether the copy is complete, durable and closed.
    fn try_copy_step(&self, disk: &mut Disk) -> Result<bool, Error> {
        let now = disk.base.clone();
        let mut copy = match disk.copy.take() {
            Some(copy) => copy,
            None => Copy::begin(self, now.clone())?,
        };
        if copy.step(&now)? {
            copy.finish(&now)?;
            return Ok(true);
        }
        *lock(&self.defragmentation) = Defragmentation::Copying {
            copied: copy.copied,
            of: now.sweep.stored_bytes.max(copy.copied),
        };
        disk.copy = Some(copy);
        Ok(false)
    }

    /// Puts the copy in the place of the store. From here on there is no way back.
    fn switch(&self, disk: &mut Disk) -> Result<(), Error> {
        let failed = |error: io::Error| Error::Storage(format!("{COPY_FILE}: {error}"));
        let from = self.files.len(STORE_FILE).map_err(failed)?;
        self.files.rename(COPY_FILE, STORE_FILE).map_err(failed)?;
        let told = Some(self.damage.clone());
        let db = open_file(&*self.files, STORE_FILE, self.options.cache_bytes, told)?;
        disk.db = Arc::new(db);
        let base = Arc::new(Base::open(&disk.db)?);
        self.rebase(disk, base, 0);
        let to = self.files.len(STORE_FILE).map_err(failed)?;
        *lock(&self.defragmentation) = Defragmentation::Done { from, to };
        tracing::info!(from, to, "space was given back");
        Ok(())
    }
}
