//! Requests that are too large, too deep, or not requests at all.

use super::harness::*;
use bytes::Bytes;
use tonic::Code::{InvalidArgument, ResourceExhausted};
use tonic::codec::{DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::{Code, Status};

/// Sends bytes as they are.
#[derive(Clone, Default)]
struct Raw;

impl tonic::codec::Codec for Raw {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = Raw;
    type Decoder = Raw;

    fn encoder(&mut self) -> Raw {
        Raw
    }

    fn decoder(&mut self) -> Raw {
        Raw
    }
}

impl Encoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, item: Bytes, out: &mut EncodeBuf<'_>) -> Result<(), Status> {
        bytes::BufMut::put(out, item);
        Ok(())
    }
}

impl Decoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, input: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        let len = bytes::Buf::remaining(input);
        Ok(Some(bytes::Buf::copy_to_bytes(input, len)))
    }
}

async fn send(server: &Server, path: &'static str, message: Vec<u8>) -> Result<Bytes, Status> {
    let mut grpc = tonic::client::Grpc::new(server.channel());
    grpc.ready().await.unwrap();
    let path = http::uri::PathAndQuery::from_static(path);
    let request = tonic::Request::new(Bytes::from(message));
    Ok(grpc.unary(request, path, Raw).await?.into_inner())
}

#[tokio::test]
async fn sizes() {
    let server = Server::start().await;
    let put_of = |len: usize| {
        let mut kv = server.kv();
        let request = put("k", &"x".repeat(len));
        async move { kv.put(request).await }
    };
    put_of(1_500_000).await.unwrap();
    for len in [1_572_865, 2_000_000] {
        let outcome = refused(put_of(len).await);
        assert_eq!(outcome, refusal(InvalidArgument, "request is too large"));
    }
    let outcome = refused(put_of(3_000_000).await);
    assert_eq!(outcome.0, ResourceExhausted, "{}", outcome.1);
    let ops = vec![
        op_put("a", &"x".repeat(800_000)),
        op_put("b", &"x".repeat(800_000)),
    ];
    let outcome = refused(server.kv().txn(all(ops)).await);
    assert_eq!(outcome, refusal(InvalidArgument, "request is too large"));
    put_of(10).await.unwrap();
    server.stop().await;
}

#[tokio::test]
async fn what_is_not_protobuf_is_refused() {
    let server = Server::start().await;
    let calls = [
        "/etcdserverpb.KV/Range",
        "/etcdserverpb.KV/Put",
        "/etcdserverpb.KV/DeleteRange",
        "/etcdserverpb.KV/Txn",
        "/etcdserverpb.KV/Compact",
        "/etcdserverpb.Watch/Watch",
        "/etcdserverpb.Lease/LeaseGrant",
        "/etcdserverpb.Lease/LeaseKeepAlive",
        "/etcdserverpb.Cluster/MemberList",
        "/etcdserverpb.Maintenance/Status",
    ];
    let messages: [&[u8]; 5] = [
        &[0xff],
        &[0x0a, 0xff, 0xff, 0xff, 0xff, 0x0f],
        &[0x0a, 0x05, b'x'],
        &[0x00, 0x00],
        &[0x0b, 0x0b, 0x0b],
    ];
    for call in calls {
        for message in messages {
            // Whatever comes back, it does come back, and it is not an answer.
            let outcome = send(&server, call, message.to_vec()).await;
            assert!(outcome.is_err(), "{call} {message:?}: {outcome:?}");
        }
    }
    server.put("k", "still alive").await;
    server.stop().await;
}

/// Random changes to requests that are fine: nothing may panic, and the server must live.
#[tokio::test]
async fn damaged_requests() {
    let server = Server::start().await;
    if server.is_real() {
        return; // Some of them kill it.
    }
    let request = txn(
        vec![],
        vec![
            op_put("a", "b"),
            op_get("c"),
            op_txn(all(vec![op_delete("d", "e")])),
        ],
        vec![op_get("f")],
    );
    let whole = prost::Message::encode_to_vec(&request);
    let mut state = 7_u64;
    let mut random = |n: usize| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (state >> 33) as usize % n
    };
    for _ in 0..500 {
        let mut message = whole.clone();
        for _ in 0..=random(3) {
            let at = random(message.len());
            message[at] = random(256) as u8;
        }
        message.truncate(1 + random(whole.len()));
        // Either outcome will do.
        let _ = send(&server, "/etcdserverpb.KV/Txn", message).await;
    }
    server.put("k", "still alive").await;
    server.stop().await;
}

#[tokio::test]
async fn transactions_nest_only_so_deep() {
    let server = Server::start().await;
    if server.is_real() {
        return; // It has no limit of its own.
    }
    // By hand: each level is one operation in the branch `success`.
    let nested = |depth: usize| {
        let mut message = Vec::new();
        for _ in 0..depth {
            for field in [4, 2] {
                let mut outer = Vec::new();
                prost::encoding::bytes::encode(field, &message, &mut outer);
                message = outer;
            }
        }
        message
    };
    send(&server, "/etcdserverpb.KV/Txn", nested(20))
        .await
        .unwrap();
    for depth in [40, 60, 5000] {
        let outcome = send(&server, "/etcdserverpb.KV/Txn", nested(depth)).await;
        let code = outcome.unwrap_err().code();
        assert!(
            matches!(code, InvalidArgument | Code::Internal),
            "{depth}: {code:?}"
        );
    }
    server.stop().await;
}

#[tokio::test]
async fn unknown_calls() {
    let server = Server::start().await;
    for call in ["/etcdserverpb.KV/Nothing", "/no.such.Service/Call", "/x"] {
        let code = send(&server, call, Vec::new()).await.unwrap_err().code();
        // A real etcd has another opinion about paths that name no method.
        let is_expected = code == Code::Unimplemented || server.is_real();
        assert!(is_expected, "{call}: {code:?}");
    }
    server.stop().await;
}
