//! Two-phase commit: known numbers of states, a planted bug, both orders of search.

#[path = "models/foresight.rs"]
mod foresight;
#[path = "models/two_phase.rs"]
mod two_phase;

use quorate_check::{Explorer, Extent, Outcome};
use two_phase::{Participant, TwoPhase};

#[test]
fn the_number_of_states_is_the_known_one() {
    for (participants, states) in [(3, 288), (5, 8_832)] {
        let model = TwoPhase::new(participants);
        let wide = Explorer::new(&model).threads(2).breadth_first();
        let plain = Explorer::new(&model).plain().breadth_first();
        let deep = Explorer::new(&model).depth_first();
        for report in [&wide, &plain, &deep] {
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

    let report = Explorer::new(&model).depth_first();
    let (_, found) = report.counterexample().expect("it is there to be found");
    assert!(!found.state.is_consistent());
    assert!(found.actions.len() >= 9);
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
