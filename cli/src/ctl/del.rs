//! `quorate ctl del`.

use anyhow::Result;
use clap::Args;
use quorate_client::proto::DeleteRangeRequest;

use super::Context;
use super::range::RangeFlags;

/// Delete a key or a range of keys.
#[derive(Args, Clone, Debug)]
pub(crate) struct Flags {
    #[command(flatten)]
    range: RangeFlags,

    /// Print what was deleted.
    #[arg(long)]
    prev_kv: bool,
}

impl Flags {
    /// The request that the flags mean.
    pub(crate) fn into_request(self) -> Result<DeleteRangeRequest> {
        let (key, range_end) = self.range.resolve()?;
        Ok(DeleteRangeRequest {
            key,
            range_end,
            prev_kv: self.prev_kv,
        })
    }
}

pub(super) async fn run(flags: Flags, context: &mut Context) -> Result<()> {
    let response = context.client.delete_range(flags.into_request()?).await?;
    context.printer.del(&response)
}
