//! The JSON of etcdctl: keys and values in base64, names and order of the fields as it has them,
//! empty fields left out.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use quorate_client::proto::response_op::Response;
use quorate_client::proto::{
    CompactionResponse, DeleteRangeResponse, Event, KeyValue, LeaseGrantResponse,
    LeaseKeepAliveResponse, LeaseLeasesResponse, LeaseRevokeResponse, LeaseTimeToLiveResponse,
    Member, MemberListResponse, PutResponse, RangeResponse, ResponseHeader, StatusResponse,
    TxnResponse, WatchResponse,
};
use serde::ser::{Serialize, SerializeMap, Serializer};

use super::{Done, MemberChange};

/// One JSON object that is put together field by field.
///
/// The fields keep the order in which they were added, which a map of `serde_json` would not.
#[derive(Default)]
pub(crate) struct Object(Vec<(&'static str, Field)>);

/// What can stand in a field.
enum Field {
    Bool(bool),
    Signed(i64),
    Unsigned(u64),
    Text(String),
    Null,
    Object(Object),
    List(Vec<Field>),
}

impl Serialize for Object {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (name, field) in &self.0 {
            map.serialize_entry(name, field)?;
        }
        map.end()
    }
}

impl Serialize for Field {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Field::Bool(value) => serializer.serialize_bool(*value),
            Field::Signed(value) => serializer.serialize_i64(*value),
            Field::Unsigned(value) => serializer.serialize_u64(*value),
            Field::Text(value) => serializer.serialize_str(value),
            Field::Null => serializer.serialize_none(),
            Field::Object(value) => value.serialize(serializer),
            Field::List(values) => serializer.collect_seq(values),
        }
    }
}

impl Object {
    fn with(mut self, name: &'static str, field: Field) -> Object {
        self.0.push((name, field));
        self
    }

    fn signed(self, name: &'static str, value: i64) -> Object {
        match value {
            0 => self,
            value => self.with(name, Field::Signed(value)),
        }
    }

    fn unsigned(self, name: &'static str, value: u64) -> Object {
        match value {
            0 => self,
            value => self.with(name, Field::Unsigned(value)),
        }
    }

    fn bool(self, name: &'static str, value: bool) -> Object {
        match value {
            false => self,
            true => self.with(name, Field::Bool(true)),
        }
    }

    fn text(self, name: &'static str, value: &str) -> Object {
        match value {
            "" => self,
            value => self.with(name, Field::Text(value.to_owned())),
        }
    }

    fn bytes(self, name: &'static str, value: &[u8]) -> Object {
        match value {
            [] => self,
            value => self.with(name, Field::Text(STANDARD.encode(value))),
        }
    }

    fn list(self, name: &'static str, values: Vec<Field>) -> Object {
        match values.is_empty() {
            true => self,
            false => self.with(name, Field::List(values)),
        }
    }

    fn header(self, header: Option<&ResponseHeader>) -> Object {
        match header {
            None => self,
            Some(header) => self.with("header", Field::Object(self::header(Some(header)))),
        }
    }
}

/// The fields of a header. The answers about leases have them beside their own.
fn header(header: Option<&ResponseHeader>) -> Object {
    let Some(header) = header else {
        return Object::default();
    };
    Object::default()
        .unsigned("cluster_id", header.cluster_id)
        .unsigned("member_id", header.member_id)
        .signed("revision", header.revision)
        .unsigned("raft_term", header.raft_term)
}

fn texts(values: &[String]) -> Vec<Field> {
    values.iter().cloned().map(Field::Text).collect()
}

fn key_value(kv: &KeyValue) -> Object {
    Object::default()
        .bytes("key", &kv.key)
        .signed("create_revision", kv.create_revision)
        .signed("mod_revision", kv.mod_revision)
        .signed("version", kv.version)
        .bytes("value", &kv.value)
        .signed("lease", kv.lease)
}

fn key_values(kvs: &[KeyValue]) -> Vec<Field> {
    kvs.iter().map(key_value).map(Field::Object).collect()
}

pub(crate) fn range(response: &RangeResponse) -> Object {
    Object::default()
        .header(response.header.as_ref())
        .list("kvs", key_values(&response.kvs))
        .bool("more", response.more)
        .signed("count", response.count)
}

pub(crate) fn put(response: &PutResponse) -> Object {
    let object = Object::default().header(response.header.as_ref());
    match &response.prev_kv {
        Some(kv) => object.with("prev_kv", Field::Object(key_value(kv))),
        None => object,
    }
}

pub(crate) fn delete(response: &DeleteRangeResponse) -> Object {
    Object::default()
        .header(response.header.as_ref())
        .signed("deleted", response.deleted)
        .list("prev_kvs", key_values(&response.prev_kvs))
}

pub(crate) fn txn(response: &TxnResponse) -> Object {
    let mut parts = Vec::new();
    for part in &response.responses {
        let inner = match &part.response {
            Some(Response::ResponseRange(one)) => ("response_range", range(one)),
            Some(Response::ResponsePut(one)) => ("response_put", put(one)),
            Some(Response::ResponseDeleteRange(one)) => ("response_delete_range", delete(one)),
            Some(Response::ResponseTxn(one)) => ("response_txn", txn(one)),
            None => continue,
        };
        let named = Object::default().with(inner.0, Field::Object(inner.1));
        let part = Object::default().with("Response", Field::Object(named));
        parts.push(Field::Object(part));
    }
    Object::default()
        .header(response.header.as_ref())
        .bool("succeeded", response.succeeded)
        .list("responses", parts)
}

pub(crate) fn compaction(response: &CompactionResponse) -> Object {
    Object::default().header(response.header.as_ref())
}

pub(crate) fn watch(response: &WatchResponse) -> Object {
    let event = |event: &Event| {
        let mut object = Object::default().signed("type", event.r#type.into());
        if let Some(kv) = &event.kv {
            object = object.with("kv", Field::Object(key_value(kv)));
        }
        if let Some(kv) = &event.prev_kv {
            object = object.with("prev_kv", Field::Object(key_value(kv)));
        }
        Field::Object(object)
    };
    Object::default()
        .with("Header", Field::Object(header(response.header.as_ref())))
        .with(
            "Events",
            Field::List(response.events.iter().map(event).collect()),
        )
        .with("CompactRevision", Field::Signed(response.compact_revision))
        .with("Canceled", Field::Bool(response.canceled))
        .with("Created", Field::Bool(response.created))
}

pub(crate) fn lease_granted(response: &LeaseGrantResponse) -> Object {
    header(response.header.as_ref())
        .with("ID", Field::Signed(response.id))
        .with("TTL", Field::Signed(response.ttl))
        .with("Error", Field::Text(response.error.clone()))
}

pub(crate) fn lease_revoked(response: &LeaseRevokeResponse) -> Object {
    Object::default().header(response.header.as_ref())
}

pub(crate) fn lease_kept(response: &LeaseKeepAliveResponse) -> Object {
    header(response.header.as_ref())
        .with("ID", Field::Signed(response.id))
        .with("TTL", Field::Signed(response.ttl))
}

pub(crate) fn lease_time(response: &LeaseTimeToLiveResponse) -> Object {
    let keys = match response.keys.is_empty() {
        true => Field::Null,
        false => {
            let keys = response.keys.iter();
            Field::List(keys.map(|key| Field::Text(STANDARD.encode(key))).collect())
        }
    };
    header(response.header.as_ref())
        .with("id", Field::Signed(response.id))
        .with("ttl", Field::Signed(response.ttl))
        .with("granted-ttl", Field::Signed(response.granted_ttl))
        .with("keys", keys)
}

pub(crate) fn leases(response: &LeaseLeasesResponse) -> Object {
    let one = |lease: &quorate_client::proto::LeaseStatus| {
        Field::Object(Object::default().with("id", Field::Signed(lease.id)))
    };
    header(response.header.as_ref()).with(
        "leases",
        Field::List(response.leases.iter().map(one).collect()),
    )
}

fn member(member: &Member) -> Field {
    let object = Object::default()
        .unsigned("ID", member.id)
        .text("name", &member.name)
        .list("peerURLs", texts(&member.peer_ur_ls))
        .list("clientURLs", texts(&member.client_ur_ls))
        .bool("isLearner", member.is_learner);
    Field::Object(object)
}

pub(crate) fn members(response: &MemberListResponse) -> Object {
    Object::default()
        .header(response.header.as_ref())
        .list("members", response.members.iter().map(member).collect())
}

pub(crate) fn member_change(change: &MemberChange) -> Object {
    let mut object = Object::default().header(change.header.as_ref());
    if let Done::Added(added) = &change.done {
        object = object.with("member", member(added));
    }
    object.list("members", change.members.iter().map(member).collect())
}

/// What one endpoint answered.
pub(crate) fn status(endpoint: &str, response: &StatusResponse) -> Object {
    let status = Object::default()
        .header(response.header.as_ref())
        .text("version", &response.version)
        .signed("dbSize", response.db_size)
        .unsigned("leader", response.leader)
        .unsigned("raftIndex", response.raft_index)
        .unsigned("raftTerm", response.raft_term)
        .unsigned("raftAppliedIndex", response.raft_applied_index)
        .list("errors", texts(&response.errors))
        .signed("dbSizeInUse", response.db_size_in_use)
        .bool("isLearner", response.is_learner);
    Object::default()
        .text("Endpoint", endpoint)
        .with("Status", Field::Object(status))
}
