//! From the API's words to the service's and back. Keys and values are moved, never copied.

use quorate_service::command::{
    Compare, DeleteRange, KeyRange, Member, Op, Operand, Order, Put, Range, Relation, Target, Txn,
};
use quorate_service::reply::{DeleteRangeReply, KeyValue, OpReply, PutReply, RangeReply, TxnReply};

use crate::error::{self, Refusal};
use crate::proto::etcdserverpb as pb;
use crate::proto::mvccpb;
use pb::compare::{CompareResult, CompareTarget, TargetUnion};
use pb::range_request::{SortOrder, SortTarget};
use pb::request_op::Request;
use pb::response_op::Response;

/// A read that was checked.
pub(crate) fn range(request: pb::RangeRequest) -> Range {
    Range {
        order: match request.sort_order() {
            SortOrder::None => Order::None,
            SortOrder::Ascend => Order::Ascend,
            SortOrder::Descend => Order::Descend,
        },
        target: match request.sort_target() {
            SortTarget::Key => Target::Key,
            SortTarget::Version => Target::Version,
            SortTarget::Create => Target::Create,
            SortTarget::Mod => Target::Mod,
            SortTarget::Value => Target::Value,
        },
        range: KeyRange {
            key: request.key,
            end: request.range_end,
        },
        limit: request.limit,
        revision: request.revision,
        keys_only: request.keys_only,
        count_only: request.count_only,
        min_mod_revision: request.min_mod_revision,
        max_mod_revision: request.max_mod_revision,
        min_create_revision: request.min_create_revision,
        max_create_revision: request.max_create_revision,
    }
}

/// A put that was checked.
pub(crate) fn put(request: pb::PutRequest) -> Put {
    Put {
        key: request.key,
        value: request.value,
        lease: request.lease,
        prev_kv: request.prev_kv,
        ignore_value: request.ignore_value,
        ignore_lease: request.ignore_lease,
    }
}

/// A delete that was checked.
pub(crate) fn delete_range(request: pb::DeleteRangeRequest) -> DeleteRange {
    DeleteRange {
        range: KeyRange {
            key: request.key,
            end: request.range_end,
        },
        prev_kv: request.prev_kv,
    }
}

/// A transaction that was checked.
pub(crate) fn txn(request: pb::TxnRequest) -> Result<Txn, Refusal> {
    Ok(Txn {
        compares: request
            .compare
            .into_iter()
            .map(compare)
            .collect::<Result<_, _>>()?,
        success: ops(request.success)?,
        failure: ops(request.failure)?,
    })
}

fn ops(requests: Vec<pb::RequestOp>) -> Result<Vec<Op>, Refusal> {
    requests
        .into_iter()
        .map(|op| match op.request {
            Some(Request::RequestRange(inner)) => Ok(Op::Range(range(inner))),
            Some(Request::RequestPut(inner)) => Ok(Op::Put(put(inner))),
            Some(Request::RequestDeleteRange(inner)) => Ok(Op::DeleteRange(delete_range(inner))),
            Some(Request::RequestTxn(inner)) => Ok(Op::Txn(txn(inner)?)),
            None => Err(error::KEY_NOT_FOUND),
        })
        .collect()
}

/// A comparison. What it compares with must be of the kind of its target; if it is missing or of
/// another kind, it is zero or empty, as in etcd.
fn compare(request: pb::Compare) -> Result<Compare, Refusal> {
    let (Ok(result), Ok(target)) = (
        CompareResult::try_from(request.result),
        CompareTarget::try_from(request.target),
    ) else {
        return Err(error::INVALID_COMPARE);
    };
    let relation = match result {
        CompareResult::Equal => Relation::Equal,
        CompareResult::Greater => Relation::Greater,
        CompareResult::Less => Relation::Less,
        CompareResult::NotEqual => Relation::NotEqual,
    };
    let operand = match (target, request.target_union) {
        (CompareTarget::Version, Some(TargetUnion::Version(n))) => Operand::Version(n),
        (CompareTarget::Version, _) => Operand::Version(0),
        (CompareTarget::Create, Some(TargetUnion::CreateRevision(n))) => Operand::Create(n),
        (CompareTarget::Create, _) => Operand::Create(0),
        (CompareTarget::Mod, Some(TargetUnion::ModRevision(n))) => Operand::Mod(n),
        (CompareTarget::Mod, _) => Operand::Mod(0),
        (CompareTarget::Value, Some(TargetUnion::Value(value))) => Operand::Value(value),
        (CompareTarget::Value, _) => Operand::Value(bytes::Bytes::new()),
        (CompareTarget::Lease, Some(TargetUnion::Lease(n))) => Operand::Lease(n),
        (CompareTarget::Lease, _) => Operand::Lease(0),
    };
    Ok(Compare {
        range: KeyRange {
            key: request.key,
            end: request.range_end,
        },
        relation,
        operand,
    })
}

/// A row.
pub(crate) fn key_value(row: KeyValue) -> mvccpb::KeyValue {
    mvccpb::KeyValue {
        key: row.key,
        create_revision: row.create_revision,
        mod_revision: row.mod_revision,
        version: row.version,
        value: row.value,
        lease: row.lease,
    }
}

/// The answer to a read.
pub(crate) fn range_response(header: pb::ResponseHeader, reply: RangeReply) -> pb::RangeResponse {
    pb::RangeResponse {
        header: Some(header),
        kvs: reply.kvs.into_iter().map(key_value).collect(),
        more: reply.more,
        count: reply.count,
    }
}

/// The answer to a put.
pub(crate) fn put_response(header: pb::ResponseHeader, reply: PutReply) -> pb::PutResponse {
    pb::PutResponse {
        header: Some(header),
        prev_kv: reply.prev_kv.map(key_value),
    }
}

/// The answer to a delete.
pub(crate) fn delete_range_response(
    header: pb::ResponseHeader,
    reply: DeleteRangeReply,
) -> pb::DeleteRangeResponse {
    pb::DeleteRangeResponse {
        header: Some(header),
        deleted: reply.deleted,
        prev_kvs: reply.prev_kvs.into_iter().map(key_value).collect(),
    }
}

/// The answer to a transaction. The headers of the answers inside it have only a revision.
pub(crate) fn txn_response(header: pb::ResponseHeader, reply: TxnReply) -> pb::TxnResponse {
    let responses = reply.replies.into_iter().map(|(revision, reply)| {
        let header = pb::ResponseHeader {
            revision,
            ..Default::default()
        };
        pb::ResponseOp {
            response: Some(match reply {
                OpReply::Put(reply) => Response::ResponsePut(put_response(header, reply)),
                OpReply::Range(reply) => Response::ResponseRange(range_response(header, reply)),
                OpReply::DeleteRange(reply) => {
                    Response::ResponseDeleteRange(delete_range_response(header, reply))
                }
                OpReply::Txn(reply) => Response::ResponseTxn(txn_response(header, reply)),
            }),
        }
    });
    pb::TxnResponse {
        header: Some(header),
        succeeded: reply.succeeded,
        responses: responses.collect(),
    }
}

/// A member of the cluster. There are no learners yet.
pub(crate) fn member(member: Member) -> pb::Member {
    pb::Member {
        id: member.id,
        name: member.name,
        peer_ur_ls: member.peer_urls,
        client_ur_ls: member.client_urls,
        is_learner: member.is_learner,
    }
}

#[cfg(test)]
mod tests;
