//! The codes and texts that clients match on. They are etcd's, to the letter.

use quorate_service::error::Error;
use tonic::{Code, Status};

/// One refusal: its code and its text.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Refusal(pub(crate) Code, pub(crate) &'static str);

macro_rules! refusals {
    ($($name:ident = $code:ident, $text:literal;)*) => {
        $(pub(crate) const $name: Refusal = Refusal(Code::$code, concat!("etcdserver: ", $text));)*
        /// All of them, for the test that compares them with the specification.
        #[cfg(test)]
        pub(crate) const ALL: &[Refusal] = &[$($name),*];
    };
}

refusals! {
    EMPTY_KEY = InvalidArgument, "key is not provided";
    KEY_NOT_FOUND = InvalidArgument, "key not found";
    VALUE_PROVIDED = InvalidArgument, "value is provided";
    LEASE_PROVIDED = InvalidArgument, "lease is provided";
    TOO_MANY_OPS = InvalidArgument, "too many operations in txn request";
    DUPLICATE_KEY = InvalidArgument, "duplicate key given in txn request";
    INVALID_SORT = InvalidArgument, "invalid sort option";
    // Not etcd's: it takes an unknown target for one that is always equal.
    INVALID_COMPARE = InvalidArgument, "invalid compare target or result in txn request";
    TOO_LARGE = InvalidArgument, "request is too large";
    COMPACTED = OutOfRange, "mvcc: required revision has been compacted";
    FUTURE_REVISION = OutOfRange, "mvcc: required revision is a future revision";
    TTL_TOO_LARGE = OutOfRange, "too large lease TTL";
    LEASE_NOT_FOUND = NotFound, "requested lease not found";
    LEASE_EXISTS = FailedPrecondition, "lease already exists";
    NOT_LEADER = FailedPrecondition, "not leader";
    BAD_TRANSFEREE = FailedPrecondition, "bad leader transferee";
    TOO_MANY_REQUESTS = ResourceExhausted, "too many requests";
    NO_LEADER = Unavailable, "no leader";
    MEMBER_NOT_FOUND = NotFound, "member not found";
    MEMBER_EXISTS = FailedPrecondition, "member ID already exist";
    PEER_URL_EXISTS = FailedPrecondition, "Peer URLs already exists";
    NOT_LEARNER = FailedPrecondition, "can only promote a learner member";
    NOT_ENOUGH_STARTED = FailedPrecondition, "re-configuration failed due to not enough started members";
    TOO_MANY_LEARNERS = FailedPrecondition, "too many learner members in cluster";
    LEARNER_NOT_READY = FailedPrecondition, "can only promote a learner member which is in sync with leader";
    NO_SPACE = ResourceExhausted, "mvcc: database space exceeded";
    // In 3.6 a failed precondition; the version that we report is a 3.5.
    NOT_FOR_LEARNERS = Unavailable, "rpc not supported for learner";
    DOWNGRADE_FORMAT = InvalidArgument, "wrong downgrade target version format";
    DOWNGRADE_TARGET = InvalidArgument, "invalid downgrade target version";
    NO_DOWNGRADE = FailedPrecondition, "no inflight downgrade job";
    // Not etcd's: it ends its process.
    UNKNOWN_ALARM = InvalidArgument, "alarm type is not known";
    BAD_MEMBER_URLS = InvalidArgument, "given member URLs are invalid";
    UNHEALTHY = Unavailable, "unhealthy cluster";
    STOPPED = Unavailable, "server stopped";
    TIMEOUT = Unavailable, "request timed out";
    TRANSFER_TIMEOUT = Unavailable, "request timed out, leader transfer took too long";
    CORRUPT = DataLoss, "corrupt cluster";
}

impl From<Refusal> for Status {
    fn from(refusal: Refusal) -> Status {
        Status::new(refusal.0, refusal.1)
    }
}

/// What a client is told when the service refuses.
pub(crate) fn status(error: &Error) -> Status {
    let refusal = match error {
        Error::Compacted { .. } => COMPACTED,
        Error::FutureRevision { .. } => FUTURE_REVISION,
        Error::KeyNotFound => KEY_NOT_FOUND,
        Error::LeaseNotFound => LEASE_NOT_FOUND,
        Error::LeaseExists => LEASE_EXISTS,
        Error::MemberNotFound => MEMBER_NOT_FOUND,
        Error::MemberExists => MEMBER_EXISTS,
        Error::PeerUrlExists => PEER_URL_EXISTS,
        Error::NotLearner => NOT_LEARNER,
        Error::LastVoter | Error::NotEnoughStarted => NOT_ENOUGH_STARTED,
        Error::TooManyLearners => TOO_MANY_LEARNERS,
        Error::LearnerNotReady => LEARNER_NOT_READY,
        Error::NoSpace => NO_SPACE,
        Error::Corrupt => CORRUPT,
        Error::Timeout => TIMEOUT,
        Error::NoLeader => NO_LEADER,
        Error::TooManyRequests => TOO_MANY_REQUESTS,
        Error::TooLarge => TOO_LARGE,
        // A replica whose disk fails stops; the client had better ask another.
        Error::Stopped | Error::Storage(_) => STOPPED,
        Error::Damaged(_) => CORRUPT,
    };
    refusal.into()
}

#[cfg(test)]
mod tests;
