//! A backup comes in pieces, with its hash at the end.

use super::harness::*;
use quorate_etcd::proto::etcdserverpb as pb;

#[tokio::test]
async fn a_backup_comes_in_pieces_with_its_hash_behind_them() {
    let server = Server::start().await;
    for number in 0..40 {
        let value = format!("{number} ").repeat(10_000);
        server.put(&format!("key {number}"), &value).await;
    }
    let request = pb::SnapshotRequest {};
    let pieces = server.maintenance().snapshot(request).await;
    let mut pieces = pieces.expect("it begins").into_inner();
    let (mut bytes, mut count) = (Vec::new(), 0);
    let mut left = None;
    while let Some(piece) = pieces.message().await.expect("a piece") {
        let sent = piece.blob.len() as u64;
        if let Some(left) = left {
            assert_eq!(piece.remaining_bytes + sent, left);
        }
        left = Some(piece.remaining_bytes);
        bytes.extend_from_slice(&piece.blob);
        count += 1;
    }
    assert!(count > 2);
    assert_eq!((left, bytes.len() % 512), (Some(0), 32));
    assert!(bytes.windows(6).any(|window| window == b"key 39"));
}
