//! The synod under the checker: small worlds with the exact numbers of their states, and the shortest
//! scripts of the bugs that so small a world can show.

use quorate_check::world::{Limits, World};
use quorate_check::{Explorer, Extent};
use quorate_core::NodeId;
use quorate_lab::suites::synod::KNOWN;
use quorate_protocols::synod::{Config, Flaw, Synod};
use quorate_sim::script;

fn world(size: u64, limits: Limits, flaw: Option<Flaw>) -> World<Synod> {
    let members: Vec<NodeId> = (1..=size).map(NodeId).collect();
    let mut config = Config::new(members.clone());
    config.flaw = flaw;
    let judge = KNOWN.judges[0].1();
    let world = World::new(&members, config, limits, judge);
    world.expect("the synod claims to withstand it")
}

/// These values are proposed, each once, by anybody at any time.
fn proposals(values: &[&str]) -> Limits {
    let requests = values.iter().map(|value| format!("propose {value}"));
    Limits {
        requests: requests.collect(),
        prompt_disks: true,
        ..Limits::default()
    }
}

fn exhausted(size: u64, limits: Limits) -> u64 {
    let world = world(size, limits, None);
    let report = Explorer::new(&world).breadth_first();
    assert_eq!(report.extent, Extent::Exhausted);
    for verdict in &report.verdicts {
        let outcome = &verdict.outcome;
        assert!(report.holds(), "{}: {outcome}", verdict.name);
    }
    report.distinct
}

#[test]
fn one_proposal_with_and_without_a_crash() {
    let crash = Limits {
        crashes: 1,
        ..proposals(&["a"])
    };
    assert_eq!(exhausted(3, proposals(&["a"])), 3_310);
    assert_eq!(exhausted(3, crash), 44_083);
}

#[test]
fn two_proposers_of_two_with_a_crash_or_a_ballot_more() {
    let crash = Limits {
        crashes: 1,
        ..proposals(&["a", "b"])
    };
    let ballot = Limits {
        fires: 1,
        ..proposals(&["a", "b"])
    };
    assert_eq!(exhausted(2, crash), 7_720);
    assert_eq!(exhausted(2, ballot), 20_694);
}

/// Explores a world with a bug, and runs the script of what it finds in the simulator: with the bug it
/// breaks a promise there too.
fn find(limits: Limits, flaw: Flaw, steps: usize) {
    let world = world(3, limits, Some(flaw));
    let report = Explorer::new(&world).breadth_first();
    let (_, found) = report.counterexample().expect("so small a world shows it");
    assert_eq!(found.steps.len(), steps, "{:#?}", found.steps);
    let script = found.steps.join("\n");
    let with = format!("cluster 3 flaw={}\n{script}\n----\n", flaw.name());
    let with = script::run(&KNOWN.suite, &with).expect("a counterexample is a script");
    let violation = found.state.violation().expect("that is what was found");
    let told = format!("violated: {violation}\n");
    assert!(with.ends_with(&told), "{with}");
}

#[test]
fn two_proposers_who_do_not_wait_for_a_quorum_of_promises() {
    find(proposals(&["a", "b"]), Flaw::AcceptWithoutPromise, 14);
}
