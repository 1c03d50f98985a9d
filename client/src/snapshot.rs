//! A backup of a member's store, as it arrives.

use std::time::Duration;

use tokio::time::timeout;
use tonic::Streaming;

use crate::proto::maintenance_client::MaintenanceClient;
use crate::proto::{SnapshotRequest, SnapshotResponse};
use crate::{Client, Code, Error};

/// How long the next piece may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// The pieces of a backup, in order. Dropping it ends it.
pub struct Backup {
    pieces: Streaming<SnapshotResponse>,
}

impl Client {
    /// Asks the first endpoint, and no other, for a backup: each member has its own.
    pub async fn snapshot(&self) -> Result<Backup, Error> {
        let attempt = |channel| async move {
            MaintenanceClient::new(channel)
                .max_decoding_message_size(usize::MAX)
                .snapshot(SnapshotRequest {})
                .await
        };
        let pieces = self.transport.call_at(0, attempt).await?;
        Ok(Backup { pieces })
    }
}

impl Backup {
    /// The next piece; nothing at the end.
    pub async fn next(&mut self) -> Result<Option<SnapshotResponse>, Error> {
        let failed = |code: Code, message: &str| Error::Server {
            code,
            message: message.to_owned(),
        };
        match timeout(PATIENCE, self.pieces.message()).await {
            Ok(Ok(piece)) => Ok(piece),
            Ok(Err(status)) => Err(failed(
                Code::from_number(status.code() as i32),
                status.message(),
            )),
            Err(_) => Err(failed(
                Code::DeadlineExceeded,
                "nothing of the backup came for a minute",
            )),
        }
    }
}
