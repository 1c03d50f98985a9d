//! Judges a run, event by event.

use alloc::collections::{BTreeMap, BTreeSet};
use core::fmt;

use quorate_core::NodeId;

use super::machine::{Digest, mix};
use super::points::Points;
use super::{CallId, Operation, Outcome, Output};

/// Watches what clients are told, and what copies contain.
#[derive(Clone, Default, Hash, Debug)]
pub struct Oracle {
    asked: BTreeMap<CallId, Operation>,
    answered: BTreeMap<CallId, Outcome>,
    points: Points,
    contents: BTreeMap<NodeId, Contents>,
    /// For each set of updates that a copy had, by its fingerprint: the first copy, and its digest.
    seen: BTreeMap<u64, (NodeId, Digest)>,
}

/// What one copy contains.
#[derive(Clone, Default, Hash, Debug)]
struct Contents {
    ids: BTreeSet<CallId>,
    digest: Digest,
}

/// A broken promise.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Violation {
    /// No order of the operations explains what clients were told.
    NotLinearizable {
        /// The call whose answer cannot be explained.
        id: CallId,
        /// What it asked for.
        operation: Operation,
        /// The answer.
        result: Outcome,
    },
    /// Two copies made the same updates and differ.
    Diverged {
        /// One copy, and its digest.
        one: (NodeId, Digest),
        /// The other, and its digest.
        other: (NodeId, Digest),
        /// How many updates both have made.
        updates: usize,
    },
    /// A new master does not have what was acknowledged.
    Lost {
        /// The new master.
        master: NodeId,
        /// The call.
        id: CallId,
    },
    /// A copy made an update twice, or a client got two answers that differ.
    Twice {
        /// Where.
        node: NodeId,
        /// The call.
        id: CallId,
    },
    /// An answer or an update that nobody asked for.
    Invented {
        /// Where.
        node: NodeId,
        /// The call.
        id: CallId,
    },
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Violation::NotLinearizable {
                id,
                operation,
                result,
            } => write!(
                f,
                "linearizability: no one copy would answer {id}, {operation:?}, with {result:?}"
            ),
            Violation::Diverged { one, other, .. } if one.0 == other.0 => write!(
                f,
                "convergence: {} made the same updates again, and came to another state",
                one.0
            ),
            Violation::Diverged {
                one,
                other,
                updates,
            } => write!(
                f,
                "convergence: {} and {} made the same updates ({updates}), and their states differ",
                one.0, other.0
            ),
            Violation::Lost { master, id } => write!(
                f,
                "durability: {master} takes over without {id}, which was acknowledged"
            ),
            Violation::Twice { node, id } => {
                write!(f, "exactly once: {node} serves {id} a second time")
            }
            Violation::Invented { node, id } => {
                write!(f, "integrity: nobody asked for {id}, which {node} serves")
            }
        }
    }
}

impl Oracle {
    /// A client asks. Asking again changes nothing.
    pub fn on_invoke(&mut self, id: CallId, operation: Operation) {
        if self.asked.contains_key(&id) {
            return;
        }
        self.asked.insert(id, operation);
        self.points.on_call(id, operation);
    }

    /// A replica starts with an empty state.
    pub fn on_open(&mut self, node: NodeId) {
        self.contents.remove(&node);
    }

    /// A replica says something.
    ///
    /// # Errors
    /// The promise that it breaks.
    pub fn on_output(&mut self, node: NodeId, output: &Output) -> Result<(), Violation> {
        match output {
            Output::Reply { id, result } => self.on_reply(node, *id, *result),
            Output::Updated { id, digest, .. } => {
                if !self.asked.contains_key(id) {
                    return Err(Violation::Invented { node, id: *id });
                }
                let contents = self.contents.entry(node).or_default();
                if !contents.ids.insert(*id) {
                    return Err(Violation::Twice { node, id: *id });
                }
                contents.digest = *digest;
                self.compare(node)
            }
            Output::Installed { ids, digest } => {
                let unknown = ids.iter().find(|id| !self.asked.contains_key(id));
                if let Some(&id) = unknown {
                    return Err(Violation::Invented { node, id });
                }
                let (ids, digest) = (ids.iter().copied().collect(), *digest);
                self.contents.insert(node, Contents { ids, digest });
                self.compare(node)
            }
            Output::Leads { .. } => self.on_leads(node),
        }
    }

    fn on_reply(&mut self, node: NodeId, id: CallId, result: Outcome) -> Result<(), Violation> {
        let Some(&operation) = self.asked.get(&id) else {
            return Err(Violation::Invented { node, id });
        };
        if let Some(&before) = self.answered.get(&id) {
            // A client that asked twice may be answered twice.
            let same = before == result || operation.is_read();
            return same.then_some(()).ok_or(Violation::Twice { node, id });
        }
        self.answered.insert(id, result);
        match self.points.on_reply(id, result) {
            true => Ok(()),
            false => Err(Violation::NotLinearizable {
                id,
                operation,
                result,
            }),
        }
    }

    fn on_leads(&mut self, master: NodeId) -> Result<(), Violation> {
        let empty = Contents::default();
        let contents = self.contents.get(&master).unwrap_or(&empty);
        let lost = self.acknowledged().find(|id| !contents.ids.contains(id));
        lost.map_or(Ok(()), |id| Err(Violation::Lost { master, id }))
    }

    /// The updates whose clients were told that they are made.
    pub fn acknowledged(&self) -> impl Iterator<Item = CallId> + '_ {
        let answered = self.answered.iter();
        let made = answered
            .filter(|(id, result)| **result != Outcome::NotOffered && !self.asked[*id].is_read());
        made.map(|(id, _)| *id)
    }

    /// Whether a copy contains an update.
    #[must_use]
    pub fn contains(&self, node: NodeId, id: CallId) -> bool {
        let contents = self.contents.get(&node);
        contents.is_some_and(|contents| contents.ids.contains(&id))
    }

    /// The digest of a copy, if it ever said one.
    #[must_use]
    pub fn digest(&self, node: NodeId) -> Option<Digest> {
        self.contents.get(&node).map(|contents| contents.digest)
    }

    /// Copies that made the same updates are in the same state (Shapiro et al. 2011 call this strong
    /// convergence). Where there is an agreed order, equal prefixes are equal sets.
    fn compare(&mut self, node: NodeId) -> Result<(), Violation> {
        let contents = &self.contents[&node];
        let print = contents.ids.iter().fold(0, |print: u64, id| {
            print.wrapping_add(mix(mix(id.at.0) ^ u64::from(id.number)))
        });
        let other = (node, contents.digest);
        let one = *self.seen.entry(print).or_insert(other);
        match one.1 == other.1 {
            true => Ok(()),
            false => Err(Violation::Diverged {
                one,
                other,
                updates: contents.ids.len(),
            }),
        }
    }

    /// What would be remembered under other names.
    #[must_use]
    pub fn renamed(&self, name: &dyn Fn(NodeId) -> NodeId) -> Oracle {
        let call = |id: &CallId| CallId {
            at: name(id.at),
            number: id.number,
        };
        let mut oracle = Oracle {
            asked: self.asked.iter().map(|(id, op)| (call(id), *op)).collect(),
            answered: self
                .answered
                .iter()
                .map(|(id, result)| (call(id), *result))
                .collect(),
            points: self.points.renamed(&call),
            ..Oracle::default()
        };
        for (node, contents) in &self.contents {
            let ids = contents.ids.iter().map(call).collect();
            let digest = contents.digest;
            oracle
                .contents
                .insert(name(*node), Contents { ids, digest });
        }
        // Fingerprints of sets name calls, so they cannot be renamed; what the copies have now can.
        for node in oracle
            .contents
            .keys()
            .copied()
            .collect::<alloc::vec::Vec<_>>()
        {
            let _ = oracle.compare(node);
        }
        oracle
    }
}
