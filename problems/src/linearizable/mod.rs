//! Linearizability: every operation seems to take effect at one moment between its call and its
//! return (Herlihy and Wing, 1990).
//!
//! The search is Wing and Gong's, as Lowe improved it ("Testing for linearizability", 2017): extend a
//! sequential order by one of the operations that may come next, remember the configurations that
//! led nowhere, go back when stuck. A history is first taken apart where its operations touch
//! nothing in common, since linearizability is local (Horn and Kroening, "Faster linearizability
//! checking via P-compositionality", 2015). What else makes it fast, each exact:
//!
//! - a read that may come next, and is right, comes next, without an alternative;
//! - an operation that cannot influence the one that must return first waits for its turn;
//! - of operations that look the same, the one that is over first (or was called first) goes first;
//! - a pending operation waits until something needs it;
//! - nothing is overwritten that somebody must still find and nobody can bring back;
//! - a pending operation is an opportunity: a configuration that used more of them up for the same
//!   state is no better than one already seen.
//!
//! The answer is never only a no: see [`Witness`].

mod memo;
mod parts;
mod search;
mod shrink;
mod supply;

use alloc::vec::Vec;
use core::fmt;
use core::hash::Hash;

use crate::history::History;

/// A sequential object: what a history is compared with.
pub trait Sequential {
    /// The state of the object, or of the part of it that some operations touch.
    type State: Clone + Eq + Hash;
    /// What can be asked.
    type Input: Clone + Eq + Hash;
    /// What can be answered.
    type Output: Clone + Eq + Hash;
    /// Names a piece of the state, such as a key.
    type Piece: Clone + Ord;

    /// The state before the first operation.
    fn initial(&self) -> Self::State;

    /// The state after an operation. `None` if it cannot have given that output in this state; an
    /// operation whose output is not known gives some.
    fn step(
        &self,
        state: &Self::State,
        input: &Self::Input,
        output: Option<&Self::Output>,
    ) -> Option<Self::State>;

    /// The pieces of the state that an operation depends on or changes. Operations without a
    /// common piece are independent.
    fn pieces(&self, input: &Self::Input) -> Pieces<Self::Piece>;

    /// Whether an operation with that output is a read: in no state does it change anything.
    fn is_read(&self, input: &Self::Input, output: &Self::Output) -> bool;

    /// Inputs that do, under no condition and piece by piece, what an operation may have done to the
    /// state, judging by its output if that is known.
    fn effects(&self, input: &Self::Input, output: Option<&Self::Output>) -> Vec<Self::Input> {
        let _ = output;
        Vec::from([input.clone()])
    }

    /// Whether each of these effects gives its piece, which is one, a value that does not depend on
    /// the state. Then dead ends are seen from afar.
    fn effects_overwrite(&self) -> bool {
        false
    }

    /// Whether an operation makes no difference between two states: each of its conditions holds in
    /// both or in neither. It is asked of states that differ in one piece, and only if
    /// [`Sequential::effects_overwrite`].
    fn is_indifferent(&self, input: &Self::Input, one: &Self::State, other: &Self::State) -> bool {
        let _ = (input, one, other);
        false
    }

    /// What an operation with that output must have found in pieces of the state just before, as
    /// [`Sequential::content`] numbers it; not all of it need be listed.
    fn finds(&self, input: &Self::Input, output: &Self::Output) -> Vec<(Self::Piece, u64)> {
        let _ = (input, output);
        Vec::new()
    }

    /// A number for what is in a piece of the state.
    fn content(&self, state: &Self::State, piece: &Self::Piece) -> u64 {
        let _ = (state, piece);
        0
    }

    /// May rewrite a history, given as inputs and outputs, into one that is linearizable if and only if
    /// the given one is, at whatever moments the operations happened: inputs that no output tells
    /// apart become equal. It does nothing by itself.
    fn simplify(&self, operations: &mut [(Self::Input, Option<Self::Output>)]) {
        let _ = operations;
    }
}

/// What an operation touches.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Pieces<P> {
    /// The whole state.
    All,
    /// These pieces of it only.
    Of(Vec<P>),
}

/// The answer of a checker.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// Every operation has a moment at which it takes effect: the linearization points.
    Linearizable(Vec<Point>),
    /// No such moments exist.
    Violated(Witness),
    /// The search was ended at its bound.
    GaveUp {
        /// The number of configurations that were looked at.
        configurations: u64,
    },
}

impl Verdict {
    /// Whether linearization points were found.
    #[must_use]
    pub fn is_linearizable(&self) -> bool {
        matches!(self, Verdict::Linearizable(_))
    }
}

/// The moment at which an operation takes effect. Points are listed in the order in which they
/// happen; those at one moment happen in the order of the list.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Point {
    /// The operation, by its place in the history.
    pub operation: usize,
    /// The moment, between its call and its return.
    pub at: u64,
}

/// Why a history is not linearizable, as small as it gets.
///
/// An operation is *set free* by forgetting its reply, its condition and its effect, but not its time:
/// each thing that it may have written can be written any number of times, or never, between its
/// call and its return. That only ever makes room. The operations of `conflict` cannot all have been
/// as they were, even if all others of the history are free; but as soon as any one of them is set
/// free too, the rest can.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Witness {
    /// The operations that contradict one another, by their place in the history.
    pub conflict: Vec<usize>,
    /// Operations whose effects the conflict shows: when one of the conflict is set free, the
    /// conflict and these alone are linearizable.
    pub context: Vec<usize>,
    /// Whether the bound sufficed to make sure that nothing can be left out.
    pub is_minimal: bool,
}

impl fmt::Display for Witness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Witness {
            conflict, context, ..
        } = self;
        write!(
            f,
            "the replies of operations {conflict:?} contradict one another"
        )?;
        match context.as_slice() {
            [] => Ok(()),
            _ => write!(f, " (their effects: {context:?})"),
        }
    }
}

/// As many configurations as a check may look at if nobody says otherwise: two or three gigabytes of
/// them.
pub const CONFIGURATIONS_MAX: u64 = 10_000_000;

/// Whether a history could have come from the machine, looking at no more than
/// `configurations_max` configurations in each of its parts.
pub fn check<M: Sequential>(
    machine: &M,
    history: &History<M::Input, M::Output>,
    configurations_max: u64,
) -> Verdict {
    parts::check(machine, history.operations(), configurations_max)
}

#[cfg(test)]
mod tests;
