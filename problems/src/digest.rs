//! Equal states at equal positions: every replica that has applied the same prefix of the order has the
//! same state. Comparing digests finds what comparing outputs cannot: an apply that is not
//! deterministic, a state that was damaged on its disk, an applied position saved without its effects.

use alloc::collections::BTreeMap;
use core::fmt;

use quorate_core::NodeId;

/// Watches the digests that replicas have at positions.
#[derive(Clone, Default, Hash, Debug)]
pub struct Oracle {
    /// The first replica that was seen at each position, and its digest there.
    first: BTreeMap<u64, (NodeId, u64)>,
}

/// Two replicas with different states at one position.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Diverged {
    /// The position.
    pub position: u64,
    /// One replica, and its digest.
    pub one: (NodeId, u64),
    /// The other replica, and its digest.
    pub other: (NodeId, u64),
    /// The last position before that at which a state was seen, and no difference.
    pub known_at: Option<u64>,
}

impl fmt::Display for Diverged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Diverged {
            position,
            one,
            other,
            known_at,
        } = self;
        write!(
            f,
            "states differ at position {position}: {} has {:016x} and {} has {:016x}; ",
            one.0, one.1, other.0, other.1
        )?;
        match known_at {
            Some(position) => write!(f, "no difference was seen up to {position}"),
            None => write!(f, "nothing was seen before"),
        }
    }
}

impl Oracle {
    /// A replica has applied everything up to a position, and its state has this digest. The same
    /// replica may come to a position again, after a restart.
    ///
    /// # Errors
    /// If a state with another digest was seen at that position.
    pub fn on_state(
        &mut self,
        replica: NodeId,
        position: u64,
        digest: u64,
    ) -> Result<(), Diverged> {
        let other = (replica, digest);
        let one = *self.first.entry(position).or_insert(other);
        if one.1 == digest {
            return Ok(());
        }
        let mut before = self.first.range(..position);
        Err(Diverged {
            position,
            one,
            other,
            known_at: before.next_back().map(|(&position, _)| position),
        })
    }

    /// No replica will be seen before this position any more: what is known of it may go.
    pub fn forget_before(&mut self, position: u64) {
        self.first = self.first.split_off(&position);
    }

    /// How many positions are remembered.
    #[must_use]
    pub fn len(&self) -> usize {
        self.first.len()
    }

    /// Whether nothing is remembered.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.first.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const N1: NodeId = NodeId(1);
    const N2: NodeId = NodeId(2);

    #[test]
    fn equal_digests_at_equal_positions_are_accepted_again_and_again() {
        let mut oracle = Oracle::default();
        for (replica, position, digest) in
            [(N1, 1, 7), (N1, 3, 9), (N2, 3, 9), (N1, 1, 7), (N2, 2, 5)]
        {
            assert_eq!(oracle.on_state(replica, position, digest), Ok(()));
        }
    }

    #[test]
    fn another_digest_at_a_position_is_a_divergence() {
        let mut oracle = Oracle::default();
        assert_eq!(oracle.on_state(N1, 4, 7), Ok(()));
        assert_eq!(oracle.on_state(N2, 6, 8), Ok(()));
        for replica in [N1, N2] {
            let diverged = Diverged {
                position: 6,
                one: (N2, 8),
                other: (replica, 9),
                known_at: Some(4),
            };
            assert_eq!(oracle.on_state(replica, 6, 9), Err(diverged));
        }
    }

    #[test]
    fn what_is_forgotten_is_not_compared() {
        let mut oracle = Oracle::default();
        for position in 1..=5 {
            assert_eq!(oracle.on_state(N1, position, position), Ok(()));
        }
        oracle.forget_before(4);
        assert_eq!((oracle.len(), oracle.is_empty()), (2, false));
        assert_eq!(oracle.on_state(N2, 3, 0), Ok(()));
        assert!(oracle.on_state(N2, 5, 0).is_err());
    }
}
