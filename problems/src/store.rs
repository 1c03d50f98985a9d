//! What must be true of a replicated store when all is quiet again: every replica holds the same, and
//! no acknowledged write is lost.
//!
//! Linearizability of what clients saw says more, but only about keys that somebody read. This oracle
//! looks at the replicas themselves. Versions are whatever orders the writes of a key: a position in
//! the log, a revision, a tag.

use alloc::collections::{BTreeMap, BTreeSet};
use core::fmt;

use quorate_core::NodeId;

/// Watches acknowledgements, and judges the contents of replicas at the end.
#[derive(Clone, Hash, Debug)]
pub struct Oracle<K, V> {
    /// The newest acknowledged write of each key; no value stands for a deletion.
    acknowledged: BTreeMap<K, (u64, Option<V>)>,
    /// Keys that somebody tried to delete without ever learning whether it happened.
    perhaps_deleted: BTreeSet<K>,
    /// The contents of the first replica that was looked at.
    first: Option<(NodeId, Contents<K, V>)>,
}

/// All keys of a replica, each with its version and value.
pub type Contents<K, V> = BTreeMap<K, (u64, V)>;

impl<K, V> Default for Oracle<K, V> {
    fn default() -> Oracle<K, V> {
        Oracle {
            acknowledged: BTreeMap::new(),
            perhaps_deleted: BTreeSet::new(),
            first: None,
        }
    }
}

/// A broken promise.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Violation<K, V> {
    /// Two replicas hold different things under one key.
    Diverged {
        /// The key.
        key: K,
        /// One replica, and what it holds.
        one: (NodeId, Option<(u64, V)>),
        /// Another replica, and what it holds.
        other: (NodeId, Option<(u64, V)>),
    },
    /// A replica holds something older than an acknowledged write, or another value at its version.
    Lost {
        /// The key.
        key: K,
        /// The acknowledged write.
        acknowledged: (u64, Option<V>),
        /// The replica, and what it holds.
        held: (NodeId, Option<(u64, V)>),
    },
}

impl<K: fmt::Debug, V: fmt::Debug> fmt::Display for Violation<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Violation::Diverged { key, one, other } => write!(
                f,
                "convergence: under {key:?}, {} holds {:?} and {} holds {:?}",
                one.0, one.1, other.0, other.1
            ),
            Violation::Lost {
                key,
                acknowledged,
                held,
            } => write!(
                f,
                "acknowledged write lost: {key:?} was {:?} at version {}, and {} holds {:?}",
                acknowledged.1, acknowledged.0, held.0, held.1
            ),
        }
    }
}

impl<K: Clone + Ord, V: Clone + Eq> Oracle<K, V> {
    /// A client was told that its write is done.
    pub fn on_acknowledged(&mut self, key: &K, version: u64, value: Option<&V>) {
        let newest = self.acknowledged.entry(key.clone());
        let newest = newest.or_insert_with(|| (version, value.cloned()));
        if newest.0 < version {
            *newest = (version, value.cloned());
        }
    }

    /// A client tried to delete a key, and was told nothing.
    pub fn on_perhaps_deleted(&mut self, key: &K) {
        self.perhaps_deleted.insert(key.clone());
    }

    /// The contents of a replica, once all is quiet.
    ///
    /// # Errors
    /// If they are not those of another replica, or an acknowledged write is missing.
    pub fn on_contents(
        &mut self,
        replica: NodeId,
        contents: &Contents<K, V>,
    ) -> Result<(), Violation<K, V>> {
        for (key, acknowledged) in &self.acknowledged {
            let held = contents.get(key);
            let is_there = match (held, &acknowledged.1) {
                (None, Some(_)) => self.perhaps_deleted.contains(key),
                (None, None) => true,
                (Some((version, _)), _) if *version > acknowledged.0 => true,
                (Some((version, value)), written) => {
                    *version == acknowledged.0 && written.as_ref() == Some(value)
                }
            };
            if !is_there {
                return Err(Violation::Lost {
                    key: key.clone(),
                    acknowledged: acknowledged.clone(),
                    held: (replica, held.cloned()),
                });
            }
        }
        let first = self
            .first
            .get_or_insert_with(|| (replica, contents.clone()));
        let mut keys = first.1.keys().chain(contents.keys());
        match keys.find(|key| first.1.get(*key) != contents.get(*key)) {
            None => Ok(()),
            Some(key) => Err(Violation::Diverged {
                key: key.clone(),
                one: (first.0, first.1.get(key).cloned()),
                other: (replica, contents.get(key).cloned()),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const N1: NodeId = NodeId(1);
    const N2: NodeId = NodeId(2);

    fn contents(rows: &[(&'static str, u64, u32)]) -> Contents<&'static str, u32> {
        let rows = rows.iter();
        rows.map(|(key, version, value)| (*key, (*version, *value)))
            .collect()
    }

    #[test]
    fn equal_replicas_with_everything_acknowledged_are_accepted() {
        let mut oracle = Oracle::default();
        oracle.on_acknowledged(&"a", 2, Some(&20));
        oracle.on_acknowledged(&"a", 1, Some(&10));
        oracle.on_acknowledged(&"b", 3, None);
        for replica in [N1, N2] {
            // Version 4 was never acknowledged, and may be there.
            let all = contents(&[("a", 2, 20), ("b", 4, 40)]);
            assert_eq!(oracle.on_contents(replica, &all), Ok(()));
        }
    }

    #[test]
    fn a_lost_write_is_found() {
        let mut oracle = Oracle::default();
        oracle.on_acknowledged(&"a", 2, Some(&20));
        for wrong in [
            contents(&[]),
            contents(&[("a", 1, 10)]),
            contents(&[("a", 2, 21)]),
        ] {
            let found = oracle.clone().on_contents(N1, &wrong);
            assert!(
                matches!(found, Err(Violation::Lost { key: "a", .. })),
                "{wrong:?}"
            );
        }
        oracle.on_perhaps_deleted(&"a");
        assert_eq!(oracle.on_contents(N1, &contents(&[])), Ok(()));
    }

    #[test]
    fn a_deletion_that_did_not_last_is_found() {
        let mut oracle = Oracle::default();
        oracle.on_acknowledged(&"a", 2, None);
        let found = oracle.on_contents(N1, &contents(&[("a", 1, 10)]));
        assert!(matches!(
            found,
            Err(Violation::Lost {
                acknowledged: (2, None),
                ..
            })
        ));
    }

    #[test]
    fn divergence_is_found_in_both_directions() {
        for (one, other) in [(&[("a", 1, 1)][..], &[][..]), (&[], &[("a", 1, 1)])] {
            let mut oracle = Oracle::default();
            assert_eq!(oracle.on_contents(N1, &contents(one)), Ok(()));
            let found = oracle.on_contents(N2, &contents(other));
            assert!(matches!(found, Err(Violation::Diverged { key: "a", .. })));
        }
    }
}
