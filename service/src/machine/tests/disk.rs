//! A disk in memory that loses power: what was not synced survives sector by sector, or not.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex};

use quorate_core::Choice;
use redb::StorageBackend;

use crate::store::Files;
use crate::store::shared::lock;

const SECTOR_BYTES: usize = 512;

/// The disk. Clones are the same disk.
#[derive(Clone, Debug)]
pub(super) struct SimDisk {
    state: Arc<Mutex<State>>,
}

#[derive(Debug)]
struct State {
    names: BTreeMap<String, Arc<Mutex<Inode>>>,
    choice: Choice,
    /// How many more operations there is power for.
    power: u64,
    /// The file that there is no room for any more, if there is one.
    refused: Option<Arc<Mutex<Inode>>>,
}

/// A file, under whatever name.
#[derive(Debug, Default)]
struct Inode {
    /// As processes see it.
    now: Vec<u8>,
    /// As it was at the last sync.
    synced: Vec<u8>,
    /// What was done since.
    pending: Vec<Pending>,
}

#[derive(Debug)]
enum Pending {
    Write(usize, Vec<u8>),
    Len(usize),
}

impl SimDisk {
    pub(super) fn new(seed: u64) -> SimDisk {
        SimDisk {
            state: Arc::new(Mutex::new(State {
                names: BTreeMap::new(),
                choice: Choice::Seeded(seed),
                power: u64::MAX,
                refused: None,
            })),
        }
    }

    /// From now on there is power for so many operations.
    pub(super) fn set_power(&self, operations: u64) {
        lock(&self.state).power = operations;
    }

    /// The power fails and comes back: what was not synced is there in part.
    pub(super) fn crash(&self) {
        let mut state = lock(&self.state);
        let State { names, choice, .. } = &mut *state;
        // Files in use by processes of before are not these any more.
        for inode in names.values_mut() {
            let old = std::mem::take(&mut *lock(inode));
            let mut bytes = old.synced;
            for pending in old.pending {
                pending.survive_in_part(&mut bytes, choice);
            }
            *inode = Arc::new(Mutex::new(Inode {
                now: bytes.clone(),
                synced: bytes,
                pending: Vec::new(),
            }));
        }
        state.power = u64::MAX;
    }

    /// Whether there is no power left.
    pub(super) fn is_off(&self) -> bool {
        lock(&self.state).power == 0
    }

    /// From now on there is no room for this file.
    pub(super) fn refuse(&self, name: &str) {
        let mut state = lock(&self.state);
        state.refused = state.names.get(name).cloned();
    }

    /// Changes one bit wherever these bytes are. Answers how often they were there.
    pub(super) fn damage(&self, needle: &[u8]) -> usize {
        let mut found = 0;
        for inode in lock(&self.state).names.values() {
            let mut inode = lock(inode);
            let places: Vec<usize> = inode
                .now
                .windows(needle.len())
                .enumerate()
                .filter(|(_, bytes)| *bytes == needle)
                .map(|(at, _)| at)
                .collect();
            for at in places {
                inode.now[at] ^= 1;
                found += 1;
            }
        }
        found
    }

    fn spend(&self) -> io::Result<()> {
        let mut state = lock(&self.state);
        if state.power == 0 {
            return Err(io::Error::other("there is no power"));
        }
        state.power -= 1;
        Ok(())
    }

    /// Changes names. If that takes the last of the power, it may have happened or not.
    fn change_names(
        &self,
        change: impl FnOnce(&mut BTreeMap<String, Arc<Mutex<Inode>>>),
    ) -> io::Result<()> {
        self.spend()?;
        let mut state = lock(&self.state);
        let last = state.power == 0;
        if !last || state.choice.choose(2) == 0 {
            change(&mut state.names);
        }
        match last {
            true => Err(io::Error::other("the power failed")),
            false => Ok(()),
        }
    }
}

impl Pending {
    fn apply(&self, bytes: &mut Vec<u8>) {
        match self {
            Pending::Len(len) => bytes.resize(*len, 0),
            Pending::Write(at, data) => {
                let end = at + data.len();
                if bytes.len() < end {
                    bytes.resize(end, 0);
                }
                bytes[*at..end].copy_from_slice(data);
            }
        }
    }

    fn survive_in_part(self, bytes: &mut Vec<u8>, choice: &mut Choice) {
        match self {
            Pending::Len(_) => {
                if choice.choose(2) == 0 {
                    self.apply(bytes);
                }
            }
            Pending::Write(at, data) => {
                for (number, sector) in data.chunks(SECTOR_BYTES).enumerate() {
                    if choice.choose(2) == 0 {
                        let at = at + number * SECTOR_BYTES;
                        Pending::Write(at, sector.to_vec()).apply(bytes);
                    }
                }
            }
        }
    }
}

impl Files for SimDisk {
    fn open(&self, name: &str) -> io::Result<Box<dyn StorageBackend>> {
        self.spend()?;
        let mut state = lock(&self.state);
        let inode = state.names.entry(name.to_owned()).or_default().clone();
        Ok(Box::new(SimFile {
            inode,
            disk: self.clone(),
        }))
    }

    fn list(&self) -> io::Result<Vec<String>> {
        Ok(lock(&self.state).names.keys().cloned().collect())
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        if !lock(&self.state).names.contains_key(from) {
            return Err(io::ErrorKind::NotFound.into());
        }
        self.change_names(|names| {
            let inode = names.remove(from).expect("it was there");
            names.insert(to.to_owned(), inode);
        })
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.change_names(|names| {
            names.remove(name);
        })
    }

    fn len(&self, name: &str) -> io::Result<u64> {
        let inode = lock(&self.state).names.get(name).cloned();
        let inode = inode.ok_or(io::ErrorKind::NotFound)?;
        let len = lock(&inode).now.len();
        Ok(len as u64)
    }
}

#[derive(Debug)]
struct SimFile {
    inode: Arc<Mutex<Inode>>,
    disk: SimDisk,
}

impl SimFile {
    fn change(&self, pending: Pending) -> io::Result<()> {
        self.disk.spend()?;
        let refused = lock(&self.disk.state).refused.clone();
        if refused.is_some_and(|refused| Arc::ptr_eq(&refused, &self.inode)) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let mut inode = lock(&self.inode);
        pending.apply(&mut inode.now);
        inode.pending.push(pending);
        Ok(())
    }
}

impl StorageBackend for SimFile {
    fn len(&self) -> io::Result<u64> {
        Ok(lock(&self.inode).now.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let inode = lock(&self.inode);
        let start = offset as usize;
        let bytes = inode.now.get(start..start + out.len());
        out.copy_from_slice(bytes.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.change(Pending::Len(len as usize))
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.change(Pending::Write(offset as usize, data.to_vec()))
    }

    fn sync_data(&self) -> io::Result<()> {
        self.disk.spend()?;
        let mut inode = lock(&self.inode);
        let Inode {
            synced, pending, ..
        } = &mut *inode;
        for pending in pending.drain(..) {
            pending.apply(synced);
        }
        Ok(())
    }
}
