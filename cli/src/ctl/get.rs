//! `quorate ctl get`.

use anyhow::Result;
use clap::{Args, ValueEnum};
use quorate_client::proto::RangeRequest;
use quorate_client::proto::range_request::{SortOrder, SortTarget};

use super::Context;
use super::output::Get;
use super::range::RangeFlags;
use crate::failure::{Silent, usage};

/// Get a key or a range of keys.
#[derive(Args, Clone, Debug)]
pub(crate) struct Flags {
    #[command(flatten)]
    range: RangeFlags,

    /// Read what every server agrees on (l: linearizable), or what the one asked has (s: serializable).
    #[arg(long, value_enum, default_value_t = Consistency::L, value_name = "LEVEL")]
    consistency: Consistency,

    /// How many keys at most; 0 for all.
    #[arg(long, default_value_t = 0, value_name = "N")]
    limit: i64,

    /// Read as of this revision; 0 for the newest.
    #[arg(long, default_value_t = 0, value_name = "REVISION")]
    rev: i64,

    /// The order of the keys: upwards if --sort-by is given.
    #[arg(long, value_enum, ignore_case = true)]
    order: Option<Order>,

    /// What to sort by.
    #[arg(long, value_enum, ignore_case = true, value_name = "TARGET")]
    sort_by: Option<Target>,

    /// Get only the keys.
    #[arg(long)]
    keys_only: bool,

    /// Get only how many there are.
    #[arg(long, conflicts_with_all = ["keys_only", "print_value_only"])]
    count_only: bool,

    /// Print only the values.
    #[arg(long, conflicts_with = "keys_only")]
    print_value_only: bool,

    /// Exit with 1 if there is no such key. Without this a missing key is no failure, as for etcdctl.
    #[arg(long)]
    exists: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum, Debug)]
enum Consistency {
    L,
    S,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum, Debug)]
#[value(rename_all = "UPPER")]
enum Order {
    Ascend,
    Descend,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum, Debug)]
#[value(rename_all = "UPPER")]
enum Target {
    Create,
    Key,
    Modify,
    Value,
    Version,
}

impl Flags {
    /// The request that the flags mean.
    pub(crate) fn into_request(self) -> Result<RangeRequest> {
        let (key, range_end) = self.range.resolve()?;
        let target = match self.sort_by {
            None | Some(Target::Key) => SortTarget::Key,
            Some(Target::Create) => SortTarget::Create,
            Some(Target::Modify) => SortTarget::Mod,
            Some(Target::Value) => SortTarget::Value,
            Some(Target::Version) => SortTarget::Version,
        };
        let order = match self.order {
            Some(Order::Descend) => SortOrder::Descend,
            // Keys come upwards anyway.
            Some(Order::Ascend) | None if target == SortTarget::Key => SortOrder::None,
            Some(Order::Ascend) | None => SortOrder::Ascend,
        };
        Ok(RangeRequest {
            key,
            range_end,
            limit: self.limit,
            revision: self.rev,
            sort_order: order.into(),
            sort_target: target.into(),
            serializable: self.consistency == Consistency::S,
            keys_only: self.keys_only,
            count_only: self.count_only,
            ..Default::default()
        })
    }
}

pub(super) async fn run(flags: Flags, context: &mut Context) -> Result<()> {
    let shape = Get {
        values_only: flags.print_value_only,
        keys_only: flags.keys_only,
        count_only: flags.count_only,
    };
    let exists = flags.exists;
    if shape.values_only && !context.printer.may_be_simple() {
        return usage("--print-value-only works with --write-out=simple only: drop one of the two");
    }
    let request = flags.into_request()?;
    let response = context.client.range(request).await?;
    context.printer.get(&response, shape)?;
    if exists && response.count == 0 {
        return Err(Silent.into());
    }
    Ok(())
}
