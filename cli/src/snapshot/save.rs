//! `quorate snapshot save`.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use clap::Args;

use crate::ctl::Connection;
use crate::failure;

/// Save what one member has into a file, while it serves.
#[derive(Args)]
pub(super) struct Flags {
    /// The file; one that is there already is replaced once the new one is whole.
    file: PathBuf,

    #[command(flatten)]
    connection: Connection,
}

/// The file gets its name when it is whole and durable.
pub(super) fn run(flags: &Flags) -> Result<()> {
    if flags.connection.endpoints.len() != 1 {
        return failure::usage("a snapshot is of one member; give --endpoints just one");
    }
    let part = {
        let mut name = flags.file.clone().into_os_string();
        name.push(".part");
        PathBuf::from(name)
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let saved = runtime.block_on(receive(flags, &part));
    if saved.is_err() {
        // If it was never made there is nothing to remove.
        let _ = fs::remove_file(&part);
    }
    saved?;
    let contents = super::inspect(&part)?;
    rename(&part, &flags.file)?;
    let line = format!(
        "saved revision {} in {}\n",
        contents.revision,
        flags.file.display()
    );
    failure::print(line.as_bytes())
}

async fn receive(flags: &Flags, part: &Path) -> Result<()> {
    let at = || format!("cannot write {}", part.display());
    let client = flags.connection.client()?;
    let mut backup = client.snapshot().await?;
    let mut file = OpenOptions::new()
        .create(true)
        .write(true)
        .truncate(true)
        // It holds everything that is in the cluster.
        .mode(0o600)
        .open(part)
        .with_context(at)?;
    let mut left = None;
    while let Some(piece) = backup.next().await? {
        file.write_all(&piece.blob).with_context(at)?;
        left = Some(piece.remaining_bytes);
    }
    ensure!(
        left == Some(0),
        "the member ended before the snapshot did; try again"
    );
    file.sync_all().with_context(at)
}

fn rename(from: &Path, to: &Path) -> Result<()> {
    let at = || format!("cannot name {}", to.display());
    fs::rename(from, to).with_context(at)?;
    let parent = to.parent().filter(|parent| !parent.as_os_str().is_empty());
    let parent = parent.unwrap_or(Path::new("."));
    File::open(parent)
        .and_then(|parent| parent.sync_all())
        .with_context(at)
}
