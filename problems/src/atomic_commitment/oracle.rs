//! Watches one atomic commitment.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;
use core::fmt;

use quorate_core::NodeId;

use super::{Outcome, Vote};
use crate::property::Judged;

/// Watches one atomic commitment. It is told of every start, so that it knows all participants.
#[derive(Clone, Default, Hash, Debug)]
pub struct Oracle {
    participants: BTreeSet<NodeId>,
    /// Who voted yes, in any life.
    yes: BTreeSet<NodeId>,
    /// Who voted no, in any life.
    no: BTreeSet<NodeId>,
    /// Who started more than once, or was suspected.
    failed: BTreeSet<NodeId>,
    /// What each process decided in this life.
    decided: BTreeMap<NodeId, Outcome>,
    /// What processes decided in earlier lives.
    earlier: BTreeSet<(NodeId, Outcome)>,
    /// Who decided again in one life, and what.
    again: BTreeMap<NodeId, Outcome>,
    /// Who is blocked.
    blocked: BTreeSet<NodeId>,
}

/// A broken promise.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Violation {
    /// Two processes decided differently.
    Disagreement {
        /// Who committed.
        commits: NodeId,
        /// Who aborted.
        aborts: NodeId,
    },
    /// A process decided more than once.
    DecidedTwice {
        /// The process.
        node: NodeId,
        /// Its first decision.
        first: Outcome,
        /// Another.
        second: Outcome,
    },
    /// Commit was decided, and somebody had not voted yes.
    Uninvited {
        /// Who committed.
        node: NodeId,
        /// Who did not vote yes.
        missing: NodeId,
    },
    /// Abort was decided although all voted yes so far, and nobody failed or was suspected.
    Trivial {
        /// Who aborted.
        node: NodeId,
    },
    /// A correct process did not decide.
    Undecided {
        /// The process.
        node: NodeId,
    },
    /// A correct process has to wait for one that failed.
    Blocked {
        /// The process.
        node: NodeId,
    },
}

impl Violation {
    /// The property that is broken.
    #[must_use]
    pub fn property(&self) -> &'static str {
        match self {
            Violation::Disagreement { .. } => "agreement",
            Violation::DecidedTwice { .. } => "stability",
            Violation::Uninvited { .. } => "validity",
            Violation::Trivial { .. } => "non-triviality",
            Violation::Undecided { .. } => "termination",
            Violation::Blocked { .. } => "non-blocking",
        }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Violation::Disagreement { commits, aborts } => {
                write!(f, "{commits} commits and {aborts} aborts")
            }
            Violation::DecidedTwice {
                node,
                first,
                second,
            } => write!(f, "{node} decided {first:?} and then {second:?}"),
            Violation::Uninvited { node, missing } => {
                write!(f, "{node} commits, but {missing} never voted yes")
            }
            Violation::Trivial { node } => write!(
                f,
                "{node} aborts, but nobody voted no, failed or was suspected"
            ),
            Violation::Undecided { node } => write!(f, "{node} did not decide"),
            Violation::Blocked { node } => write!(f, "{node} is blocked"),
        }
    }
}

impl Oracle {
    /// A process starts, for the first time or again.
    pub fn on_open(&mut self, node: NodeId) {
        if !self.participants.insert(node) {
            self.failed.insert(node);
        }
        let decided = self.decided.remove(&node);
        self.earlier.extend(decided.map(|outcome| (node, outcome)));
        self.blocked.remove(&node);
    }

    /// A participant votes, for the first time in this life.
    pub fn on_vote(&mut self, node: NodeId, vote: Vote) {
        match vote {
            Vote::Yes => self.yes.insert(node),
            Vote::No => self.no.insert(node),
        };
    }

    /// A process suspects another of having failed.
    pub fn on_suspect(&mut self, suspected: NodeId) {
        self.failed.insert(suspected);
    }

    /// A process says that it can neither decide nor go on.
    pub fn on_blocked(&mut self, node: NodeId) {
        self.blocked.insert(node);
    }

    /// Who is blocked now.
    #[must_use]
    pub fn blocked(&self) -> &BTreeSet<NodeId> {
        &self.blocked
    }

    /// A process decides.
    ///
    /// # Errors
    /// Whatever no later event can mend, in its strongest form.
    pub fn on_decide(&mut self, node: NodeId, outcome: Outcome) -> Result<(), Violation> {
        self.blocked.remove(&node);
        if let Some(&first) = self.decided.get(&node) {
            self.again.insert(node, outcome);
            return Err(Violation::DecidedTwice {
                node,
                first,
                second: outcome,
            });
        }
        self.decided.insert(node, outcome);
        let unfounded = self.unfounded(node, outcome);
        let disagreement = self.disagreement(|_| true);
        unfounded.or(disagreement).map_or(Ok(()), Err)
    }

    /// Judges a run that is over, in which these processes were correct.
    #[must_use]
    pub fn judge(&self, correct: &BTreeSet<NodeId>) -> Vec<Judged<Violation>> {
        let unfounded = |wanted: Outcome| {
            let mut decisions = self.decisions().filter(|(_, outcome)| *outcome == wanted);
            decisions.find_map(|(node, outcome)| self.unfounded(node, outcome))
        };
        let mut waiting = correct.iter().copied();
        let undecided = waiting.find(|node| !self.decided.contains_key(node));
        let blocked = self.blocked.intersection(correct).next();
        Vec::from([
            Judged::new(
                "agreement",
                self.disagreement(|node| correct.contains(node)),
            ),
            Judged::new("uniform agreement", self.disagreement(|_| true)),
            Judged::new("stability", self.twice()),
            Judged::new("validity", unfounded(Outcome::Commit)),
            Judged::new("non-triviality", unfounded(Outcome::Abort)),
            Judged::new(
                "termination",
                undecided.map(|node| Violation::Undecided { node }),
            ),
            Judged::new(
                "non-blocking",
                blocked.map(|&node| Violation::Blocked { node }),
            ),
        ])
    }

    /// What it would remember of the same run with other names.
    pub(super) fn renamed(&self, names: &dyn Fn(NodeId) -> NodeId) -> Oracle {
        let all = |ids: &BTreeSet<NodeId>| ids.iter().map(|&id| names(id)).collect();
        let outcomes = |outcomes: &BTreeMap<NodeId, Outcome>| {
            let outcomes = outcomes.iter();
            outcomes
                .map(|(&id, &outcome)| (names(id), outcome))
                .collect()
        };
        let earlier = self.earlier.iter();
        Oracle {
            participants: all(&self.participants),
            yes: all(&self.yes),
            no: all(&self.no),
            failed: all(&self.failed),
            decided: outcomes(&self.decided),
            earlier: earlier.map(|&(id, outcome)| (names(id), outcome)).collect(),
            again: outcomes(&self.again),
            blocked: all(&self.blocked),
        }
    }

    /// All decisions, of all lives.
    fn decisions(&self) -> impl Iterator<Item = (NodeId, Outcome)> {
        let (earlier, again) = (self.earlier.iter(), self.again.iter());
        let decided = self.decided.iter().chain(again);
        earlier
            .copied()
            .chain(decided.map(|(&node, &outcome)| (node, outcome)))
    }

    fn disagreement(&self, counts: impl Fn(&NodeId) -> bool) -> Option<Violation> {
        let decided = |wanted: Outcome| {
            let mut decisions = self.decisions().filter(|(node, _)| counts(node));
            decisions.find(|(_, outcome)| *outcome == wanted)
        };
        let (commits, _) = decided(Outcome::Commit)?;
        let (aborts, _) = decided(Outcome::Abort)?;
        Some(Violation::Disagreement { commits, aborts })
    }

    fn twice(&self) -> Option<Violation> {
        let (&node, &second) = self.again.first_key_value()?;
        let first = self.decided.get(&node).copied().unwrap_or(second);
        Some(Violation::DecidedTwice {
            node,
            first,
            second,
        })
    }

    /// Whether nothing that happened so far is a reason for this decision.
    fn unfounded(&self, node: NodeId, outcome: Outcome) -> Option<Violation> {
        match outcome {
            Outcome::Commit => {
                let mut missing = self.participants.difference(&self.yes);
                let missing = *missing.next()?;
                Some(Violation::Uninvited { node, missing })
            }
            Outcome::Abort => {
                let founded = !self.no.is_empty() || !self.failed.is_empty();
                (!founded).then_some(Violation::Trivial { node })
            }
        }
    }
}
