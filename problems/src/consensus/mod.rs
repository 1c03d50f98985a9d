//! Consensus: everybody proposes a value, and all decide on one of them.
//!
//! Two readings of agreement are in use. *Agreement* speaks of correct processes only; *uniform
//! agreement* counts what a process decided before it crashed, too. (The slides call the first by the
//! name of the second.) And the texts let "all processes" terminate; a crashed one cannot, so
//! termination here is that of all correct ones. Each property is reported by itself.
//!
//! Where processes come back after a crash, each start is a life of its own: a process proposes and
//! decides once in each. What it decided in an earlier life binds it like everybody else.

mod workload;

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;
use core::fmt;

use quorate_core::{NodeId, Payload, Problem};

use crate::property::Judged;

pub use workload::Proposer;

/// The problem.
#[derive(Clone, Copy, Debug)]
pub struct Consensus;

impl Problem for Consensus {
    type Request = Request;
    type Output = Output;
}

/// What the layer above asks for.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Request {
    /// Let this be the decision, or another's proposal. Once per process and life: whatever is
    /// proposed after that is the same question again.
    Propose(Payload),
}

/// What the layer above is told.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Output {
    /// This is the decision.
    Decide(Payload),
}

/// Watches one instance of consensus.
#[derive(Clone, Default, Hash, Debug)]
pub struct Oracle {
    /// What each process proposed, in all its lives.
    proposed: BTreeMap<NodeId, Vec<Payload>>,
    /// What each process decided in this life, in order; more than one decision is a violation.
    decided: BTreeMap<NodeId, Vec<Payload>>,
    /// What processes decided in earlier lives, where that differs from what is decided now.
    earlier: BTreeMap<NodeId, Vec<Payload>>,
}

/// A broken promise.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Violation {
    /// Two processes decided differently.
    Disagreement {
        /// One process and its decision.
        one: (NodeId, Payload),
        /// Another process and its decision.
        other: (NodeId, Payload),
    },
    /// A process decided more than once.
    DecidedTwice {
        /// The process.
        node: NodeId,
        /// Its decisions.
        decisions: Vec<Payload>,
    },
    /// A decision that nobody proposed.
    Invented {
        /// Who decided.
        node: NodeId,
        /// The decision.
        value: Payload,
    },
    /// All correct processes proposed one value, and one of them decided another.
    Ignored {
        /// Who decided.
        node: NodeId,
        /// What all correct processes proposed.
        proposed: Payload,
        /// The decision.
        decided: Payload,
    },
    /// A correct process did not decide.
    Undecided {
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
            Violation::DecidedTwice { .. } | Violation::Invented { .. } => "integrity",
            Violation::Ignored { .. } => "validity",
            Violation::Undecided { .. } => "termination",
        }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Violation::Disagreement { one, other } => write!(
                f,
                "{} decided {:?} and {} decided {:?}",
                one.0, one.1, other.0, other.1
            ),
            Violation::DecidedTwice { node, decisions } => {
                write!(f, "{node} decided more than once: {decisions:?}")
            }
            Violation::Invented { node, value } => {
                write!(f, "{node} decided {value:?}, which nobody proposed")
            }
            Violation::Ignored {
                node,
                proposed,
                decided,
            } => write!(
                f,
                "all correct processes proposed {proposed:?}, and {node} decided {decided:?}"
            ),
            Violation::Undecided { node } => write!(f, "{node} did not decide"),
        }
    }
}

impl Oracle {
    /// A process starts another life.
    pub fn on_open(&mut self, node: NodeId) {
        for value in self.decided.remove(&node).unwrap_or_default() {
            let earlier = self.earlier.entry(node).or_default();
            if !earlier.contains(&value) {
                earlier.push(value);
            }
        }
    }

    /// A process proposes, for the first time in this life.
    pub fn on_propose(&mut self, node: NodeId, value: &Payload) {
        let proposed = self.proposed.entry(node).or_default();
        if !proposed.contains(value) {
            proposed.push(value.clone());
        }
    }

    /// What it would remember of the same run with other names.
    fn renamed(&self, names: &dyn Fn(NodeId) -> NodeId) -> Oracle {
        let renamed = |values: &BTreeMap<NodeId, Vec<Payload>>| {
            let values = values.iter();
            values
                .map(|(&id, values)| (names(id), values.clone()))
                .collect()
        };
        Oracle {
            proposed: renamed(&self.proposed),
            decided: renamed(&self.decided),
            earlier: renamed(&self.earlier),
        }
    }

    fn is_proposed(&self, value: &Payload) -> bool {
        self.proposed.values().flatten().any(|one| one == value)
    }

    /// A process decides.
    ///
    /// # Errors
    /// Whatever no later event can mend, in its strongest form: a second decision, a decision that
    /// nobody proposed, or one that differs from any other's.
    pub fn on_decide(&mut self, node: NodeId, value: &Payload) -> Result<(), Violation> {
        let other = self.decisions().find(|(_, other)| *other != value);
        let other = other.map(|(id, other)| (id, other.clone()));
        let decisions = self.decided.entry(node).or_default();
        decisions.push(value.clone());
        if decisions.len() > 1 {
            let decisions = decisions.clone();
            return Err(Violation::DecidedTwice { node, decisions });
        }
        if !self.is_proposed(value) {
            let value = value.clone();
            return Err(Violation::Invented { node, value });
        }
        match other {
            Some(one) => Err(Violation::Disagreement {
                one,
                other: (node, value.clone()),
            }),
            None => Ok(()),
        }
    }

    /// Judges a run that is over, in which these processes were correct.
    #[must_use]
    pub fn judge(&self, correct: &BTreeSet<NodeId>) -> Vec<Judged<Violation>> {
        Vec::from([
            Judged::new(
                "agreement",
                self.disagreement(|node| correct.contains(node)),
            ),
            Judged::new("uniform agreement", self.disagreement(|_| true)),
            Judged::new("integrity", self.twice_or_invented()),
            Judged::new("validity", self.ignored(correct)),
            Judged::new("termination", self.undecided(correct)),
        ])
    }

    fn decisions(&self) -> impl Iterator<Item = (NodeId, &Payload)> {
        let all = self.earlier.iter().chain(&self.decided);
        all.flat_map(|(node, decisions)| decisions.iter().map(|value| (*node, value)))
    }

    fn disagreement(&self, counts: impl Fn(&NodeId) -> bool) -> Option<Violation> {
        let mut decisions = self.decisions().filter(|(node, _)| counts(node));
        let one = decisions.next()?;
        let other = decisions.find(|other| other.1 != one.1)?;
        Some(Violation::Disagreement {
            one: (one.0, one.1.clone()),
            other: (other.0, other.1.clone()),
        })
    }

    fn twice_or_invented(&self) -> Option<Violation> {
        let twice = self
            .decided
            .iter()
            .find(|(_, decisions)| decisions.len() > 1);
        if let Some((node, decisions)) = twice {
            return Some(Violation::DecidedTwice {
                node: *node,
                decisions: decisions.clone(),
            });
        }
        let mut decisions = self.decisions();
        let (node, value) = decisions.find(|(_, value)| !self.is_proposed(value))?;
        let value = value.clone();
        Some(Violation::Invented { node, value })
    }

    fn ignored(&self, correct: &BTreeSet<NodeId>) -> Option<Violation> {
        let proposed = self.proposed.get(correct.first()?)?.first()?;
        let same = |node| {
            let values = self.proposed.get(node).into_iter().flatten();
            values.clone().next().is_some() && values.into_iter().all(|value| value == proposed)
        };
        if !correct.iter().all(same) {
            return None;
        }
        let mut decisions = self.decisions();
        let (node, decided) =
            decisions.find(|(node, value)| correct.contains(node) && *value != proposed)?;
        Some(Violation::Ignored {
            node,
            proposed: proposed.clone(),
            decided: decided.clone(),
        })
    }

    fn undecided(&self, correct: &BTreeSet<NodeId>) -> Option<Violation> {
        let mut correct = correct.iter();
        let node = *correct.find(|node| !self.decided.contains_key(node))?;
        Some(Violation::Undecided { node })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    fn value(text: &str) -> Payload {
        Payload::from_vec(text.as_bytes().to_vec(), 0)
    }

    fn run(
        proposed: &[(u64, &str)],
        decided: &[(u64, &str)],
        correct: &[u64],
    ) -> Vec<&'static str> {
        let mut oracle = Oracle::default();
        for (node, text) in proposed {
            oracle.on_propose(NodeId(*node), &value(text));
        }
        for (node, text) in decided {
            let _ = oracle.on_decide(NodeId(*node), &value(text));
        }
        let correct = correct.iter().copied().map(NodeId).collect();
        let judged = oracle.judge(&correct);
        assert_eq!(judged.len(), 5);
        let broken = judged.iter().filter(|one| !one.holds());
        broken.map(|one| one.property).collect()
    }

    #[test]
    fn one_decision_of_all_correct_processes_is_consensus() {
        let proposed = [(1, "a"), (2, "b"), (3, "b")];
        assert!(run(&proposed, &[(1, "b"), (2, "b"), (3, "b")], &[1, 2, 3]).is_empty());
        assert!(
            run(&proposed, &[(1, "b"), (2, "b")], &[1, 2]).is_empty(),
            "n3 crashed"
        );
    }

    /// The slides' "uniform agreement: every correct process must decide on the same value" is plain
    /// agreement: here is a run that tells the two apart.
    #[test]
    fn a_crashed_process_counts_for_uniform_agreement_only() {
        let proposed = [(1, "a"), (2, "b"), (3, "b")];
        let decided = [(1, "a"), (2, "b"), (3, "b")];
        assert_eq!(run(&proposed, &decided, &[2, 3]), ["uniform agreement"]);
        let both = vec!["agreement", "uniform agreement"];
        assert_eq!(run(&proposed, &decided, &[1, 2, 3]), both);
    }

    #[test]
    fn each_other_promise_is_broken_by_itself() {
        let proposed = [(1, "a"), (2, "a"), (3, "b")];
        let invented = [(1, "c"), (2, "c"), (3, "c")];
        assert_eq!(run(&proposed, &invented, &[1, 2, 3]), ["integrity"]);
        let twice = [(1, "a"), (1, "a"), (2, "a"), (3, "a")];
        assert_eq!(run(&proposed, &twice, &[1, 2, 3]), ["integrity"]);
        let ignored = [(1, "b"), (2, "b")];
        assert_eq!(run(&proposed, &ignored, &[1, 2]), ["validity"]);
        assert_eq!(run(&proposed, &[(1, "a")], &[1, 2]), ["termination"]);
    }

    #[test]
    fn a_process_that_comes_back_decides_again_and_the_same() {
        let one = NodeId(1);
        let mut oracle = Oracle::default();
        oracle.on_open(one);
        oracle.on_propose(one, &value("a"));
        assert_eq!(oracle.on_decide(one, &value("a")), Ok(()));
        oracle.on_open(one);
        oracle.on_propose(one, &value("b"));
        assert_eq!(oracle.clone().on_decide(one, &value("a")), Ok(()));
        let other = oracle.on_decide(one, &value("b"));
        assert!(matches!(other, Err(Violation::Disagreement { .. })));
    }

    #[test]
    fn what_cannot_be_mended_is_told_at_once() {
        let (one, two) = (NodeId(1), NodeId(2));
        let mut oracle = Oracle::default();
        oracle.on_propose(one, &value("a"));
        oracle.on_propose(two, &value("b"));
        assert_eq!(oracle.on_decide(one, &value("a")), Ok(()));
        let twice = oracle.on_decide(one, &value("a"));
        assert!(matches!(twice, Err(Violation::DecidedTwice { .. })));
        let other = oracle.clone().on_decide(two, &value("b"));
        assert!(matches!(other, Err(Violation::Disagreement { .. })));
        let invented = oracle.on_decide(two, &value("c"));
        assert!(matches!(invented, Err(Violation::Invented { .. })));
    }
}
