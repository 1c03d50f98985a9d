//! The configuration (paper 4): who takes part, who is primary of a view, and what a quorum is. Every
//! count in this protocol goes through here.

use alloc::vec::Vec;

use quorate_core::NodeId;

use crate::log::Epoch as View;

/// The view that everybody begins in. Views count from 1, so that 0 can mean "before any".
pub(super) const FIRST: View = View(1);

/// All replicas, in the order of their names.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Replicas {
    ids: Vec<NodeId>,
}

impl Replicas {
    /// These replicas, each counted once.
    ///
    /// # Panics
    /// If there are none: nothing could ever be decided.
    #[must_use]
    pub fn new(members: &[NodeId]) -> Replicas {
        let mut ids = members.to_vec();
        ids.sort_unstable();
        ids.dedup();
        assert!(!ids.is_empty(), "a group has at least one replica");
        Replicas { ids }
    }

    /// "The primary is chosen round-robin": replica 1 in view 1, and so on (4).
    #[must_use]
    pub fn primary(&self, view: View) -> NodeId {
        let turn = view.0.saturating_sub(FIRST.0) % self.ids.len() as u64;
        self.ids[usize::try_from(turn).expect("groups are small")]
    }

    /// The first view after `view` in which this replica is primary.
    #[must_use]
    pub fn turn(&self, view: View, id: NodeId) -> Option<View> {
        let mut later = (1..=self.ids.len() as u64).map(|count| View(view.0 + count));
        later.find(|&later| self.primary(later) == id)
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

    /// Whether those for whom `agrees` holds are a quorum, f + 1 of 2f + 1: any two quorums share a
    /// replica.
    #[must_use]
    pub fn is_quorum(&self, agrees: impl Fn(NodeId) -> bool) -> bool {
        self.iter().filter(|&id| agrees(id)).count() > self.ids.len() / 2
    }

    /// The largest value that a quorum has reached, of one value for each replica. Groups are small, so
    /// comparing each with each is cheaper than sorting a copy.
    #[must_use]
    pub fn reached<V: Ord + Copy + Default>(&self, values: impl Iterator<Item = V> + Clone) -> V {
        let quorum = self.ids.len() / 2 + 1;
        let there = |&candidate: &V| values.clone().filter(|&v| v >= candidate).count() >= quorum;
        values.clone().filter(there).max().unwrap_or_default()
    }
}
