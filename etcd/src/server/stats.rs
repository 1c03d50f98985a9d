//! Counts of calls: a fixed table of atomic numbers, since it is on the path of every request.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tonic::Code;

/// The calls that are counted one by one: service and method. Others are counted together.
pub(super) const METHODS: &[(&str, &str)] = &[
    ("etcdserverpb.KV", "Range"),
    ("etcdserverpb.KV", "Put"),
    ("etcdserverpb.KV", "DeleteRange"),
    ("etcdserverpb.KV", "Txn"),
    ("etcdserverpb.KV", "Compact"),
    ("etcdserverpb.Watch", "Watch"),
    ("etcdserverpb.Lease", "LeaseGrant"),
    ("etcdserverpb.Lease", "LeaseRevoke"),
    ("etcdserverpb.Lease", "LeaseKeepAlive"),
    ("etcdserverpb.Lease", "LeaseTimeToLive"),
    ("etcdserverpb.Lease", "LeaseLeases"),
    ("etcdserverpb.Cluster", "MemberList"),
    ("etcdserverpb.Maintenance", "Status"),
    ("", "other"),
];

/// How many codes gRPC has.
pub(super) const CODES: usize = 17;

/// The upper bounds of the buckets that durations are counted in, microseconds; the last bucket has
/// none.
pub(super) const BOUNDS_US: [u64; 14] = [
    100, 200, 500, 1_000, 2_000, 5_000, 10_000, 20_000, 50_000, 100_000, 200_000, 500_000,
    1_000_000, 5_000_000,
];

/// What is known of one method.
#[derive(Default)]
pub(super) struct MethodStats {
    /// Answers by code. A stream counts when it begins.
    pub(super) codes: [AtomicU64; CODES],
    /// Answers by how long they took.
    pub(super) buckets: [AtomicU64; BOUNDS_US.len() + 1],
    /// How long all of them took together, microseconds.
    pub(super) sum_us: AtomicU64,
}

/// What is known of all methods, in the order of [`METHODS`].
#[derive(Default)]
pub(super) struct Stats {
    pub(super) methods: [MethodStats; METHODS.len()],
}

/// A place among [`METHODS`].
#[derive(Clone, Copy, Debug)]
pub(super) struct Method(usize);

impl Stats {
    /// Where a service's method is counted.
    pub(super) fn method(service: &str, method: &str) -> Method {
        let known = METHODS.iter().position(|&known| known == (service, method));
        Method(known.unwrap_or(METHODS.len() - 1))
    }

    /// Counts an answer to a call of this service and method.
    pub(super) fn count(&self, service: &str, method: &str, code: Code, took: Duration) {
        self.count_of(Stats::method(service, method), code, took);
    }

    /// Counts an answer to a call of this method.
    pub(super) fn count_of(&self, method: Method, code: Code, took: Duration) {
        let stats = &self.methods[method.0];
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let bucket = BOUNDS_US.partition_point(|&bound| bound < micros);
        stats.codes[code as usize % CODES].fetch_add(1, Ordering::Relaxed);
        stats.buckets[bucket].fetch_add(1, Ordering::Relaxed);
        stats.sum_us.fetch_add(micros, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_counted_where_they_belong() {
        let stats = Stats::default();
        stats.count(
            "etcdserverpb.KV",
            "Put",
            Code::Ok,
            Duration::from_micros(100),
        );
        stats.count("etcdserverpb.KV", "Put", Code::Unavailable, Duration::MAX);
        stats.count("no", "such", Code::Unimplemented, Duration::ZERO);
        let put = &stats.methods[1];
        assert_eq!(put.codes[0].load(Ordering::Relaxed), 1);
        assert_eq!(put.codes[14].load(Ordering::Relaxed), 1);
        assert_eq!(put.buckets[0].load(Ordering::Relaxed), 1);
        assert_eq!(put.buckets[BOUNDS_US.len()].load(Ordering::Relaxed), 1);
        let other = &stats.methods[METHODS.len() - 1];
        assert_eq!(other.codes[12].load(Ordering::Relaxed), 1);
    }
}
