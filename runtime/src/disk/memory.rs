//! Files in memory: for tests and fuzzing.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{Disk, File, Lock};

type Content = Arc<Mutex<Vec<u8>>>;

/// A directory in memory. Clones share the files; everything is durable at once, so a crash is
/// what a test does to [`MemoryDisk::files`].
#[derive(Clone, Default, Debug)]
pub struct MemoryDisk {
    files: Arc<Mutex<BTreeMap<String, Content>>>,
    locks: Arc<Mutex<BTreeMap<String, Arc<()>>>>,
}

fn guard<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing panics while it holds one of these locks, and if it did the bytes are still bytes.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl MemoryDisk {
    /// A copy of all files.
    #[must_use]
    pub fn files(&self) -> BTreeMap<String, Vec<u8>> {
        guard(&self.files)
            .iter()
            .map(|(name, content)| (name.clone(), guard(content).clone()))
            .collect()
    }

    /// A new disk with these files.
    #[must_use]
    pub fn with(files: BTreeMap<String, Vec<u8>>) -> MemoryDisk {
        let files = files
            .into_iter()
            .map(|(name, bytes)| (name, Arc::new(Mutex::new(bytes))))
            .collect();
        MemoryDisk {
            files: Arc::new(Mutex::new(files)),
            locks: Arc::default(),
        }
    }
}

impl Disk for MemoryDisk {
    fn create(&self, name: &str) -> io::Result<Box<dyn File>> {
        let content = Content::default();
        guard(&self.files).insert(name.to_owned(), content.clone());
        Ok(Box::new(MemoryFile(content)))
    }

    fn open(&self, name: &str) -> io::Result<Box<dyn File>> {
        match guard(&self.files).get(name) {
            Some(content) => Ok(Box::new(MemoryFile(content.clone()))),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }

    fn list(&self) -> io::Result<Vec<String>> {
        Ok(guard(&self.files).keys().cloned().collect())
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut files = guard(&self.files);
        let content = files.remove(from).ok_or(io::ErrorKind::NotFound)?;
        files.insert(to.to_owned(), content);
        Ok(())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        match guard(&self.files).remove(name) {
            Some(_) => Ok(()),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }

    fn sync_dir(&self) -> io::Result<()> {
        Ok(())
    }

    fn lock(&self, name: &str) -> io::Result<Option<Lock>> {
        let mut locks = guard(&self.locks);
        let lock = locks.entry(name.to_owned()).or_default();
        // One count is the table's own; a second one is somebody's lock.
        Ok((Arc::strong_count(lock) == 1).then(|| Box::new(lock.clone()) as Lock))
    }
}

struct MemoryFile(Content);

impl File for MemoryFile {
    fn size(&self) -> io::Result<u64> {
        Ok(guard(&self.0).len() as u64)
    }

    fn read_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<usize> {
        let content = guard(&self.0);
        let start = usize::try_from(offset).map_or(content.len(), |at| at.min(content.len()));
        let count = bytes.len().min(content.len() - start);
        bytes[..count].copy_from_slice(&content[start..start + count]);
        Ok(count)
    }

    fn write_at(&mut self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let mut content = guard(&self.0);
        let start = usize::try_from(offset).map_err(|_| io::ErrorKind::FileTooLarge)?;
        let end = start + bytes.len();
        if content.len() < end {
            content.resize(end, 0);
        }
        content[start..end].copy_from_slice(bytes);
        Ok(())
    }

    fn preallocate(&mut self, len: u64) -> io::Result<()> {
        let len = usize::try_from(len).map_err(|_| io::ErrorKind::FileTooLarge)?;
        let mut content = guard(&self.0);
        if content.len() < len {
            content.resize(len, 0);
        }
        Ok(())
    }

    fn truncate(&mut self, len: u64) -> io::Result<()> {
        let len = usize::try_from(len).map_err(|_| io::ErrorKind::FileTooLarge)?;
        guard(&self.0).truncate(len);
        Ok(())
    }

    fn sync_data(&mut self) -> io::Result<()> {
        Ok(())
    }
}
