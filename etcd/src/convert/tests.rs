use super::*;
use bytes::Bytes;

#[test]
fn an_operand_of_the_wrong_kind_is_zero() {
    let request = |target, target_union| pb::Compare {
        target,
        key: "k".into(),
        target_union,
        ..Default::default()
    };
    for (target, union, expected) in [
        (0, None, Operand::Version(0)),
        (0, Some(TargetUnion::ModRevision(7)), Operand::Version(0)),
        (1, Some(TargetUnion::CreateRevision(7)), Operand::Create(7)),
        (2, Some(TargetUnion::ModRevision(-7)), Operand::Mod(-7)),
        (3, Some(TargetUnion::Lease(7)), Operand::Value(Bytes::new())),
        (
            3,
            Some(TargetUnion::Value("v".into())),
            Operand::Value("v".into()),
        ),
        (4, Some(TargetUnion::Lease(7)), Operand::Lease(7)),
    ] {
        assert_eq!(compare(request(target, union)).unwrap().operand, expected);
    }
    assert_eq!(compare(request(5, None)), Err(error::INVALID_COMPARE));
    let bad_result = pb::Compare {
        result: 4,
        ..request(0, None)
    };
    assert_eq!(compare(bad_result), Err(error::INVALID_COMPARE));
}

#[test]
fn answers_inside_a_txn_have_only_a_revision() {
    let header = pb::ResponseHeader {
        cluster_id: 1,
        member_id: 2,
        revision: 10,
        raft_term: 4,
    };
    let reply = TxnReply {
        succeeded: true,
        replies: vec![
            (9, OpReply::Range(RangeReply::default())),
            (10, OpReply::Put(PutReply::default())),
            (10, OpReply::DeleteRange(DeleteRangeReply::default())),
            (10, OpReply::Txn(TxnReply::default())),
        ],
    };
    let response = txn_response(header, reply);
    assert_eq!(response.header, Some(header));
    let inner: Vec<_> = response
        .responses
        .into_iter()
        .map(|op| match op.response.unwrap() {
            Response::ResponseRange(inner) => inner.header,
            Response::ResponsePut(inner) => inner.header,
            Response::ResponseDeleteRange(inner) => inner.header,
            Response::ResponseTxn(inner) => inner.header,
        })
        .map(Option::unwrap)
        .map(|h| (h.cluster_id, h.member_id, h.revision, h.raft_term))
        .collect();
    assert_eq!(
        inner,
        [(0, 0, 9, 0), (0, 0, 10, 0), (0, 0, 10, 0), (0, 0, 10, 0)]
    );
}
