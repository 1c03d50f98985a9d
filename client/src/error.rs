//! What can go wrong, in the words of gRPC but without its types.

use std::fmt;
use std::time::Duration;

use thiserror::Error as ThisError;

/// The status codes of gRPC.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
#[allow(missing_docs)]
pub enum Code {
    Ok,
    Cancelled,
    Unknown,
    InvalidArgument,
    DeadlineExceeded,
    NotFound,
    AlreadyExists,
    PermissionDenied,
    ResourceExhausted,
    FailedPrecondition,
    Aborted,
    OutOfRange,
    Unimplemented,
    Internal,
    Unavailable,
    DataLoss,
    Unauthenticated,
}

impl Code {
    /// All codes; the position of each is its number on the wire.
    pub const ALL: [Code; 17] = [
        Code::Ok,
        Code::Cancelled,
        Code::Unknown,
        Code::InvalidArgument,
        Code::DeadlineExceeded,
        Code::NotFound,
        Code::AlreadyExists,
        Code::PermissionDenied,
        Code::ResourceExhausted,
        Code::FailedPrecondition,
        Code::Aborted,
        Code::OutOfRange,
        Code::Unimplemented,
        Code::Internal,
        Code::Unavailable,
        Code::DataLoss,
        Code::Unauthenticated,
    ];

    /// The code with this number; an unknown number is [`Code::Unknown`], as gRPC wants it.
    #[must_use]
    pub fn from_number(number: i32) -> Code {
        let found = usize::try_from(number)
            .ok()
            .and_then(|at| Code::ALL.get(at));
        found.copied().unwrap_or(Code::Unknown)
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// Why a call failed.
#[derive(Clone, PartialEq, Eq, Debug, ThisError)]
pub enum Error {
    /// An endpoint that cannot be: see [`Address::parse`](crate::Address::parse).
    #[error("{0}")]
    Endpoint(String),
    /// No connection could be made, so the call was not carried out.
    #[error("cannot connect to {endpoint}: {reason}")]
    Connect {
        /// The endpoint that was tried last.
        endpoint: String,
        /// What the operating system says.
        reason: String,
    },
    /// The server refused, in its own words.
    #[error("{message}")]
    Server {
        /// The kind of refusal.
        code: Code,
        /// The text that etcd's clients match on.
        message: String,
    },
    /// The connection broke after the call was sent: it may or may not have been carried out.
    #[error("lost the connection to {endpoint}: {reason}")]
    Lost {
        /// The endpoint that was called.
        endpoint: String,
        /// What was seen.
        reason: String,
    },
    /// Time ran out after the call was sent: it may or may not have been carried out.
    #[error("no answer from {endpoint} within {after:.1?}")]
    Timeout {
        /// The endpoint that was called last.
        endpoint: String,
        /// The time that was given.
        after: Duration,
    },
    /// A watch cannot go on, because the revisions that it needs are gone.
    #[error("etcdserver: mvcc: required revision has been compacted")]
    Compacted {
        /// The oldest revision from which a watch can start.
        revision: i64,
    },
    /// The server ended a watch.
    #[error("{0}")]
    WatchCanceled(String),
}

impl Error {
    /// The status code, if a server answered.
    #[must_use]
    pub fn code(&self) -> Option<Code> {
        match self {
            Error::Server { code, .. } => Some(*code),
            Error::Compacted { .. } => Some(Code::OutOfRange),
            _ => None,
        }
    }

    /// Whether the call was certainly not carried out.
    #[must_use]
    pub fn is_not_carried_out(&self) -> bool {
        match self {
            Error::Endpoint(_) | Error::Connect { .. } => true,
            Error::Lost { .. } | Error::Timeout { .. } => false,
            Error::Compacted { .. } | Error::WatchCanceled(_) => true,
            Error::Server { code, message } => match code {
                // These answers come from before the request is agreed on, or from its own outcome.
                Code::InvalidArgument
                | Code::NotFound
                | Code::AlreadyExists
                | Code::PermissionDenied
                | Code::ResourceExhausted
                | Code::FailedPrecondition
                | Code::OutOfRange
                | Code::Unimplemented
                | Code::Unauthenticated => true,
                Code::Unavailable => UNAVAILABLE_BEFORE.contains(&message.as_str()),
                _ => false,
            },
        }
    }

    /// Whether a write that failed so may have been carried out nevertheless.
    #[must_use]
    pub fn is_uncertain(&self) -> bool {
        !self.is_not_carried_out()
    }
}

/// The texts of an unavailable server that say that it did not even begin.
const UNAVAILABLE_BEFORE: [&str; 4] = [
    "etcdserver: no leader",
    "etcdserver: not capable",
    "etcdserver: rpc not supported for learner",
    "etcdserver: unhealthy cluster",
];
