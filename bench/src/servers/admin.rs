//! What is asked of one member beside the load.

use std::time::Duration;

use anyhow::{Context, Result};
use quorate_client::proto::maintenance_client::MaintenanceClient;
use quorate_client::proto::{CompactionRequest, DefragmentRequest, PutRequest, RangeRequest};
use quorate_client::{Client, Options};
use tokio::task::LocalSet;

use crate::runner::block_on;

/// How long to wait for an answer.
const TIMEOUT: Duration = Duration::from_secs(300);
/// How long to wait for a member that may not serve.
const TIMEOUT_OF_A_LOOK: Duration = Duration::from_secs(2);

/// Talks to one member.
#[derive(Clone, Debug)]
pub(crate) struct Admin {
    address: String,
}

impl Admin {
    pub(crate) fn new(address: &str) -> Admin {
        Admin {
            address: address.to_owned(),
        }
    }

    fn client(&self, timeout: Duration) -> Result<Client> {
        let mut options = Options::new([self.address.clone()]);
        options.request_timeout = timeout;
        options.dial_timeout = TIMEOUT_OF_A_LOOK;
        Ok(Client::new(options)?)
    }

    /// Gets a key, linearizable: whether the member serves.
    pub(crate) fn get(&self) -> Result<()> {
        let client = self.client(TIMEOUT_OF_A_LOOK)?;
        let request = RangeRequest {
            key: "quorate-bench".into(),
            ..Default::default()
        };
        block_on(async { Ok(client.range(request).await.map(drop)?) })
    }

    /// Whether the member says that it leads.
    pub(crate) fn leads(&self) -> Result<bool> {
        let client = self.client(TIMEOUT_OF_A_LOOK)?;
        let status = block_on(async { Ok(client.status(0).await?) })?;
        let me = status.header.map(|header| header.member_id);
        Ok(status.leader != 0 && me == Some(status.leader))
    }

    /// The revision that the member has.
    pub(crate) fn revision(&self) -> Result<i64> {
        let client = self.client(TIMEOUT_OF_A_LOOK)?;
        let status = block_on(async { Ok(client.status(0).await?) })?;
        Ok(status.header.context("a status has a header")?.revision)
    }

    /// Forgets all that is older than now, and waits until the disk has forgotten it too.
    pub(crate) fn compact(&self) -> Result<()> {
        let revision = self.revision()?;
        let client = self.client(TIMEOUT)?;
        let request = CompactionRequest {
            revision,
            physical: true,
        };
        block_on(async { Ok(client.compact(request).await.map(drop)?) })
    }

    /// Makes the member's files as small as they can be.
    pub(crate) fn defragment(&self) -> Result<()> {
        block_on(async {
            let url = format!("http://{}", self.address);
            let mut client = MaintenanceClient::connect(url).await?;
            client.defragment(DefragmentRequest {}).await?;
            Ok(())
        })
    }
}

/// How long it takes until a put is acknowledged by any of these, each of which gets another one every
/// so often, whatever became of those before.
pub(crate) fn time_to_put(addresses: &[String], patience: Duration) -> Result<Duration> {
    /// How often each is tried.
    const EVERY: Duration = Duration::from_millis(10);
    let attempts = async {
        let began = tokio::time::Instant::now();
        let (done, mut is_done) = tokio::sync::mpsc::channel(1);
        let mut clients = Vec::new();
        for address in addresses {
            clients.push(Admin::new(address).client(patience)?);
        }
        while began.elapsed() < patience {
            for client in &clients {
                let (client, done) = (client.clone(), done.clone());
                tokio::task::spawn_local(async move {
                    let put = PutRequest {
                        key: "quorate-bench".into(),
                        value: "put".into(),
                        ..Default::default()
                    };
                    if client.put(put).await.is_ok() {
                        // Somebody else may have been first.
                        let _ = done.try_send(());
                    }
                });
            }
            if tokio::time::timeout(EVERY, is_done.recv()).await.is_ok() {
                return Ok(began.elapsed());
            }
        }
        anyhow::bail!("no put was acknowledged within {patience:?}")
    };
    block_on(LocalSet::new().run_until(attempts))
}
