//! What clients ask the key-value machine to do. Everything here goes through the log; requests
//! arrive checked by the API layer for form (sizes, empty keys, duplicate keys), and are checked here
//! against the state.

use bytes::Bytes;

use crate::health::{Alarm, Report};

/// A set of keys, as etcd's API writes it: with an empty `end` the single key `key`; with an end
/// of one zero byte every key from `key` on; otherwise `key <= k < end`.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct KeyRange {
    /// The first key, or the only one.
    pub key: Bytes,
    /// The end, exclusive; see above.
    pub end: Bytes,
}

/// One entry of the log, before batching.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Command {
    /// A single put; one revision.
    Put(Put),
    /// A single delete; one revision if anything was there.
    DeleteRange(DeleteRange),
    /// A transaction; at most one revision.
    Txn(Txn),
    /// Forget what was superseded before this revision.
    Compact {
        /// The oldest revision that stays readable.
        revision: i64,
    },
    /// Create a lease. The edge has picked the id and raised the TTL to the minimum.
    LeaseGrant {
        /// Its id, not 0.
        id: i64,
        /// Its time to live, seconds.
        ttl: i64,
    },
    /// End a lease and delete its keys in one revision.
    LeaseRevoke {
        /// Which.
        id: i64,
    },
    /// Give a lease its full time to live again.
    LeaseKeepAlive {
        /// Which.
        id: i64,
    },
    /// Time has passed, says the leader of this epoch; expires leases.
    Tick {
        /// The epoch in which the proposer leads.
        epoch: u64,
        /// Milliseconds since it began to lead, without long stalls.
        elapsed_ms: u64,
    },
    /// A member announces how clients reach it.
    Publish(Member),
    /// Let another one take part, as a learner or with a vote. Its name and client URLs come later, by
    /// its own announcement.
    MemberAdd {
        /// Who.
        member: Member,
        /// What must hold.
        rules: Rules,
    },
    /// Let one take part no more. Its id never comes back.
    MemberRemove {
        /// Which.
        id: u64,
        /// What must hold.
        rules: Rules,
    },
    /// Peers reach a member elsewhere.
    MemberUpdate {
        /// Which.
        id: u64,
        /// Where, as URLs.
        peer_urls: Vec<String>,
    },
    /// Give a learner a vote.
    MemberPromote {
        /// Which.
        id: u64,
        /// What must hold.
        rules: Rules,
    },
    /// Everyone is to report what state they have here, says the leader of this epoch.
    Check {
        /// The epoch in which the proposer leads.
        epoch: u64,
    },
    /// A member reports.
    Report(Report),
    /// Something is wrong with a member.
    Raise(Alarm),
    /// It is not any more; member 0 stands for all.
    Disarm(Alarm),
}

impl Command {
    /// What it adds to the store at most, bytes, by etcd's tariff; 0 for what adds nothing.
    #[must_use]
    pub fn price(&self) -> u64 {
        match self {
            Command::Put(put) => put.price(),
            Command::Txn(txn) => txn.price(),
            Command::LeaseGrant { .. } => LEASE_PRICE,
            Command::DeleteRange(_)
            | Command::Compact { .. }
            | Command::LeaseRevoke { .. }
            | Command::LeaseKeepAlive { .. }
            | Command::Tick { .. }
            | Command::Publish(_)
            | Command::MemberAdd { .. }
            | Command::MemberRemove { .. }
            | Command::MemberUpdate { .. }
            | Command::MemberPromote { .. }
            | Command::Check { .. }
            | Command::Report(_)
            | Command::Raise(_)
            | Command::Disarm(_) => 0,
        }
    }

    /// Whether clients see what it does: it must not be done to a state that nobody can vouch for.
    #[must_use]
    pub fn is_data(&self) -> bool {
        match self {
            Command::Put(_)
            | Command::DeleteRange(_)
            | Command::Txn(_)
            | Command::Compact { .. }
            | Command::LeaseGrant { .. }
            | Command::LeaseRevoke { .. } => true,
            Command::LeaseKeepAlive { .. }
            | Command::Tick { .. }
            | Command::Publish(_)
            | Command::MemberAdd { .. }
            | Command::MemberRemove { .. }
            | Command::MemberUpdate { .. }
            | Command::MemberPromote { .. }
            | Command::Check { .. }
            | Command::Report(_)
            | Command::Raise(_)
            | Command::Disarm(_) => false,
        }
    }
}

/// What a row costs beside its key and its value, bytes.
const ROW_PRICE: u64 = 256;
/// What a lease costs, bytes.
const LEASE_PRICE: u64 = 64;

impl Put {
    fn price(&self) -> u64 {
        (self.key.len() + self.value.len()) as u64 + ROW_PRICE
    }
}

impl Txn {
    /// That of the dearer branch.
    fn price(&self) -> u64 {
        let branch = |ops: &[Op]| {
            let prices = ops.iter().map(|op| match op {
                Op::Put(put) => put.price(),
                Op::Txn(txn) => txn.price(),
                Op::Range(_) | Op::DeleteRange(_) => 0,
            });
            prices.sum()
        };
        u64::max(branch(&self.success), branch(&self.failure))
    }
}

/// What a change of the list of members must respect, as the member that was asked is configured.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Rules {
    /// Whether a majority of those who have a vote after the change must have announced themselves.
    pub strict: bool,
    /// How many learners there may be.
    pub learners_max: u32,
}

impl Default for Rules {
    /// As etcd has them.
    fn default() -> Rules {
        Rules {
            strict: true,
            learners_max: 1,
        }
    }
}

/// A member of the cluster.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Member {
    /// Its id.
    pub id: u64,
    /// Its name; empty until the member has announced itself.
    pub name: String,
    /// Where peers reach it, as URLs.
    pub peer_urls: Vec<String>,
    /// Where clients reach it, as URLs.
    pub client_urls: Vec<String>,
    /// Whether it is told everything and has no vote.
    pub is_learner: bool,
}

/// Store a value.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Put {
    /// The key, not empty.
    pub key: Bytes,
    /// The value.
    pub value: Bytes,
    /// The lease to attach, or 0.
    pub lease: i64,
    /// Whether the reply brings the row that was replaced.
    pub prev_kv: bool,
    /// Keep the value that is there, which must exist.
    pub ignore_value: bool,
    /// Keep the lease that is there; the key must exist.
    pub ignore_lease: bool,
}

/// Delete keys.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct DeleteRange {
    /// Which.
    pub range: KeyRange,
    /// Whether the reply brings the deleted rows.
    pub prev_kv: bool,
}

/// Read keys.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Range {
    /// Which.
    pub range: KeyRange,
    /// How many rows at most; 0 or less for all.
    pub limit: i64,
    /// At which revision; 0 for the newest.
    pub revision: i64,
    /// In which order, if any was asked for.
    pub order: Order,
    /// Ordered by what.
    pub target: Target,
    /// Leave the values out.
    pub keys_only: bool,
    /// Leave the rows out.
    pub count_only: bool,
    /// Only rows modified at or after this revision, if not 0.
    pub min_mod_revision: i64,
    /// Only rows modified at or before this revision, if not 0.
    pub max_mod_revision: i64,
    /// Only rows created at or after this revision, if not 0.
    pub min_create_revision: i64,
    /// Only rows created at or before this revision, if not 0.
    pub max_create_revision: i64,
}

/// The order of a range's rows.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Order {
    /// By key if the target is the key, else ascending by the target.
    #[default]
    None,
    /// Smallest first.
    Ascend,
    /// Largest first.
    Descend,
}

/// What a range is ordered by.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Target {
    /// The key.
    #[default]
    Key,
    /// The version.
    Version,
    /// The revision of creation.
    Create,
    /// The revision of the last modification.
    Mod,
    /// The value.
    Value,
}

/// If every comparison holds do one thing, else another.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Txn {
    /// The comparisons, made against the state before the transaction.
    pub compares: Vec<Compare>,
    /// What to do if all hold.
    pub success: Vec<Op>,
    /// What to do otherwise.
    pub failure: Vec<Op>,
}

/// One operation inside a transaction.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Op {
    /// Store.
    Put(Put),
    /// Read; sees what earlier operations of the transaction did.
    Range(Range),
    /// Delete.
    DeleteRange(DeleteRange),
    /// Decide again.
    Txn(Txn),
}

/// One comparison: `row.target relation operand`, for every key in the range.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Compare {
    /// The keys; a range without keys compares as one row of zeros.
    pub range: KeyRange,
    /// The relation.
    pub relation: Relation,
    /// What is compared, and with what.
    pub operand: Operand,
}

/// How two things compare.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Relation {
    /// The same.
    Equal,
    /// The row's is larger.
    Greater,
    /// The row's is smaller.
    Less,
    /// Not the same.
    NotEqual,
}

/// The right-hand side of a comparison.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Operand {
    /// The version.
    Version(i64),
    /// The revision of creation.
    Create(i64),
    /// The revision of the last modification.
    Mod(i64),
    /// The value. On a key that does not exist, every comparison of values is false.
    Value(Bytes),
    /// The lease.
    Lease(i64),
}
