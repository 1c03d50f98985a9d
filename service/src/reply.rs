//! What the key-value machine answers.

use bytes::Bytes;

use crate::health::Alarm;

/// A row: a key with one of its values.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct KeyValue {
    /// The key.
    pub key: Bytes,
    /// The value.
    pub value: Bytes,
    /// The revision at which the key came into being.
    pub create_revision: i64,
    /// The revision at which it got this value.
    pub mod_revision: i64,
    /// How often it was put since it came into being.
    pub version: i64,
    /// The lease attached, or 0.
    pub lease: i64,
}

/// The answer to a command, with where the cluster stood when it was applied.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Applied {
    /// The store's revision right after the command.
    pub revision: i64,
    /// The epoch in which the command was ordered.
    pub epoch: u64,
    /// The answer.
    pub reply: Reply,
}

/// The answer to a command.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Reply {
    /// To a put.
    Put(PutReply),
    /// To a delete.
    DeleteRange(DeleteRangeReply),
    /// To a transaction.
    Txn(TxnReply),
    /// To a compaction: the ticket with which to wait for the space to be freed
    /// (`View::compaction_finished`).
    Compact,
    /// To a grant.
    LeaseGrant {
        /// The lease's id.
        id: i64,
        /// The TTL that it got, seconds.
        ttl: i64,
    },
    /// To a revocation.
    LeaseRevoke,
    /// To a renewal. A lease that does not exist answers TTL 0, which is no error.
    LeaseKeepAlive {
        /// The lease's full TTL, seconds, or 0.
        ttl: i64,
    },
    /// To a change of the members.
    Members {
        /// What names the new list: it is in force once the protocol says so of this version, or of a
        /// newer one.
        version: u64,
    },
    /// To what concerns alarms.
    Alarms(Vec<Alarm>),
    /// To a tick or an announcement, which nobody waits for.
    Done,
}

/// The answer to a put.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct PutReply {
    /// The row that was replaced, if asked for and there.
    pub prev_kv: Option<KeyValue>,
}

/// The answer to a delete.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct DeleteRangeReply {
    /// How many rows there were.
    pub deleted: i64,
    /// The rows, if asked for.
    pub prev_kvs: Vec<KeyValue>,
}

/// The answer to a read.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct RangeReply {
    /// The rows.
    pub kvs: Vec<KeyValue>,
    /// Whether the limit cut rows off.
    pub more: bool,
    /// How many keys the range has, whatever limit and filters say.
    pub count: i64,
}

/// The answer to a transaction.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct TxnReply {
    /// Whether all comparisons held.
    pub succeeded: bool,
    /// The answers to the operations of the branch taken, each with the store's revision as it
    /// stood for that operation.
    pub replies: Vec<(i64, OpReply)>,
}

/// The answer to one operation of a transaction.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum OpReply {
    /// To a put.
    Put(PutReply),
    /// To a read.
    Range(RangeReply),
    /// To a delete.
    DeleteRange(DeleteRangeReply),
    /// To a nested transaction.
    Txn(TxnReply),
}

/// A lease, as seen from outside.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LeaseStatus {
    /// Its id.
    pub id: i64,
    /// The TTL that it was granted, seconds.
    pub granted_ttl: i64,
    /// What remains of it, seconds, rounded down; 0 or less when it is due.
    pub remaining_ttl: i64,
    /// The keys attached, in order.
    pub keys: Vec<Bytes>,
}

/// One change, as watchers see it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Event {
    /// The row after the change. A deletion has only the key and the revision.
    pub kv: KeyValue,
    /// Whether the change is a deletion.
    pub deleted: bool,
    /// The row before the change, if there was one and it has not been compacted.
    pub prev_kv: Option<KeyValue>,
}

/// All changes of one revision, in the order in which they were made.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Revision {
    /// The revision.
    pub revision: i64,
    /// Its changes, at least one.
    pub events: Vec<Event>,
}
