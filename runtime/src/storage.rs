//! A data directory with its log opened: what a replica starts from.

use std::time::{SystemTime, UNIX_EPOCH};

use quorate_core::{Frame, Survival, Wire};

use crate::directory::{Directory, DirectoryError, Identity};
use crate::log::{Log, LogError, LogOptions, Recovered};
use crate::random_seed;

/// An open log in a locked data directory.
pub struct Storage {
    directory: Directory,
    pub(crate) log: Log,
    recovered: Recovered,
}

/// Why the storage cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StorageError {
    /// The directory is of no use.
    #[error(transparent)]
    Directory(#[from] DirectoryError),
    /// The log is of no use.
    #[error(transparent)]
    Log(#[from] LogError),
}

impl Storage {
    /// Opens the log of a directory, and makes the directory its owner's if it is new. The new
    /// incarnation is durable when this returns.
    ///
    /// # Errors
    /// If files cannot be read or written, or a newer version wrote them.
    pub fn open(mut directory: Directory, segment_bytes: u64) -> Result<Storage, StorageError> {
        let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH);
        let options = LogOptions {
            segment_bytes,
            seed: random_seed(),
            expected: !directory.is_new(),
            incarnation_after_loss: since_1970
                .map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(0)),
        };
        let (log, recovered) = Log::open(directory.log_disk()?, &options)?;
        directory.seal()?;
        if recovered.survival == Survival::Damaged {
            tracing::error!(
                directory = %directory.path().display(),
                "something that was acknowledged cannot be read from the log: \
                 this replica may have forgotten promises"
            );
        }
        Ok(Storage {
            directory,
            log,
            recovered,
        })
    }

    /// Whose it is.
    #[must_use]
    pub fn identity(&self) -> Identity {
        self.directory.identity()
    }

    /// How often the replica was started, this time included.
    #[must_use]
    pub fn incarnation(&self) -> u64 {
        self.recovered.incarnation
    }

    /// What became of the records of earlier incarnations.
    #[must_use]
    pub fn survival(&self) -> Survival {
        self.recovered.survival
    }

    /// The application lost its state. If the log has every record there ever was, that is no loss; if
    /// some were dropped, or the state began before the log (`begins_later`), then what is left is not all
    /// that was promised.
    pub fn on_state_lost(&mut self, begins_later: bool) {
        if begins_later || self.recovered.is_compacted() {
            self.recovered.survival = Survival::Damaged;
        }
    }

    pub(crate) fn durable(&self) -> Frame {
        self.recovered.durable
    }

    pub(crate) fn records<R: Wire>(&self) -> Result<Vec<(Frame, R)>, LogError> {
        self.recovered.records()
    }

    /// Keeps the lock, gives away the log.
    pub(crate) fn into_parts(self) -> (Directory, Log) {
        (self.directory, self.log)
    }
}
