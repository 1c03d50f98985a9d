//! Load generators for any etcd endpoint, `quorate bench`, and what they measure of Quorate and etcd side
//! by side, `quorate-bench`.
//!
//! The options are those of etcd's own `benchmark`. A generator shares its machine with the servers
//! that it measures more often than one would like, so it is made to cost little: requests are encoded
//! by hand into reused buffers and travel over `wire`, which speaks HTTP/2 without a library in
//! between; each thread has a runtime, connections and a histogram of its own. What it cost is part of
//! the report.
//!
//! With `--rate` the latency of a request counts from when it was due, so a server that stalls
//! does not hide that by stalling the generator too.
#![forbid(unsafe_code)]

mod compare;
mod criterion;
mod document;
mod drive;
mod flags;
mod keys;
mod load;
mod pace;
mod plot;
mod progress;
mod proto;
mod report;
mod runner;
mod scale;
mod servers;
mod table;
mod tally;
mod wire;

use std::fmt;
use std::net::SocketAddr;

use clap::Subcommand;

pub use flags::Flags;

/// What the binary `quorate-bench` does.
#[derive(Subcommand, Clone, Debug)]
pub enum Command {
    /// Measure Quorate beside etcd 3.5.1, in turn and with fresh data.
    Compare(compare::Flags),
    /// Measure throughput and memory as work grows, and draw them.
    Scale(scale::Flags),
    /// Run the criterion benches of the core alone, and print one table.
    Criterion(criterion::Flags),
    /// Answer puts and gets without doing anything, as the limit of what a server can reach.
    #[command(hide = true)]
    Echo {
        /// Where to listen.
        listen: SocketAddr,
        /// With our own HTTP/2 alone, without tonic.
        #[arg(long)]
        bare: bool,
    },
}

impl Command {
    /// Does it.
    pub fn run(&self) -> anyhow::Result<()> {
        match self {
            Command::Compare(flags) => compare::run(flags),
            Command::Scale(flags) => scale::run(flags),
            Command::Criterion(flags) => criterion::run(flags),
            Command::Echo {
                listen,
                bare: false,
            } => servers::echo(*listen),
            Command::Echo { listen, bare: true } => servers::bare_echo(*listen),
        }
    }
}

/// Flags that parse and yet make no sense together. The text says what to do.
#[derive(Debug)]
pub struct Usage(String);

impl fmt::Display for Usage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Usage {}

/// Runs what the flags say and prints the report. An error if any request failed.
pub fn run(flags: Flags) -> anyhow::Result<()> {
    let report = load::run(&flags)?;
    let failed = report.failed();
    if flags.json {
        report.print_json()?;
    } else {
        report.print_text()?;
    }
    if failed > 0 {
        anyhow::bail!("{failed} of {} requests failed", report.attempted());
    }
    Ok(())
}
