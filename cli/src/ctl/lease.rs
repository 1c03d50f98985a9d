//! `quorate ctl lease`.

use anyhow::Result;
use clap::Subcommand;
use quorate_client::Code;
use quorate_client::proto::{LeaseGrantRequest, LeaseTimeToLiveRequest};

use super::{Context, lease_id};

#[derive(Subcommand, Clone, Debug)]
pub(crate) enum Command {
    /// Create a lease.
    Grant {
        /// How long it lives without being renewed, in seconds.
        ttl: i64,

        /// The id that it shall have, in hexadecimal; without it the server picks one.
        #[arg(long, default_value = "0", value_parser = lease_id)]
        id: i64,
    },
    /// End a lease and delete its keys.
    Revoke {
        /// The lease, in hexadecimal.
        #[arg(value_parser = lease_id, value_name = "LEASE")]
        id: i64,
    },
    /// Renew a lease, again and again until it is gone.
    KeepAlive {
        /// The lease, in hexadecimal.
        #[arg(value_parser = lease_id, value_name = "LEASE")]
        id: i64,

        /// Renew it once.
        #[arg(long)]
        once: bool,
    },
    /// Tell how long a lease has left.
    #[command(name = "timetolive")]
    TimeToLive {
        /// The lease, in hexadecimal.
        #[arg(value_parser = lease_id, value_name = "LEASE")]
        id: i64,

        /// Tell which keys are attached to it.
        #[arg(long)]
        keys: bool,
    },
    /// List all leases.
    List,
}

pub(super) async fn run(command: Command, context: &mut Context) -> Result<()> {
    let client = context.client.clone();
    let printer = &mut context.printer;
    match command {
        Command::Grant { ttl, id } => {
            let response = client.lease_grant(LeaseGrantRequest { ttl, id }).await?;
            printer.lease_granted(&response)
        }
        Command::Revoke { id } => {
            let response = client.lease_revoke(id).await?;
            printer.lease_revoked(id, &response)
        }
        Command::KeepAlive { id, once } => {
            let mut renewals = client.lease_keep_alive(id);
            loop {
                match renewals.next().await {
                    Ok(response) => printer.lease_kept(&response)?,
                    // As etcdctl has it, the end of a lease is an answer when waiting for it.
                    Err(error) if !once && error.code() == Some(Code::NotFound) => {
                        return printer.lease_gone(id);
                    }
                    Err(error) => return Err(error.into()),
                }
                if once {
                    return Ok(());
                }
            }
        }
        Command::TimeToLive { id, keys } => {
            let request = LeaseTimeToLiveRequest { id, keys };
            let response = client.lease_time_to_live(request).await?;
            printer.lease_time(&response, keys)
        }
        Command::List => printer.leases(&client.leases().await?),
    }
}
