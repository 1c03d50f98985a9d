//! Watches what replicas deliver, and says when it breaks the problem's promises.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;
use core::fmt;

use quorate_core::{Checkpoint, NodeId, Payload};

use super::{Membership, Output};

/// Checks uniform agreement, total order, integrity, gap-free positions and reads over a whole run.
/// It is told of every broadcast, every read, every output and every restart.
#[derive(Clone, Default, Hash, Debug)]
pub struct Oracle {
    broadcast: BTreeSet<Vec<u8>>,
    /// What was delivered at each position, by whichever replica was first.
    order: BTreeMap<u64, (u64, Payload)>,
    /// The last position that each replica's state contains.
    delivered: BTreeMap<NodeId, u64>,
    /// The last position that anybody had delivered when a read was asked for.
    reads: BTreeMap<(NodeId, u64), u64>,
    /// The members of each version that is, or was, in force.
    memberships: BTreeMap<u64, Membership>,
    /// What was asked for.
    wanted: BTreeSet<Membership>,
    /// The version that each replica was told last.
    versions: BTreeMap<NodeId, u64>,
}

/// A broken promise.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Violation {
    /// Two replicas delivered different payloads, or different epochs, at one position.
    Disagreement {
        /// The position.
        position: u64,
        /// The replica that delivered second.
        replica: NodeId,
        /// What was delivered first.
        first: (u64, Payload),
        /// What this replica delivered.
        second: (u64, Payload),
    },
    /// A replica skipped or repeated a position.
    Gap {
        /// The replica.
        replica: NodeId,
        /// The position that should have come.
        expected: u64,
        /// The position that came.
        delivered: u64,
    },
    /// A payload that nobody broadcast.
    Invented {
        /// The position.
        position: u64,
        /// The replica.
        replica: NodeId,
        /// The payload.
        payload: Payload,
    },
    /// A checkpoint that is behind the state it replaces, or that nobody could have made.
    BadCheckpoint {
        /// The replica.
        replica: NodeId,
        /// The checkpoint.
        checkpoint: Checkpoint,
    },
    /// An answer to a read that misses something delivered before the read was asked for, or an
    /// answer to a read that was never asked.
    BadRead {
        /// The replica.
        replica: NodeId,
        /// The read.
        id: u64,
        /// The last position delivered anywhere before it was asked, if it was.
        needed: Option<u64>,
        /// The position it was answered with.
        position: u64,
    },
    /// Members that nobody asked for, others than somebody else has under the same version, or
    /// older ones than this replica had.
    BadMembers {
        /// The replica.
        replica: NodeId,
        /// What it says of who takes part.
        members: Membership,
    },
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Violation::Disagreement {
                position,
                replica,
                first,
                second,
            } => write!(
                f,
                "agreement: position {position} is {:?} of epoch {}, but {replica} delivered {:?} of epoch {}",
                first.1, first.0, second.1, second.0
            ),
            Violation::Gap {
                replica,
                expected,
                delivered,
            } => write!(
                f,
                "gap: {replica} delivered position {delivered} where {expected} was next"
            ),
            Violation::Invented {
                position,
                replica,
                payload,
            } => write!(
                f,
                "integrity: {replica} delivered {payload:?} at {position}, which nobody broadcast"
            ),
            Violation::BadCheckpoint {
                replica,
                checkpoint,
            } => write!(f, "checkpoint: {replica} installed {checkpoint:?}"),
            Violation::BadRead {
                replica,
                id,
                needed,
                position,
            } => write!(
                f,
                "read: {replica} answered read {id} with {position}, but it needed {needed:?}"
            ),
            Violation::BadMembers { replica, members } => {
                write!(f, "membership: {replica} says that {members} are in force")
            }
        }
    }
}

impl Oracle {
    /// A payload was handed to a replica for broadcast.
    pub fn on_broadcast(&mut self, payload: &Payload) {
        self.broadcast.insert(payload.as_bytes().to_vec());
    }

    /// A replica started with the state of this checkpoint.
    pub fn on_open(&mut self, replica: NodeId, checkpoint: Checkpoint) {
        self.delivered.insert(replica, checkpoint.position);
        self.reads.retain(|read, _| read.0 != replica);
        self.versions.remove(&replica);
    }

    /// A replica was asked to let these take part.
    pub fn on_reconfigure(&mut self, members: &Membership) {
        self.wanted.insert(members.clone());
    }

    /// The newest members that anybody knows to be in force, if the protocol says who they are.
    #[must_use]
    pub fn members(&self) -> Option<&Membership> {
        self.memberships.values().next_back()
    }

    /// The newest members that are in force, and all that may follow them.
    pub fn groups(&self) -> impl Iterator<Item = &Membership> {
        let newest = self.members();
        let wanted = self.wanted.iter();
        let later = wanted.filter(move |members| newest.is_some() && Some(*members) > newest);
        newest.into_iter().chain(later)
    }

    /// A replica was asked to read.
    pub fn on_read(&mut self, replica: NodeId, id: u64) {
        let last = self.order.last_key_value();
        let needed = last.map_or(0, |(&position, _)| position);
        self.reads.insert((replica, id), needed);
    }

    /// What it would remember of the same run with other names.
    pub(super) fn renamed(&self, names: &dyn Fn(NodeId) -> NodeId) -> Oracle {
        let delivered = self.delivered.iter();
        let reads = self.reads.iter();
        let memberships = self.memberships.iter();
        let wanted = self.wanted.iter();
        let versions = self.versions.iter();
        Oracle {
            memberships: memberships
                .map(|(&version, members)| (version, members.renamed(names)))
                .collect(),
            wanted: wanted.map(|members| members.renamed(names)).collect(),
            versions: versions
                .map(|(&id, &version)| (names(id), version))
                .collect(),
            broadcast: self.broadcast.clone(),
            order: self.order.clone(),
            delivered: delivered.map(|(&id, &last)| (names(id), last)).collect(),
            reads: reads
                .map(|(&(id, read), &needed)| ((names(id), read), needed))
                .collect(),
        }
    }

    /// The last position that a replica's state contains.
    #[must_use]
    pub fn delivered(&self, replica: NodeId) -> u64 {
        self.delivered.get(&replica).copied().unwrap_or(0)
    }

    /// A replica produced an output.
    ///
    /// # Errors
    /// The promise that it breaks.
    pub fn on_output(&mut self, replica: NodeId, output: &Output) -> Result<(), Violation> {
        let last = self.delivered(replica);
        match output {
            Output::Deliver {
                position,
                epoch,
                payload,
            } => {
                if *position != last + 1 {
                    return Err(Violation::Gap {
                        replica,
                        expected: last + 1,
                        delivered: *position,
                    });
                }
                if !payload.is_empty() && !self.broadcast.contains(payload.as_bytes()) {
                    return Err(Violation::Invented {
                        position: *position,
                        replica,
                        payload: payload.clone(),
                    });
                }
                let second = (*epoch, payload.clone());
                let first = self
                    .order
                    .entry(*position)
                    .or_insert_with(|| second.clone());
                if *first != second {
                    return Err(Violation::Disagreement {
                        position: *position,
                        replica,
                        first: first.clone(),
                        second,
                    });
                }
                self.delivered.insert(replica, *position);
            }
            Output::Install(checkpoint) => {
                let known = self.order.get(&checkpoint.position);
                let real = known.is_some_and(|(epoch, _)| *epoch == checkpoint.epoch);
                if checkpoint.position <= last || !real {
                    return Err(Violation::BadCheckpoint {
                        replica,
                        checkpoint: *checkpoint,
                    });
                }
                self.delivered.insert(replica, checkpoint.position);
            }
            Output::ReadReady { id, position } => {
                let needed = self.reads.get(&(replica, *id)).copied();
                if needed.is_none_or(|needed| *position < needed) {
                    return Err(Violation::BadRead {
                        replica,
                        id: *id,
                        needed,
                        position: *position,
                    });
                }
            }
            Output::Members(members) => self.on_members(replica, members)?,
            Output::Lead { .. } => {}
        }
        Ok(())
    }

    fn on_members(&mut self, replica: NodeId, members: &Membership) -> Result<(), Violation> {
        let version = members.version;
        let before = self.versions.insert(replica, version);
        let known = self.memberships.entry(version);
        let known = known.or_insert_with(|| members.clone());
        // Nobody asked for the first one.
        let is_wanted = version == 0 || self.wanted.contains(members);
        if known != members || !is_wanted || before > Some(version) {
            return Err(Violation::BadMembers {
                replica,
                members: members.clone(),
            });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn deliver(position: u64, text: &str) -> Output {
        Output::Deliver {
            position,
            epoch: 1,
            payload: Payload::from_vec(text.as_bytes().to_vec(), 0),
        }
    }

    fn oracle() -> Oracle {
        let mut oracle = Oracle::default();
        for text in ["a", "b"] {
            oracle.on_broadcast(&Payload::from_vec(text.as_bytes().to_vec(), 0));
        }
        oracle
    }

    #[test]
    fn the_same_order_everywhere_is_accepted() {
        let mut oracle = oracle();
        for replica in [NodeId(1), NodeId(2)] {
            assert_eq!(oracle.on_output(replica, &deliver(1, "a")), Ok(()));
            assert_eq!(oracle.on_output(replica, &deliver(2, "b")), Ok(()));
        }
    }

    #[test]
    fn a_read_must_contain_what_was_delivered_before_it() {
        let mut oracle = oracle();
        let (one, two) = (NodeId(1), NodeId(2));
        assert_eq!(oracle.on_output(one, &deliver(1, "a")), Ok(()));
        oracle.on_read(two, 7);
        assert_eq!(oracle.on_output(one, &deliver(2, "b")), Ok(()));
        let ready = |id, position| Output::ReadReady { id, position };
        assert_eq!(oracle.on_output(two, &ready(7, 1)), Ok(()));
        for bad in [ready(7, 0), ready(8, 2)] {
            let found = oracle.on_output(two, &bad);
            assert!(matches!(found, Err(Violation::BadRead { .. })));
        }
        oracle.on_open(two, Checkpoint::default());
        let found = oracle.on_output(two, &ready(7, 1));
        assert!(matches!(found, Err(Violation::BadRead { .. })));
    }

    #[test]
    fn members_are_those_that_were_asked_for_and_the_same_for_all() {
        let members = |text: &str| text.parse::<Membership>().expect("they are members");
        let said = |text| Output::Members(members(text));
        let mut oracle = oracle();
        let (one, two) = (NodeId(1), NodeId(2));
        assert_eq!(oracle.on_output(one, &said("0 n1 n2")), Ok(()));
        oracle.on_reconfigure(&members("5 n1 n2 learning n3"));
        for replica in [one, two] {
            assert_eq!(
                oracle.on_output(replica, &said("5 n1 n2 learning n3")),
                Ok(())
            );
        }
        assert_eq!(oracle.members(), Some(&members("5 n1 n2 learning n3")));
        for (replica, bad) in [(one, "0 n1 n2"), (two, "5 n1 n2 n3"), (two, "7 n1")] {
            let found = oracle.on_output(replica, &said(bad));
            assert!(matches!(found, Err(Violation::BadMembers { .. })), "{bad}");
        }
    }

    #[test]
    fn each_broken_promise_is_found() {
        let mut oracle = oracle();
        assert_eq!(oracle.on_output(NodeId(1), &deliver(1, "a")), Ok(()));
        assert!(matches!(
            oracle.on_output(NodeId(2), &deliver(1, "b")),
            Err(Violation::Disagreement { position: 1, .. })
        ));
        assert!(matches!(
            oracle.on_output(NodeId(1), &deliver(3, "b")),
            Err(Violation::Gap { expected: 2, .. })
        ));
        assert!(matches!(
            oracle.on_output(NodeId(1), &deliver(2, "c")),
            Err(Violation::Invented { .. })
        ));
        let ahead = Checkpoint {
            position: 9,
            epoch: 1,
        };
        assert!(matches!(
            oracle.on_output(NodeId(1), &Output::Install(ahead)),
            Err(Violation::BadCheckpoint { .. })
        ));
    }
}
