//! Who votes, and what a quorum of them is. Every count in this protocol goes through here, so that
//! a later joint configuration (thesis 4.3) changes one file.

use alloc::vec::Vec;

use quorate_core::NodeId;

/// The voting members, in order.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Voters {
    ids: Vec<NodeId>,
}

impl Voters {
    /// These voters, each counted once.
    ///
    /// # Panics
    /// If there are none: nothing could ever be decided.
    #[must_use]
    pub fn new(members: &[NodeId]) -> Voters {
        let mut ids = members.to_vec();
        ids.sort_unstable();
        ids.dedup();
        assert!(!ids.is_empty(), "a cluster has at least one voter");
        Voters { ids }
    }

    /// Whether this replica votes.
    #[must_use]
    pub fn contains(&self, id: NodeId) -> bool {
        self.ids.binary_search(&id).is_ok()
    }

    /// The voters in order.
    pub fn iter(&self) -> impl Iterator<Item = NodeId> + '_ {
        self.ids.iter().copied()
    }

    /// How many there are.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "there is always a voter")]
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// Whether those for whom `agrees` holds are a quorum: any two quorums share a replica.
    #[must_use]
    pub fn is_quorum(&self, agrees: impl Fn(NodeId) -> bool) -> bool {
        self.iter().filter(|&id| agrees(id)).count() > self.ids.len() / 2
    }

    /// The largest value that a quorum has reached, of one value for each voter. Clusters are small, so
    /// comparing each with each is cheaper than sorting a copy.
    #[must_use]
    pub fn reached<V: Ord + Copy + Default>(&self, values: impl Iterator<Item = V> + Clone) -> V {
        let quorum = self.ids.len() / 2 + 1;
        let there = |&candidate: &V| values.clone().filter(|&v| v >= candidate).count() >= quorum;
        values.clone().filter(there).max().unwrap_or_default()
    }
}
