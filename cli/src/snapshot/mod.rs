//! `quorate snapshot`: backups of a cluster, with the options of etcdctl and etcdutl.

mod restore;
mod save;
mod status;

use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use anyhow::{Context, Result};
use clap::{Args, Subcommand, ValueEnum};
use quorate_service::store::snapshot::Contents;

/// Back a cluster up, and begin a new one with what was backed up.
#[derive(Args)]
pub(crate) struct Flags {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Save what one member has into a file, while it serves.
    Save(save::Flags),
    /// Tell what is in a file, and verify all of it.
    Status(status::Flags),
    /// Make the data directory of one member of a new cluster. Each of its members needs one, made of the same
    /// file with the same settings.
    Restore(restore::Flags),
}

/// How to tell what is in a snapshot.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum, Debug)]
enum Format {
    /// Values, separated by commas.
    Simple,
    /// One object.
    Json,
    /// Columns with titles.
    Table,
}

/// Runs the command.
pub(crate) fn run(flags: Flags) -> Result<()> {
    match flags.command {
        Command::Save(flags) => save::run(&flags),
        Command::Status(flags) => status::run(&flags),
        Command::Restore(flags) => restore::run(flags),
    }
}

fn open(file: &Path) -> Result<BufReader<File>> {
    let opened = File::open(file).with_context(|| format!("cannot open {}", file.display()))?;
    Ok(BufReader::with_capacity(1 << 20, opened))
}

/// The file as part of a sentence about what is wrong with it.
fn about(file: &Path) -> String {
    format!("{} cannot be used", file.display())
}

/// What a file says, verified.
fn inspect(file: &Path) -> Result<Contents> {
    let contents = quorate_service::store::snapshot::inspect(open(file)?, false);
    contents.with_context(|| about(file))
}
