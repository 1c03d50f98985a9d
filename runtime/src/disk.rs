//! Files as the log sees them: few verbs, so that a simulated disk can stand in for the real one.
//!
//! [`Disk`] is one flat directory and [`File`] one file in it. [`RealDisk`] is the production
//! implementation; [`MemoryDisk`] keeps everything in memory for tests and fuzzing.

mod memory;
mod real;

#[cfg(test)]
mod tests;

use std::io;

pub use memory::MemoryDisk;
pub use real::RealDisk;

/// A directory of files. Names have no separators; a change to the directory itself (a file
/// created, renamed or removed) is durable only after [`Disk::sync_dir`].
pub trait Disk: Send + Sync {
    /// Creates a file, or empties it if there is one.
    ///
    /// # Errors
    /// If the operating system refuses.
    fn create(&self, name: &str) -> io::Result<Box<dyn File>>;

    /// Opens an existing file.
    ///
    /// # Errors
    /// If there is none, or the operating system refuses.
    fn open(&self, name: &str) -> io::Result<Box<dyn File>>;

    /// The names of all files, in no particular order.
    ///
    /// # Errors
    /// If the directory cannot be read.
    fn list(&self) -> io::Result<Vec<String>>;

    /// Renames a file, replacing one that has the new name.
    ///
    /// # Errors
    /// If the operating system refuses.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;

    /// Removes a file.
    ///
    /// # Errors
    /// If there is none, or the operating system refuses.
    fn remove(&self, name: &str) -> io::Result<()>;

    /// Makes all changes to the directory itself durable.
    ///
    /// # Errors
    /// If that failed: the directory must not be trusted any more.
    fn sync_dir(&self) -> io::Result<()>;

    /// Takes an exclusive lock that lasts until the answer is dropped or the process ends, whatever
    /// ends it. `None` if somebody else holds it.
    ///
    /// # Errors
    /// If the operating system refuses.
    fn lock(&self, name: &str) -> io::Result<Option<Lock>>;
}

/// Holds a lock as long as it lives.
pub type Lock = Box<dyn Send + Sync>;

/// One file.
pub trait File: Send {
    /// Its length in bytes.
    ///
    /// # Errors
    /// If the operating system refuses.
    fn size(&self) -> io::Result<u64>;

    /// Reads at `offset` until the buffer is full or the file ends; answers how many bytes it read.
    ///
    /// # Errors
    /// If some of the bytes cannot be read.
    fn read_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<usize>;

    /// Writes all bytes at `offset`. They are durable only after [`File::sync_data`].
    ///
    /// # Errors
    /// If they could not all be written.
    fn write_at(&mut self, bytes: &[u8], offset: u64) -> io::Result<()>;

    /// Makes the file `len` bytes long, zeros where nothing was written, with the space reserved
    /// where the file system can do that.
    ///
    /// # Errors
    /// If there is no space, or the operating system refuses.
    fn preallocate(&mut self, len: u64) -> io::Result<()>;

    /// Cuts the file off after `len` bytes.
    ///
    /// # Errors
    /// If the operating system refuses.
    fn truncate(&mut self, len: u64) -> io::Result<()>;

    /// Makes everything written, and the file's length, durable.
    ///
    /// # Errors
    /// If that failed: what was written since the last success may be lost even if a later call
    /// succeeds, so the caller must stop.
    fn sync_data(&mut self) -> io::Result<()>;
}
