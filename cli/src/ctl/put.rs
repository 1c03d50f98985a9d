//! `quorate ctl put`.

use std::ffi::OsString;
use std::io::{IsTerminal, Read};

use anyhow::{Context as _, Result};
use bytes::Bytes;
use clap::Args;
use quorate_client::proto::PutRequest;

use super::{Context, bytes, lease_id};
use crate::failure::usage;

/// Put a value under a key.
///
/// Without a value on the command line it is read from standard input: `quorate ctl put key < file`.
/// A value that begins with a dash comes after a double one: `quorate ctl put key -- -1`.
#[derive(Args, Clone, Debug)]
pub(crate) struct Flags {
    /// The key.
    key: OsString,

    /// The value; from standard input if it is not here.
    value: Option<OsString>,

    /// Attach the key to this lease, given in hexadecimal.
    #[arg(long, default_value = "0", value_parser = lease_id, value_name = "ID")]
    lease: i64,

    /// Print what the key held before.
    #[arg(long)]
    prev_kv: bool,

    /// Keep the value that the key has.
    #[arg(long)]
    ignore_value: bool,

    /// Keep the lease that the key has.
    #[arg(long)]
    ignore_lease: bool,
}

impl Flags {
    /// The request that the flags mean; `input` gives the value if they do not.
    pub(crate) fn into_request(self, input: impl FnOnce() -> Result<Bytes>) -> Result<PutRequest> {
        if self.ignore_value && self.value.is_some() {
            return usage("--ignore-value keeps the value that is there: drop the one given");
        }
        if self.ignore_lease && self.lease != 0 {
            return usage("--ignore-lease keeps the lease that is there: drop --lease");
        }
        let value = match self.value {
            Some(value) => bytes(value),
            None if self.ignore_value => Bytes::new(),
            None => input()?,
        };
        Ok(PutRequest {
            key: bytes(self.key),
            value,
            lease: self.lease,
            prev_kv: self.prev_kv,
            ignore_value: self.ignore_value,
            ignore_lease: self.ignore_lease,
        })
    }
}

pub(super) async fn run(flags: Flags, context: &mut Context) -> Result<()> {
    let request = flags.into_request(read_value)?;
    let response = context.client.put(request).await?;
    context.printer.put(&response)
}

fn read_value() -> Result<Bytes> {
    let mut input = std::io::stdin().lock();
    if input.is_terminal() {
        eprintln!("reading the value from standard input; end it with Ctrl-D");
    }
    let mut value = Vec::new();
    input
        .read_to_end(&mut value)
        .context("cannot read the value from standard input")?;
    Ok(value.into())
}
