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

    /// Lets it happen. Whether anything did: if not, the state is as it was. If the step turned out to
    /// choose between several ways to go on, it took one and adds an action to `others` for each of
    /// the rest.
    fn apply(
        &self,
        state: &mut Self::State,
        action: &Self::Action,
        others: &mut Vec<Self::Action>,
    ) -> bool;

    /// What stands for the state: states with the same future have the same fingerprint.
    fn fingerprint(&self, state: &Self::State) -> u64;

    /// What `apply` would come to, for models that can tell without making the state: most steps lead
    /// to states that are known, and those are then never made. `print` is the state's fingerprint.
    /// Steps that choose must stay [`Foreseen::Unknown`].
    fn foresee(&self, state: &Self::State, print: u64, action: &Self::Action) -> Foreseen {
        let _ = (state, print, action);
        Foreseen::Unknown
    }

    /// How states are kept as bytes while they wait to be expanded, if the model knows a way.
    fn packing(&self) -> Option<Packing<Self>> {
        None
    }

    /// What must be true.
    fn properties(&self) -> Vec<Property<Self>>;

    /// Whether something could happen in this state that only a limit of the model leaves out. What
    /// cannot be reached from such states may be reached in the system all the same.
    fn is_cut_off(&self, state: &Self::State) -> bool {
        let _ = state;
        false
    }

    /// The action in words, given the state that it happens in.
    fn describe(&self, state: &Self::State, action: &Self::Action) -> String {
        let _ = state;
        format!("{action:?}")
    }
}

/// What is known of a step before it is taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Foreseen {
    /// It has to be taken to be known.
    Unknown,
    /// Nothing would happen.
    Nothing,
    /// It leads to the state with this fingerprint, and leaves no choice.
    Print(u64),
}

/// How states are kept as bytes while they wait to be expanded, for states that are much larger in
/// memory than they need be. Bytes that mean the same should be in the same places: of a state only
/// those are kept that the one before it does not have.
pub struct Packing<M: Model> {
    /// Appends the state.
    pub pack: fn(&M, &M::State, &mut Vec<u8>),
    /// Reads what was appended.
    pub unpack: fn(&M, &[u8]) -> M::State,
}

/// A named statement about the states of a model.
pub struct Property<M: Model> {
    /// Its name.
    pub name: &'static str,
    /// What it says.
    pub kind: Kind,
    /// The states that it speaks of.
    pub holds: fn(&M, &M::State) -> bool,
    /// Of a live property: the states from which one of those must be reachable.
    pub from: fn(&M, &M::State) -> bool,
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
        Property::new(name, Kind::Always, holds)
    }

    /// It holds in some state.
    pub fn sometimes(name: &'static str, holds: fn(&M, &M::State) -> bool) -> Property<M> {
        Property::new(name, Kind::Sometimes, holds)
    }

    /// A state in which it holds can still be reached from every state.
    pub fn live(name: &'static str, holds: fn(&M, &M::State) -> bool) -> Property<M> {
        Property::new(name, Kind::Live, holds)
    }

    /// The same, but only from some states.
    #[must_use]
    pub fn from(mut self, from: fn(&M, &M::State) -> bool) -> Property<M> {
        self.from = from;
        self
    }

    fn new(name: &'static str, kind: Kind, holds: fn(&M, &M::State) -> bool) -> Property<M> {
        Property {
            name,
            kind,
            holds,
            from: |_, _| true,
        }
    }
}

/// A model that knows which of its steps do not touch one another.
pub trait Independence: Model {
    /// Two names of an action: one that it keeps while only steps independent of it are taken, and one
    /// that goes with the state's fingerprint. They differ where several states share a fingerprint
    /// because they differ only in names.
    fn names(&self, state: &Self::State, action: &Self::Action) -> (u64, u64);

    /// What a step touched.
    fn footprint(
        &self,
        before: &Self::State,
        action: &Self::Action,
        after: &Self::State,
    ) -> Footprint;

    /// Whether this action is one of several ways in which a step can go on.
    fn has_chosen(&self, action: &Self::Action) -> bool;
}

/// What a step touched. Two steps that touch nothing in common can be taken in either order, and lead
/// to the same state.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Footprint {
    /// The part of the system that it belongs to.
    pub place: usize,
    /// The budget that it used, if it did: the last of a budget is there for one step only.
    pub budget: Option<usize>,
    /// Whether it changed what all parts share.
    pub shared: bool,
}

impl Footprint {
    /// Whether neither step touched what the other did.
    #[must_use]
    pub fn is_independent_of(self, other: Footprint) -> bool {
        let same_budget = self.budget.is_some() && self.budget == other.budget;
        self.place != other.place && !same_budget && !(self.shared && other.shared)
    }
}
