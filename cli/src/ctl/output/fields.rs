//! Every field on a line of its own, as etcdctl's `--write-out=fields` has them.

use std::fmt::Display;

use quorate_client::proto::response_op::Response;
use quorate_client::proto::{
    DeleteRangeResponse, KeyValue, LeaseGrantResponse, LeaseKeepAliveResponse, LeaseLeasesResponse,
    LeaseTimeToLiveResponse, Member, PutResponse, RangeResponse, ResponseHeader, StatusResponse,
    TxnResponse, WatchResponse,
};

use super::text::{Style, quote};

/// The lines so far.
pub(crate) struct Fields {
    style: Style,
    pub(crate) out: String,
}

impl Fields {
    pub(crate) fn new(style: Style) -> Fields {
        let out = String::new();
        Fields { style, out }
    }

    fn line(&mut self, name: &str, value: impl Display) {
        self.out.push_str(&format!("\"{name}\" : {value}\n"));
    }

    fn text(&mut self, name: &str, value: &str) {
        self.line(name, quote(value.as_bytes(), Style::Escaped));
    }

    fn bytes(&mut self, name: &str, value: &[u8]) {
        self.line(name, quote(value, self.style));
    }

    pub(crate) fn header(&mut self, header: Option<&ResponseHeader>) {
        let header = header.copied().unwrap_or_default();
        self.line("ClusterID", header.cluster_id);
        self.line("MemberID", header.member_id);
        self.line("Revision", header.revision);
        self.line("RaftTerm", header.raft_term);
    }

    fn key_value(&mut self, prefix: &str, kv: &KeyValue) {
        self.bytes(&format!("{prefix}Key"), &kv.key);
        self.line(&format!("{prefix}CreateRevision"), kv.create_revision);
        self.line(&format!("{prefix}ModRevision"), kv.mod_revision);
        self.line(&format!("{prefix}Version"), kv.version);
        self.bytes(&format!("{prefix}Value"), &kv.value);
        self.line(&format!("{prefix}Lease"), kv.lease);
    }

    pub(crate) fn range(&mut self, response: &RangeResponse) {
        self.header(response.header.as_ref());
        for kv in &response.kvs {
            self.key_value("", kv);
        }
        self.line("More", response.more);
        self.line("Count", response.count);
    }

    pub(crate) fn put(&mut self, response: &PutResponse) {
        self.header(response.header.as_ref());
        if let Some(kv) = &response.prev_kv {
            self.key_value("Prev", kv);
        }
    }

    pub(crate) fn delete(&mut self, response: &DeleteRangeResponse) {
        self.header(response.header.as_ref());
        self.line("Deleted", response.deleted);
        for kv in &response.prev_kvs {
            self.key_value("Prev", kv);
        }
    }

    pub(crate) fn txn(&mut self, response: &TxnResponse) {
        self.header(response.header.as_ref());
        self.line("Succeeded", response.succeeded);
        for part in &response.responses {
            match &part.response {
                Some(Response::ResponseRange(one)) => self.range(one),
                Some(Response::ResponsePut(one)) => self.put(one),
                Some(Response::ResponseDeleteRange(one)) => self.delete(one),
                Some(Response::ResponseTxn(one)) => self.txn(one),
                None => {}
            }
        }
    }

    pub(crate) fn watch(&mut self, response: &WatchResponse) {
        self.header(response.header.as_ref());
        for event in &response.events {
            self.line("Type", event.r#type().as_str_name());
            if let Some(kv) = &event.prev_kv {
                self.key_value("Prev", kv);
            }
            if let Some(kv) = &event.kv {
                self.key_value("", kv);
            }
        }
    }

    pub(crate) fn lease_granted(&mut self, response: &LeaseGrantResponse) {
        self.header(response.header.as_ref());
        self.line("ID", response.id);
        self.line("TTL", response.ttl);
    }

    pub(crate) fn lease_kept(&mut self, response: &LeaseKeepAliveResponse) {
        self.header(response.header.as_ref());
        self.line("ID", response.id);
        self.line("TTL", response.ttl);
    }

    pub(crate) fn lease_time(&mut self, response: &LeaseTimeToLiveResponse) {
        self.header(response.header.as_ref());
        self.line("ID", response.id);
        self.line("TTL", response.ttl);
        self.line("GrantedTTL", response.granted_ttl);
        for key in &response.keys {
            self.bytes("Key", key);
        }
    }

    pub(crate) fn leases(&mut self, response: &LeaseLeasesResponse) {
        self.header(response.header.as_ref());
        for lease in &response.leases {
            self.line("ID", lease.id);
        }
    }

    pub(crate) fn members(&mut self, header: Option<&ResponseHeader>, members: &[Member]) {
        self.header(header);
        for member in members {
            self.line("ID", member.id);
            self.text("Name", &member.name);
            for url in &member.peer_ur_ls {
                self.text("PeerURL", url);
            }
            for url in &member.client_ur_ls {
                self.text("ClientURL", url);
            }
            self.line("IsLearner", member.is_learner);
            self.out.push('\n');
        }
    }

    pub(crate) fn status(&mut self, endpoint: &str, response: &StatusResponse) {
        self.header(response.header.as_ref());
        self.text("Version", &response.version);
        self.line("DBSize", response.db_size);
        self.line("DBSizeInUse", response.db_size_in_use);
        self.line("Leader", response.leader);
        self.line("IsLearner", response.is_learner);
        self.line("RaftIndex", response.raft_index);
        self.line("RaftTerm", response.raft_term);
        self.line("RaftAppliedIndex", response.raft_applied_index);
        self.line("Errors", format!("[{}]", response.errors.join(" ")));
        self.text("Endpoint", endpoint);
        self.out.push('\n');
    }
}
