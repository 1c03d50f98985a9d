//! Why a request is refused. The API layer maps these to its own codes and texts.

use thiserror::Error;

/// Why a request is refused or has no answer.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum Error {
    /// The revision has been compacted.
    #[error("revision is older than {compacted}, the oldest that was kept")]
    Compacted {
        /// The oldest revision that can be read.
        compacted: i64,
    },
    /// The revision does not exist yet.
    #[error("revision is larger than {current}, the newest there is")]
    FutureRevision {
        /// The newest revision.
        current: i64,
    },
    /// `ignore_value` or `ignore_lease` for a key that does not exist.
    #[error("the key does not exist, so there is no value or lease to keep")]
    KeyNotFound,
    /// The lease does not exist.
    #[error("the lease does not exist")]
    LeaseNotFound,
    /// The lease id is taken.
    #[error("a lease with this id exists")]
    LeaseExists,
    /// No such member.
    #[error("there is no member with this id")]
    MemberNotFound,
    /// The id is a member's, or was.
    #[error("a member has, or had, this id")]
    MemberExists,
    /// Another member is reached at this URL.
    #[error("another member has one of these peer URLs")]
    PeerUrlExists,
    /// Only a learner can be given a vote.
    #[error("the member has a vote already")]
    NotLearner,
    /// The last one with a vote stays.
    #[error("the last member with a vote cannot be removed")]
    LastVoter,
    /// Too few of those who would have a vote have ever run.
    #[error("too few of those who would have a vote have announced themselves")]
    NotEnoughStarted,
    /// There are as many learners as there may be.
    #[error("there are as many learners as there may be")]
    TooManyLearners,
    /// A learner lacks too much of what there is to be given a vote.
    #[error("the learner has not come far enough to be given a vote")]
    LearnerNotReady,
    /// There is no room for more, says the alarm, until somebody makes room and disarms it.
    #[error("the store may not grow any more")]
    NoSpace,
    /// The state of this replica, or of one that nobody can name, is not what was agreed on.
    #[error("the replicas do not have the same state")]
    Corrupt,
    /// Nothing was heard in time: the command may or may not have been carried out.
    #[error("no answer in time; the request may or may not have been carried out")]
    Timeout,
    /// There was no leader for as long as the request was willing to wait. It was not carried out.
    #[error("there is no leader")]
    NoLeader,
    /// Too much is waiting already. It was not carried out.
    #[error("too many requests are waiting")]
    TooManyRequests,
    /// The batch does not fit. It was not carried out.
    #[error("the request is too large")]
    TooLarge,
    /// The server is stopping. It may or may not have been carried out.
    #[error("the server is stopping")]
    Stopped,
    /// A stored or transmitted byte is not what was written. The replica stops.
    #[error("damaged data: {0}")]
    Damaged(String),
    /// The disk failed.
    #[error("storage failed: {0}")]
    Storage(String),
}

impl Error {
    /// Whether the replica cannot go on: its own data is damaged or its disk failed.
    #[must_use]
    pub fn is_fatal(&self) -> bool {
        matches!(self, Error::Damaged(_) | Error::Storage(_))
    }
}
