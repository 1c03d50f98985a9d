//! Liveness under fairness, on a model whose answers are known.

use quorate_check::{Explorer, Model, Outcome, Property, fingerprint};

/// A token on a ring that somebody may drop, and perhaps pick up again.
struct Ring {
    places: u32,
    picked_up: bool,
    /// What lies beyond this place is left out, if anything is.
    limit: Option<u32>,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
enum Token {
    At(u32),
    Dropped(u32),
}

#[derive(Clone, Debug)]
enum Action {
    Pass,
    Drop,
    PickUp,
}

impl Model for Ring {
    type State = Token;
    type Action = Action;

    fn initial(&self) -> Vec<Token> {
        vec![Token::At(0)]
    }

    fn actions(&self, state: &Token, actions: &mut Vec<Action>) {
        match state {
            Token::At(place) if Some(*place) == self.limit => actions.push(Action::Drop),
            Token::At(_) => actions.extend([Action::Pass, Action::Drop]),
            Token::Dropped(_) if self.picked_up => actions.push(Action::PickUp),
            Token::Dropped(_) => {}
        }
    }

    fn apply(&self, state: &mut Token, action: &Action, _: &mut Vec<Action>) -> bool {
        let (Token::At(place) | Token::Dropped(place)) = *state;
        *state = match action {
            Action::Pass => Token::At((place + 1) % self.places),
            Action::Drop => Token::Dropped(place),
            Action::PickUp => Token::At(place),
        };
        true
    }

    fn fingerprint(&self, state: &Token) -> u64 {
        fingerprint(state)
    }

    fn is_cut_off(&self, state: &Token) -> bool {
        matches!(state, Token::At(place) if Some(*place) == self.limit)
    }

    fn properties(&self) -> Vec<Property<Ring>> {
        vec![
            Property::live("comes home", |_, state: &Token| *state == Token::At(0)),
            Property::live(
                "comes home from where it was dropped",
                |_, state: &Token| *state == Token::At(0),
            )
            .from(|_, state| matches!(state, Token::Dropped(_))),
            Property::sometimes(
                "leaves the ring",
                |ring: &Ring, state: &Token| matches!(state, Token::At(place) if *place >= ring.places),
            ),
        ]
    }
}

#[test]
fn a_cycle_is_no_reason_to_despair_but_a_trap_is() {
    let fair = Ring {
        places: 5,
        picked_up: true,
        limit: None,
    };
    let report = Explorer::new(&fair).breadth_first();
    assert_eq!(report.distinct, 10);
    assert!(matches!(report.verdict("comes home"), Some(Outcome::Holds)));

    let trap = Ring {
        places: 5,
        picked_up: false,
        limit: None,
    };
    let report = Explorer::new(&trap).breadth_first();
    let (name, found) = report
        .counterexample()
        .expect("what is dropped stays there");
    assert_eq!(
        (name, found.steps.as_slice()),
        ("comes home", &["Drop".to_string()][..])
    );
}

#[test]
fn what_is_never_seen_is_reported_and_what_is_cut_off_is_not_decided() {
    let ring = Ring {
        places: 5,
        picked_up: true,
        limit: None,
    };
    let report = Explorer::new(&ring).breadth_first();
    let never = report.verdict("leaves the ring");
    assert!(matches!(never, Some(Outcome::NeverSeen)));
    assert!(!report.holds());

    let report = Explorer::new(&ring).depth_max(2).breadth_first();
    let undecided = report.verdict("comes home");
    assert!(matches!(undecided, Some(Outcome::Undecided)));
    let not_yet = report.verdict("leaves the ring");
    assert!(matches!(not_yet, Some(Outcome::NotSeenYet)));
}

#[test]
fn what_a_limit_leaves_out_is_open_and_what_it_does_not_touch_is_false() {
    let cut = |picked_up| Ring {
        places: 5,
        picked_up,
        limit: Some(3),
    };
    let model = cut(true);
    let report = Explorer::new(&model).breadth_first();
    let Some(Outcome::OpenFrom { states, first }) = report.verdict("comes home") else {
        panic!("what is beyond the third place is not known")
    };
    // From the first place on it can only go forward.
    assert_eq!(*states, 6);
    assert_eq!(first.as_ref().map(|first| first.steps.len()), Some(1));
    let dropped = report.verdict("comes home from where it was dropped");
    assert!(matches!(dropped, Some(Outcome::OpenFrom { states: 3, .. })));
    // What was dropped for good is lost, whatever is beyond.
    let model = cut(false);
    let report = Explorer::new(&model).breadth_first();
    for name in ["comes home", "comes home from where it was dropped"] {
        assert!(matches!(report.verdict(name), Some(Outcome::Violated(_))));
    }
}
