//! Checksums below redb, which checks none of its pages when it reads them.
//!
//! What redb sees is a file of blocks of 4 KiB. In the real file every 1024 of them have a table of
//! their CRC-32Cs in front, in the same file, so that a rename takes both and one sync makes both
//! durable. A table apart from its blocks notices more than wrong bits: a block that the disk never
//! wrote, or wrote elsewhere, does not match either.
//!
//! No crash makes a good block look bad. redb never writes over a page that the last commit needs, and
//! a commit counts only after a sync, which brings pages and their table entries together. What a
//! crash leaves between the two is a page that no commit knows and nobody reads. The entries of
//! other blocks in the table keep their bytes, whichever of its sectors were written.
//!
//! The exception is the first block, redb's header, which is written in place: two copies of it are
//! kept, each with its own checksum. The one that was synced last is never written over before the
//! other has been synced.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io;
use std::ops::Bound;
use std::sync::{Arc, LazyLock, Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use redb::{BackendError, StorageBackend};

use super::damage::Damage;
use super::shared::lock;

#[cfg(test)]
mod tests;

/// What has one checksum: redb's pages are this large, or so many times.
const BLOCK_BYTES: usize = 4096;
/// How many blocks have their checksums in one table, which is a block too.
const GROUP_BLOCKS: u64 = 1024;
/// A block that was never written. Its entry is 0, which is what a table that was never written holds.
const ZEROS: [u8; BLOCK_BYTES] = [0; BLOCK_BYTES];
/// What makes it so.
static ENTRY_OF_ZEROS: LazyLock<u32> = LazyLock::new(|| crc32c::crc32c(&ZEROS));
/// The two copies of the header, a block each.
const HEADERS: u64 = 2;

const MAGIC: [u8; 8] = *b"QRTBLOCK";
/// The version of this layout.
const VERSION: u32 = 1;
/// A copy of the header is one sector: magic, version, checksum, number, and redb's own bytes.
const HEADER_BYTES: usize = 512;
/// Where redb's bytes begin in it.
const CONTENT_AT: usize = 24;
/// How much redb may have in its header.
const CONTENT_BYTES: usize = HEADER_BYTES - CONTENT_AT;
/// How a redb file begins that has no checksums below it: the stores of earlier versions.
const BARE: [u8; 4] = *b"redb";

/// A block that is not what was written.
#[derive(Debug)]
pub(crate) struct DamagedBlock(String);

impl fmt::Display for DamagedBlock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for DamagedBlock {}

/// A file of blocks with checksums, as redb wants it.
#[derive(Debug)]
pub(crate) struct Blocks {
    file: Box<dyn StorageBackend>,
    name: String,
    /// Who is told of damage, if this is the store itself.
    damage: Option<Arc<Damage>>,
    state: RwLock<State>,
    /// One sync at a time, so that no older table is written over a newer one.
    syncing: Mutex<()>,
}

#[derive(Debug)]
struct State {
    /// How many blocks redb sees, its header included.
    blocks: u64,
    header: Header,
    /// The tables that were needed so far, by group.
    tables: BTreeMap<u64, Box<[u32]>>,
    /// The groups whose table has changed since it was written.
    dirty: BTreeSet<u64>,
}

/// The header and its two copies.
#[derive(Debug)]
struct Header {
    content: [u8; CONTENT_BYTES],
    number: u64,
    /// The copy that is durable. The other one is written.
    synced: u64,
    /// Whether the other one is ahead of it.
    ahead: bool,
}

/// Where a block is in the file.
fn place(block: u64) -> u64 {
    let (group, rest) = position(block);
    (HEADERS + group * (GROUP_BLOCKS + 1) + 1 + rest as u64) * BLOCK_BYTES as u64
}

/// The group of a block behind the header, and which of its blocks it is.
fn position(block: u64) -> (u64, usize) {
    let index = block - 1;
    (index / GROUP_BLOCKS, (index % GROUP_BLOCKS) as usize)
}

fn table_place(group: u64) -> u64 {
    (HEADERS + group * (GROUP_BLOCKS + 1)) * BLOCK_BYTES as u64
}

/// How long the file is when redb sees so many blocks.
fn file_bytes(blocks: u64) -> u64 {
    match blocks {
        0 => 0,
        1 => HEADERS * BLOCK_BYTES as u64,
        more => place(more - 1) + BLOCK_BYTES as u64,
    }
}

/// How many blocks redb sees of a file of this length.
fn blocks_in(file_bytes: u64) -> u64 {
    let all = file_bytes / BLOCK_BYTES as u64;
    let Some(rest) = all.checked_sub(HEADERS) else {
        return 0;
    };
    let (groups, more) = (rest / (GROUP_BLOCKS + 1), rest % (GROUP_BLOCKS + 1));
    1 + groups * GROUP_BLOCKS + more.saturating_sub(1)
}

/// The entry of a block in its table.
fn entry(block: &[u8]) -> u32 {
    crc32c::crc32c(block) ^ *ENTRY_OF_ZEROS
}

impl Blocks {
    /// Goes on with a file, or begins one that is empty.
    ///
    /// # Errors
    /// If the disk fails, the file is damaged or of another format.
    pub(crate) fn open(
        file: Box<dyn StorageBackend>,
        name: &str,
        damage: Option<Arc<Damage>>,
    ) -> io::Result<Blocks> {
        let file_bytes = file.len()?;
        let mut blocks = Blocks {
            file,
            name: name.to_owned(),
            damage,
            state: RwLock::new(State {
                blocks: blocks_in(file_bytes),
                header: Header::NEW,
                tables: BTreeMap::new(),
                dirty: BTreeSet::new(),
            }),
            syncing: Mutex::new(()),
        };
        if file_bytes > 0 {
            let header = blocks.read_header(file_bytes)?;
            blocks.write_state().header = header;
        }
        Ok(blocks)
    }

    fn read_header(&mut self, file_bytes: u64) -> io::Result<Header> {
        let mut copies = [[0; HEADER_BYTES]; HEADERS as usize];
        for (number, copy) in copies.iter_mut().enumerate() {
            let at = number * BLOCK_BYTES;
            if at as u64 + HEADER_BYTES as u64 <= file_bytes {
                self.read_file(copy, at as u64, || "its header".to_owned())?;
            }
        }
        if copies[0].starts_with(&BARE) {
            return Err(another_format(0));
        }
        let mut newest = None;
        for (copy, bytes) in copies.iter().enumerate() {
            let Some((number, content)) = Header::decode(bytes)? else {
                continue;
            };
            if newest.as_ref().is_none_or(|(most, _, _)| number > *most) {
                newest = Some((number, copy as u64, content));
            }
        }
        let Some((number, synced, content)) = newest else {
            return Err(self.damaged("its header"));
        };
        Ok(Header {
            content,
            number,
            synced,
            ahead: false,
        })
    }

    fn read_state(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write_state(&self) -> RwLockWriteGuard<'_, State> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// The error for something that is not what was written.
    fn damaged(&self, what: &str) -> io::Error {
        let text = format!("{what} in {} is not what was written", self.name);
        if let Some(damage) = &self.damage {
            damage.note(&text);
        }
        io::Error::new(io::ErrorKind::InvalidData, DamagedBlock(text))
    }

    /// Reads from the file. What the disk says that it cannot read is damaged.
    fn read_file(&self, out: &mut [u8], at: u64, what: impl Fn() -> String) -> io::Result<()> {
        let read = self.file.read(at, out);
        read.map_err(|error| {
            let unreadable = error.raw_os_error() == Some(rustix::io::Errno::IO.raw_os_error());
            match unreadable || error.kind() == io::ErrorKind::UnexpectedEof {
                true => self.damaged(&what()),
                false => error,
            }
        })
    }

    /// The entries of a stretch of blocks in one group.
    fn entries(&self, block: u64, count: usize) -> io::Result<Vec<u32>> {
        let (group, first) = position(block);
        if let Some(table) = self.read_state().tables.get(&group) {
            return Ok(table[first..first + count].to_vec());
        }
        let loaded = self.load(group)?;
        let mut state = self.write_state();
        let table = state.tables.entry(group).or_insert(loaded);
        Ok(table[first..first + count].to_vec())
    }

    fn load(&self, group: u64) -> io::Result<Box<[u32]>> {
        let mut bytes = ZEROS;
        self.read_file(&mut bytes, table_place(group), || {
            format!("the table of checksums {group}")
        })?;
        let entries = bytes.chunks_exact(4);
        let entries = entries.map(|entry| entry.try_into().map_or(0, u32::from_le_bytes));
        Ok(entries.collect())
    }

    /// Reads whole blocks of one group, and verifies them.
    fn read_blocks(&self, block: u64, out: &mut [u8]) -> io::Result<()> {
        let count = out.len() / BLOCK_BYTES;
        if block + count as u64 > self.read_state().blocks {
            return Err(self.damaged(&format!("block {block}, behind the end,")));
        }
        let entries = self.entries(block, count)?;
        let name = |number: usize| format!("block {}", block + number as u64);
        self.read_file(out, place(block), || name(0))?;
        for (number, (bytes, wanted)) in out.chunks_mut(BLOCK_BYTES).zip(entries).enumerate() {
            if entry(bytes) == wanted {
                continue;
            }
            // Once more: what was wrong may have been the reading.
            self.read_file(bytes, place(block + number as u64), || name(number))?;
            if entry(bytes) != wanted {
                return Err(self.damaged(&name(number)));
            }
            tracing::warn!(
                file = self.name,
                block = block + number as u64,
                "a block was misread"
            );
        }
        Ok(())
    }

    /// Writes whole blocks of one group, and notes their checksums.
    fn write_blocks(&self, block: u64, data: &[u8]) -> io::Result<()> {
        let (group, first) = position(block);
        let entries: Vec<u32> = data.chunks(BLOCK_BYTES).map(entry).collect();
        // Loads the table.
        self.entries(block, 0)?;
        self.file.write(place(block), data)?;
        let mut state = self.write_state();
        state.blocks = state.blocks.max(block + entries.len() as u64);
        let table = state.tables.get_mut(&group).expect("it was just loaded");
        table[first..first + entries.len()].copy_from_slice(&entries);
        state.dirty.insert(group);
        Ok(())
    }

    /// How many bytes from a place on are whole blocks of one group, up to `len`.
    fn whole(block: u64, within: usize, len: usize) -> usize {
        if block == 0 || within > 0 {
            return 0;
        }
        let left = GROUP_BLOCKS as usize - position(block).1;
        (len / BLOCK_BYTES).min(left) * BLOCK_BYTES
    }

    fn write_header(&self, within: usize, data: &[u8]) -> io::Result<()> {
        let mut state = self.write_state();
        let header = &mut state.header;
        let Some(place) = header.content.get_mut(within..within + data.len()) else {
            return Err(io::ErrorKind::Unsupported.into());
        };
        place.copy_from_slice(data);
        header.number += 1;
        header.ahead = true;
        let (copy, bytes) = (1 - header.synced, header.encode());
        state.blocks = state.blocks.max(1);
        drop(state);
        self.file.write(copy * BLOCK_BYTES as u64, &bytes)
    }

    /// Zeros the entries of blocks that are cut off, so that they are as new if they come back.
    fn forget_entries(&self, blocks: u64) -> io::Result<()> {
        let (group, first) = position(blocks.max(1));
        if first > 0 {
            self.entries(blocks, 0)?;
        }
        let mut state = self.write_state();
        state.tables.retain(|number, _| *number <= group);
        state.dirty.retain(|number| *number <= group);
        if first == 0 {
            state.tables.remove(&group);
            state.dirty.remove(&group);
        } else if let Some(table) = state.tables.get_mut(&group) {
            table[first..].fill(0);
            state.dirty.insert(group);
        }
        Ok(())
    }
}

impl Header {
    /// Of a file that nothing was written to.
    const NEW: Header = Header {
        content: [0; CONTENT_BYTES],
        number: 0,
        synced: 0,
        ahead: false,
    };

    fn encode(&self) -> [u8; HEADER_BYTES] {
        let mut out = [0; HEADER_BYTES];
        out[..8].copy_from_slice(&MAGIC);
        out[8..12].copy_from_slice(&VERSION.to_le_bytes());
        out[16..24].copy_from_slice(&self.number.to_le_bytes());
        out[CONTENT_AT..].copy_from_slice(&self.content);
        let crc = checksum(&out);
        out[12..16].copy_from_slice(&crc.to_le_bytes());
        out
    }

    /// The number and content of a copy, if it is whole.
    fn decode(bytes: &[u8; HEADER_BYTES]) -> io::Result<Option<(u64, [u8; CONTENT_BYTES])>> {
        let small = |at: usize| u32::from_le_bytes(std::array::from_fn(|i| bytes[at + i]));
        if bytes[..8] != MAGIC || small(12) != checksum(bytes) {
            return Ok(None);
        }
        if small(8) != VERSION {
            // Version and checksum keep their places in all versions.
            return Err(another_format(small(8)));
        }
        let number = u64::from_le_bytes(std::array::from_fn(|i| bytes[16 + i]));
        let content = std::array::from_fn(|i| bytes[CONTENT_AT + i]);
        Ok(Some((number, content)))
    }
}

/// The checksum over all of a copy but the checksum itself.
fn checksum(header: &[u8; HEADER_BYTES]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&header[..12]), &header[16..])
}

fn another_format(version: u32) -> io::Error {
    io::Error::new(
        io::ErrorKind::Unsupported,
        format!(
            "its blocks have format {version}, and this version reads format {VERSION}: \
             start the version that wrote it"
        ),
    )
}

impl StorageBackend for Blocks {
    fn len(&self) -> io::Result<u64> {
        Ok(self.read_state().blocks * BLOCK_BYTES as u64)
    }

    fn read(&self, offset: u64, mut out: &mut [u8]) -> io::Result<()> {
        let mut at = offset;
        while !out.is_empty() {
            let block = at / BLOCK_BYTES as u64;
            let within = (at % BLOCK_BYTES as u64) as usize;
            let whole = Blocks::whole(block, within, out.len());
            if whole > 0 {
                let (now, rest) = out.split_at_mut(whole);
                self.read_blocks(block, now)?;
                (out, at) = (rest, at + whole as u64);
                continue;
            }
            let mut bytes = ZEROS;
            match block {
                0 => bytes[..CONTENT_BYTES].copy_from_slice(&self.read_state().header.content),
                _ => self.read_blocks(block, &mut bytes)?,
            }
            let (now, rest) = out.split_at_mut(out.len().min(BLOCK_BYTES - within));
            now.copy_from_slice(&bytes[within..within + now.len()]);
            at += now.len() as u64;
            out = rest;
        }
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        if !len.is_multiple_of(BLOCK_BYTES as u64) {
            return Err(io::ErrorKind::Unsupported.into());
        }
        let blocks = len / BLOCK_BYTES as u64;
        let shrinks = blocks < self.read_state().blocks;
        self.file.set_len(file_bytes(blocks))?;
        self.write_state().blocks = blocks;
        match shrinks {
            true => self.forget_entries(blocks),
            false => Ok(()),
        }
    }

    fn sync_data(&self) -> io::Result<()> {
        let _one = lock(&self.syncing);
        let mut tables = Vec::new();
        let ahead = {
            let mut state = self.write_state();
            for group in std::mem::take(&mut state.dirty) {
                if let Some(table) = state.tables.get(&group) {
                    let bytes: Vec<u8> =
                        table.iter().flat_map(|entry| entry.to_le_bytes()).collect();
                    tables.push((group, bytes));
                }
            }
            let header = &state.header;
            header.ahead.then(|| (header.number, header.encode()))
        };
        for (group, bytes) in tables {
            self.file.write(table_place(group), &bytes)?;
        }
        self.file.sync_data()?;
        let Some((number, bytes)) = ahead else {
            return Ok(());
        };
        // The copy that was written is durable now, so the other one may be written. It gets the same
        // bytes: from the next sync on, damage to either costs nothing.
        let mut state = self.write_state();
        let stale = state.header.synced;
        state.header.synced = 1 - stale;
        state.header.ahead = state.header.number > number;
        drop(state);
        self.file.write(stale * BLOCK_BYTES as u64, &bytes)
    }

    fn write(&self, offset: u64, mut data: &[u8]) -> io::Result<()> {
        let mut at = offset;
        while !data.is_empty() {
            let block = at / BLOCK_BYTES as u64;
            let within = (at % BLOCK_BYTES as u64) as usize;
            let whole = Blocks::whole(block, within, data.len());
            let len = match whole {
                0 => data.len().min(BLOCK_BYTES - within),
                whole => whole,
            };
            let (now, rest) = data.split_at(len);
            if whole > 0 {
                self.write_blocks(block, now)?;
            } else if block == 0 {
                self.write_header(within, now)?;
            } else {
                let mut bytes = ZEROS;
                self.read_blocks(block, &mut bytes)?;
                bytes[within..within + len].copy_from_slice(now);
                self.write_blocks(block, &bytes)?;
            }
            (data, at) = (rest, at + len as u64);
        }
        Ok(())
    }

    fn close(&self) -> io::Result<()> {
        self.file.close()
    }

    // redb locks the file as a whole or not at all.

    fn try_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.file.try_lock_range(start, end)
    }

    fn try_lock_shared_range(
        &self,
        start: Bound<u64>,
        end: Bound<u64>,
    ) -> Result<bool, BackendError> {
        self.file.try_lock_shared_range(start, end)
    }

    fn lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.file.lock_range(start, end)
    }

    fn lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.file.lock_shared_range(start, end)
    }

    fn unlock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.file.unlock_range(start, end)
    }

    fn query_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.file.query_lock_range(start, end)
    }
}
