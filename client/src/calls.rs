//! The calls that are answered once.

use tonic::transport::Channel;

use crate::proto::cluster_client::ClusterClient;
use crate::proto::kv_client::KvClient;
use crate::proto::lease_client::LeaseClient;
use crate::proto::maintenance_client::MaintenanceClient;
use crate::proto::{
    CompactionRequest, CompactionResponse, DeleteRangeRequest, DeleteRangeResponse,
    LeaseGrantRequest, LeaseGrantResponse, LeaseLeasesRequest, LeaseLeasesResponse,
    LeaseRevokeRequest, LeaseRevokeResponse, LeaseTimeToLiveRequest, LeaseTimeToLiveResponse,
    MemberAddRequest, MemberAddResponse, MemberListRequest, MemberListResponse,
    MemberPromoteRequest, MemberPromoteResponse, MemberRemoveRequest, MemberRemoveResponse,
    MemberUpdateRequest, MemberUpdateResponse, PutRequest, PutResponse, RangeRequest,
    RangeResponse, StatusRequest, StatusResponse, TxnRequest, TxnResponse,
};
use crate::{Client, Effect, Error};

/// Answers may be as large as the server likes; requests as large as the server accepts.
pub(crate) fn kv(channel: Channel) -> KvClient<Channel> {
    KvClient::new(channel)
        .max_decoding_message_size(usize::MAX)
        .max_encoding_message_size(usize::MAX)
}

fn lease(channel: Channel) -> LeaseClient<Channel> {
    LeaseClient::new(channel).max_decoding_message_size(usize::MAX)
}

impl Client {
    /// Reads a key or a range of keys.
    pub async fn range(&self, request: RangeRequest) -> Result<RangeResponse, Error> {
        let attempt = |channel| {
            let request = request.clone();
            async move { kv(channel).range(request).await }
        };
        self.transport.call(Effect::Read, attempt).await
    }

    /// Writes a key.
    pub async fn put(&self, request: PutRequest) -> Result<PutResponse, Error> {
        let attempt = |channel| {
            let request = request.clone();
            async move { kv(channel).put(request).await }
        };
        self.transport.call(Effect::Write, attempt).await
    }

    /// Deletes a key or a range of keys.
    pub async fn delete_range(
        &self,
        request: DeleteRangeRequest,
    ) -> Result<DeleteRangeResponse, Error> {
        let attempt = |channel| {
            let request = request.clone();
            async move { kv(channel).delete_range(request).await }
        };
        self.transport.call(Effect::Write, attempt).await
    }

    /// Compares, and does one thing or the other, in one revision.
    pub async fn txn(&self, request: TxnRequest) -> Result<TxnResponse, Error> {
        let attempt = |channel| {
            let request = request.clone();
            async move { kv(channel).txn(request).await }
        };
        self.transport.call(Effect::of_txn(&request), attempt).await
    }

    /// Forgets what was before a revision.
    pub async fn compact(&self, request: CompactionRequest) -> Result<CompactionResponse, Error> {
        let attempt = |channel| async move { kv(channel).compact(request).await };
        self.transport.call(Effect::Write, attempt).await
    }

    /// Creates a lease.
    pub async fn lease_grant(
        &self,
        request: LeaseGrantRequest,
    ) -> Result<LeaseGrantResponse, Error> {
        let attempt = |channel| async move { lease(channel).lease_grant(request).await };
        self.transport.call(Effect::Write, attempt).await
    }

    /// Ends a lease and deletes its keys.
    pub async fn lease_revoke(&self, id: i64) -> Result<LeaseRevokeResponse, Error> {
        let request = LeaseRevokeRequest { id };
        let attempt = |channel| async move { lease(channel).lease_revoke(request).await };
        self.transport.call(Effect::Write, attempt).await
    }

    /// Asks how long a lease has left. A lease that does not exist answers a time of -1.
    pub async fn lease_time_to_live(
        &self,
        request: LeaseTimeToLiveRequest,
    ) -> Result<LeaseTimeToLiveResponse, Error> {
        let attempt = |channel| async move { lease(channel).lease_time_to_live(request).await };
        self.transport.call(Effect::Read, attempt).await
    }

    /// Lists all leases.
    pub async fn leases(&self) -> Result<LeaseLeasesResponse, Error> {
        let request = LeaseLeasesRequest {};
        let attempt = |channel| async move { lease(channel).lease_leases(request).await };
        self.transport.call(Effect::Read, attempt).await
    }

    /// Lists the members of the cluster.
    pub async fn member_list(
        &self,
        request: MemberListRequest,
    ) -> Result<MemberListResponse, Error> {
        let attempt =
            |channel| async move { ClusterClient::new(channel).member_list(request).await };
        self.transport.call(Effect::Read, attempt).await
    }

    /// Lets another member take part.
    pub async fn member_add(&self, request: MemberAddRequest) -> Result<MemberAddResponse, Error> {
        let attempt = |channel| {
            let request = request.clone();
            async move { ClusterClient::new(channel).member_add(request).await }
        };
        self.transport.call(Effect::Write, attempt).await
    }

    /// Lets a member take part no more.
    pub async fn member_remove(&self, id: u64) -> Result<MemberRemoveResponse, Error> {
        let request = MemberRemoveRequest { id };
        let attempt =
            |channel| async move { ClusterClient::new(channel).member_remove(request).await };
        self.transport.call(Effect::Write, attempt).await
    }

    /// Tells where a member's peers reach it from now on.
    pub async fn member_update(
        &self,
        request: MemberUpdateRequest,
    ) -> Result<MemberUpdateResponse, Error> {
        let attempt = |channel| {
            let request = request.clone();
            async move { ClusterClient::new(channel).member_update(request).await }
        };
        self.transport.call(Effect::Write, attempt).await
    }

    /// Gives a learner a vote.
    pub async fn member_promote(&self, id: u64) -> Result<MemberPromoteResponse, Error> {
        let request = MemberPromoteRequest { id };
        let attempt =
            |channel| async move { ClusterClient::new(channel).member_promote(request).await };
        self.transport.call(Effect::Write, attempt).await
    }

    /// Asks one endpoint, by its position in [`Client::endpoints`], how it is.
    pub async fn status(&self, endpoint: usize) -> Result<StatusResponse, Error> {
        let attempt = |channel| async move {
            MaintenanceClient::new(channel)
                .status(StatusRequest {})
                .await
        };
        self.transport.call_at(endpoint, attempt).await
    }
}
