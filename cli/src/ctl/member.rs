//! `quorate ctl member`.

use anyhow::Result;
use clap::Subcommand;
use quorate_client::proto::{
    Member, MemberAddRequest, MemberListRequest, MemberPromoteResponse, MemberRemoveResponse,
    MemberUpdateRequest, MemberUpdateResponse,
};

use super::Context;
use super::output::{Done, MemberChange};

#[derive(Subcommand, Clone, Debug)]
pub(crate) enum Command {
    /// List the members.
    List {
        /// Answer what the server asked knows, even if it is out of date.
        #[arg(long)]
        stale: bool,
    },
    /// Let another member take part; start it after that, with the settings that this prints.
    Add {
        /// Its name.
        name: String,
        /// Where its peers will reach it, separated by commas.
        #[arg(long, required = true, value_delimiter = ',', value_name = "URLS")]
        peer_urls: Vec<String>,
        /// It is told everything, and has no vote until it is promoted.
        #[arg(long)]
        learner: bool,
    },
    /// Let a member take part no more. It cannot come back; its data can be deleted.
    Remove {
        /// Its id.
        #[arg(value_parser = member_id, value_name = "ID")]
        id: u64,
    },
    /// Tell where the peers of a member reach it from now on.
    Update {
        /// Its id.
        #[arg(value_parser = member_id, value_name = "ID")]
        id: u64,
        /// Where, separated by commas.
        #[arg(long, required = true, value_delimiter = ',', value_name = "URLS")]
        peer_urls: Vec<String>,
    },
    /// Give a learner a vote, once it has caught up.
    Promote {
        /// Its id.
        #[arg(value_parser = member_id, value_name = "ID")]
        id: u64,
    },
}

/// Reads the id of a member, which is written in hexadecimal everywhere; for clap.
pub(crate) fn member_id(text: &str) -> Result<u64, String> {
    u64::from_str_radix(text, 16).map_err(|_| {
        format!("{text:?} is no member id: it is written in hexadecimal, as `member list` shows it")
    })
}

pub(super) async fn run(command: Command, context: &mut Context) -> Result<()> {
    let client = &context.client;
    let change = match command {
        Command::List { stale } => {
            let request = MemberListRequest {
                linearizable: !stale,
            };
            let response = client.member_list(request).await?;
            return context.printer.members(&response);
        }
        Command::Add {
            name,
            peer_urls,
            learner,
        } => return add(name, peer_urls, learner, context).await,
        Command::Remove { id } => {
            let MemberRemoveResponse { header, members } = client.member_remove(id).await?;
            MemberChange {
                header,
                done: Done::Removed(id),
                members,
            }
        }
        Command::Update { id, peer_urls } => {
            let request = MemberUpdateRequest {
                id,
                peer_ur_ls: peer_urls,
            };
            let MemberUpdateResponse { header, members } = client.member_update(request).await?;
            MemberChange {
                header,
                done: Done::Updated(id),
                members,
            }
        }
        Command::Promote { id } => {
            let MemberPromoteResponse { header, members } = client.member_promote(id).await?;
            MemberChange {
                header,
                done: Done::Promoted(id),
                members,
            }
        }
    };
    context.printer.member_change(&change)
}

async fn add(
    name: String,
    peer_urls: Vec<String>,
    is_learner: bool,
    context: &mut Context,
) -> Result<()> {
    let request = MemberAddRequest {
        peer_ur_ls: peer_urls,
        is_learner,
    };
    let response = context.client.member_add(request).await?;
    let added = response.member.unwrap_or_default();
    let settings = settings(&name, &added, &response.members);
    context.printer.member_change(&MemberChange {
        header: response.header,
        done: Done::Added(added),
        members: response.members,
    })?;
    context.printer.simple_lines(&format!("\n{settings}"))
}

/// The environment in which a member that was added is to be started, as etcdctl prints it.
pub(crate) fn settings(name: &str, added: &Member, members: &[Member]) -> String {
    let mut initial = Vec::new();
    for member in members {
        let name = match member.id == added.id {
            true => name,
            false => &member.name,
        };
        initial.extend(member.peer_ur_ls.iter().map(|url| format!("{name}={url}")));
    }
    format!(
        "ETCD_NAME={name:?}\nETCD_INITIAL_CLUSTER={:?}\nETCD_INITIAL_ADVERTISE_PEER_URLS={:?}\n\
         ETCD_INITIAL_CLUSTER_STATE=\"existing\"\n",
        initial.join(","),
        added.peer_ur_ls.join(","),
    )
}
