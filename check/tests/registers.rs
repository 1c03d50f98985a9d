//! Registers: the numbers of states are those that the stateright crate counts on its own models of
//! the same protocols.

#[path = "models/abd.rs"]
mod abd;
#[path = "models/foresight.rs"]
mod foresight;
#[path = "models/paxos.rs"]
mod paxos;
#[path = "models/register.rs"]
mod register;

use abd::Abd;
use paxos::Paxos;
use quorate_check::{Explorer, Extent, Model, Outcome, Report};
use register::{Server, With};

/// As actors and as one model that knows nothing of parts, in every way: the same states and steps.
fn explore<S: Server>(servers: u8, clients: u8, states: u64) {
    let actors = register::cast::<S>(servers, clients);
    let whole = With::<S>::new(servers, clients);
    let mut steps = vec![foresight::test(&actors)];
    steps.push(exhausted(&Explorer::new(&actors).breadth_first()));
    steps.push(exhausted(&Explorer::new(&actors).depth_first()));
    steps.push(exhausted(&Explorer::new(&actors).plain().breadth_first()));
    steps.push(exhausted(&Explorer::new(&whole).breadth_first()));
    assert_eq!(steps[0].0, states);
    assert!(steps.iter().all(|counts| *counts == steps[0]), "{steps:?}");
}

/// The numbers of states and steps.
fn exhausted<M: Model>(report: &Report<M>) -> (u64, u64) {
    assert_eq!(report.extent, Extent::Exhausted);
    assert!(matches!(
        report.verdict("linearizable"),
        Some(Outcome::Holds)
    ));
    let chosen = report.verdict("value chosen");
    assert!(matches!(chosen, Some(Outcome::Seen { .. })));
    (report.distinct, report.generated)
}

#[test]
fn single_decree_paxos_with_two_clients() {
    explore::<Paxos>(3, 2, 16_668);
}

#[test]
fn abd_with_two_clients() {
    explore::<Abd>(2, 2, 544);
}
