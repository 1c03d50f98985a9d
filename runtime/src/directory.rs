//! The data directory: whose it is, and that only one process uses it.

use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use quorate_core::NodeId;

use crate::disk::{Disk, Lock, RealDisk};

#[cfg(test)]
mod tests;

/// The version of the layout that this code writes, and the newest that it reads.
const VERSION: u32 = 1;
const MAGIC: [u8; 8] = *b"QUORDIR\0";
const BYTES: usize = 32;
/// Where it stands whose directory this is: twice, so that one can be lost, or damaged.
const IDENTITIES: [&str; 2] = ["identity", "identity.copy"];
const LOCK: &str = "lock";
const LOG: &str = "log";

/// Whose data a directory holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Identity {
    /// The cluster.
    pub cluster: u64,
    /// The member of it.
    pub member: NodeId,
}

/// A data directory, locked as long as this or a clone of it lives.
#[derive(Clone)]
pub struct Directory {
    path: PathBuf,
    identity: Identity,
    is_new: bool,
    disk: Arc<RealDisk>,
    _lock: Arc<Lock>,
}

/// Why a data directory cannot be used.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "each says it in its message")]
pub enum DirectoryError {
    #[error("cannot {verb} {}: {source}", path.display())]
    Io {
        verb: &'static str,
        path: PathBuf,
        source: io::Error,
    },
    #[error("{} is not a directory: move it away, or choose another data directory", .0.display())]
    NotADirectory(PathBuf),
    #[error(
        "others may open the data directory {} (mode {mode:03o}): run `chmod 700 {}`",
        path.display(),
        path.display()
    )]
    TooOpen { path: PathBuf, mode: u32 },
    #[error(
        "another process uses the data directory {}: stop it, or choose another data directory",
        .0.display()
    )]
    Locked(PathBuf),
    #[error(
        "the data directory {} belongs to cluster {:x}, not to {:x}: \
         check --initial-cluster, --initial-cluster-token and --protocol, or choose another data directory",
        path.display(), found.cluster, wanted.cluster
    )]
    OtherCluster {
        path: PathBuf,
        found: Identity,
        wanted: Identity,
    },
    #[error(
        "the data directory {} belongs to member {:x} of this cluster, not to {:x}: \
         check --name and --data-dir",
        path.display(), found.member.0, wanted.member.0
    )]
    OtherMember {
        path: PathBuf,
        found: Identity,
        wanted: Identity,
    },
    #[error(
        "the data directory {} has format version {version}, this program knows versions up to \
         {VERSION}: start the program that wrote it, or a newer one",
        path.display()
    )]
    Newer { path: PathBuf, version: u32 },
    #[error(
        "the file {} is damaged: restore it from a backup, or remove this member, and add it \
         again with an empty data directory",
        .0.display()
    )]
    Damaged(PathBuf),
    #[error(
        "two files in {} say whose it is, {} and {}, and each another: one of them was put there from elsewhere; \
         move the one that does not belong there away",
        .0.display(), IDENTITIES[0], IDENTITIES[1]
    )]
    Contradictory(PathBuf),
}

impl Directory {
    /// Opens or creates the directory and locks it. It becomes `identity`'s with
    /// [`Directory::seal`].
    ///
    /// # Errors
    /// If it is somebody else's, in use, of a newer format, open to others, or cannot be used.
    pub fn open(path: &Path, identity: Identity) -> Result<Directory, DirectoryError> {
        create(path)?;
        let disk = RealDisk::new(path).map_err(at("open", path))?;
        let lock = disk.lock(LOCK).map_err(at("lock", &path.join(LOCK)))?;
        let lock = lock.ok_or_else(|| DirectoryError::Locked(path.to_owned()))?;
        let disk = Arc::new(disk);
        let found = read_identity(path)?;
        if let Some(found) = found {
            let (path, wanted) = (path.to_owned(), identity);
            if found.cluster != wanted.cluster {
                return Err(DirectoryError::OtherCluster {
                    path,
                    found,
                    wanted,
                });
            }
            if found.member != wanted.member {
                return Err(DirectoryError::OtherMember {
                    path,
                    found,
                    wanted,
                });
            }
        }
        let directory = Directory {
            path: path.to_owned(),
            identity,
            is_new: found.is_none(),
            disk,
            _lock: Arc::new(lock),
        };
        if !directory.is_new {
            directory.restore_identity()?;
        }
        Ok(directory)
    }

    /// Whose data an existing directory holds; nothing if it is new. Takes no lock.
    ///
    /// # Errors
    /// If it cannot be read, is damaged or of a newer format.
    pub fn identity_at(path: &Path) -> Result<Option<Identity>, DirectoryError> {
        read_identity(path)
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whose data it holds, or will hold.
    #[must_use]
    pub fn identity(&self) -> Identity {
        self.identity
    }

    /// Whether nobody's data is in it yet.
    #[must_use]
    pub fn is_new(&self) -> bool {
        self.is_new
    }

    /// The files of the log.
    ///
    /// # Errors
    /// If their directory cannot be created or opened.
    pub fn log_disk(&self) -> Result<Arc<dyn Disk>, DirectoryError> {
        let path = self.path.join(LOG);
        create(&path)?;
        let disk = RealDisk::new(&path).map_err(at("open", &path))?;
        Ok(Arc::new(disk))
    }

    /// Writes down, durably, whose directory this is. Done when the log exists: a directory with
    /// an identity and without a log has lost its log.
    ///
    /// # Errors
    /// If writing failed.
    pub fn seal(&mut self) -> Result<(), DirectoryError> {
        if !self.is_new {
            return Ok(());
        }
        self.write_identity(IDENTITIES)?;
        self.is_new = false;
        Ok(())
    }

    /// One of the two may have been damaged, or never been written before the power failed.
    fn restore_identity(&self) -> Result<(), DirectoryError> {
        for name in IDENTITIES {
            let path = self.path.join(name);
            if !matches!(read_copy(&path, &self.path), Ok(Some(_))) {
                tracing::warn!(file = %path.display(), "it was damaged or missing, and is written again");
                self.write_identity([name])?;
            }
        }
        Ok(())
    }

    /// Writes a small file of the layer above, durably and all of it or nothing.
    ///
    /// # Errors
    /// If writing failed.
    pub fn keep(&self, name: &str, bytes: &[u8]) -> Result<(), DirectoryError> {
        let written = self.write(name, &format!("{name}.next"), bytes);
        written.map_err(at("write", &self.path.join(name)))
    }

    fn write_identity<const N: usize>(&self, names: [&str; N]) -> Result<(), DirectoryError> {
        let bytes = encode(self.identity);
        names
            .into_iter()
            .try_for_each(|name| self.keep(name, &bytes))
    }

    fn write(&self, name: &str, unnamed: &str, bytes: &[u8]) -> io::Result<()> {
        let mut file = self.disk.create(unnamed)?;
        file.write_at(bytes, 0)?;
        file.sync_data()?;
        self.disk.rename(unnamed, name)?;
        self.disk.sync_dir()
    }
}

/// Creates a directory for us alone, or makes sure that an existing one is.
fn create(path: &Path) -> Result<(), DirectoryError> {
    let made = fs::DirBuilder::new().mode(0o700).create(path);
    match made {
        Ok(()) => {
            // The new directory is an entry in its parent, which must be durable too.
            let parent = match path.parent() {
                Some(parent) if !parent.as_os_str().is_empty() => parent,
                _ => Path::new("."),
            };
            let parent = fs::File::open(parent).map_err(at("open", parent))?;
            return parent
                .sync_all()
                .map_err(at("sync the directory above", path));
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let parent = path.parent().filter(|above| !above.as_os_str().is_empty());
            let Some(parent) = parent else {
                return Err(at("create", path)(error));
            };
            create(parent)?;
            return create(path);
        }
        Err(error) => return Err(at("create", path)(error)),
    }
    let metadata = fs::metadata(path).map_err(at("look at", path))?;
    if !metadata.is_dir() {
        return Err(DirectoryError::NotADirectory(path.to_owned()));
    }
    let mode = metadata.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(DirectoryError::TooOpen {
            path: path.to_owned(),
            mode,
        });
    }
    Ok(())
}

fn encode(identity: Identity) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(BYTES);
    bytes.extend_from_slice(&MAGIC);
    bytes.extend_from_slice(&VERSION.to_le_bytes());
    bytes.extend_from_slice(&[0; 4]);
    bytes.extend_from_slice(&identity.cluster.to_le_bytes());
    bytes.extend_from_slice(&identity.member.0.to_le_bytes());
    let crc = checksum(&bytes);
    bytes[12..16].copy_from_slice(&crc.to_le_bytes());
    bytes
}

fn checksum(bytes: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&bytes[..12]), &bytes[16..])
}

/// What either copy says. Damage to one is none as long as the other can be read; that there is none at all is
/// only certain if neither says anything.
fn read_identity(path: &Path) -> Result<Option<Identity>, DirectoryError> {
    let [first, second] = IDENTITIES.map(|name| read_copy(&path.join(name), path));
    match (first, second) {
        // Whoever wrote that knows more.
        (Err(newer @ DirectoryError::Newer { .. }), _)
        | (_, Err(newer @ DirectoryError::Newer { .. })) => Err(newer),
        (Ok(Some(one)), Ok(Some(other))) if one != other => {
            Err(DirectoryError::Contradictory(path.to_owned()))
        }
        (Ok(Some(found)), _) | (_, Ok(Some(found))) => Ok(Some(found)),
        (Err(error), _) | (_, Err(error)) => Err(error),
        (Ok(None), Ok(None)) => Ok(None),
    }
}

fn read_copy(file: &Path, path: &Path) -> Result<Option<Identity>, DirectoryError> {
    let bytes = match fs::read(file) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(at("read", file)(error)),
    };
    let number = |at: usize| u64::from_le_bytes(std::array::from_fn(|i| bytes[at + i]));
    let damaged = || DirectoryError::Damaged(file.to_owned());
    if bytes.len() < BYTES || bytes[..8] != MAGIC {
        return Err(damaged());
    }
    let (version, crc) = (number(8) as u32, (number(8) >> 32) as u32);
    if crc != checksum(&bytes) {
        return Err(damaged());
    }
    // Version and checksum keep their places in all versions.
    if version != VERSION {
        return Err(DirectoryError::Newer {
            path: path.to_owned(),
            version,
        });
    }
    Ok(Some(Identity {
        cluster: number(16),
        member: NodeId(number(24)),
    }))
}

fn at(verb: &'static str, path: &Path) -> impl FnOnce(io::Error) -> DirectoryError {
    let path = path.to_owned();
    move |source| DirectoryError::Io { verb, path, source }
}
