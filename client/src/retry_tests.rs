use super::*;
use crate::proto::{DeleteRangeRequest, PutRequest, RangeRequest};

fn server(code: Code, message: &str) -> Error {
    let message = message.to_owned();
    Error::Server { code, message }
}

fn lost() -> Error {
    let (endpoint, reason) = ("a:1".to_owned(), "reset".to_owned());
    Error::Lost { endpoint, reason }
}

#[test]
fn a_read_is_tried_again_whenever_another_server_may_help() {
    for error in [
        lost(),
        server(Code::Unavailable, "etcdserver: leader changed"),
        server(Code::Unavailable, "etcdserver: request timed out"),
        server(Code::ResourceExhausted, "etcdserver: too many requests"),
    ] {
        assert!(Effect::Read.may_retry(&error), "{error:?}");
    }
}

#[test]
fn a_write_is_tried_again_only_if_it_was_certainly_not_carried_out() {
    let connect = Error::Connect {
        endpoint: "a:1".into(),
        reason: "refused".into(),
    };
    for certain in [
        connect,
        server(Code::Unavailable, "etcdserver: no leader"),
        server(Code::ResourceExhausted, "etcdserver: too many requests"),
    ] {
        assert!(Effect::Write.may_retry(&certain), "{certain:?}");
    }
    for uncertain in [
        lost(),
        server(Code::Unavailable, "etcdserver: leader changed"),
        server(Code::Unavailable, "etcdserver: request timed out"),
        server(Code::Unavailable, "etcdserver: server stopped"),
        server(Code::Unknown, "whatever"),
    ] {
        assert!(!Effect::Write.may_retry(&uncertain), "{uncertain:?}");
        assert!(uncertain.is_uncertain(), "{uncertain:?}");
    }
}

#[test]
fn a_refusal_is_final() {
    for error in [
        server(Code::InvalidArgument, "etcdserver: key is not provided"),
        server(
            Code::ResourceExhausted,
            "etcdserver: mvcc: database space exceeded",
        ),
        server(
            Code::OutOfRange,
            "etcdserver: mvcc: required revision has been compacted",
        ),
        Error::Compacted { revision: 7 },
    ] {
        assert!(!Effect::Read.may_retry(&error), "{error:?}");
        assert!(!Effect::Write.may_retry(&error), "{error:?}");
        assert!(!error.is_uncertain(), "{error:?}");
    }
}

fn op(request: Request) -> RequestOp {
    RequestOp {
        request: Some(request),
    }
}

#[test]
fn a_transaction_of_reads_is_a_read_at_any_depth() {
    let read = op(Request::RequestRange(RangeRequest::default()));
    let nested = |inner: RequestOp| {
        op(Request::RequestTxn(TxnRequest {
            failure: vec![inner],
            ..Default::default()
        }))
    };
    let txn = |inner: RequestOp| TxnRequest {
        success: vec![read.clone(), inner],
        ..Default::default()
    };
    assert_eq!(Effect::of_txn(&TxnRequest::default()), Effect::Read);
    assert_eq!(Effect::of_txn(&txn(nested(read.clone()))), Effect::Read);
    let put = op(Request::RequestPut(PutRequest::default()));
    assert_eq!(Effect::of_txn(&txn(nested(put.clone()))), Effect::Write);
    assert_eq!(Effect::of_txn(&txn(put)), Effect::Write);
    let delete = op(Request::RequestDeleteRange(DeleteRangeRequest::default()));
    assert_eq!(Effect::of_txn(&txn(delete)), Effect::Write);
    assert_eq!(
        Effect::of_txn(&txn(RequestOp { request: None })),
        Effect::Write
    );
}
