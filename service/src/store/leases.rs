//! Leases, in memory whole: which there are, when they are due and which keys hang on them.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;

use crate::reply::LeaseStatus;

/// A lease.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Lease {
    /// Its time to live, seconds.
    pub(crate) ttl: i64,
    /// When it is due on the agreed clock.
    pub(crate) deadline_ms: u64,
    /// The keys attached. They are copies, so that they keep no payload alive.
    pub(crate) keys: BTreeSet<Bytes>,
}

/// All leases, and what changed since the last flush began.
#[derive(Clone, Debug, Default)]
pub(crate) struct Leases {
    all: BTreeMap<i64, Lease>,
    due: BTreeSet<(u64, i64)>,
    delta: LeaseDelta,
}

/// Changes of leases: what a flush writes beside the rows.
#[derive(Clone, Debug, Default)]
pub(crate) struct LeaseDelta {
    /// TTL and deadline of leases that are new or were renewed; nothing for those that ended.
    pub(crate) leases: BTreeMap<i64, Option<(i64, u64)>>,
    /// Whether a key is attached to a lease.
    pub(crate) keys: BTreeMap<(i64, Bytes), bool>,
}

impl LeaseDelta {
    pub(crate) fn is_empty(&self) -> bool {
        self.leases.is_empty() && self.keys.is_empty()
    }
}

impl Leases {
    pub(crate) fn get(&self, id: i64) -> Option<&Lease> {
        self.all.get(&id)
    }

    pub(crate) fn len(&self) -> usize {
        self.all.len()
    }

    pub(crate) fn ids(&self) -> Vec<i64> {
        self.all.keys().copied().collect()
    }

    /// A lease as seen from outside at a moment of the agreed clock.
    pub(crate) fn status(&self, id: i64, now_ms: u64) -> Option<LeaseStatus> {
        let lease = self.all.get(&id)?;
        let remaining_ms = i128::from(lease.deadline_ms) - i128::from(now_ms);
        let remaining = remaining_ms.div_euclid(1000);
        Some(LeaseStatus {
            id,
            granted_ttl: lease.ttl,
            remaining_ttl: i64::try_from(remaining).unwrap_or(i64::MAX),
            keys: lease.keys.iter().cloned().collect(),
        })
    }

    /// Adds a lease, or gives one another deadline.
    pub(crate) fn set(&mut self, id: i64, ttl: i64, deadline_ms: u64) {
        let lease = self.all.entry(id).or_default();
        self.due.remove(&(lease.deadline_ms, id));
        lease.ttl = ttl;
        lease.deadline_ms = deadline_ms;
        self.due.insert((deadline_ms, id));
        self.delta.leases.insert(id, Some((ttl, deadline_ms)));
    }

    /// Ends a lease; what hung on it is still to be deleted.
    pub(crate) fn remove(&mut self, id: i64) -> Option<Lease> {
        let lease = self.all.remove(&id)?;
        self.due.remove(&(lease.deadline_ms, id));
        self.delta.leases.insert(id, None);
        for key in &lease.keys {
            self.delta.keys.insert((id, key.clone()), false);
        }
        Some(lease)
    }

    pub(crate) fn attach(&mut self, id: i64, key: &[u8]) {
        let Some(lease) = self.all.get_mut(&id) else {
            return;
        };
        if !lease.keys.contains(key) {
            let key = Bytes::copy_from_slice(key);
            lease.keys.insert(key.clone());
            self.delta.keys.insert((id, key), true);
        }
    }

    pub(crate) fn detach(&mut self, id: i64, key: &[u8]) {
        let Some(lease) = self.all.get_mut(&id) else {
            return;
        };
        if let Some(key) = lease.keys.take(key) {
            self.delta.keys.insert((id, key), false);
        }
    }

    /// The lease that is due first, if it is due by now.
    pub(crate) fn due(&self, now_ms: u64) -> Option<i64> {
        let (deadline_ms, id) = self.due.first()?;
        (*deadline_ms <= now_ms).then_some(*id)
    }

    /// Takes the changes since this was last called.
    pub(crate) fn take_delta(&mut self) -> LeaseDelta {
        std::mem::take(&mut self.delta)
    }
}
