//! Registers: the numbers of states are those that the stateright crate counts on its own models of
//! the same protocols.

#[path = "models/abd.rs"]
mod abd;
#[path = "models/bytes.rs"]
mod bytes;
#[path = "models/foresight.rs"]
mod foresight;
#[path = "models/paxos.rs"]
mod paxos;
#[path = "models/register.rs"]
mod register;

use abd::Abd;
use paxos::Paxos;
use quorate_check::{Explorer, Extent, Outcome};
use register::{Server, With};

fn explore<S: Server>(model: With<S>, states: u64) {
    let wide = Explorer::new(&model).breadth_first();
    let deep = Explorer::new(&model).depth_first();
    let plain = Explorer::new(&model).plain().breadth_first();
    let foreseen = foresight::test(&model);
    let mut steps = Vec::new();
    for report in [wide, deep, plain] {
        assert_eq!(report.extent, Extent::Exhausted);
        assert!(matches!(
            report.verdict("linearizable"),
            Some(Outcome::Holds)
        ));
        let chosen = report.verdict("value chosen");
        assert!(matches!(chosen, Some(Outcome::Seen { .. })));
        assert_eq!(report.distinct, states);
        steps.push(report.generated);
    }
    assert!(steps.iter().all(|&steps| foreseen == (states, steps)));
}

#[test]
fn single_decree_paxos_with_two_clients() {
    explore(With::<Paxos>::new(3, 2), 16_668);
}

#[test]
fn abd_with_two_clients() {
    explore(With::<Abd>::new(2, 2), 544);
}
