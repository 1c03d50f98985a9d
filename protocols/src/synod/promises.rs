//! What a proposer learns from promises (2.2, phase 2a; P2c). Shared with Paxos commit.

use alloc::collections::BTreeSet;

use quorate_core::NodeId;

use super::ballot::Proposal;

/// The promises for one ballot, and what they say of one instance.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Promises<V> {
    from: BTreeSet<NodeId>,
    /// Of all proposals that they had accepted, the one with the highest number.
    highest: Option<Proposal<V>>,
}

impl<V> Default for Promises<V> {
    fn default() -> Promises<V> {
        Promises {
            from: BTreeSet::new(),
            highest: None,
        }
    }
}

impl<V> Promises<V> {
    /// An acceptor promised, and had accepted this.
    pub fn on_promise(&mut self, from: NodeId, accepted: Option<Proposal<V>>) {
        self.from.insert(from);
        let known = self.highest.as_ref().map(|known| known.ballot);
        if let Some(proposal) = accepted
            && known.is_none_or(|known| known < proposal.ballot)
        {
            self.highest = Some(proposal);
        }
    }

    /// Whether this acceptor promised.
    #[must_use]
    pub fn by(&self, id: NodeId) -> bool {
        self.from.contains(&id)
    }

    /// "Where v is the value of the highest-numbered proposal among the responses": the value that the
    /// ballot is bound to; "any value" if there is none.
    #[must_use]
    pub fn bound(&self) -> Option<&V> {
        self.highest.as_ref().map(|proposal| &proposal.value)
    }
}
