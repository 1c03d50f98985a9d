//! `quorate member`: changes of the list of members that take several steps.

mod replace;

use anyhow::Result;
use clap::{Args, Subcommand};

use crate::ctl::Connection;

/// Change who takes part in a cluster, in safe steps. Single steps are `quorate ctl member`.
#[derive(Args)]
pub(crate) struct Flags {
    #[command(flatten)]
    connection: Connection,

    /// Tell each step as one JSON object a line.
    #[arg(long, global = true)]
    json: bool,

    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Put a new member in the place of another one, which may be running or lost.
    ///
    /// The new member joins as a learner, is waited for until it runs and has caught up, and gets a vote; then
    /// the old one is removed. If the old one does not answer it is removed first, since it is of no use to the
    /// others. Run it again after it was interrupted: it goes on where it was.
    Replace(replace::Flags),
}

/// Runs the command.
pub(crate) fn run(flags: &Flags) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let Command::Replace(replace) = &flags.command;
    runtime.block_on(replace::run(replace, &flags.connection, flags.json))
}
