//! The seam between the store and the disk: where its few files are. A simulator puts its own disk
//! here, and the store above is the one that runs in production.

use std::fmt::Debug;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::path::PathBuf;

use redb::StorageBackend;
use redb::backends::FileBackend;

/// The files of a store, by name.
pub trait Files: Debug + Send + Sync {
    /// Opens a file for reading and writing; creates it, durably, if it is not there. What is read is
    /// what the disk holds or still will: nothing that an earlier process failed to sync.
    ///
    /// # Errors
    /// If the disk fails.
    fn open(&self, name: &str) -> io::Result<Box<dyn StorageBackend>>;

    /// The names of all files.
    ///
    /// # Errors
    /// If the disk fails.
    fn list(&self) -> io::Result<Vec<String>>;

    /// Gives a file another name, in place of the file that has it now. Atomic, and durable
    /// afterwards. Whoever has the replaced file open goes on with it.
    ///
    /// # Errors
    /// If the disk fails.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;

    /// Removes a file.
    ///
    /// # Errors
    /// If the disk fails.
    fn remove(&self, name: &str) -> io::Result<()>;

    /// The length of a file.
    ///
    /// # Errors
    /// If the disk fails.
    fn len(&self, name: &str) -> io::Result<u64>;

    /// How much room is left, if that is known.
    ///
    /// # Errors
    /// If the disk fails.
    fn free_bytes(&self) -> io::Result<Option<u64>> {
        Ok(None)
    }
}

/// The files of a real directory.
#[derive(Clone, Debug)]
pub struct Directory {
    path: PathBuf,
}

impl Directory {
    /// The directory, which is created if it is not there, for its owner only.
    ///
    /// # Errors
    /// If the disk fails.
    pub fn open(path: PathBuf) -> io::Result<Directory> {
        let mut builder = DirBuilder::new();
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.recursive(true).create(&path)?;
        if let Some(parent) = path
            .parent()
            .filter(|parent| !parent.as_os_str().is_empty())
        {
            File::open(parent)?.sync_all()?;
        }
        Ok(Directory { path })
    }

    fn sync(&self) -> io::Result<()> {
        File::open(&self.path)?.sync_all()
    }
}

impl Files for Directory {
    fn open(&self, name: &str) -> io::Result<Box<dyn StorageBackend>> {
        let mut options = OpenOptions::new();
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let file = options
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(self.path.join(name))?;
        self.sync()?;
        // After a sync has failed, the operating system takes for written what it never will write, and
        // shows it to whoever reads (Rebello et al., "Can applications recover from fsync failures?",
        // 2020). So whatever it takes for written is to be read from the disk again.
        #[cfg(target_os = "linux")]
        rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed)?;
        let backend = FileBackend::new(file).map_err(io::Error::other)?;
        Ok(Box::new(backend))
    }

    fn list(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.path)? {
            if let Ok(name) = entry?.file_name().into_string() {
                names.push(name);
            }
        }
        names.sort();
        Ok(names)
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        fs::rename(self.path.join(from), self.path.join(to))?;
        self.sync()
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        fs::remove_file(self.path.join(name))?;
        self.sync()
    }

    fn len(&self, name: &str) -> io::Result<u64> {
        Ok(fs::metadata(self.path.join(name))?.len())
    }

    fn free_bytes(&self) -> io::Result<Option<u64>> {
        let known = rustix::fs::statvfs(&self.path)?;
        // What is left for those who are not root.
        Ok(Some(known.f_bavail.saturating_mul(known.f_frsize)))
    }
}
