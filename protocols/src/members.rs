//! Who takes part, and what a majority of them is: for protocols whose quorums are majorities. Every count
//! goes through here, so that joint consensus (Ongaro's thesis 2014, 4.3) is in one file.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

use quorate_core::{Malformed, NodeId, Reader, Wire, wire};
use quorate_problems::total_order::Membership;

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
        is_majority(&self.ids, agrees)
    }

    /// The largest value that a quorum has reached, of one value for each replica. Clusters are small, so
    /// comparing each with each is cheaper than sorting a copy.
    #[must_use]
    pub fn reached<V: Ord + Copy + Default>(&self, values: impl Iterator<Item = V> + Clone) -> V {
        reached(self.ids.len(), values)
    }
}

/// Who decides at some place of a log: one set of voters, or two while a change from one to the other is
/// under way, which then decide only together (Ongaro's thesis 2014, 4.3).
///
/// It is shared: compaction writes it down again and again, and must not cost an allocation each time.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Configuration(Arc<Sets>);

#[derive(PartialEq, Eq, Hash)]
struct Sets {
    before: Option<Membership>,
    now: Membership,
}

wire!(struct Sets { before, now });

impl Wire for Configuration {
    fn encode(&self, out: &mut Vec<u8>) {
        self.0.encode(out);
    }

    fn decode(input: &mut Reader<'_>) -> Result<Configuration, Malformed> {
        Sets::decode(input).map(Configuration::of)
    }
}

impl Configuration {
    /// No change is under way.
    #[must_use]
    pub fn settled(now: Membership) -> Configuration {
        Configuration::of(Sets { before: None, now })
    }

    fn of(sets: Sets) -> Configuration {
        Configuration(Arc::new(sets))
    }

    /// Those who take part, or will as soon as the change is over.
    #[must_use]
    pub fn now(&self) -> &Membership {
        &self.0.now
    }

    /// Those who took part before, while a change is under way.
    fn before(&self) -> Option<&Membership> {
        self.0.before.as_ref()
    }

    /// What these members, ordered next, make of it: new voters begin a change, and the same list once
    /// more ends it. Where the voters stay the same, nothing needs to be decided together.
    #[must_use]
    pub fn then(&self, members: &Membership) -> Configuration {
        let settles = match self.before() {
            Some(_) => *self.now() == *members,
            None => self.now().voters == members.voters,
        };
        if settles {
            return Configuration::settled(members.clone());
        }
        Configuration::of(Sets {
            before: Some(self.in_force().clone()),
            now: members.clone(),
        })
    }

    /// Whether a change is under way.
    #[must_use]
    pub fn is_joint(&self) -> bool {
        self.before().is_some()
    }

    /// The members that nothing can take back once this configuration is decided.
    #[must_use]
    pub fn in_force(&self) -> &Membership {
        self.before().unwrap_or(self.now())
    }

    /// Everybody whose vote counts, each once.
    pub fn voters(&self) -> impl Iterator<Item = NodeId> + '_ {
        let before = self.before().into_iter().flat_map(|before| &before.voters);
        let leaving = before.filter(move |id| !self.now().voters.contains(id));
        self.now().voters.iter().chain(leaving).copied()
    }

    /// Everybody who is told everything, some of them twice.
    pub fn iter(&self) -> impl Iterator<Item = NodeId> + '_ {
        self.now()
            .iter()
            .chain(self.before().into_iter().flat_map(Membership::iter))
    }

    /// Whether the vote of this replica counts.
    #[must_use]
    pub fn is_voter(&self, id: NodeId) -> bool {
        self.voters().any(|voter| voter == id)
    }

    /// Whether those for whom `agrees` holds are a quorum: a majority, and of both sets if there are two.
    #[must_use]
    pub fn is_quorum(&self, agrees: impl Fn(NodeId) -> bool) -> bool {
        let mut sets = self.sets();
        sets.all(|voters| is_majority(voters, &agrees))
    }

    /// The largest value that a quorum has reached.
    #[must_use]
    pub fn reached<V: Ord + Copy + Default>(&self, value: impl Fn(NodeId) -> V) -> V {
        let reached = self
            .sets()
            .map(|voters| reached(voters.len(), voters.iter().map(|&id| value(id))));
        reached.min().unwrap_or_default()
    }

    /// The same where learners count like voters, which is wrong.
    #[must_use]
    pub(crate) fn reached_by_anyone<V: Ord + Copy + Default>(
        &self,
        value: impl Fn(NodeId) -> V,
    ) -> V {
        let sets = self
            .before()
            .into_iter()
            .chain(core::iter::once(self.now()));
        let reached = sets.map(|set| {
            let all: Vec<V> = set.iter().map(&value).collect();
            reached(set.voters.len(), all.into_iter())
        });
        reached.min().unwrap_or_default()
    }

    /// The same with other names.
    #[must_use]
    pub fn renamed(&self, names: &dyn Fn(NodeId) -> NodeId) -> Configuration {
        Configuration::of(Sets {
            before: self.before().map(|before| before.renamed(names)),
            now: self.now().renamed(names),
        })
    }

    fn sets(&self) -> impl Iterator<Item = &[NodeId]> {
        let before = self.before().into_iter();
        let sets = before.chain(core::iter::once(self.now()));
        sets.map(|members| members.voters.as_slice())
    }
}

impl fmt::Debug for Configuration {
    /// `7 n1 n2`, or `0 n1 n2 -> 7 n2 n3` while a change is under way.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(before) = self.before() {
            write!(f, "{before} -> ")?;
        }
        write!(f, "{}", self.now())
    }
}

fn is_majority(voters: &[NodeId], agrees: impl Fn(NodeId) -> bool) -> bool {
    voters.iter().filter(|&&id| agrees(id)).count() > voters.len() / 2
}

fn reached<V: Ord + Copy + Default>(voters: usize, values: impl Iterator<Item = V> + Clone) -> V {
    let quorum = voters / 2 + 1;
    let there = |&candidate: &V| values.clone().filter(|&v| v >= candidate).count() >= quorum;
    values.clone().filter(there).max().unwrap_or_default()
}
