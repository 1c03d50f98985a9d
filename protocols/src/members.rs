//! Who takes part, and what a majority of them is: for protocols whose quorums are majorities. Every count
//! goes through here, so that a later joint configuration (Ongaro's thesis 2014, 4.3) changes one file.

use alloc::vec::Vec;

use quorate_core::NodeId;

/// The replicas that take part, in the order of their names.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Members {
    pub(crate) ids: Vec<NodeId>,
}

impl Members {
    /// These replicas, each counted once.
    ///
    /// # Panics
    /// If there are none: nothing could ever be decided.
    #[must_use]
    pub fn new(members: &[NodeId]) -> Members {
        let mut ids = members.to_vec();
        ids.sort_unstable();
        ids.dedup();
        assert!(!ids.is_empty(), "a cluster has at least one replica");
        Members { ids }
    }

    /// Whether this replica takes part.
    #[must_use]
    pub fn contains(&self, id: NodeId) -> bool {
        self.ids.binary_search(&id).is_ok()
    }

    /// The replicas in order.
    pub fn iter(&self) -> impl Iterator<Item = NodeId> + '_ {
        self.ids.iter().copied()
    }

    /// How many there are.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "there is always a replica")]
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// Whether those for whom `agrees` holds are a quorum, f + 1 of 2f + 1: any two
    /// quorums share a replica.
    #[must_use]
    pub fn is_quorum(&self, agrees: impl Fn(NodeId) -> bool) -> bool {
        self.iter().filter(|&id| agrees(id)).count() > self.ids.len() / 2
    }

    /// The largest value that a quorum has reached, of one value for each replica. Clusters are small, so
    /// comparing each with each is cheaper than sorting a copy.
    #[must_use]
    pub fn reached<V: Ord + Copy + Default>(&self, values: impl Iterator<Item = V> + Clone) -> V {
        let quorum = self.ids.len() / 2 + 1;
        let there = |&candidate: &V| values.clone().filter(|&v| v >= candidate).count() >= quorum;
        values.clone().filter(there).max().unwrap_or_default()
    }
}
