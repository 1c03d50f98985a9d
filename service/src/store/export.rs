//! Checkpoints for peers: the content of one read transaction as a stream.
//!
//! The stream is a sequence of chunks: the length of the body (u32), the crc32c of the body, the
//! body. A body begins with its kind; kinds come in this order, any number of each in the middle:
//!
//! ```text
//! 1 header      "QRTCKPT1", format (u32), position (u64), epoch (u64)
//! 2 rows        pairs as stored, in order: length (u32) and bytes of the key, the same of the value
//! 3 events      likewise
//! 4 leases      likewise; the key is the id (i64)
//! 5 lease keys  likewise; the value is the stored checksum
//! 6 state       the record of the state as stored
//! 7 end         the number of chunks before (u64), the crc32c of all bytes before
//! ```

use std::io::{self, Read};
use std::sync::Arc;

use quorate_core::Checkpoint;

use super::STORE_FILE;
use super::import::Import;
use super::row::{Stamp, StoredRow, decode_key, split_row_key};
use super::shared::Shared;
use super::state::FORMAT;
use super::tables::{Base, decode_event, storage};
use crate::codec::parts::put_bytes;
use crate::error::Error;

pub(super) const MAGIC: &[u8; 8] = b"QRTCKPT1";
/// A chunk is closed when it is at least this large.
const CHUNK_BYTES: usize = 256 << 10;
/// Length and checksum.
pub(super) const CHUNK_HEADER_BYTES: usize = 8;

/// The kinds of chunks.
pub(super) mod kind {
    pub(crate) const HEADER: u8 = 1;
    pub(crate) const ROWS: u8 = 2;
    pub(crate) const EVENTS: u8 = 3;
    pub(crate) const LEASES: u8 = 4;
    pub(crate) const LEASE_KEYS: u8 = 5;
    pub(crate) const STATE: u8 = 6;
    pub(crate) const END: u8 = 7;
}

/// Where checkpoints for peers come from, and where those of peers go. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Checkpoints {
    pub(crate) shared: Arc<Shared>,
}

impl Checkpoints {
    /// The newest durable checkpoint, and its content as a stream.
    ///
    /// # Errors
    /// If the disk fails.
    pub fn open(&self) -> io::Result<(Checkpoint, Export)> {
        let base = self.shared.published.load().layers.base.clone();
        let export = Export::new(self.shared.clone(), base)?;
        Ok((export.checkpoint(), export))
    }

    /// Room for the checkpoint of a peer. What is written there must be the whole stream;
    /// [`Import::finish`] then makes it durable, and `Machine::install` makes it the state.
    ///
    /// # Errors
    /// If the disk fails, or another checkpoint is being received.
    pub fn receive(&self, checkpoint: Checkpoint) -> io::Result<Import> {
        Import::begin(self.shared.clone(), checkpoint)
    }
}

/// The content of a checkpoint, to be read. While it exists the disk pages that it needs are not
/// used again, so it ends with an error if the file has grown too much in the meantime.
pub struct Export {
    shared: Arc<Shared>,
    base: Arc<Base>,
    file_bytes_max: u64,
    part: Part,
    /// The chunk being read, and up to where it has been.
    chunk: Vec<u8>,
    at: usize,
    /// How many chunks there were before this one, and the checksum over all bytes so far.
    chunks: u64,
    whole: u32,
}

type Pairs = redb::Range<'static, &'static [u8], &'static [u8]>;
type Events = redb::Range<'static, &'static [u8; Stamp::BYTES], &'static [u8]>;
type Leases = redb::Range<'static, i64, &'static [u8]>;
type LeaseKeys = redb::Range<'static, &'static [u8], u32>;

/// What comes next.
enum Part {
    Header,
    Rows(Box<Pairs>),
    Events(Box<Events>),
    Leases(Box<Leases>),
    LeaseKeys(Box<LeaseKeys>),
    State,
    End,
    Done,
}

impl std::fmt::Debug for Export {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Export")
            .field("checkpoint", &self.base.checkpoint())
            .field("chunks", &self.chunks)
            .finish_non_exhaustive()
    }
}

impl Read for Export {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if self.at == self.chunk.len() {
            let filled = self.next_chunk();
            let damage = &self.shared.damage;
            filled.map_err(|error| io::Error::other(damage.explain(error)))?;
        }
        let rest = &self.chunk[self.at..];
        let len = rest.len().min(out.len());
        out[..len].copy_from_slice(&rest[..len]);
        self.at += len;
        Ok(len)
    }
}

impl Export {
    pub(super) fn new(shared: Arc<Shared>, base: Arc<Base>) -> io::Result<Export> {
        let file_bytes = shared.files.len(STORE_FILE)?;
        let growth = shared.options.export_growth_bytes_max;
        Ok(Export {
            shared,
            base,
            file_bytes_max: file_bytes.saturating_add(growth),
            part: Part::Header,
            chunk: Vec::new(),
            at: 0,
            chunks: 0,
            whole: 0,
        })
    }

    /// What it contains.
    pub(super) fn checkpoint(&self) -> Checkpoint {
        self.base.checkpoint()
    }

    /// The newest revision that it contains.
    pub(super) fn revision(&self) -> i64 {
        self.base.meta.revision
    }

    /// Fills the next chunk; leaves it empty at the end.
    fn next_chunk(&mut self) -> Result<(), Error> {
        self.check_growth()?;
        self.chunk.clear();
        self.at = 0;
        while self.chunk.is_empty() {
            let part = std::mem::replace(&mut self.part, Part::Done);
            if matches!(part, Part::Done) {
                return Ok(());
            }
            self.chunk.resize(CHUNK_HEADER_BYTES, 0);
            self.part = self.fill(part)?;
        }
        let body = &self.chunk[CHUNK_HEADER_BYTES..];
        let len = u32::try_from(body.len()).map_err(|_| too_large())?;
        let crc = crc32c::crc32c(body);
        self.chunk[..4].copy_from_slice(&len.to_le_bytes());
        self.chunk[4..CHUNK_HEADER_BYTES].copy_from_slice(&crc.to_le_bytes());
        self.chunks += 1;
        self.whole = crc32c::crc32c_append(self.whole, &self.chunk);
        Ok(())
    }

    fn check_growth(&self) -> Result<(), Error> {
        let file_bytes = self.shared.files.len(STORE_FILE);
        let file_bytes = file_bytes.map_err(|error| Error::Storage(error.to_string()))?;
        if file_bytes > self.file_bytes_max {
            return Err(Error::Storage(
                "the checkpoint was read so slowly that the store grew too much; \
                 a newer one must be read instead"
                    .to_owned(),
            ));
        }
        Ok(())
    }

    /// Adds a body of this part. A part without anything left leaves no chunk. Answers what comes
    /// next.
    fn fill(&mut self, part: Part) -> Result<Part, Error> {
        let chunk = &mut self.chunk;
        let base = &self.base;
        match part {
            Part::Header => {
                chunk.push(kind::HEADER);
                chunk.extend_from_slice(MAGIC);
                chunk.extend_from_slice(&FORMAT.to_le_bytes());
                chunk.extend_from_slice(&base.checkpoint().position.to_le_bytes());
                chunk.extend_from_slice(&base.checkpoint().epoch.to_le_bytes());
                let rows = base.rows.range::<&[u8]>(..).map_err(storage)?;
                Ok(Part::Rows(Box::new(rows)))
            }
            Part::Rows(mut rows) => {
                if fill_rows(&mut rows, chunk)? {
                    return Ok(Part::Rows(rows));
                }
                let events = base.events.range::<&[u8; Stamp::BYTES]>(..);
                Ok(Part::Events(Box::new(events.map_err(storage)?)))
            }
            Part::Events(mut events) => {
                if fill_events(&mut events, chunk)? {
                    return Ok(Part::Events(events));
                }
                let leases = base.leases.range::<i64>(..).map_err(storage)?;
                Ok(Part::Leases(Box::new(leases)))
            }
            Part::Leases(mut leases) => {
                let pairs = leases.by_ref().map(|entry| {
                    let (id, lease) = entry.map_err(storage)?;
                    Ok((id.value().to_le_bytes().to_vec(), lease.value().to_vec()))
                });
                if fill_pairs(kind::LEASES, pairs, chunk)? {
                    return Ok(Part::Leases(leases));
                }
                let keys = base.lease_keys.range::<&[u8]>(..).map_err(storage)?;
                Ok(Part::LeaseKeys(Box::new(keys)))
            }
            Part::LeaseKeys(mut keys) => {
                let pairs = keys.by_ref().map(|entry| {
                    let (key, crc) = entry.map_err(storage)?;
                    Ok((key.value().to_vec(), crc.value().to_le_bytes().to_vec()))
                });
                match fill_pairs(kind::LEASE_KEYS, pairs, chunk)? {
                    true => Ok(Part::LeaseKeys(keys)),
                    false => Ok(Part::State),
                }
            }
            Part::State => {
                chunk.push(kind::STATE);
                chunk.extend_from_slice(&base.meta.encode(&base.sweep));
                Ok(Part::End)
            }
            Part::End => {
                chunk.push(kind::END);
                chunk.extend_from_slice(&self.chunks.to_le_bytes());
                chunk.extend_from_slice(&self.whole.to_le_bytes());
                Ok(Part::Done)
            }
            Part::Done => Ok(Part::Done),
        }
    }
}

fn too_large() -> Error {
    Error::Storage("a row is too large for a checkpoint".to_owned())
}

/// Adds verified rows until the chunk is full. Whether there may be more.
fn fill_rows(rows: &mut Pairs, chunk: &mut Vec<u8>) -> Result<bool, Error> {
    let mut key = Vec::new();
    let mut next = || -> Result<_, Error> {
        let Some(entry) = rows.next() else {
            return Ok(None);
        };
        let (stored_key, row) = entry.map_err(storage)?;
        let (shared, stamp) = split_row_key(stored_key.value())?;
        decode_key(shared, &mut key)?;
        StoredRow::decode(&key, stamp, row.value())?;
        Ok(Some((stored_key, row)))
    };
    let start = chunk.len();
    chunk.push(kind::ROWS);
    while chunk.len() < CHUNK_BYTES {
        let Some((stored_key, row)) = next()? else {
            return Ok(close(start, chunk));
        };
        put_bytes(stored_key.value(), chunk);
        put_bytes(row.value(), chunk);
    }
    Ok(true)
}

/// Adds verified events until the chunk is full. Whether there may be more.
fn fill_events(events: &mut Events, chunk: &mut Vec<u8>) -> Result<bool, Error> {
    let start = chunk.len();
    chunk.push(kind::EVENTS);
    while chunk.len() < CHUNK_BYTES {
        let Some(entry) = events.next() else {
            return Ok(close(start, chunk));
        };
        let (stamp, event) = entry.map_err(storage)?;
        decode_event(Stamp::from_bytes(*stamp.value()), event.value())?;
        put_bytes(stamp.value(), chunk);
        put_bytes(event.value(), chunk);
    }
    Ok(true)
}

fn fill_pairs(
    kind: u8,
    mut pairs: impl Iterator<Item = Result<(Vec<u8>, Vec<u8>), Error>>,
    chunk: &mut Vec<u8>,
) -> Result<bool, Error> {
    let start = chunk.len();
    chunk.push(kind);
    while chunk.len() < CHUNK_BYTES {
        let Some(pair) = pairs.next() else {
            return Ok(close(start, chunk));
        };
        let (key, value) = pair?;
        put_bytes(&key, chunk);
        put_bytes(&value, chunk);
    }
    Ok(true)
}

/// Ends the last chunk of a table: a chunk with nothing but its kind is not sent. There is no more
/// unless the chunk has something, in which case the next one will be empty.
fn close(start: usize, chunk: &mut Vec<u8>) -> bool {
    if chunk.len() > start + 1 {
        return true;
    }
    chunk.clear();
    false
}
