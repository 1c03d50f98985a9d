//! `quorate ctl watch`.

use anyhow::Result;
use clap::Args;
use quorate_client::Error;
use quorate_client::proto::WatchCreateRequest;

use super::Context;
use super::range::RangeFlags;

/// Print changes as they happen, until Ctrl-C.
///
/// A lost connection is made anew, and nothing is missed or printed twice.
#[derive(Args, Clone, Debug)]
pub(crate) struct Flags {
    #[command(flatten)]
    range: RangeFlags,

    /// Begin with the changes of this revision; 0 for those to come.
    #[arg(long, default_value_t = 0, value_name = "REVISION")]
    rev: i64,

    /// Print what the key held before, too.
    #[arg(long)]
    prev_kv: bool,

    /// Print now and then up to which revision everything was seen.
    #[arg(long)]
    progress_notify: bool,

    /// End after this many changes, all changes of a revision together; 0 for never.
    #[arg(long, default_value_t = 0, value_name = "N")]
    count: u64,
}

pub(super) async fn run(flags: Flags, context: &mut Context) -> Result<()> {
    let (key, range_end) = flags.range.resolve()?;
    let request = WatchCreateRequest {
        key,
        range_end,
        start_revision: flags.rev,
        prev_kv: flags.prev_kv,
        progress_notify: flags.progress_notify,
        // Large revisions come in pieces, which the client puts together again.
        fragment: true,
        ..Default::default()
    };
    let mut watcher = context.client.watch(request).await.map_err(explain)?;
    let mut seen = 0;
    loop {
        let response = watcher.next().await.map_err(explain)?;
        seen += response.events.len() as u64;
        context.printer.watch(&response)?;
        if flags.count > 0 && seen >= flags.count {
            return Ok(());
        }
    }
}

/// Adds what to do about it.
fn explain(error: Error) -> anyhow::Error {
    match error {
        Error::Compacted { revision } => {
            anyhow::anyhow!("{error}; the oldest that can be watched is --rev={revision}")
        }
        other => other.into(),
    }
}
