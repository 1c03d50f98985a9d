//! Frozen layers go to disk.

use std::ops::Bound;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use quorate_core::Checkpoint;
use redb::{Table, WriteTransaction};

use super::leases::LeaseDelta;
use super::row::{Stamp, encode_row_key};
use super::scrub::Scrub;
use super::shared::{Disk, Frozen, Shared, lock};
use super::state::Sweep;
use super::sweep;
use super::tables::{
    Base, EVENTS, LEASE_KEYS, LEASES, META, META_KEY, ROWS, encode_event, encode_lease,
    encode_lease_key, storage,
};
use crate::error::Error;

/// Carries layers to disk and frees compacted space. A thread calls [`Flusher::run_once`] again and
/// again, with a pause when there was nothing to do; a simulator calls it when it likes. Cheap to
/// clone.
#[derive(Clone, Debug)]
pub struct Flusher {
    pub(crate) shared: Arc<Shared>,
}

/// What a call of [`Flusher::run_once`] did.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Worked {
    /// A layer was written: everything through this checkpoint is durable.
    Flushed(Checkpoint),
    /// Some space was freed, or some of the store copied or counted; there may be more.
    Swept,
    /// Some of what is at rest was looked at; there may be more.
    Looked,
    /// There was nothing to do.
    Nothing,
}

impl Flusher {
    /// Writes the oldest frozen layer, or takes one bounded step of freeing space.
    ///
    /// # Errors
    /// If the disk fails or is damaged. The process should then end: what is in the store's cache
    /// and what is on the disk need no longer be the same.
    pub fn run_once(&self) -> Result<Worked, Error> {
        let mut disk = lock(&self.shared.disk);
        self.run(&mut disk)
    }

    fn run(&self, disk: &mut Disk) -> Result<Worked, Error> {
        if let Some(failed) = self.shared.damage.found().or(disk.failed.clone()) {
            return Err(failed);
        }
        disk.retired.retain(|layer| Arc::strong_count(layer) > 1);
        let frozen = lock(&self.shared.turn).frozen.front().cloned();
        // A copy of the store must not miss what is removed meanwhile.
        let copying = disk.copy.is_some();
        let unswept = disk.base.meta.compacted > disk.base.sweep.finished && !copying;
        let worked = match frozen {
            Some(frozen) if !unswept || disk.sweep_first == 0 => self.flush(disk, &frozen),
            _ if unswept => self.sweep(disk),
            _ if !disk.counts.is_complete() => self.shared.count_step(disk).map(|()| Worked::Swept),
            _ if self.shared.wants_copy(disk) => {
                self.shared.copy_step(disk).map(|()| Worked::Swept)
            }
            _ => {
                self.ask_for_flush(disk);
                self.scrub(disk)
            }
        };
        worked.map_err(|error| {
            let error = self.shared.damage.explain(error);
            disk.failed = Some(error.clone());
            error
        })
    }

    /// Asks that the active layer be frozen when the machine publishes next.
    pub fn ask(&self) {
        self.shared.flush_wanted.store(true, Ordering::Relaxed);
    }

    /// Everything through this checkpoint is durable.
    #[must_use]
    pub fn durable(&self) -> Checkpoint {
        self.shared.published.load().layers.base.checkpoint()
    }

    /// Looks at a slice of what is at rest, if it is time.
    fn scrub(&self, disk: &mut Disk) -> Result<Worked, Error> {
        let every = self.shared.options.scrub_every;
        let due = every.is_some_and(|every| disk.scrubbed_at.elapsed() >= every);
        if disk.scrub.is_none() && !due && !self.shared.scrub_wanted.swap(false, Ordering::Relaxed)
        {
            return Ok(Worked::Nothing);
        }
        let base = disk.base.clone();
        let scrub = disk.scrub.get_or_insert_with(|| Scrub::begin(base));
        if scrub.step()? {
            disk.scrub = None;
            disk.scrubbed_at = Instant::now();
            self.shared.scrubs.fetch_add(1, Ordering::Relaxed);
        }
        Ok(Worked::Looked)
    }

    fn ask_for_flush(&self, disk: &Disk) {
        let published = self.shared.published.load().checkpoint;
        let old = self
            .shared
            .options
            .flush_after
            .is_some_and(|after| disk.flushed_at.elapsed() >= after);
        if old && published != disk.base.checkpoint() {
            self.ask();
        }
    }

    /// Writes a layer and the state of its moment in one durable transaction.
    fn flush(&self, disk: &mut Disk, frozen: &Frozen) -> Result<Worked, Error> {
        // Nobody reads the pages any more that the flush before replaced, except old views: a
        // transaction without content lets this one use them again, instead of the one after it.
        begin(disk)?.commit().map_err(storage)?;
        let mut write = begin(disk)?;
        let mut sweep = disk.base.sweep;
        sweep.stored_bytes += write_rows(&mut write, frozen)?;
        sweep.stored_bytes += write_events(&mut write, frozen)?;
        write_leases(&mut write, &frozen.leases)?;
        self.commit(disk, write, frozen, &sweep)?;
        self.shared.on_rebuilt()?;
        disk.flushed_at = Instant::now();
        disk.sweep_first += frozen.layer.rows.len();
        Ok(Worked::Flushed(frozen.meta.checkpoint))
    }

    fn commit(
        &self,
        disk: &mut Disk,
        write: WriteTransaction,
        frozen: &Frozen,
        sweep: &Sweep,
    ) -> Result<(), Error> {
        {
            let mut meta = write.open_table(META).map_err(storage)?;
            let record = frozen.meta.encode(sweep);
            meta.insert(META_KEY, &record[..]).map_err(storage)?;
        }
        write.commit().map_err(storage)?;
        let base = Arc::new(Base::open(&disk.db)?);
        disk.counts.flushed(&frozen.layer, &base)?;
        self.shared.rebase(disk, base, 1);
        Ok(())
    }

    /// Takes a step of freeing space.
    fn sweep(&self, disk: &mut Disk) -> Result<Worked, Error> {
        disk.sweep_first = disk
            .sweep_first
            .saturating_sub(self.shared.options.sweep_events);
        let write = begin(disk)?;
        let sweep = sweep::step(&write, &disk.base, self.shared.options.sweep_events)?;
        {
            let mut meta = write.open_table(META).map_err(storage)?;
            let record = disk.base.meta.encode(&sweep);
            meta.insert(META_KEY, &record[..]).map_err(storage)?;
        }
        write.commit().map_err(storage)?;
        let base = Arc::new(Base::open(&disk.db)?);
        self.shared.rebase(disk, base, 0);
        Ok(Worked::Swept)
    }
}

/// Begins a transaction that is durable when it commits, and after which the file is opened quickly
/// however the process ends.
fn begin(disk: &Disk) -> Result<WriteTransaction, Error> {
    let mut write = disk.db.begin_write().map_err(storage)?;
    write.set_quick_repair(true);
    Ok(write)
}

fn write_rows(write: &mut WriteTransaction, frozen: &Frozen) -> Result<u64, Error> {
    let mut table = write.open_table(ROWS).map_err(storage)?;
    let (mut key, mut value) = (Vec::new(), Vec::new());
    let mut bytes = 0;
    for entry in &frozen.layer.rows {
        key.clear();
        encode_row_key(&entry.key().key, entry.key().stamp.0, &mut key);
        entry.value().encode(&mut value);
        table.insert(&key[..], &value[..]).map_err(storage)?;
        bytes += (key.len() + value.len()) as u64;
    }
    Ok(bytes)
}

fn write_events(write: &mut WriteTransaction, frozen: &Frozen) -> Result<u64, Error> {
    let mut table: Table<'_, &[u8; Stamp::BYTES], &[u8]> =
        write.open_table(EVENTS).map_err(storage)?;
    let mut value = Vec::new();
    let mut bytes = 0;
    // Events only ever come at the end, where a cursor fills page after page.
    let mut end = table
        .upper_bound_mut(Bound::<&[u8; Stamp::BYTES]>::Unbounded)
        .map_err(storage)?;
    for chunk in &frozen.layer.history {
        for change in chunk.value().iter() {
            encode_event(change.stamp, change.kind, &change.key, &mut value);
            end.insert_before(&change.stamp.to_bytes(), &value[..])
                .map_err(storage)?;
            bytes += (Stamp::BYTES + value.len()) as u64;
        }
    }
    end.close().map_err(storage)?;
    Ok(bytes)
}

fn write_leases(write: &mut WriteTransaction, delta: &LeaseDelta) -> Result<(), Error> {
    if delta.is_empty() {
        return Ok(());
    }
    let mut leases = write.open_table(LEASES).map_err(storage)?;
    for (id, lease) in &delta.leases {
        match lease {
            Some((ttl, deadline_ms)) => {
                let stored = encode_lease(*id, *ttl, *deadline_ms);
                leases.insert(id, &stored[..]).map_err(storage)?;
            }
            None => {
                leases.remove(id).map_err(storage)?;
            }
        }
    }
    let mut keys = write.open_table(LEASE_KEYS).map_err(storage)?;
    let mut stored = Vec::new();
    for ((id, key), attached) in &delta.keys {
        encode_lease_key(*id, key, &mut stored);
        if *attached {
            let crc = crc32c::crc32c(&stored);
            keys.insert(&stored[..], crc).map_err(storage)?;
        } else {
            keys.remove(&stored[..]).map_err(storage)?;
        }
    }
    Ok(())
}
