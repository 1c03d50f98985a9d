//! What came of an exploration.

use std::fmt;
use std::time::Duration;

use crate::model::{Kind, Model};

/// What came of an exploration.
pub struct Report<M: Model> {
    /// How much of the model was explored.
    pub extent: Extent,
    /// Different states.
    pub distinct: u64,
    /// Steps taken: states, however often each was reached.
    pub generated: u64,
    /// The depth of the deepest state.
    pub depth: u32,
    /// How long it took, the search for counterexamples included.
    pub elapsed: Duration,
    /// The memory of the table of fingerprints.
    pub table_bytes: usize,
    /// The most states that waited to be expanded at any time.
    pub waiting_max: u64,
    /// What is known of each property.
    pub verdicts: Vec<Verdict<M>>,
}

/// How much of a model was explored.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Extent {
    /// All of it.
    Exhausted,
    /// A bound on depth or states left some of it out.
    Bounded,
    /// Exploration stopped at the depth of the first violation.
    Stopped,
}

/// What is known of a property.
pub struct Verdict<M: Model> {
    /// Its name.
    pub name: &'static str,
    /// What it says.
    pub kind: Kind,
    /// What was found.
    pub outcome: Outcome<M>,
}

/// What was found out about a property.
pub enum Outcome<M: Model> {
    /// It is true.
    Holds,
    /// It is true of everything that was explored, which was not all.
    HoldsSoFar,
    /// It is false, and this is how.
    Violated(Option<Counterexample<M>>),
    /// There is such a state.
    Seen {
        /// At this depth.
        depth: u32,
    },
    /// There is no such state, so whatever is said about such states is empty.
    NeverSeen,
    /// Nothing like it in what was explored, which was not all.
    NotSeenYet,
    /// It speaks of all runs, and not all were explored.
    Undecided,
    /// All was explored, and the limits of the model leave it undecided: from so many states no good
    /// one is reached within them.
    OpenFrom {
        /// How many.
        states: u64,
        /// The shortest way to one of them.
        first: Option<Counterexample<M>>,
    },
}

/// A way to a state that should not be.
pub struct Counterexample<M: Model> {
    /// The steps.
    pub actions: Vec<M::Action>,
    /// The steps in the model's words.
    pub steps: Vec<String>,
    /// The state that they lead to.
    pub state: M::State,
}

impl<M: Model> Report<M> {
    pub(super) fn new(extent: Extent) -> Report<M> {
        Report {
            extent,
            distinct: 0,
            generated: 0,
            depth: 0,
            elapsed: Duration::ZERO,
            table_bytes: 0,
            waiting_max: 0,
            verdicts: Vec::new(),
        }
    }

    /// Whether no property is known to be false.
    #[must_use]
    pub fn holds(&self) -> bool {
        let mut outcomes = self.verdicts.iter().map(|verdict| &verdict.outcome);
        outcomes.all(|outcome| !matches!(outcome, Outcome::Violated(_) | Outcome::NeverSeen))
    }

    /// The verdict on the property of this name.
    #[must_use]
    pub fn verdict(&self, name: &str) -> Option<&Outcome<M>> {
        let verdict = self.verdicts.iter().find(|verdict| verdict.name == name);
        verdict.map(|verdict| &verdict.outcome)
    }

    /// The first counterexample, with the property that it breaks.
    #[must_use]
    pub fn counterexample(&self) -> Option<(&'static str, &Counterexample<M>)> {
        self.verdicts
            .iter()
            .find_map(|verdict| match &verdict.outcome {
                Outcome::Violated(Some(found)) => Some((verdict.name, found)),
                _ => None,
            })
    }

    /// The first way to a state from which limits leave open what can be reached, with the property.
    #[must_use]
    pub fn left_open(&self) -> Option<(&'static str, &Counterexample<M>)> {
        self.verdicts
            .iter()
            .find_map(|verdict| match &verdict.outcome {
                Outcome::OpenFrom {
                    first: Some(first), ..
                } => Some((verdict.name, first)),
                _ => None,
            })
    }

    /// New states per second.
    #[must_use]
    pub fn rate(&self) -> f64 {
        self.distinct as f64 / self.elapsed.as_secs_f64().max(1e-9)
    }
}

impl<M: Model> fmt::Display for Outcome<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Outcome::Holds => f.write_str("true"),
            Outcome::HoldsSoFar => f.write_str("true as far as explored"),
            Outcome::Violated(Some(found)) => {
                write!(f, "FALSE after {} steps", found.steps.len())
            }
            Outcome::Violated(None) => f.write_str("FALSE"),
            Outcome::Seen { depth } => write!(f, "seen after {depth} steps"),
            Outcome::NeverSeen => f.write_str("NEVER SEEN"),
            Outcome::NotSeenYet => f.write_str("not seen as far as explored"),
            Outcome::Undecided => f.write_str("undecided: not everything was explored"),
            Outcome::OpenFrom { states, first } => {
                write!(f, "undecided: not within the limits from {states} states")?;
                match first {
                    Some(first) => write!(f, ", the first after {} steps", first.steps.len()),
                    None => Ok(()),
                }
            }
        }
    }
}

impl fmt::Display for Extent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Extent::Exhausted => "exhausted",
            Extent::Bounded => "bounded",
            Extent::Stopped => "stopped at the first violation",
        })
    }
}

// Derived instances would ask the same of `M`.
impl<M: Model> fmt::Debug for Outcome<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
