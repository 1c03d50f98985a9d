//! The disk as the log sees it, and as the store sees it.

use std::io;
use std::sync::Arc;

use quorate_runtime::disk::{Disk, File, Lock};
use quorate_service::store::Files;
use redb::StorageBackend;

use super::faults::{Area, DiskFault};
use super::{Inode, SimDisk, State, lock, no_power};

/// The folder of the log.
#[derive(Clone, Debug)]
struct LogFolder(SimDisk);

/// The folder of the store.
#[derive(Clone, Debug)]
struct StoreFolder(SimDisk);

impl SimDisk {
    /// The disk as the log sees it.
    #[must_use]
    pub fn log(&self) -> Arc<dyn Disk> {
        Arc::new(LogFolder(self.clone()))
    }

    /// The disk as the store sees it.
    #[must_use]
    pub fn store(&self) -> Arc<dyn Files> {
        Arc::new(StoreFolder(self.clone()))
    }
}

/// An open file.
#[derive(Debug)]
struct SimFile {
    disk: SimDisk,
    inode: Inode,
    area: Area,
}

impl SimFile {
    fn len(&self) -> usize {
        lock(&self.inode).len()
    }

    fn read(&self, at: u64, out: &mut [u8]) -> io::Result<usize> {
        // A process without power is gone: nobody sees what it reads.
        let mut state = lock(&self.disk.state);
        if state.power == 0 {
            return Err(no_power());
        }
        let at = match state.goes_wrong(self.area, DiskFault::MisplaceRead) {
            true => state.elsewhere(at, self.len()),
            false => at,
        };
        drop(state);
        Ok(lock(&self.inode).read(at, out))
    }

    fn write(&self, at: u64, bytes: &[u8]) -> io::Result<()> {
        let mut state = self.disk.spend()?;
        state.counts.writes += 1;
        state.counts.bytes += bytes.len() as u64;
        let len = self.len();
        if !state.has_room(len, at as usize + bytes.len()) {
            return Err(state.fail(io::ErrorKind::StorageFull));
        }
        if state.goes_wrong(self.area, DiskFault::LoseWrite) {
            return Ok(());
        }
        let at = match state.goes_wrong(self.area, DiskFault::MisplaceWrite) {
            true => state.elsewhere(at, len.saturating_sub(bytes.len())),
            false => at,
        };
        drop(state);
        lock(&self.inode).write(at, bytes)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let len = usize::try_from(len).map_err(|_| io::ErrorKind::FileTooLarge)?;
        let mut state = self.disk.spend()?;
        if !state.has_room(self.len(), len) {
            return Err(state.fail(io::ErrorKind::StorageFull));
        }
        drop(state);
        lock(&self.inode).set_len(len);
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        let mut state = self.disk.spend()?;
        state.counts.syncs += 1;
        if state.goes_wrong(self.area, DiskFault::FailSync) {
            lock(&self.inode).forget_dirty();
            return Err(state.fail(io::ErrorKind::Other));
        }
        // The last operation that there is power for may come to nothing.
        if state.power == 0 && state.choice.choose(2) == 0 {
            return Err(no_power());
        }
        drop(state);
        lock(&self.inode).sync();
        Ok(())
    }
}

impl Disk for LogFolder {
    fn create(&self, name: &str) -> io::Result<Box<dyn File>> {
        let inode = self.0.spend()?.log.create(name);
        Ok(self.file(inode))
    }

    fn open(&self, name: &str) -> io::Result<Box<dyn File>> {
        let state = lock(&self.0.state);
        let inode = state.log.get(name).ok_or(io::ErrorKind::NotFound)?.clone();
        drop(state);
        Ok(self.file(inode))
    }

    fn list(&self) -> io::Result<Vec<String>> {
        Ok(lock(&self.0.state).log.names())
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        found(self.0.spend()?.log.rename(from, to))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        found(self.0.spend()?.log.remove(name))
    }

    fn sync_dir(&self) -> io::Result<()> {
        let mut state = self.0.spend()?;
        if state.power == 0 && state.choice.choose(2) == 0 {
            return Err(no_power());
        }
        state.log.sync();
        Ok(())
    }

    fn lock(&self, _name: &str) -> io::Result<Option<Lock>> {
        // A simulated machine runs one process.
        Ok(Some(Box::new(())))
    }
}

fn found(found: bool) -> io::Result<()> {
    match found {
        true => Ok(()),
        false => Err(io::ErrorKind::NotFound.into()),
    }
}

impl LogFolder {
    fn file(&self, inode: Inode) -> Box<dyn File> {
        Box::new(SimFile {
            disk: self.0.clone(),
            inode,
            area: Area::Log,
        })
    }
}

impl File for SimFile {
    fn size(&self) -> io::Result<u64> {
        Ok(self.len() as u64)
    }

    fn read_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<usize> {
        self.read(offset, bytes)
    }

    fn write_at(&mut self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.write(offset, bytes)
    }

    fn preallocate(&mut self, len: u64) -> io::Result<()> {
        let len = len.max(self.len() as u64);
        self.set_len(len)
    }

    fn truncate(&mut self, len: u64) -> io::Result<()> {
        let len = len.min(self.len() as u64);
        self.set_len(len)
    }

    fn sync_data(&mut self) -> io::Result<()> {
        self.sync()
    }
}

impl StoreFolder {
    /// Changes names. If that takes the last of the power, it may have happened or not.
    fn change(&self, change: impl FnOnce(&mut State)) -> io::Result<()> {
        let mut state = self.0.spend()?;
        let last = state.power == 0;
        if !last || state.choice.choose(2) == 0 {
            change(&mut state);
        }
        match last {
            true => Err(no_power()),
            false => Ok(()),
        }
    }
}

impl Files for StoreFolder {
    fn open(&self, name: &str) -> io::Result<Box<dyn StorageBackend>> {
        let mut state = self.0.spend()?;
        let inode = state.store.entry(name.to_owned()).or_default().clone();
        drop(state);
        lock(&inode).drop_clean();
        Ok(Box::new(SimFile {
            disk: self.0.clone(),
            inode,
            area: Area::Store,
        }))
    }

    fn list(&self) -> io::Result<Vec<String>> {
        Ok(lock(&self.0.state).store.keys().cloned().collect())
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        found(lock(&self.0.state).store.contains_key(from))?;
        self.change(|state| {
            if let Some(inode) = state.store.remove(from) {
                state.store.insert(to.to_owned(), inode);
            }
        })
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.change(|state| {
            state.store.remove(name);
        })
    }

    fn free_bytes(&self) -> io::Result<Option<u64>> {
        Ok(Some(self.0.free_bytes()))
    }

    fn len(&self, name: &str) -> io::Result<u64> {
        let state = lock(&self.0.state);
        let inode = state.store.get(name).ok_or(io::ErrorKind::NotFound)?;
        let len = lock(inode).len();
        Ok(len as u64)
    }
}

impl StorageBackend for SimFile {
    fn len(&self) -> io::Result<u64> {
        Ok(SimFile::len(self) as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        match SimFile::read(self, offset, out)? == out.len() {
            true => Ok(()),
            false => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        SimFile::set_len(self, len)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.sync()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        SimFile::write(self, offset, data)
    }
}
