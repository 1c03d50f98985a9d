//! What the apply thread, the flusher and readers share.

use std::collections::VecDeque;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Instant;

use arc_swap::ArcSwap;
use quorate_core::Checkpoint;
use redb::{Builder, Database, Durability};

use super::blocks::{Blocks, DamagedBlock};
use super::counts::Counts;
use super::damage::{self, Damage};
use super::defragment::{self, Copy, Defragmentation};
use super::files::Files;
use super::import::{clean_up_incoming, clean_up_staged};
use super::layer::{Layer, Layers};
use super::leases::{LeaseDelta, Leases};
use super::scrub::Scrub;
use super::state::{Meta, Sweep};
use super::tables::{Base, EVENTS, LEASE_KEYS, LEASES, META, META_KEY, ROWS, load_leases, storage};
use super::{Options, STORE_FILE};
use crate::command::Member;
use crate::error::Error;
use crate::health::Health;
use crate::machine::Generation;
use crate::members::Members;

/// The store, as all its threads see it.
///
/// Locks are taken in the order `disk`, `turn`; readers take neither.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) options: Options,
    pub(crate) files: Arc<dyn Files>,
    /// What readers see.
    pub(crate) published: ArcSwap<Published>,
    /// Held for moments, to change which layers there are.
    pub(crate) turn: Mutex<Turn>,
    /// Held for as long as something is written to disk.
    pub(crate) disk: Mutex<Disk>,
    /// Leases are read rarely and changed by single entries, so they have a lock and no versions.
    pub(crate) leases: Arc<RwLock<Leases>>,
    /// Somebody wants the active layer flushed although it is not full.
    pub(crate) flush_wanted: AtomicBool,
    /// Somebody wants everything at rest looked at.
    pub(crate) scrub_wanted: AtomicBool,
    /// How often that was done.
    pub(crate) scrubs: AtomicU64,
    /// Whether a checkpoint is being received: there is room for one.
    pub(crate) receiving: AtomicBool,
    /// Whether the store is not what was written.
    pub(crate) damage: Arc<Damage>,
    /// How giving space back goes.
    pub(crate) defragmentation: Mutex<Defragmentation>,
}

/// Which layers there are.
#[derive(Debug)]
pub(crate) struct Turn {
    pub(crate) layers: Arc<Layers>,
    /// Waiting to be written, oldest first.
    pub(crate) frozen: VecDeque<Arc<Frozen>>,
}

/// A layer that is full, with the rest of the state as it stood then.
#[derive(Debug)]
pub(crate) struct Frozen {
    pub(crate) layer: Arc<Layer>,
    pub(crate) meta: Meta,
    pub(crate) leases: LeaseDelta,
    /// What the machine wants freed by somebody who is not in a hurry.
    pub(crate) _garbage: Generation,
}

/// The writing side of the disk.
#[derive(Debug)]
pub(crate) struct Disk {
    pub(crate) db: Arc<Database>,
    pub(crate) base: Arc<Base>,
    /// How many keys there are in it.
    pub(crate) counts: Counts,
    /// Written layers that a reader may still have: freed here once nobody has, so that no reader
    /// pays for it.
    pub(crate) retired: Vec<Arc<Layer>>,
    pub(crate) flushed_at: Instant,
    /// How many events are to be swept before the next flush, if there are any to sweep: a flush
    /// adds as many, so that under any load space is freed as fast as it is taken.
    pub(crate) sweep_first: usize,
    /// A copy without the space that is free, if one is being made.
    pub(crate) copy: Option<Copy>,
    /// A look at everything, if one is under way.
    pub(crate) scrub: Option<Scrub>,
    /// When the last one ended, or the store was opened.
    pub(crate) scrubbed_at: Instant,
    /// What went wrong. Nothing is written after that.
    pub(crate) failed: Option<Error>,
}

/// What readers see: one moment of the machine.
#[derive(Debug)]
pub(crate) struct Published {
    pub(crate) layers: Arc<Layers>,
    pub(crate) checkpoint: Checkpoint,
    pub(crate) revision: i64,
    pub(crate) compacted: i64,
    pub(crate) digest: u64,
    pub(crate) now_ms: u64,
    pub(crate) members: Arc<Members>,
    pub(crate) health: Arc<Health>,
}

impl Published {
    pub(crate) fn new(meta: &Meta, layers: Arc<Layers>) -> Published {
        Published {
            layers,
            checkpoint: meta.checkpoint,
            revision: meta.revision,
            compacted: meta.compacted,
            digest: meta.digest,
            now_ms: meta.clock.now_ms,
            members: meta.members.clone(),
            health: meta.health.clone(),
        }
    }

    /// The same moment with other layers, which hold the same.
    pub(crate) fn with_layers(&self, layers: Arc<Layers>) -> Published {
        Published {
            layers,
            checkpoint: self.checkpoint,
            revision: self.revision,
            compacted: self.compacted,
            digest: self.digest,
            now_ms: self.now_ms,
            members: self.members.clone(),
            health: self.health.clone(),
        }
    }
}

/// A store in the making, without a name of its own yet.
const UNNAMED_FILE: &str = "new.redb";

/// Takes a lock. A thread that panicked while it held one ends the process soon; until then nobody
/// needs to panic too.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    /// Opens the store, or makes one. A store that is damaged, or lost, is replaced by an empty one:
    /// [`Shared::is_rebuilding`] tells.
    pub(crate) fn open(options: Options, files: Arc<dyn Files>) -> Result<Arc<Shared>, Error> {
        clean_up_incoming(&*files)?;
        defragment::clean_up(&*files).map_err(failed)?;
        let lost = options.expected && !has_store(&*files)?;
        if lost || damage::is_marked(&*files).map_err(failed)? {
            damage::set_aside(&*files).map_err(failed)?;
        }
        create(&*files, &options.members)?;
        let opened = match Opened::open(&options, &files) {
            Err(Error::Damaged(what)) => {
                tracing::error!(what, "the store is damaged and set aside");
                damage::set_aside(&*files).map_err(failed)?;
                create(&*files, &options.members)?;
                Opened::open(&options, &files)
            }
            opened => opened,
        };
        let Opened {
            db,
            base,
            leases,
            damage,
        } = opened?;
        clean_up_staged(&*files, base.checkpoint().position)?;
        let counts = Counts::begin(&base)?;
        let layers = Arc::new(Layers {
            memory: vec![Arc::default()],
            base: base.clone(),
            counts: Arc::new(counts.clone()),
        });
        Ok(Arc::new(Shared {
            options,
            files,
            published: ArcSwap::from_pointee(Published::new(&base.meta, layers.clone())),
            turn: Mutex::new(Turn {
                layers,
                frozen: VecDeque::new(),
            }),
            disk: Mutex::new(Disk {
                db,
                base,
                counts,
                retired: Vec::new(),
                flushed_at: Instant::now(),
                sweep_first: 0,
                copy: None,
                scrub: None,
                scrubbed_at: Instant::now(),
                failed: None,
            }),
            leases: Arc::new(RwLock::new(leases)),
            flush_wanted: AtomicBool::new(false),
            scrub_wanted: AtomicBool::new(false),
            scrubs: AtomicU64::new(0),
            receiving: AtomicBool::new(false),
            damage,
            defragmentation: Mutex::default(),
        }))
    }

    /// Whether a damaged or lost store was replaced by an empty one that does not hold yet what was
    /// lost. Then what the log does not have any more must come from somebody else.
    pub(crate) fn is_rebuilding(&self) -> Result<bool, Error> {
        damage::is_rebuilding(&*self.files).map_err(failed)
    }

    /// See [`Machine::on_new_log`](crate::machine::Machine::on_new_log).
    pub(crate) fn on_new_log(&self) -> Result<(), Error> {
        damage::on_new_log(&*self.files).map_err(failed)
    }

    /// Whether the log never had what the store began with.
    pub(crate) fn log_begins_later(&self) -> Result<bool, Error> {
        damage::log_begins_later(&*self.files).map_err(failed)
    }

    /// The store holds what was lost.
    pub(crate) fn on_rebuilt(&self) -> Result<(), Error> {
        damage::on_rebuilt(&*self.files).map_err(failed)
    }

    /// Replaces the disk below. Frozen layers stay above it, except the first `written`.
    pub(crate) fn rebase(&self, disk: &mut Disk, base: Arc<Base>, written: usize) {
        disk.base = base.clone();
        let mut turn = lock(&self.turn);
        let mut memory = turn.layers.memory.clone();
        for _ in 0..written {
            let frozen = turn.frozen.pop_front().expect("it was there to be written");
            let oldest = memory.pop().expect("a frozen layer is still in memory");
            assert!(
                Arc::ptr_eq(&oldest, &frozen.layer),
                "layers are written in order"
            );
            disk.retired.push(oldest);
        }
        let counts = match written {
            // No key has come or gone.
            0 => turn.layers.counts.clone(),
            _ => Arc::new(disk.counts.clone()),
        };
        turn.layers = Arc::new(Layers {
            memory,
            base,
            counts,
        });
        let published = self.published.load();
        let published = published.with_layers(turn.layers.clone());
        self.published.store(Arc::new(published));
    }
}

impl Shared {
    /// Counts some of the keys that were there when the store was opened.
    pub(crate) fn count_step(&self, disk: &mut Disk) -> Result<(), Error> {
        disk.counts.step(&disk.base)?;
        let mut turn = lock(&self.turn);
        turn.layers = Arc::new(Layers {
            counts: Arc::new(disk.counts.clone()),
            ..(*turn.layers).clone()
        });
        let published = self.published.load();
        let published = published.with_layers(turn.layers.clone());
        self.published.store(Arc::new(published));
        Ok(())
    }
}

/// What a store is made of when it is opened.
struct Opened {
    db: Arc<Database>,
    base: Arc<Base>,
    leases: Leases,
    damage: Arc<Damage>,
}

impl Opened {
    fn open(options: &Options, files: &Arc<dyn Files>) -> Result<Opened, Error> {
        let damage = Arc::new(Damage::none(files.clone()));
        let told = Some(damage.clone());
        let db = open_file(&**files, STORE_FILE, options.cache_bytes, told)?;
        let db = Arc::new(db);
        let base = Arc::new(Base::open(&db)?);
        let leases = load_leases(&base)?;
        Ok(Opened {
            db,
            base,
            leases,
            damage,
        })
    }
}

/// Opens a redb file. Of damage to the store itself somebody is told.
pub(crate) fn open_file(
    files: &dyn Files,
    name: &str,
    cache_bytes: usize,
    damage: Option<Arc<Damage>>,
) -> Result<Database, Error> {
    let failed = |error: io::Error| match error.get_ref() {
        Some(cause) if cause.is::<DamagedBlock>() => Error::Damaged(error.to_string()),
        _ => Error::Storage(format!("{name}: {error}")),
    };
    let file = files.open(name).map_err(failed)?;
    // What an earlier process wrote and did not sync before it ended may be read now. The log is
    // compacted by what is found here, so it must be durable.
    file.sync_data().map_err(failed)?;
    let blocks = Blocks::open(file, name, damage).map_err(failed)?;
    Builder::new()
        .set_cache_size(cache_bytes)
        .create_with_backend(blocks)
        .map_err(storage)
}

fn failed(error: io::Error) -> Error {
    Error::Storage(format!("{STORE_FILE}: {error}"))
}

fn has_store(files: &dyn Files) -> Result<bool, Error> {
    let names = files.list().map_err(failed)?;
    Ok(names.iter().any(|name| name == STORE_FILE))
}

/// Makes a store if there is none. It gets its name last: a file of that name is a whole store,
/// however the power fails.
fn create(files: &dyn Files, members: &[Member]) -> Result<(), Error> {
    if has_store(files)? {
        return Ok(());
    }
    let names = files.list().map_err(failed)?;
    if names.iter().any(|name| name == UNNAMED_FILE) {
        files.remove(UNNAMED_FILE).map_err(failed)?;
    }
    let db = open_file(files, UNNAMED_FILE, 0, None)?;
    create_tables(&db, members)?;
    db.close().map_err(storage)?;
    files.rename(UNNAMED_FILE, STORE_FILE).map_err(failed)
}

/// Gives a new store its tables and its initial state.
fn create_tables(db: &Database, members: &[Member]) -> Result<(), Error> {
    let mut write = db.begin_write().map_err(storage)?;
    write
        .set_durability(Durability::Immediate)
        .map_err(storage)?;
    write.set_quick_repair(true);
    {
        let mut meta = write.open_table(META).map_err(storage)?;
        let record = Meta::new(Members::of(members.to_vec())).encode(&Sweep::NONE);
        meta.insert(META_KEY, &record[..]).map_err(storage)?;
        write.open_table(ROWS).map_err(storage)?;
        write.open_table(EVENTS).map_err(storage)?;
        write.open_table(LEASES).map_err(storage)?;
        write.open_table(LEASE_KEYS).map_err(storage)?;
    }
    write.commit().map_err(storage)
}
