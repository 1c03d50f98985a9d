//! Whether a failed call may be tried again.

use crate::proto::{RequestOp, TxnRequest, request_op::Request};
use crate::{Code, Error};

/// What a call does to the store, which decides whether it may be repeated.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Effect {
    /// Carrying it out twice is like carrying it out once.
    Read,
    /// Carrying it out twice may differ.
    Write,
}

impl Effect {
    /// A transaction is a read if neither of its branches can write.
    #[must_use]
    pub fn of_txn(txn: &TxnRequest) -> Effect {
        let reads = |op: &RequestOp| match &op.request {
            Some(Request::RequestRange(_)) => true,
            Some(Request::RequestTxn(nested)) => Effect::of_txn(nested) == Effect::Read,
            Some(Request::RequestPut(_) | Request::RequestDeleteRange(_)) | None => false,
        };
        if txn.success.iter().chain(&txn.failure).all(reads) {
            Effect::Read
        } else {
            Effect::Write
        }
    }

    /// Whether another attempt, at this endpoint or another, is allowed and makes sense.
    #[must_use]
    pub fn may_retry(self, error: &Error) -> bool {
        let another_may_help = match error {
            Error::Connect { .. } | Error::Lost { .. } | Error::Timeout { .. } => true,
            Error::Server { code, message } => {
                *code == Code::Unavailable
                    // The other code that means "not now, not here".
                    || (*code == Code::ResourceExhausted
                        && message == "etcdserver: too many requests")
            }
            Error::Endpoint(_) | Error::Compacted { .. } | Error::WatchCanceled(_) => false,
        };
        another_may_help && (self == Effect::Read || error.is_not_carried_out())
    }
}

#[cfg(test)]
#[path = "retry_tests.rs"]
mod tests;
