//! Two-phase commit: known numbers of states, a planted bug, both orders of search.

#[path = "models/foresight.rs"]
mod foresight;
#[path = "models/two_phase.rs"]
mod two_phase;

use quorate_check::{Explorer, Extent, Model, Outcome, Property};
use two_phase::{Participant, TwoPhase};

#[test]
fn the_number_of_states_is_the_known_one() {
    for (participants, states) in [(3, 288), (5, 8_832)] {
        let model = TwoPhase::new(participants);
        let wide = Explorer::new(&model).threads(2).breadth_first();
        let plain = Explorer::new(&model).plain().breadth_first();
        let deep = Explorer::new(&model).threads(1).depth_first();
        let deep_together = Explorer::new(&model).threads(3).depth_first();
        for report in [&wide, &plain, &deep, &deep_together] {
            assert_eq!(report.distinct, states);
            assert_eq!(report.extent, Extent::Exhausted);
            assert!(report.holds());
            assert!(matches!(report.verdict("consistent"), Some(Outcome::Holds)));
            assert!(matches!(
                report.verdict("commit agreement"),
                Some(Outcome::Seen { .. })
            ));
        }
        assert_eq!(wide.generated, plain.generated);
        assert_eq!(wide.generated, deep.generated);
        assert_eq!(wide.generated, deep_together.generated);
        assert_eq!(foresight::test(&model), (states, wide.generated));
    }
}

#[test]
fn a_planted_bug_is_shown_on_a_shortest_path() {
    let model = TwoPhase {
        fickle: true,
        ..TwoPhase::new(3)
    };
    let mut shown = Vec::new();
    for threads in [1, 2, 2] {
        let report = Explorer::new(&model).threads(threads).breadth_first();
        assert_eq!(report.extent, Extent::Stopped);
        let (name, found) = report.counterexample().expect("it is there to be found");
        assert_eq!(name, "consistent");
        assert!(!found.state.is_consistent());
        shown.push(found.actions.clone());
    }
    // Three prepare, three are counted; the decision, one commits, one aborts.
    assert_eq!(shown[0].len(), 9);
    assert!(shown.iter().all(|actions| *actions == shown[0]));

    for threads in [1, 2, 3] {
        let report = Explorer::new(&model).threads(threads).depth_first();
        assert_eq!(report.extent, Extent::Stopped);
        let (_, found) = report.counterexample().expect("it is there to be found");
        assert!(!found.state.is_consistent());
        assert!(found.actions.len() >= 9);
    }
}

#[test]
fn bounds_are_kept_and_told() {
    let model = TwoPhase::new(4);
    let shallow = Explorer::new(&model).depth_max(3).breadth_first();
    assert_eq!((shallow.extent, shallow.depth), (Extent::Bounded, 3));
    assert!(matches!(
        shallow.verdict("consistent"),
        Some(Outcome::HoldsSoFar)
    ));
    assert!(matches!(
        shallow.verdict("commit agreement"),
        Some(Outcome::NotSeenYet)
    ));
    let few = Explorer::new(&model)
        .threads(1)
        .states_max(200)
        .breadth_first();
    assert_eq!(few.extent, Extent::Bounded);
    assert!((200..1568).contains(&few.distinct), "{}", few.distinct);
    let start = model.start();
    assert!(start.all(Participant::Working));
}

/// A model whose steps panic once it has gone deep enough.
struct Panics(TwoPhase);

impl Model for Panics {
    type State = two_phase::State;
    type Action = two_phase::Action;

    fn initial(&self) -> Vec<Self::State> {
        self.0.initial()
    }

    fn actions(&self, state: &Self::State, actions: &mut Vec<Self::Action>) {
        self.0.actions(state, actions);
    }

    fn apply(
        &self,
        state: &mut Self::State,
        action: &Self::Action,
        others: &mut Vec<Self::Action>,
    ) -> bool {
        assert!(!state.all(Participant::Prepared), "here it panics");
        self.0.apply(state, action, others)
    }

    fn fingerprint(&self, state: &Self::State) -> u64 {
        self.0.fingerprint(state)
    }

    fn properties(&self) -> Vec<Property<Panics>> {
        Vec::new()
    }
}

#[test]
fn a_model_that_panics_ends_the_exploration_for_all_threads() {
    let model = Panics(TwoPhase::new(4));
    let explore = || Explorer::new(&model).threads(3).depth_first().distinct;
    assert!(std::panic::catch_unwind(explore).is_err());
    let explore = || Explorer::new(&model).threads(3).breadth_first().distinct;
    assert!(std::panic::catch_unwind(explore).is_err());
}
