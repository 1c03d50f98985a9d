//! `quorate ctl compaction`.

use anyhow::Result;
use clap::Args;
use quorate_client::proto::CompactionRequest;

use super::Context;

/// Forget what was before a revision.
#[derive(Args, Clone, Copy, Debug)]
pub(crate) struct Flags {
    /// The oldest revision to keep.
    revision: i64,

    /// Wait until the space is free.
    #[arg(long)]
    physical: bool,
}

pub(super) async fn run(flags: &Flags, context: &mut Context) -> Result<()> {
    let request = CompactionRequest {
        revision: flags.revision,
        physical: flags.physical,
    };
    let response = context.client.compact(request).await?;
    context.printer.compaction(flags.revision, &response)
}
