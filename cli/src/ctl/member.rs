//! `quorate ctl member`.

use anyhow::Result;
use clap::Subcommand;
use quorate_client::proto::MemberListRequest;

use super::Context;

#[derive(Subcommand, Clone, Copy, Debug)]
pub(crate) enum Command {
    /// List the members.
    List {
        /// Answer what the server asked knows, even if it is out of date.
        #[arg(long)]
        stale: bool,
    },
}

pub(super) async fn run(command: &Command, context: &mut Context) -> Result<()> {
    let Command::List { stale } = command;
    let request = MemberListRequest {
        linearizable: !stale,
    };
    let response = context.client.member_list(request).await?;
    context.printer.members(&response)
}
