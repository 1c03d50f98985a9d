//! A server to test, and requests in few words.

use std::time::Duration;

use bytes::Bytes;
use quorate_etcd::proto::etcdserverpb as pb;
use quorate_etcd::proto::mvccpb::{Event, KeyValue};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Status, Streaming};

use pb::compare::{CompareResult, CompareTarget, TargetUnion};
use pb::request_op::Request as OpRequest;
use pb::response_op::Response as OpResponse;
use pb::watch_request::RequestUnion;

pub(crate) mod by_hand;
mod real;
mod replica;

/// How long anything may take before a test fails; long, since machines may be slow.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// What a server keeps to.
#[derive(Clone, Copy, Default)]
pub(crate) struct Limits {
    /// How much it holds at most, bytes.
    pub(crate) quota_bytes: Option<u64>,
    /// How long it keeps history.
    pub(crate) retention: Option<Duration>,
    /// How often it asks quiet clients whether they are there, and how long they may take to answer.
    pub(crate) keepalive: Option<Duration>,
}

/// A server with nothing in it.
pub(crate) struct Server {
    address: String,
    channel: Channel,
    real: Option<real::Etcd>,
    replica: Option<replica::Replica>,
}

impl Server {
    pub(crate) async fn start() -> Server {
        Server::start_with(Limits::default()).await
    }

    /// A server with limits.
    pub(crate) async fn start_with(limits: Limits) -> Server {
        let (address, real, replica) = match std::env::var_os("QUORATE_TEST_ETCD") {
            Some(binary) => {
                let etcd = real::Etcd::start(&binary, limits).await;
                (etcd.address(), Some(etcd), None)
            }
            None => {
                let replica = replica::Replica::start(limits).await;
                (replica.address(), None, Some(replica))
            }
        };
        let server = Server::connect(address, real, replica).await;
        // A leader there must be before the first request of a test.
        eventually(async || server.kv().range(get("k")).await.is_ok()).await;
        server
    }

    /// Ours, without a leader.
    pub(crate) async fn start_leaderless() -> Server {
        let replica = replica::Replica::start_alone().await;
        Server::connect(replica.address(), None, Some(replica)).await
    }

    async fn connect(
        address: String,
        real: Option<real::Etcd>,
        replica: Option<replica::Replica>,
    ) -> Server {
        let endpoint = Endpoint::from_shared(format!("http://{address}")).unwrap();
        let channel = endpoint.connect().await.unwrap();
        Server {
            address,
            channel,
            real,
            replica,
        }
    }

    /// Whether this is a real etcd, of which some things are not expected.
    pub(crate) fn is_real(&self) -> bool {
        self.real.is_some()
    }

    /// Stops ours in good order.
    pub(crate) async fn stop(mut self) {
        if let Some(replica) = self.replica.take() {
            replica.stop().await;
        }
    }

    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    pub(crate) fn channel(&self) -> Channel {
        self.channel.clone()
    }

    pub(crate) fn kv(&self) -> pb::kv_client::KvClient<Channel> {
        pb::kv_client::KvClient::new(self.channel()).max_decoding_message_size(usize::MAX)
    }

    pub(crate) fn lease(&self) -> pb::lease_client::LeaseClient<Channel> {
        pb::lease_client::LeaseClient::new(self.channel())
    }

    pub(crate) fn cluster(&self) -> pb::cluster_client::ClusterClient<Channel> {
        pb::cluster_client::ClusterClient::new(self.channel())
    }

    pub(crate) fn maintenance(&self) -> pb::maintenance_client::MaintenanceClient<Channel> {
        pb::maintenance_client::MaintenanceClient::new(self.channel())
    }

    /// Its own id.
    pub(crate) async fn member_id(&self) -> u64 {
        self.range(get("k")).await.header.unwrap().member_id
    }

    /// A watch stream without watches.
    pub(crate) fn watch(&self) -> Watcher {
        Watcher::open(self.channel())
    }

    /// Puts, and answers the revision.
    pub(crate) async fn put(&self, key: &str, value: &str) -> i64 {
        let response = self.kv().put(put(key, value)).await.unwrap();
        response.into_inner().header.unwrap().revision
    }

    /// Deletes one key, and answers the revision.
    pub(crate) async fn delete(&self, key: &str) -> i64 {
        let response = self.kv().delete_range(delete(key, "")).await.unwrap();
        response.into_inner().header.unwrap().revision
    }

    pub(crate) async fn range(&self, request: pb::RangeRequest) -> pb::RangeResponse {
        self.kv().range(request).await.unwrap().into_inner()
    }

    /// The row of a key, if there is one.
    pub(crate) async fn row(&self, key: &str) -> Option<KeyValue> {
        self.range(get(key)).await.kvs.pop()
    }

    /// The store's revision.
    pub(crate) async fn revision(&self) -> i64 {
        self.range(get("k")).await.header.unwrap().revision
    }

    pub(crate) async fn txn(&self, request: pb::TxnRequest) -> pb::TxnResponse {
        self.kv().txn(request).await.unwrap().into_inner()
    }

    pub(crate) async fn compact(&self, revision: i64) -> Result<pb::CompactionResponse, Status> {
        let request = pb::CompactionRequest {
            revision,
            physical: true,
        };
        Ok(self.kv().compact(request).await?.into_inner())
    }

    pub(crate) async fn grant(&self, id: i64, ttl: i64) -> Result<pb::LeaseGrantResponse, Status> {
        let request = pb::LeaseGrantRequest { ttl, id };
        Ok(self.lease().lease_grant(request).await?.into_inner())
    }

    pub(crate) async fn revoke(&self, id: i64) -> Result<pb::LeaseRevokeResponse, Status> {
        let request = pb::LeaseRevokeRequest { id };
        Ok(self.lease().lease_revoke(request).await?.into_inner())
    }

    pub(crate) async fn time_to_live(&self, id: i64) -> pb::LeaseTimeToLiveResponse {
        let request = pb::LeaseTimeToLiveRequest { id, keys: true };
        let response = self.lease().lease_time_to_live(request).await;
        response.unwrap().into_inner()
    }
}

/// Tries until it holds.
pub(crate) async fn eventually(check: impl AsyncFn() -> bool) {
    let tries = async {
        while !check().await {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let outcome = tokio::time::timeout(PATIENCE, tries).await;
    outcome.expect("what was waited for does not happen");
}

/// The code and text of a refusal.
#[track_caller]
pub(crate) fn refused<T: std::fmt::Debug>(outcome: Result<T, Status>) -> (Code, String) {
    let status = outcome.expect_err("this should be refused");
    (status.code(), status.message().to_owned())
}

/// A refusal as it is written down.
pub(crate) fn refusal(code: Code, text: &str) -> (Code, String) {
    (code, format!("etcdserver: {text}"))
}

fn bytes(text: &str) -> Bytes {
    Bytes::copy_from_slice(text.as_bytes())
}

pub(crate) fn get(key: &str) -> pb::RangeRequest {
    pb::RangeRequest {
        key: bytes(key),
        ..Default::default()
    }
}

pub(crate) fn get_range(key: &str, end: &str) -> pb::RangeRequest {
    pb::RangeRequest {
        range_end: bytes(end),
        ..get(key)
    }
}

pub(crate) fn put(key: &str, value: &str) -> pb::PutRequest {
    pb::PutRequest {
        key: bytes(key),
        value: bytes(value),
        ..Default::default()
    }
}

pub(crate) fn delete(key: &str, end: &str) -> pb::DeleteRangeRequest {
    pb::DeleteRangeRequest {
        key: bytes(key),
        range_end: bytes(end),
        prev_kv: false,
    }
}

pub(crate) fn op(request: OpRequest) -> pb::RequestOp {
    pb::RequestOp {
        request: Some(request),
    }
}

pub(crate) fn op_put(key: &str, value: &str) -> pb::RequestOp {
    op(OpRequest::RequestPut(put(key, value)))
}

pub(crate) fn op_get(key: &str) -> pb::RequestOp {
    op(OpRequest::RequestRange(get(key)))
}

pub(crate) fn op_get_at(key: &str, revision: i64) -> pb::RequestOp {
    op(OpRequest::RequestRange(pb::RangeRequest {
        revision,
        ..get(key)
    }))
}

pub(crate) fn op_delete(key: &str, end: &str) -> pb::RequestOp {
    op(OpRequest::RequestDeleteRange(delete(key, end)))
}

pub(crate) fn op_txn(txn: pb::TxnRequest) -> pb::RequestOp {
    op(OpRequest::RequestTxn(txn))
}

/// A transaction.
pub(crate) fn txn(
    compare: Vec<pb::Compare>,
    success: Vec<pb::RequestOp>,
    failure: Vec<pb::RequestOp>,
) -> pb::TxnRequest {
    pb::TxnRequest {
        compare,
        success,
        failure,
    }
}

/// A transaction without comparisons.
pub(crate) fn all(success: Vec<pb::RequestOp>) -> pb::TxnRequest {
    txn(Vec::new(), success, Vec::new())
}

pub(crate) fn compare(key: &str, result: CompareResult, with: TargetUnion) -> pb::Compare {
    let target = match with {
        TargetUnion::Version(_) => CompareTarget::Version,
        TargetUnion::CreateRevision(_) => CompareTarget::Create,
        TargetUnion::ModRevision(_) => CompareTarget::Mod,
        TargetUnion::Value(_) => CompareTarget::Value,
        TargetUnion::Lease(_) => CompareTarget::Lease,
    };
    pb::Compare {
        result: result.into(),
        target: target.into(),
        key: bytes(key),
        target_union: Some(with),
        range_end: Bytes::new(),
    }
}

/// The answers inside a transaction's answer, to be taken apart one by one.
pub(crate) fn answers(response: pb::TxnResponse) -> Vec<OpResponse> {
    let responses = response.responses.into_iter();
    responses.map(|op| op.response.unwrap()).collect()
}

#[track_caller]
pub(crate) fn as_range(response: &OpResponse) -> &pb::RangeResponse {
    match response {
        OpResponse::ResponseRange(inner) => inner,
        other => panic!("not the answer to a range: {other:?}"),
    }
}

#[track_caller]
pub(crate) fn as_delete(response: &OpResponse) -> &pb::DeleteRangeResponse {
    match response {
        OpResponse::ResponseDeleteRange(inner) => inner,
        other => panic!("not the answer to a delete: {other:?}"),
    }
}

#[track_caller]
pub(crate) fn as_put(response: &OpResponse) -> &pb::PutResponse {
    match response {
        OpResponse::ResponsePut(inner) => inner,
        other => panic!("not the answer to a put: {other:?}"),
    }
}

#[track_caller]
pub(crate) fn as_txn(response: &OpResponse) -> &pb::TxnResponse {
    match response {
        OpResponse::ResponseTxn(inner) => inner,
        other => panic!("not the answer to a txn: {other:?}"),
    }
}

/// A watch stream.
pub(crate) struct Watcher {
    requests: mpsc::Sender<pb::WatchRequest>,
    responses: Responses,
}

/// A server need not answer anything before the first request, not even that it listens.
enum Responses {
    Opening(JoinHandle<Result<Streaming<pb::WatchResponse>, Status>>),
    Open(Box<Streaming<pb::WatchResponse>>),
}

impl Watcher {
    pub(crate) fn open(channel: Channel) -> Watcher {
        let (requests, receiver) = mpsc::channel(64);
        let outgoing = futures::stream::unfold(receiver, async |mut receiver| {
            Some((receiver.recv().await?, receiver))
        });
        let mut client =
            pb::watch_client::WatchClient::new(channel).max_decoding_message_size(usize::MAX);
        let opening = async move { Ok(client.watch(outgoing).await?.into_inner()) };
        Watcher {
            requests,
            responses: Responses::Opening(tokio::spawn(opening)),
        }
    }

    pub(crate) async fn send(&self, request: RequestUnion) {
        let request_union = Some(request);
        let request = pb::WatchRequest { request_union };
        self.requests.send(request).await.unwrap();
    }

    /// Asks for a watch.
    pub(crate) async fn create(&self, request: pb::WatchCreateRequest) {
        self.send(RequestUnion::CreateRequest(request)).await;
    }

    /// Asks for a watch and answers its id.
    pub(crate) async fn created(&mut self, request: pb::WatchCreateRequest) -> i64 {
        self.create(request).await;
        let response = self.next().await;
        assert!(response.created && !response.canceled, "{response:?}");
        response.watch_id
    }

    pub(crate) async fn cancel(&self, watch_id: i64) {
        let request = pb::WatchCancelRequest { watch_id };
        self.send(RequestUnion::CancelRequest(request)).await;
    }

    pub(crate) async fn progress(&self) {
        let request = pb::WatchProgressRequest {};
        self.send(RequestUnion::ProgressRequest(request)).await;
    }

    /// The next response or the end of the stream.
    pub(crate) async fn try_next(&mut self) -> Result<Option<pb::WatchResponse>, Status> {
        let next = tokio::time::timeout(PATIENCE, async {
            loop {
                match &mut self.responses {
                    Responses::Opening(opening) => {
                        self.responses = Responses::Open(Box::new(opening.await.unwrap()?));
                    }
                    Responses::Open(responses) => return responses.message().await,
                }
            }
        });
        next.await.expect("no response comes")
    }

    /// The next response.
    pub(crate) async fn next(&mut self) -> pb::WatchResponse {
        self.try_next().await.unwrap().expect("the stream ended")
    }

    /// The next events, however many responses they take: (watch, key, mod_revision, is a deletion).
    pub(crate) async fn events(&mut self, count: usize) -> Vec<(i64, String, i64, bool)> {
        let mut all = Vec::new();
        while all.len() < count {
            let response = self.next().await;
            for event in response.events {
                all.push(brief(response.watch_id, event));
            }
        }
        all
    }
}

/// An event in few words.
pub(crate) fn brief(watch_id: i64, event: Event) -> (i64, String, i64, bool) {
    let kv = event.kv.unwrap();
    let key = String::from_utf8(kv.key.to_vec()).unwrap();
    (watch_id, key, kv.mod_revision, event.r#type == 1)
}

/// A watch for one key.
pub(crate) fn watch(key: &str) -> pb::WatchCreateRequest {
    pb::WatchCreateRequest {
        key: bytes(key),
        ..Default::default()
    }
}

/// A watch for a range of keys, from a revision on.
pub(crate) fn watch_range(key: &str, end: &str, start_revision: i64) -> pb::WatchCreateRequest {
    pb::WatchCreateRequest {
        range_end: bytes(end),
        start_revision,
        ..watch(key)
    }
}
