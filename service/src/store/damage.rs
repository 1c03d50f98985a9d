//! A store that is not what was written: who notices says so here, durably, so that the next start sets
//! the store aside and the replica is rebuilt from its log or from the others.

use std::io;
use std::sync::{Arc, OnceLock};

use super::STORE_FILE;
use super::files::Files;
use crate::error::Error;

/// Says what is damaged, for the next start and for people.
const MARK_FILE: &str = "damaged";
/// Where a damaged store goes, in place of the one that went there before.
const ASIDE_FILE: &str = "damaged.redb";
/// There from when a store was set aside until its successor holds what was lost.
const REBUILDING_FILE: &str = "rebuilding";
/// There if the log never had what the store began with.
const LATER_FILE: &str = "log-begins-later";

/// Damage to the store, as all its threads see it.
#[derive(Debug)]
pub(crate) struct Damage {
    files: Arc<dyn Files>,
    found: OnceLock<String>,
}

impl Damage {
    pub(crate) fn none(files: Arc<dyn Files>) -> Damage {
        Damage {
            files,
            found: OnceLock::new(),
        }
    }

    /// Something is damaged. What is found first counts.
    pub(crate) fn note(&self, what: &str) {
        if self.found.set(what.to_owned()).is_err() {
            return;
        }
        tracing::error!(what, "the store is damaged");
        if let Err(error) = self.mark(what) {
            // Then the next start finds the damage for itself, or whoever reads it next.
            tracing::error!(%error, "the damage could not be written down");
        }
    }

    fn mark(&self, what: &str) -> io::Result<()> {
        let mark = self.files.open(MARK_FILE)?;
        mark.write(0, what.as_bytes())?;
        mark.sync_data()
    }

    /// What was found, if anything.
    pub(crate) fn found(&self) -> Option<Error> {
        self.found.get().cloned().map(Error::Damaged)
    }

    /// An error on its way up: damage is noted, and whatever came of damage says so. redb refuses
    /// everything once something has failed.
    pub(crate) fn explain(&self, error: Error) -> Error {
        match error {
            Error::Damaged(what) => {
                self.note(&what);
                Error::Damaged(what)
            }
            Error::Storage(what) => self.found().unwrap_or(Error::Storage(what)),
            other => other,
        }
    }
}

/// Whether an earlier incarnation found the store damaged.
pub(super) fn is_marked(files: &dyn Files) -> io::Result<bool> {
    exists(files, MARK_FILE)
}

/// Whether a store was set aside and what it held is not back yet.
pub(super) fn is_rebuilding(files: &dyn Files) -> io::Result<bool> {
    exists(files, REBUILDING_FILE)
}

/// The store holds again what was lost.
pub(super) fn on_rebuilt(files: &dyn Files) -> io::Result<()> {
    match is_rebuilding(files)? {
        true => files.remove(REBUILDING_FILE),
        false => Ok(()),
    }
}

/// Takes a damaged or missing store out of the way. The order is such that whatever a crash leaves,
/// nobody takes the new store for all there ever was.
pub(super) fn set_aside(files: &dyn Files) -> io::Result<()> {
    files.open(REBUILDING_FILE)?.sync_data()?;
    if exists(files, STORE_FILE)? {
        files.rename(STORE_FILE, ASIDE_FILE)?;
    }
    match is_marked(files)? {
        true => files.remove(MARK_FILE),
        false => Ok(()),
    }
}

/// The log is new, and the store is not: it was restored or recovered.
pub(super) fn on_new_log(files: &dyn Files) -> io::Result<()> {
    files.open(LATER_FILE)?.sync_data()
}

/// Whether the log never had what the store began with.
pub(super) fn log_begins_later(files: &dyn Files) -> io::Result<bool> {
    exists(files, LATER_FILE)
}

fn exists(files: &dyn Files, wanted: &str) -> io::Result<bool> {
    Ok(files.list()?.iter().any(|name| name == wanted))
}
