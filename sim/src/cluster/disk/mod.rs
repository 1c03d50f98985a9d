//! One simulated disk: what a machine keeps when its process ends, or its power fails.
//!
//! It holds the two folders of a replica: the log's, as a `runtime::disk::Disk`, and the store's, as
//! `service::store::Files`. Bytes are durable after a sync of their file; names in the log's folder
//! after a sync of the folder, those in the store's at once, as the two traits say. When the power fails,
//! every sector written since is there or not, and so is every change of a name. Beyond that a disk
//! can be told to fail: to be full, to refuse a sync, to lose or misplace a write, to rot.

mod content;
mod faults;
mod files;
mod folder;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use quorate_core::Choice;

use content::Content;
use folder::Folder;

pub use faults::{Area, DiskFault};

/// What is read and written as one: a torn write is torn between two of these.
const SECTOR_BYTES: usize = 512;

/// A file under whatever name, or under none as long as somebody has it open.
type Inode = Arc<Mutex<Content>>;

/// The disk. Clones are the same disk.
#[derive(Clone, Debug)]
pub struct SimDisk {
    state: Arc<Mutex<State>>,
}

#[derive(Debug)]
struct State {
    log: Folder,
    store: BTreeMap<String, Inode>,
    choice: Choice,
    /// How many more operations there is power for.
    power: u64,
    /// How many bytes may be in all files together.
    capacity: u64,
    /// What goes wrong next, per area.
    armed: Vec<(Area, DiskFault)>,
    /// Whether an operation failed because it was told to.
    failed: bool,
    counts: DiskCounts,
}

/// What a disk has done.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct DiskCounts {
    /// Writes.
    pub writes: u64,
    /// Bytes written.
    pub bytes: u64,
    /// Syncs of files.
    pub syncs: u64,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A panic is caught where a replica's work is done, and its disk is still a disk.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn no_power() -> io::Error {
    io::Error::other("there is no power")
}

impl SimDisk {
    /// An empty disk. The seed decides what survives when its power fails.
    #[must_use]
    pub fn new(seed: u64) -> SimDisk {
        SimDisk {
            state: Arc::new(Mutex::new(State {
                log: Folder::default(),
                store: BTreeMap::new(),
                choice: Choice::Seeded(seed),
                power: u64::MAX,
                capacity: u64::MAX,
                armed: Vec::new(),
                failed: false,
                counts: DiskCounts::default(),
            })),
        }
    }

    /// From now on there is power for so many operations.
    pub fn set_power(&self, operations: u64) {
        lock(&self.state).power = operations;
    }

    /// Whether there is no power left, or an operation failed because it was told to.
    #[must_use]
    pub fn has_failed(&self) -> bool {
        let state = lock(&self.state);
        state.power == 0 || state.failed
    }

    /// The power fails and comes back: what was not synced is there in part. Whoever still has a
    /// file open has an old one.
    pub fn crash(&self) {
        let mut state = lock(&self.state);
        let State {
            log,
            store,
            choice,
            power,
            failed,
            ..
        } = &mut *state;
        // What came before a sync that never happened is often there, or not there at all, as a whole.
        let mood = Mood::draw(choice);
        log.crash(choice, mood);
        for inode in store.values_mut() {
            *inode = content::survivor(inode, choice, mood);
        }
        *power = u64::MAX;
        *failed = false;
    }

    /// The process ends and the machine goes on: what was written is there, durable or not.
    pub fn kill(&self) {
        let mut state = lock(&self.state);
        state.log.kill();
        for inode in state.store.values_mut() {
            // Whoever still has it open must not write to it any more.
            *inode = content::handed_on(inode);
        }
        state.power = u64::MAX;
        state.failed = false;
    }

    /// What it has done so far.
    #[must_use]
    pub fn counts(&self) -> DiskCounts {
        lock(&self.state).counts
    }

    /// Spends power on an operation.
    fn spend(&self) -> io::Result<MutexGuard<'_, State>> {
        let mut state = lock(&self.state);
        match state.power {
            0 => Err(no_power()),
            _ => {
                state.power -= 1;
                Ok(state)
            }
        }
    }
}

/// How much of what was not synced survives.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Mood {
    /// Nothing.
    Nothing,
    /// Everything.
    Everything,
    /// Any of it.
    Parts,
}

impl Mood {
    fn draw(choice: &mut Choice) -> Mood {
        match choice.choose(4) {
            0 => Mood::Nothing,
            1 => Mood::Everything,
            _ => Mood::Parts,
        }
    }

    /// Whether one thing survives.
    fn survives(self, choice: &mut Choice) -> bool {
        match self {
            Mood::Nothing => false,
            Mood::Everything => true,
            Mood::Parts => choice.choose(2) == 0,
        }
    }
}
