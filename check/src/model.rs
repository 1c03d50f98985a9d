//! What can be explored: states, actions, and what must be true of them.

use std::fmt::Debug;

/// A system: where it can start, what can happen in a state, and what comes of it.
pub trait Model: Sync + Sized {
    /// Everything that decides what can happen next, and whether all is well.
    type State: Clone + Send;
    /// One thing that can happen.
    type Action: Clone + Debug + Send;

    /// The states it can start in.
    fn initial(&self) -> Vec<Self::State>;

    /// Adds everything that can happen in a state, always in the same order.
    fn actions(&self, state: &Self::State, actions: &mut Vec<Self::Action>);

    /// Lets it happen. If the step turned out to choose between several ways to go on, it took one
    /// and adds an action to `others` for each of the rest.
    fn apply(&self, state: &mut Self::State, action: &Self::Action, others: &mut Vec<Self::Action>);

    /// What stands for the state: states with the same future have the same fingerprint.
    fn fingerprint(&self, state: &Self::State) -> u64;

    /// What must be true.
    fn properties(&self) -> Vec<Property<Self>>;

    /// The action in words, given the state that it happens in.
    fn describe(&self, state: &Self::State, action: &Self::Action) -> String {
        let _ = state;
        format!("{action:?}")
    }
}

/// A named statement about the states of a model.
pub struct Property<M: Model> {
    /// Its name.
    pub name: &'static str,
    /// What it says.
    pub kind: Kind,
    /// The states that it speaks of.
    pub holds: fn(&M, &M::State) -> bool,
}

/// What a property says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// It holds in every state.
    Always,
    /// It holds in some state, so that what is said of such states is not said of nothing.
    Sometimes,
    /// From every state, one in which it holds can still be reached. On a finite graph, then, a run
    /// that gives everything that can happen again and again its chance (Pnueli, "On the extremely
    /// fair treatment of probabilistic algorithms", STOC 1983) comes to such states for ever.
    Live,
}

impl<M: Model> Property<M> {
    /// It holds in every state.
    pub fn always(name: &'static str, holds: fn(&M, &M::State) -> bool) -> Property<M> {
        let kind = Kind::Always;
        Property { name, kind, holds }
    }

    /// It holds in some state.
    pub fn sometimes(name: &'static str, holds: fn(&M, &M::State) -> bool) -> Property<M> {
        let kind = Kind::Sometimes;
        Property { name, kind, holds }
    }

    /// A state in which it holds can still be reached from every state.
    pub fn live(name: &'static str, holds: fn(&M, &M::State) -> bool) -> Property<M> {
        let kind = Kind::Live;
        Property { name, kind, holds }
    }
}
