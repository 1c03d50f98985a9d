//! A backup of the store as a stream of pieces.

use std::io::Read;

use futures::StreamExt;
use futures::stream::{self, BoxStream};
use quorate_service::error::Error;
use quorate_service::store::snapshot::Snapshot;
use tokio::sync::mpsc;
use tonic::Status;

use crate::error;
use crate::proto::etcdserverpb as pb;

/// How large a piece is.
const PIECE_BYTES: usize = 256 << 10;
/// How many pieces may wait for a reader.
const PIECES_MAX: usize = 2;

/// The pieces of a backup.
pub(crate) type Pieces = BoxStream<'static, Result<pb::SnapshotResponse, Status>>;

/// Reads a snapshot, on a thread for blocking work, as fast as it is taken.
pub(crate) fn pieces(snapshot: Snapshot, header: pb::ResponseHeader, version: String) -> Pieces {
    let (sender, receiver) = mpsc::channel(PIECES_MAX);
    tokio::task::spawn_blocking(move || {
        let mut left = snapshot.len();
        let mut content = snapshot.take(left);
        while left > 0 {
            let mut blob = Vec::with_capacity(PIECE_BYTES);
            let read = content.by_ref().take(PIECE_BYTES as u64);
            let piece = match { read }.read_to_end(&mut blob) {
                Ok(0) => Err(Error::Storage("the backup ended too early".to_owned())),
                Ok(count) => {
                    left -= count as u64;
                    Ok(pb::SnapshotResponse {
                        header: Some(header),
                        remaining_bytes: left,
                        blob: blob.into(),
                        version: version.clone(),
                    })
                }
                Err(error) => Err(error
                    .downcast::<Error>()
                    .unwrap_or_else(|error| Error::Storage(error.to_string()))),
            };
            let last = piece.is_err();
            let piece = piece.map_err(|error| error::status(&error));
            // Whoever asked may have hung up.
            if sender.blocking_send(piece).is_err() || last {
                return;
            }
        }
    });
    let next = async |mut receiver: mpsc::Receiver<_>| {
        let piece = receiver.recv().await?;
        Some((piece, receiver))
    };
    stream::unfold(receiver, next).boxed()
}
