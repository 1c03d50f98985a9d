//! A disk that forgets: what was not synced may survive a crash or not, sector by sector.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use quorate_core::Choice;

use crate::disk::{Disk, File, Lock, MemoryDisk};

/// What a disk writes as a whole.
const SECTOR_BYTES: usize = 512;

#[derive(Clone, Default)]
struct Content {
    current: Vec<u8>,
    synced: Vec<u8>,
}

type Shared<T> = Arc<Mutex<T>>;

/// Something done to the directory.
#[derive(Clone)]
enum Change {
    Create(String, Shared<Content>),
    Rename(String, String),
    Remove(String),
}

type Names = BTreeMap<String, Shared<Content>>;

impl Change {
    fn apply(&self, names: &mut Names) {
        match self {
            Change::Create(name, content) => {
                names.insert(name.clone(), content.clone());
            }
            Change::Rename(from, to) => {
                if let Some(content) = names.remove(from) {
                    names.insert(to.clone(), content);
                }
            }
            Change::Remove(name) => {
                names.remove(name);
            }
        }
    }
}

#[derive(Default)]
struct State {
    current: Names,
    synced: Names,
    /// What happened to the directory since it was last synced.
    changes: Vec<Change>,
    /// After so many more writes, syncs and changes, everything fails.
    works_for: Option<u32>,
}

/// The disk. Clones are the same disk.
#[derive(Clone, Default)]
pub(super) struct CrashDisk(Shared<State>);

fn guard<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl CrashDisk {
    /// A disk on which these files are durable.
    pub(super) fn with(files: BTreeMap<String, Vec<u8>>) -> CrashDisk {
        let names: Names = files
            .into_iter()
            .map(|(name, bytes)| {
                let content = Content {
                    current: bytes.clone(),
                    synced: bytes,
                };
                (name, Arc::new(Mutex::new(content)))
            })
            .collect();
        CrashDisk(Arc::new(Mutex::new(State {
            current: names.clone(),
            synced: names,
            ..State::default()
        })))
    }

    /// Fails after so many more operations.
    pub(super) fn fail_after(&self, operations: u32) {
        guard(&self.0).works_for = Some(operations);
    }

    /// What is there after the power was gone.
    pub(super) fn crash(&self, choice: &mut Choice) -> BTreeMap<String, Vec<u8>> {
        let state = guard(&self.0);
        let mut names = state.synced.clone();
        for change in &state.changes {
            if choice.choose(2) == 0 {
                change.apply(&mut names);
            }
        }
        let survived = names
            .into_iter()
            .map(|(name, content)| (name, survived(&guard(&content), choice)));
        survived.collect()
    }
}

/// Each sector is the old one or the new one, and so is the length.
fn survived(content: &Content, choice: &mut Choice) -> Vec<u8> {
    let (old, new) = (&content.synced, &content.current);
    let mut bytes = new.clone();
    bytes.resize(old.len().max(new.len()), 0);
    for start in (0..bytes.len()).step_by(SECTOR_BYTES) {
        let end = (start + SECTOR_BYTES).min(bytes.len());
        let was = old.get(start..end.min(old.len()).max(start)).unwrap_or(&[]);
        if !bytes[start..end].starts_with(was) && choice.choose(2) == 0 {
            bytes[start..start + was.len()].copy_from_slice(was);
            bytes[start + was.len()..end].fill(0);
        } else if was.is_empty() && choice.choose(2) == 0 {
            bytes[start..end].fill(0);
        }
    }
    if choice.choose(2) == 0 {
        bytes.truncate(new.len());
    } else if old.len() > new.len() {
        bytes[new.len()..].copy_from_slice(&old[new.len()..]);
    }
    bytes
}

impl State {
    fn change(&mut self, change: Change) -> io::Result<()> {
        self.work()?;
        change.apply(&mut self.current);
        self.changes.push(change);
        Ok(())
    }

    /// One operation that may be the one that fails.
    fn work(&mut self) -> io::Result<()> {
        match &mut self.works_for {
            Some(0) => Err(io::Error::other("the disk is broken")),
            Some(left) => {
                *left -= 1;
                Ok(())
            }
            None => Ok(()),
        }
    }
}

impl Disk for CrashDisk {
    fn create(&self, name: &str) -> io::Result<Box<dyn File>> {
        let content: Shared<Content> = Arc::default();
        guard(&self.0).change(Change::Create(name.to_owned(), content.clone()))?;
        Ok(Box::new(CrashFile(self.clone(), content)))
    }

    fn open(&self, name: &str) -> io::Result<Box<dyn File>> {
        match guard(&self.0).current.get(name) {
            Some(content) => Ok(Box::new(CrashFile(self.clone(), content.clone()))),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }

    fn list(&self) -> io::Result<Vec<String>> {
        Ok(guard(&self.0).current.keys().cloned().collect())
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        guard(&self.0).change(Change::Rename(from.to_owned(), to.to_owned()))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        guard(&self.0).change(Change::Remove(name.to_owned()))
    }

    fn sync_dir(&self) -> io::Result<()> {
        let mut state = guard(&self.0);
        state.work()?;
        state.synced = state.current.clone();
        state.changes.clear();
        Ok(())
    }

    fn lock(&self, name: &str) -> io::Result<Option<Lock>> {
        MemoryDisk::default().lock(name)
    }
}

struct CrashFile(CrashDisk, Shared<Content>);

impl CrashFile {
    fn change(&self, change: impl FnOnce(&mut Content)) -> io::Result<()> {
        guard(&self.0.0).work()?;
        change(&mut guard(&self.1));
        Ok(())
    }
}

impl File for CrashFile {
    fn size(&self) -> io::Result<u64> {
        Ok(guard(&self.1).current.len() as u64)
    }

    fn read_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<usize> {
        let content = guard(&self.1);
        let start = usize::try_from(offset).map_or(usize::MAX, |at| at);
        let rest = content.current.get(start..).unwrap_or(&[]);
        let count = bytes.len().min(rest.len());
        bytes[..count].copy_from_slice(&rest[..count]);
        Ok(count)
    }

    fn write_at(&mut self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let start = usize::try_from(offset).map_err(|_| io::ErrorKind::FileTooLarge)?;
        self.change(|content| {
            let end = start + bytes.len();
            if content.current.len() < end {
                content.current.resize(end, 0);
            }
            content.current[start..end].copy_from_slice(bytes);
        })
    }

    fn preallocate(&mut self, len: u64) -> io::Result<()> {
        let len = usize::try_from(len).map_err(|_| io::ErrorKind::FileTooLarge)?;
        self.change(|content| {
            let len = len.max(content.current.len());
            content.current.resize(len, 0);
        })
    }

    fn truncate(&mut self, len: u64) -> io::Result<()> {
        let len = usize::try_from(len).map_err(|_| io::ErrorKind::FileTooLarge)?;
        self.change(|content| content.current.truncate(len))
    }

    fn sync_data(&mut self) -> io::Result<()> {
        self.change(|content| content.synced = content.current.clone())
    }
}
