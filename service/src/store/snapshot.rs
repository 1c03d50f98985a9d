//! Backups: the content of the store as one stream with its hash at the end, and a store made of it.
//!
//! The stream is a checkpoint's (`export`), zeros up to a multiple of 512 bytes, and the SHA-256 of
//! all that: so the clients of etcd see that there is a hash, and that it is right.

use std::io::{self, Read};
use std::sync::Arc;

use quorate_core::Checkpoint;
use sha2::{Digest, Sha256};

use super::STORE_FILE;
use super::export::Export;
use super::files::{Directory, Files};
use super::import::{Chunks, INCOMING_FILE, Incoming, broken};
use super::state::Clock;
use crate::command::Member;
use crate::members::Members;

#[cfg(test)]
mod tests;

/// What comes before the hash is so many bytes, times something.
const ALIGNMENT: u64 = 512;
/// The length of the hash.
const HASH_BYTES: u64 = 32;
/// How much is read at once.
const PIECE_BYTES: usize = 256 << 10;

/// The content of the store at one moment, to be read: with its hash as the last 32 bytes.
#[derive(Debug)]
pub struct Snapshot {
    export: Export,
    len: u64,
    sent: u64,
    hash: Sha256,
    /// What comes behind the export, once that has ended, and how much of it was read.
    tail: Option<(Vec<u8>, usize)>,
}

impl Snapshot {
    /// `open` opens the same content each time.
    pub(super) fn new(open: impl Fn() -> io::Result<Export>) -> io::Result<Snapshot> {
        // Read twice, since whoever receives it wants to know first how much it will be.
        let content = io::copy(&mut open()?, &mut io::sink())?;
        Ok(Snapshot {
            export: open()?,
            len: content.next_multiple_of(ALIGNMENT) + HASH_BYTES,
            sent: 0,
            hash: Sha256::new(),
            tail: None,
        })
    }

    /// How many bytes there are to read from beginning to end.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "it never is")]
    pub fn len(&self) -> u64 {
        self.len
    }

    /// The position that it contains.
    #[must_use]
    pub fn checkpoint(&self) -> Checkpoint {
        self.export.checkpoint()
    }

    /// The revision that it contains.
    #[must_use]
    pub fn revision(&self) -> i64 {
        self.export.revision()
    }
}

impl Read for Snapshot {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if self.tail.is_none() {
            let count = self.export.read(out)?;
            self.hash.update(&out[..count]);
            self.sent += count as u64;
            if count > 0 || out.is_empty() {
                return Ok(count);
            }
            let filled = self.sent.next_multiple_of(ALIGNMENT) - self.sent;
            let mut tail: Vec<u8> = std::iter::repeat_n(0, filled as usize).collect();
            self.hash.update(&tail);
            tail.extend_from_slice(&self.hash.finalize_reset());
            self.tail = Some((tail, 0));
        }
        let Some((tail, at)) = &mut self.tail else {
            return Ok(0);
        };
        let count = out.len().min(tail.len() - *at);
        out[..count].copy_from_slice(&tail[*at..*at + count]);
        *at += count;
        Ok(count)
    }
}

/// What is in a snapshot.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Contents {
    /// The position up to which everything is in it.
    pub checkpoint: Checkpoint,
    /// The newest revision.
    pub revision: i64,
    /// The oldest revision that can be read; -1 if nothing was compacted.
    pub compacted: i64,
    /// How many versions of keys there are, deletions included.
    pub rows: u64,
    /// The bytes of all of them and of their events.
    pub bytes: u64,
    /// A checksum over all of it: the first four bytes of its hash.
    pub hash: u32,
}

/// How a new cluster begins with a snapshot.
#[derive(Clone, Debug)]
pub struct Restoring {
    /// Its members. They all begin with the same snapshot and the same settings.
    pub members: Vec<Member>,
    /// How far its revisions are ahead of the snapshot's, so that no revision that the old cluster may have
    /// told after the snapshot is told twice.
    pub revision_bump: u64,
    /// Whether everything before the newest revision counts as compacted, so that watches which were
    /// begun in the old cluster notice.
    pub compacted: bool,
    /// Whether to go without the hash: for a file that is not what `snapshot save` wrote.
    pub skip_hash: bool,
}

/// Reads a snapshot to its end, and verifies all of it.
///
/// # Errors
/// If it is damaged or incomplete, or cannot be read.
pub fn inspect(file: impl Read, skip_hash: bool) -> io::Result<Contents> {
    let mut incoming = Incoming::looked_at();
    let hash = read(file, &mut incoming, skip_hash)?;
    contents(&incoming, hash)
}

/// Makes the store of a member of a new cluster, in a directory that has none. A crash leaves a whole
/// store or none.
///
/// # Errors
/// If there is a store already, the snapshot is damaged, or the disk fails.
pub fn restore(
    file: impl Read,
    directory: std::path::PathBuf,
    restoring: Restoring,
) -> io::Result<Contents> {
    let files: Arc<dyn Files> = Arc::new(Directory::open(directory)?);
    if files.list()?.iter().any(|name| name == STORE_FILE) {
        return Err(io::Error::new(
            io::ErrorKind::AlreadyExists,
            "there is a store already",
        ));
    }
    let mut incoming = Incoming::begin(&*files).map_err(io::Error::other)?;
    let hash = read(file, &mut incoming, restoring.skip_hash)?;
    let found = contents(&incoming, hash)?;
    let (meta, sweep) = incoming
        .state
        .as_mut()
        .ok_or_else(|| broken("it has no state"))?;
    let bump = i64::try_from(restoring.revision_bump).ok();
    let bumped = bump.and_then(|bump| meta.revision.checked_add(bump));
    meta.revision = bumped.ok_or_else(|| broken("its revision cannot be bumped so far"))?;
    if restoring.compacted {
        meta.compacted = meta.revision;
        (sweep.target, sweep.next) = (-1, super::row::Stamp::FIRST);
    }
    // Where the new cluster's own order begins. Not at 0: a member that was not restored, and begins with
    // nothing, must not look like one that has all there is.
    meta.checkpoint = Checkpoint {
        position: meta.checkpoint.position.max(1),
        epoch: 0,
    };
    meta.clock = Clock {
        epoch: 0,
        base_ms: meta.clock.now_ms,
        ..meta.clock
    };
    meta.batches.clear();
    meta.health = Arc::default();
    meta.members = Arc::new(Members::of(restoring.members));
    incoming.close().map_err(io::Error::other)?;
    files.rename(INCOMING_FILE, STORE_FILE)?;
    Ok(found)
}

/// Reads a snapshot and answers the hash of what was read.
fn read(mut file: impl Read, incoming: &mut Incoming, skip_hash: bool) -> io::Result<[u8; 32]> {
    let mut stream = Chunks::default();
    let mut hash = Sha256::new();
    let mut piece = vec![0; PIECE_BYTES];
    // The last bytes read so far, which may be the hash and not part of what is hashed.
    let mut last: Vec<u8> = Vec::new();
    loop {
        let count = file.read(&mut piece)?;
        if count == 0 {
            break;
        }
        if !incoming.is_complete() {
            stream.take(&piece[..count], incoming)?;
        }
        last.extend_from_slice(&piece[..count]);
        let behind = last.len().saturating_sub(HASH_BYTES as usize);
        hash.update(&last[..behind]);
        last.drain(..behind);
    }
    if !incoming.is_complete() {
        return Err(broken("it ends too early"));
    }
    let hash: [u8; 32] = hash.finalize().into();
    if !skip_hash && last != hash {
        return Err(broken(
            "its hash is wrong: it is damaged, or not what `snapshot save` wrote",
        ));
    }
    Ok(hash)
}

fn contents(incoming: &Incoming, hash: [u8; 32]) -> io::Result<Contents> {
    let state = incoming.state.as_ref();
    let (meta, sweep) = state.ok_or_else(|| broken("it has no state"))?;
    let [a, b, c, d, ..] = hash;
    Ok(Contents {
        checkpoint: meta.checkpoint,
        revision: meta.revision,
        compacted: meta.compacted,
        rows: incoming.rows,
        bytes: sweep.stored_bytes,
        hash: u32::from_be_bytes([a, b, c, d]),
    })
}
