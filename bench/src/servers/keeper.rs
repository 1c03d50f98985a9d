//! What must not outlive this process: the servers it started and their folders.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use anyhow::{Context, Result};
use rustix::process::{Pid, Signal, kill_process};
use tokio::signal::unix::{SignalKind, signal};

/// What a shell says of a process that was interrupted.
const INTERRUPTED: i32 = 130;

static KEPT: Mutex<Kept> = Mutex::new(Kept {
    processes: BTreeSet::new(),
    folders: BTreeSet::new(),
});

struct Kept {
    processes: BTreeSet<u32>,
    folders: BTreeSet<PathBuf>,
}

fn kept() -> MutexGuard<'static, Kept> {
    KEPT.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Keeps a process in mind.
pub(super) fn add_process(id: u32) {
    kept().processes.insert(id);
}

/// Forgets a process that has ended. Call it before the system is told, which then may use the number
/// for another.
pub(super) fn forget_process(id: u32) {
    kept().processes.remove(&id);
}

/// Sends a signal to a process that was started here.
pub(super) fn send(id: u32, signal: Signal) {
    if let Some(pid) = i32::try_from(id).ok().and_then(Pid::from_raw) {
        // It may have ended by itself, which whoever waits for it will learn.
        let _ = kill_process(pid, signal);
    }
}

/// A folder that goes when the value is dropped.
#[derive(Debug)]
pub(crate) struct Folder(PathBuf);

impl Folder {
    /// A new folder below `root`.
    pub(crate) fn new(root: &Path, name: &str) -> Result<Folder> {
        let path = root.join(format!("quorate-bench-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&path)
            .with_context(|| format!("cannot make {}", path.display()))?;
        kept().folders.insert(path.clone());
        Ok(Folder(path))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What cannot be removed is left, where the user sees it.
        let _ = std::fs::remove_dir_all(&self.0);
        kept().folders.remove(&self.0);
    }
}

/// From now on a signal to end takes all servers and folders along.
pub(crate) fn watch_for_signals() -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let caught = runtime.block_on(async {
        let one = |kind| signal(kind).context("cannot listen for signals");
        anyhow::Ok((
            one(SignalKind::interrupt())?,
            one(SignalKind::terminate())?,
            one(SignalKind::hangup())?,
        ))
    });
    let (mut interrupt, mut terminate, mut hangup) = caught?;
    std::thread::Builder::new()
        .name("signals".to_owned())
        .spawn(move || {
            runtime.block_on(async {
                tokio::select! {
                    _ = interrupt.recv() => {}
                    _ = terminate.recv() => {}
                    _ = hangup.recv() => {}
                }
            });
            // Held to the end, so that nobody starts another server meanwhile.
            let kept = kept();
            for &process in &kept.processes {
                send(process, Signal::KILL);
            }
            for folder in &kept.folders {
                let _ = std::fs::remove_dir_all(folder);
            }
            std::process::exit(INTERRUPTED);
        })
        .context("cannot start a thread")?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_goes_with_its_value() {
        let folder = Folder::new(&std::env::temp_dir(), "test").expect("a place for files");
        let path = folder.path().to_owned();
        std::fs::write(path.join("file"), "text").expect("it can be written to");
        assert!(kept().folders.contains(&path));
        drop(folder);
        assert!(!path.exists());
        assert!(!kept().folders.contains(&path));
    }
}
