//! Does a model foresee what then happens?

use quorate_check::{Explorer, Foreseen, Model, Property};

/// A model whose steps are all taken, each after it was compared with what the model foresaw.
struct Tested<'a, M>(&'a M);

impl<M: Model> Model for Tested<'_, M> {
    type State = M::State;
    type Action = M::Action;

    fn initial(&self) -> Vec<M::State> {
        self.0.initial()
    }

    fn actions(&self, state: &M::State, actions: &mut Vec<M::Action>) {
        self.0.actions(state, actions);
    }

    fn apply(&self, state: &mut M::State, action: &M::Action, others: &mut Vec<M::Action>) -> bool {
        let foreseen = self.0.foresee(state, self.0.fingerprint(state), action);
        let happened = self.0.apply(state, action, others);
        let real = match happened {
            true => Foreseen::Print(self.0.fingerprint(state)),
            false => Foreseen::Nothing,
        };
        assert_eq!(foreseen, real, "{action:?}");
        happened
    }

    fn fingerprint(&self, state: &M::State) -> u64 {
        self.0.fingerprint(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        Vec::new()
    }
}

/// Compares every step, and says how many states and steps there are if nothing is foreseen or packed.
pub(crate) fn test<M: Model>(model: &M) -> (u64, u64) {
    let report = Explorer::new(&Tested(model)).breadth_first();
    (report.distinct, report.generated)
}
