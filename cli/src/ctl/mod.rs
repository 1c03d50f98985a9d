//! `quorate ctl`: a client on the command line, with the names and outputs of etcdctl.

mod compaction;
mod del;
mod get;
mod lease;
pub(crate) mod member;
pub(crate) mod output;
mod put;
mod range;
mod script;
mod status;
mod txn;
mod watch;

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::time::Duration;

use anyhow::Result;
use bytes::Bytes;
use clap::{Args, Subcommand, ValueEnum};
use quorate_client::{Client, Options};

use output::Printer;

/// How to reach the servers.
#[derive(Args, Clone, Debug)]
pub(crate) struct Connection {
    /// The servers, separated by commas; the first that works is used.
    #[arg(
        long,
        env = "ETCDCTL_ENDPOINTS",
        default_value = "127.0.0.1:2379",
        value_delimiter = ',',
        global = true,
        value_name = "HOST:PORT"
    )]
    pub(crate) endpoints: Vec<String>,

    /// How long to look for a server that can be connected to.
    #[arg(
        long,
        env = "ETCDCTL_DIAL_TIMEOUT",
        default_value = "2s",
        value_parser = crate::duration::parse,
        global = true,
        value_name = "TIME"
    )]
    pub(crate) dial_timeout: Duration,

    /// How long a command may take once connected.
    #[arg(
        long,
        env = "ETCDCTL_COMMAND_TIMEOUT",
        default_value = "5s",
        value_parser = crate::duration::parse,
        global = true,
        value_name = "TIME"
    )]
    pub(crate) command_timeout: Duration,
}

impl Connection {
    /// A client of other servers, with the same patience.
    pub(crate) fn client_of(&self, endpoints: Vec<String>) -> Result<Client> {
        Client::new(Options {
            endpoints,
            dial_timeout: self.dial_timeout,
            request_timeout: self.command_timeout,
        })
        .or_else(|error| crate::failure::usage(error.to_string()))
    }

    /// A client of the servers.
    pub(crate) fn client(&self) -> Result<Client> {
        self.client_of(self.endpoints.clone())
    }
}

/// Read and write a cluster, with the options of etcdctl.
#[derive(Args)]
pub(crate) struct Flags {
    #[command(flatten)]
    connection: Connection,

    /// The format of the output. Without it lists are tables on a terminal, and simple elsewhere.
    #[arg(
        short,
        long,
        env = "ETCDCTL_WRITE_OUT",
        value_enum,
        global = true,
        value_name = "FORMAT"
    )]
    write_out: Option<Format>,

    /// Short for --write-out=json; the same JSON as etcdctl's.
    #[arg(long, global = true, conflicts_with = "write_out")]
    json: bool,

    /// Print keys and values in hexadecimal.
    #[arg(long, env = "ETCDCTL_HEX", global = true)]
    hex: bool,

    #[command(subcommand)]
    command: Command,
}

/// The formats of the output.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum, Debug)]
pub(crate) enum Format {
    /// Bare lines.
    Simple,
    /// One object per answer.
    Json,
    /// Every field of the answer on a line of its own.
    Fields,
    /// Columns with titles.
    Table,
}

#[derive(Subcommand)]
enum Command {
    /// Get a key or a range of keys.
    Get(get::Flags),
    /// Put a value under a key.
    Put(put::Flags),
    /// Delete a key or a range of keys.
    Del(del::Flags),
    /// Compare, and do one thing or the other, all at once.
    Txn(txn::Flags),
    /// Print changes as they happen.
    Watch(watch::Flags),
    /// Grant, revoke, renew and list leases.
    #[command(subcommand)]
    Lease(lease::Command),
    /// Tell how each server is.
    Status,
    /// What etcdctl calls `status`.
    #[command(subcommand, hide = true)]
    Endpoint(Endpoint),
    /// The members of the cluster.
    #[command(subcommand)]
    Member(member::Command),
    /// Forget what was before a revision.
    Compaction(compaction::Flags),
}

#[derive(Subcommand)]
enum Endpoint {
    /// Tell how each server is.
    Status,
}

/// What every command needs.
struct Context {
    client: Client,
    printer: Printer,
}

/// Runs the command.
pub(crate) fn run(flags: Flags) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(execute(flags))
}

async fn execute(flags: Flags) -> Result<()> {
    let client = flags.connection.client()?;
    let format = match flags.json {
        true => Some(Format::Json),
        false => flags.write_out,
    };
    let mut context = Context {
        client,
        printer: Printer::new(format, flags.hex),
    };
    match flags.command {
        Command::Get(flags) => get::run(flags, &mut context).await,
        Command::Put(flags) => put::run(flags, &mut context).await,
        Command::Del(flags) => del::run(flags, &mut context).await,
        Command::Txn(flags) => txn::run(&flags, &mut context).await,
        Command::Watch(flags) => watch::run(flags, &mut context).await,
        Command::Lease(command) => lease::run(command, &mut context).await,
        Command::Status | Command::Endpoint(Endpoint::Status) => status::run(&mut context).await,
        Command::Member(command) => member::run(command, &mut context).await,
        Command::Compaction(flags) => compaction::run(&flags, &mut context).await,
    }
}

/// An argument as the bytes that it is: keys and values need not be text.
fn bytes(argument: OsString) -> Bytes {
    argument.into_vec().into()
}

/// Reads the id of a lease, which is written in hexadecimal everywhere; for clap.
fn lease_id(text: &str) -> Result<i64, String> {
    i64::from_str_radix(text, 16).map_err(|_| {
        format!("{text:?} is no lease id: it is written in hexadecimal, as `lease list` shows it")
    })
}
