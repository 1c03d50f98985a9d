//! The tables on disk, and how they are read.

use std::ops::Bound;
use std::sync::Arc;

use bytes::Bytes;
use quorate_core::Checkpoint;
use redb::{
    AccessGuard, Database, ReadOnlyTable, ReadableDatabase, ReadableTable, TableDefinition,
};

use super::blocks::DamagedBlock;
use super::layer::STEPS_MAX;
use super::leases::Leases;
use super::row::{
    Kind, Row, Span, Stamp, StoredRow, decode_key, encode_key, encode_row_key, split_row_key,
};
use super::state::{Meta, Sweep};
use crate::error::Error;

/// Row key to row: see `row.rs`.
pub(crate) const ROWS: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("rows");
/// Stamp to what changed then: see [`encode_event`].
pub(crate) const EVENTS: TableDefinition<'_, &[u8; Stamp::BYTES], &[u8]> =
    TableDefinition::new("events");
/// Lease id to checksum, TTL and deadline.
pub(crate) const LEASES: TableDefinition<'_, i64, &[u8]> = TableDefinition::new("leases");
/// Lease id (sorted as a number) and key to checksum: which keys are attached.
pub(crate) const LEASE_KEYS: TableDefinition<'_, &[u8], u32> = TableDefinition::new("lease_keys");
/// One record: see `state.rs`.
pub(crate) const META: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("meta");
/// The only key in [`META`].
pub(crate) const META_KEY: &str = "state";

type Bytestring = &'static [u8];

/// What is on disk as of one commit. It stays as it is while newer commits follow.
pub(crate) struct Base {
    pub(crate) rows: ReadOnlyTable<Bytestring, Bytestring>,
    pub(crate) events: ReadOnlyTable<&'static [u8; Stamp::BYTES], Bytestring>,
    pub(crate) leases: ReadOnlyTable<i64, Bytestring>,
    pub(crate) lease_keys: ReadOnlyTable<Bytestring, u32>,
    pub(crate) meta: Meta,
    pub(crate) sweep: Sweep,
    /// Keeps the file open for as long as anyone reads.
    _db: Arc<Database>,
}

impl std::fmt::Debug for Base {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Base")
            .field("meta", &self.meta)
            .field("sweep", &self.sweep)
            .finish_non_exhaustive()
    }
}

/// What redb says, in our words.
pub(crate) fn storage(error: impl Into<redb::Error>) -> Error {
    match error.into() {
        redb::Error::Corrupted(what) => Error::Damaged(what),
        redb::Error::Io(error) if error.get_ref().is_some_and(|it| it.is::<DamagedBlock>()) => {
            Error::Damaged(error.to_string())
        }
        other => Error::Storage(other.to_string()),
    }
}

impl Base {
    /// Reads as of the newest commit.
    pub(crate) fn open(db: &Arc<Database>) -> Result<Base, Error> {
        let read = db.begin_read().map_err(storage)?;
        let meta = read.open_table(META).map_err(storage)?;
        let record = meta
            .get(META_KEY)
            .map_err(storage)?
            .ok_or_else(|| Error::Damaged("the store has no record of its state".to_owned()))?;
        let (meta, sweep) = Meta::decode(record.value())?;
        Ok(Base {
            rows: read.open_table(ROWS).map_err(storage)?,
            events: read.open_table(EVENTS).map_err(storage)?,
            leases: read.open_table(LEASES).map_err(storage)?,
            lease_keys: read.open_table(LEASE_KEYS).map_err(storage)?,
            meta,
            sweep,
            _db: db.clone(),
        })
    }

    pub(crate) fn checkpoint(&self) -> Checkpoint {
        self.meta.checkpoint
    }

    /// The newest row of a key that is not newer than `at`.
    pub(crate) fn get(&self, key: &[u8], at: Stamp) -> Result<Option<(Stamp, Row)>, Error> {
        let mut bound = Vec::with_capacity(key.len() + 2 + Stamp::BYTES);
        encode_row_key(key, at, &mut bound);
        let shared_len = bound.len() - Stamp::BYTES;
        let mut cursor = self
            .rows
            .lower_bound(Bound::Included(&bound[..]))
            .map_err(storage)?;
        let Some((found, value)) = cursor.next().map_err(storage)? else {
            return Ok(None);
        };
        let (shared, stamp) = split_row_key(found.value())?;
        if *shared != bound[..shared_len] {
            return Ok(None);
        }
        let row = StoredRow::decode(key, stamp, value.value())?;
        Ok(Some((stamp, row.to_row())))
    }
}

/// The value of an event: its checksum, its kind, and the key.
pub(crate) fn encode_event(stamp: Stamp, kind: Kind, key: &[u8], out: &mut Vec<u8>) {
    out.clear();
    out.extend_from_slice(&[0; 4]);
    out.push(match kind {
        Kind::Changed => 0,
        Kind::Created => 1,
        Kind::Deleted => 2,
    });
    out.extend_from_slice(key);
    let crc = crc32c::crc32c_append(crc32c::crc32c(&stamp.to_bytes()), &out[4..]);
    out[..4].copy_from_slice(&crc.to_le_bytes());
}

/// Reads and verifies an event: its kind, and the key.
pub(crate) fn decode_event(stamp: Stamp, stored: &[u8]) -> Result<(Kind, &[u8]), Error> {
    let damaged = || Error::Damaged(format!("an event of revision {}", stamp.main));
    let (crc, rest) = stored.split_first_chunk::<4>().ok_or_else(damaged)?;
    if crc32c::crc32c_append(crc32c::crc32c(&stamp.to_bytes()), rest) != u32::from_le_bytes(*crc) {
        return Err(damaged());
    }
    let (kind, key) = rest.split_first().ok_or_else(damaged)?;
    let kind = match kind {
        0 => Kind::Changed,
        1 => Kind::Created,
        2 => Kind::Deleted,
        _ => return Err(damaged()),
    };
    Ok((kind, key))
}

/// Walks the keys on disk in order, at each the newest row that is not newer than `at`.
pub(crate) struct BaseWalk<'a> {
    base: &'a Base,
    at: Stamp,
    range: redb::Range<'static, Bytestring, Bytestring>,
    /// Where the walk ends, encoded, if it does before the end of the table.
    end: Option<Vec<u8>>,
    /// The key in front, if there is one.
    pub(crate) key: Option<Vec<u8>>,
    /// What all versions of that key share.
    shared: Vec<u8>,
    pub(crate) stamp: Stamp,
    value: Option<AccessGuard<'static, Bytestring>>,
    /// A buffer whose memory is used again.
    spare: Vec<u8>,
}

impl<'a> BaseWalk<'a> {
    pub(crate) fn new(base: &'a Base, span: Span<'_>, at: Stamp) -> Result<BaseWalk<'a>, Error> {
        let mut start = Vec::new();
        let mut end = None;
        if let Some(first) = span.first() {
            encode_key(first, &mut start);
        }
        match span {
            Span::Single(_) => {
                let mut last = start.clone();
                last.extend_from_slice(&[0xff; Stamp::BYTES]);
                last.push(0);
                end = Some(last);
            }
            Span::Between(_, before) => {
                let mut encoded = Vec::new();
                encode_key(before, &mut encoded);
                end = Some(encoded);
            }
            Span::From(_) => {}
            Span::Nothing => end = Some(start.clone()),
        }
        let range = range_of(base, Bound::Included(&start[..]), end.as_deref())?;
        let mut walk = BaseWalk {
            base,
            at,
            range,
            end,
            key: None,
            shared: Vec::new(),
            stamp: Stamp::FIRST,
            value: None,
            spare: Vec::new(),
        };
        walk.advance()?;
        Ok(walk)
    }

    /// The row in front, verified.
    pub(crate) fn row(&self) -> Result<StoredRow<'_>, Error> {
        let key = self.key.as_ref().expect("there is a row in front");
        let value = self.value.as_ref().expect("a key in front has a row");
        StoredRow::decode(key, self.stamp, value.value())
    }

    /// Goes to the next key that has a row not newer than `at`.
    pub(crate) fn advance(&mut self) -> Result<(), Error> {
        let key = self.key.take().unwrap_or_default();
        self.value = None;
        let mut steps = 0;
        // Whether the key in `shared` is done with: the one that was in front is.
        let mut done = !self.shared.is_empty();
        loop {
            let Some(entry) = self.range.next() else {
                return Ok(());
            };
            let (stored_key, value) = entry.map_err(storage)?;
            let (shared, stamp) = split_row_key(stored_key.value())?;
            if *shared == self.shared[..] {
                if !done && stamp <= self.at {
                    return self.stop(key, stamp, value);
                }
                steps += 1;
                if steps > STEPS_MAX {
                    steps = 0;
                    self.seek(done)?;
                }
                continue;
            }
            self.shared.clear();
            self.shared.extend_from_slice(shared);
            done = false;
            steps = 0;
            if stamp <= self.at {
                return self.stop(key, stamp, value);
            }
        }
    }

    fn stop(
        &mut self,
        mut key: Vec<u8>,
        stamp: Stamp,
        value: AccessGuard<'static, Bytestring>,
    ) -> Result<(), Error> {
        decode_key(&self.shared, &mut key)?;
        self.key = Some(key);
        self.stamp = stamp;
        self.value = Some(value);
        Ok(())
    }

    /// Searches instead of stepping: behind the key in `shared`, or for its row at `at`.
    fn seek(&mut self, behind: bool) -> Result<(), Error> {
        let bound = &mut self.spare;
        bound.clear();
        bound.extend_from_slice(&self.shared);
        if behind {
            bound.extend_from_slice(&[0xff; Stamp::BYTES]);
        } else {
            bound.extend_from_slice(&self.at.to_bytes().map(|byte| !byte));
        }
        let start = if behind {
            Bound::Excluded(&bound[..])
        } else {
            Bound::Included(&bound[..])
        };
        self.range = range_of(self.base, start, self.end.as_deref())?;
        Ok(())
    }
}

fn range_of(
    base: &Base,
    start: Bound<&[u8]>,
    end: Option<&[u8]>,
) -> Result<redb::Range<'static, Bytestring, Bytestring>, Error> {
    let end = end.map_or(Bound::Unbounded, Bound::Excluded);
    base.rows.range::<&[u8]>((start, end)).map_err(storage)
}

/// An event on disk: when, what, and the key if it is one that was looked for.
pub(crate) type Found = (Stamp, Kind, Option<Bytes>);

/// The events on disk from a revision on, in order.
pub(crate) fn events_from<'a>(
    base: &Base,
    from: i64,
    span: Span<'a>,
) -> Result<impl Iterator<Item = Result<Found, Error>> + use<'a>, Error> {
    let start = Stamp { main: from, sub: 0 }.to_bytes();
    let range = base
        .events
        .range::<&[u8; Stamp::BYTES]>(&start..)
        .map_err(storage)?;
    Ok(range.map(move |entry| {
        let (stamp, event) = entry.map_err(storage)?;
        let stamp = Stamp::from_bytes(*stamp.value());
        let (kind, key) = decode_event(stamp, event.value())?;
        let key = span.contains(key).then(|| Bytes::copy_from_slice(key));
        Ok((stamp, kind, key))
    }))
}

/// The value of a lease: its checksum, TTL and deadline.
pub(crate) fn encode_lease(id: i64, ttl: i64, deadline_ms: u64) -> [u8; 20] {
    let mut out = [0; 20];
    out[4..12].copy_from_slice(&ttl.to_le_bytes());
    out[12..].copy_from_slice(&deadline_ms.to_le_bytes());
    let crc = crc32c::crc32c_append(crc32c::crc32c(&id.to_le_bytes()), &out[4..]);
    out[..4].copy_from_slice(&crc.to_le_bytes());
    out
}

fn decode_lease(id: i64, stored: &[u8]) -> Result<(i64, u64), Error> {
    let damaged = || Error::Damaged(format!("lease {id:x}"));
    let stored: &[u8; 20] = stored.try_into().map_err(|_| damaged())?;
    let number = |at: usize| -> [u8; 8] { stored[at..at + 8].try_into().expect("eight bytes") };
    let ttl = i64::from_le_bytes(number(4));
    let deadline_ms = u64::from_le_bytes(number(12));
    match *stored == encode_lease(id, ttl, deadline_ms) {
        true => Ok((ttl, deadline_ms)),
        false => Err(damaged()),
    }
}

/// The key of an attachment: the lease, so that its bytes sort as ids do, and the key.
pub(crate) fn encode_lease_key(id: i64, key: &[u8], out: &mut Vec<u8>) {
    out.clear();
    out.extend_from_slice(&(id.cast_unsigned() ^ (1 << 63)).to_be_bytes());
    out.extend_from_slice(key);
}

/// All leases that are stored.
pub(crate) fn load_leases(base: &Base) -> Result<Leases, Error> {
    let mut leases = Leases::default();
    for entry in base.leases.iter().map_err(storage)? {
        let (id, lease) = entry.map_err(storage)?;
        let (ttl, deadline_ms) = decode_lease(id.value(), lease.value())?;
        leases.set(id.value(), ttl, deadline_ms);
    }
    for entry in base.lease_keys.iter().map_err(storage)? {
        let (attached, crc) = entry.map_err(storage)?;
        let damaged = || Error::Damaged("a key that is attached to a lease".to_owned());
        let (id, key) = attached
            .value()
            .split_first_chunk::<8>()
            .ok_or_else(damaged)?;
        if crc32c::crc32c(attached.value()) != crc.value() {
            return Err(damaged());
        }
        let id = (u64::from_be_bytes(*id) ^ (1 << 63)).cast_signed();
        if leases.get(id).is_none() {
            return Err(damaged());
        }
        leases.attach(id, key);
    }
    // What was read need not be written again.
    leases.take_delta();
    Ok(leases)
}
