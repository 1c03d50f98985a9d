//! Checkpoints of peers: received beside the store, then put in its place.
//!
//! The stream is built into a redb file of its own. Only when it is complete, verified and durable
//! does the file get the name of a staged checkpoint, and only when the machine is told to install
//! it does it get the name of the store. Names change atomically, so a crash at any moment leaves
//! the old state or the new one.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::ops::Bound;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};

use quorate_core::Checkpoint;
use redb::{Database, Durability, Key, TableDefinition, Value, WriteTransaction};

use super::STORE_FILE;
use super::counts::Counts;
use super::export::{CHUNK_HEADER_BYTES, MAGIC, kind};
use super::files::Files;
use super::layer::Layers;
use super::shared::{Disk, Published, Shared, lock, open_file};
use super::state::{FORMAT, Meta, Sweep};
use super::tables::{Base, EVENTS, LEASE_KEYS, LEASES, META, META_KEY, ROWS, load_leases, storage};
use crate::error::Error;

/// The file being built.
pub(super) const INCOMING_FILE: &str = "incoming.redb";
/// How much redb may use for a file that is only written.
const CACHE_BYTES: usize = 64 << 20;
/// How much is written before memory is given back.
const COMMIT_BYTES: usize = 64 << 20;
/// More than any chunk that a store of this version makes: one row can be this large at most.
const CHUNK_BYTES_MAX: usize = 1 << 30;

fn staged_name(checkpoint: Checkpoint) -> String {
    let Checkpoint { position, epoch } = checkpoint;
    format!("staged-{position:016x}-{epoch:016x}.redb")
}

fn staged_position(name: &str) -> Option<u64> {
    let (position, _) = name.strip_prefix("staged-")?.split_once('-')?;
    u64::from_str_radix(position, 16).ok()
}

/// Removes what an earlier incarnation left: half a checkpoint.
pub(super) fn clean_up_incoming(files: &dyn Files) -> Result<(), Error> {
    remove_if_there(files, INCOMING_FILE).map_err(|error| Error::Storage(error.to_string()))
}

/// Removes staged checkpoints that are not ahead of the store.
pub(super) fn clean_up_staged(files: &dyn Files, position: u64) -> Result<(), Error> {
    let failed = |error: io::Error| Error::Storage(error.to_string());
    for name in files.list().map_err(failed)? {
        if staged_position(&name).is_some_and(|staged| staged <= position) {
            files.remove(&name).map_err(failed)?;
        }
    }
    Ok(())
}

/// A checkpoint on its way in. Dropped before it is finished, it leaves nothing.
pub struct Import {
    shared: Arc<Shared>,
    checkpoint: Checkpoint,
    /// The file being built. None once it is complete.
    incoming: Option<Incoming>,
    stream: Chunks,
}

/// The chunks of a stream, cut out of it.
#[derive(Default)]
pub(super) struct Chunks {
    /// Bytes of a chunk that is not complete yet.
    pending: Vec<u8>,
    chunks: u64,
    whole: u32,
}

/// A store being built of chunks, or chunks that are only looked at.
pub(super) struct Incoming {
    /// Not there if nothing is to be built.
    db: Option<Database>,
    /// Where there is a file there is always a transaction, too.
    write: Option<WriteTransaction>,
    /// The kind of the last chunk; kinds never decrease.
    kind: u8,
    uncommitted_bytes: usize,
    /// What the header says.
    checkpoint: Option<Checkpoint>,
    pub(super) state: Option<(Meta, Sweep)>,
    pub(super) rows: u64,
}

impl std::fmt::Debug for Import {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Import")
            .field("checkpoint", &self.checkpoint)
            .field("chunks", &self.stream.chunks)
            .finish_non_exhaustive()
    }
}

impl Import {
    pub(super) fn begin(shared: Arc<Shared>, checkpoint: Checkpoint) -> io::Result<Import> {
        if shared.receiving.swap(true, Ordering::Acquire) {
            return Err(io::Error::new(
                io::ErrorKind::ResourceBusy,
                "another checkpoint is being received",
            ));
        }
        // From here on, dropping the import makes room again.
        let mut import = Import {
            shared,
            checkpoint,
            incoming: None,
            stream: Chunks::default(),
        };
        let incoming = Incoming::begin(&*import.shared.files);
        import.incoming = Some(incoming.map_err(io::Error::other)?);
        Ok(import)
    }

    /// All bytes were written: verifies that nothing is missing and makes the checkpoint durable.
    ///
    /// # Errors
    /// If the stream is incomplete or the disk fails.
    pub fn finish(mut self) -> io::Result<()> {
        let incoming = self.incoming.take();
        let incoming = incoming.ok_or_else(|| broken("it was given up before"))?;
        if !incoming.is_complete() || !self.stream.pending.is_empty() {
            return Err(broken("it ends too early, or too late"));
        }
        incoming.close().map_err(io::Error::other)?;
        let name = staged_name(self.checkpoint);
        self.shared.files.rename(INCOMING_FILE, &name)
    }

    fn take(&mut self, bytes: &[u8]) -> io::Result<()> {
        let incoming = self.incoming.as_mut();
        let incoming = incoming.ok_or_else(|| broken("it was given up before"))?;
        self.stream.take(bytes, incoming)?;
        match incoming.checkpoint.is_some_and(|it| it != self.checkpoint) {
            true => Err(broken("it is of another position")),
            false => Ok(()),
        }
    }
}

impl Chunks {
    /// Gives all chunks that are complete with these bytes to the store being built. What is behind the
    /// last chunk of all stays where it is.
    pub(super) fn take(&mut self, bytes: &[u8], incoming: &mut Incoming) -> io::Result<()> {
        self.pending.extend_from_slice(bytes);
        let mut at = 0;
        while !incoming.is_complete()
            && let Some(header) = self.pending[at..].first_chunk::<CHUNK_HEADER_BYTES>()
        {
            let [a, b, c, d, crc @ ..] = *header;
            let len = u32::from_le_bytes([a, b, c, d]) as usize;
            if len == 0 || len > CHUNK_BYTES_MAX {
                return Err(broken("a chunk of impossible length"));
            }
            let start = at + CHUNK_HEADER_BYTES;
            let Some(body) = self.pending.get(start..start + len) else {
                break;
            };
            if crc32c::crc32c(body) != u32::from_le_bytes(crc) {
                return Err(broken("a chunk that is damaged"));
            }
            incoming.chunk(body, self.chunks, self.whole)?;
            self.chunks += 1;
            self.whole = crc32c::crc32c_append(self.whole, &self.pending[at..start + len]);
            at = start + len;
        }
        self.pending.drain(..at);
        Ok(())
    }
}

impl Write for Import {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if let Err(error) = self.take(bytes) {
            // What follows could not be understood, so nothing more is taken.
            self.incoming = None;
            return Err(error);
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Import {
    fn drop(&mut self) {
        self.incoming = None;
        // Whatever remains is removed when the next one begins, too.
        let _ = remove_if_there(&*self.shared.files, INCOMING_FILE);
        self.shared.receiving.store(false, Ordering::Release);
    }
}

fn remove_if_there(files: &dyn Files, name: &str) -> io::Result<()> {
    match files.list()?.iter().any(|there| there == name) {
        true => files.remove(name),
        false => Ok(()),
    }
}

pub(super) fn broken(what: &str) -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidData,
        format!("the checkpoint cannot be used: {what}"),
    )
}

/// Begins a transaction that need not be durable: a file is used only when it is complete.
fn begin_write(db: &Database) -> Result<WriteTransaction, Error> {
    let mut write = db.begin_write().map_err(storage)?;
    write.set_durability(Durability::None).map_err(storage)?;
    Ok(write)
}

impl Incoming {
    /// Begins in a file of its own.
    pub(super) fn begin(files: &dyn Files) -> Result<Incoming, Error> {
        clean_up_incoming(files)?;
        let db = open_file(files, INCOMING_FILE, CACHE_BYTES, None)?;
        Ok(Incoming {
            write: Some(begin_write(&db)?),
            db: Some(db),
            ..Incoming::looked_at()
        })
    }

    /// Chunks that are verified, and nothing is built.
    pub(super) fn looked_at() -> Incoming {
        Incoming {
            db: None,
            write: None,
            kind: 0,
            uncommitted_bytes: 0,
            checkpoint: None,
            state: None,
            rows: 0,
        }
    }

    /// Whether the last chunk of all has come.
    pub(super) fn is_complete(&self) -> bool {
        self.kind == kind::END
    }

    fn chunk(&mut self, body: &[u8], chunks: u64, whole: u32) -> io::Result<()> {
        let (kind, rest) = body.split_first().ok_or_else(|| broken("an empty chunk"))?;
        let first = self.kind == 0;
        if *kind < self.kind || self.kind == kind::END || first != (*kind == kind::HEADER) {
            return Err(broken("chunks that are out of order"));
        }
        self.kind = *kind;
        match *kind {
            kind::HEADER => {
                self.checkpoint = Some(read_header(rest)?);
                Ok(())
            }
            kind::ROWS => {
                self.rows += self.append(ROWS, rest, Ok, Ok)?;
                Ok(())
            }
            kind::EVENTS => self.append(EVENTS, rest, exactly, Ok).map(drop),
            kind::LEASES => {
                let id = |key| Ok(i64::from_le_bytes(*exactly::<8>(key)?));
                self.append(LEASES, rest, id, Ok).map(drop)
            }
            kind::LEASE_KEYS => {
                let crc = |value| Ok(u32::from_le_bytes(*exactly::<4>(value)?));
                self.append(LEASE_KEYS, rest, Ok, crc).map(drop)
            }
            kind::STATE => {
                let state = Meta::decode(rest).map_err(io::Error::other)?;
                if Some(state.0.checkpoint) != self.checkpoint {
                    return Err(broken("it is of another position"));
                }
                self.state = Some(state);
                Ok(())
            }
            kind::END => {
                let mut end = chunks.to_le_bytes().to_vec();
                end.extend_from_slice(&whole.to_le_bytes());
                match *rest == end[..] && self.state.is_some() {
                    true => Ok(()),
                    false => Err(broken("something in it is missing")),
                }
            }
            _ => Err(broken("a chunk of an unknown kind")),
        }
    }

    /// Appends pairs to a table, which they must continue in order. Answers how many.
    fn append<'a, K, V>(
        &mut self,
        table: TableDefinition<'_, K, V>,
        mut pairs: &'a [u8],
        key_of: impl Fn(&'a [u8]) -> io::Result<K::SelfType<'a>>,
        value_of: impl Fn(&'a [u8]) -> io::Result<V::SelfType<'a>>,
    ) -> io::Result<u64>
    where
        K: Key + 'static,
        V: Value + 'static,
    {
        self.uncommitted_bytes += pairs.len();
        let mut count = 0;
        let mut next = || -> io::Result<Option<(K::SelfType<'a>, V::SelfType<'a>)>> {
            if pairs.is_empty() {
                return Ok(None);
            }
            count += 1;
            let key = key_of(take(&mut pairs)?)?;
            Ok(Some((key, value_of(take(&mut pairs)?)?)))
        };
        let Some(write) = &self.write else {
            while next()?.is_some() {}
            return Ok(count);
        };
        {
            let mut table = write.open_table(table).map_err(io::Error::other)?;
            let mut end = table
                .upper_bound_mut(Bound::<K::SelfType<'_>>::Unbounded)
                .map_err(io::Error::other)?;
            while let Some((key, value)) = next()? {
                end.insert_before(&key, &value).map_err(io::Error::other)?;
            }
            end.close().map_err(io::Error::other)?;
        }
        if self.uncommitted_bytes >= COMMIT_BYTES {
            // Gives memory back.
            self.uncommitted_bytes = 0;
            self.commit().map_err(io::Error::other)?;
        }
        Ok(count)
    }

    /// Commits, and goes on in the next transaction.
    fn commit(&mut self) -> Result<(), Error> {
        if let (Some(db), Some(write)) = (&self.db, self.write.take()) {
            write.commit().map_err(storage)?;
            self.write = Some(begin_write(db)?);
        }
        Ok(())
    }

    /// Writes the state, makes everything durable and closes the file.
    pub(super) fn close(mut self) -> Result<(), Error> {
        let (Some(db), Some(write)) = (self.db.take(), self.write.take()) else {
            return Ok(());
        };
        write.commit().map_err(storage)?;
        let mut write = db.begin_write().map_err(storage)?;
        write.set_quick_repair(true);
        {
            // Also the tables that nothing came for.
            write.open_table(ROWS).map_err(storage)?;
            write.open_table(EVENTS).map_err(storage)?;
            write.open_table(LEASES).map_err(storage)?;
            write.open_table(LEASE_KEYS).map_err(storage)?;
            let mut table = write.open_table(META).map_err(storage)?;
            let (meta, sweep) = self.state.take().expect("the end came behind the state");
            let record = meta.encode(&sweep);
            table.insert(META_KEY, &record[..]).map_err(storage)?;
        }
        write.commit().map_err(storage)?;
        db.close().map_err(storage)
    }
}

fn read_header(header: &[u8]) -> io::Result<Checkpoint> {
    let mut expected = MAGIC.to_vec();
    expected.extend_from_slice(&FORMAT.to_le_bytes());
    let Some(numbers) = header.strip_prefix(&expected[..]) else {
        return Err(broken("it has another format"));
    };
    let numbers: &[u8; 16] = exactly(numbers)?;
    let number = |at: usize| u64::from_le_bytes(std::array::from_fn(|i| numbers[at + i]));
    Ok(Checkpoint {
        position: number(0),
        epoch: number(8),
    })
}

/// The next byte string of a body.
fn take<'a>(pairs: &mut &'a [u8]) -> io::Result<&'a [u8]> {
    let cut = || broken("a pair that is cut");
    let (len, rest) = pairs.split_first_chunk::<4>().ok_or_else(cut)?;
    let len = u32::from_le_bytes(*len) as usize;
    let (bytes, rest) = rest.split_at_checked(len).ok_or_else(cut)?;
    *pairs = rest;
    Ok(bytes)
}

fn exactly<const N: usize>(bytes: &[u8]) -> io::Result<&[u8; N]> {
    bytes
        .try_into()
        .map_err(|_| broken("a key of impossible length"))
}

impl Shared {
    /// Puts a staged checkpoint in the place of the store. Views taken before stay what they are.
    pub(crate) fn install(
        &self,
        disk: &mut Disk,
        checkpoint: Checkpoint,
    ) -> Result<Arc<Layers>, Error> {
        self.give_up_copy(disk, "another checkpoint took the store's place".to_owned());
        disk.scrub = None;
        let name = staged_name(checkpoint);
        self.files
            .rename(&name, STORE_FILE)
            .map_err(|error| Error::Storage(format!("{name}: {error}")))?;
        let told = Some(self.damage.clone());
        let db = open_file(&*self.files, STORE_FILE, self.options.cache_bytes, told)?;
        disk.db = Arc::new(db);
        disk.base = Arc::new(Base::open(&disk.db)?);
        clean_up_staged(&*self.files, checkpoint.position)?;
        let leases = load_leases(&disk.base)?;
        self.on_rebuilt()?;
        *self.leases.write().unwrap_or_else(PoisonError::into_inner) = leases;
        disk.counts = Counts::begin(&disk.base)?;
        let layers = Arc::new(Layers {
            memory: vec![Arc::default()],
            base: disk.base.clone(),
            counts: Arc::new(disk.counts.clone()),
        });
        let mut turn = lock(&self.turn);
        disk.retired.extend(turn.layers.memory.iter().cloned());
        turn.frozen = VecDeque::new();
        turn.layers = layers.clone();
        let published = Published::new(&disk.base.meta, layers.clone());
        self.published.store(Arc::new(published));
        Ok(layers)
    }
}
