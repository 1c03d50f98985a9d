//! Chain replication under the checker: small worlds with the exact numbers of their states, and the
//! shortest scripts of the bugs that so small a world can show.

use quorate_check::world::{Limits, World};
use quorate_check::{Explorer, Extent};
use quorate_core::NodeId;
use quorate_lab::suites::chain::KNOWN;
use quorate_protocols::chain::{Chain, Config, Flaw};
use quorate_sim::script;

/// n1 and n2, of which n1 is the view service, too.
fn world(limits: Limits, flaw: Option<Flaw>) -> World<Chain> {
    let members = [1, 2].map(NodeId);
    let config = Config {
        flaw,
        service: Some(NodeId(1)),
        ..Config::new(members)
    };
    let judge = KNOWN.judges[0].1();
    let world = World::new(&members, config, limits, judge);
    world.expect("the chain claims to withstand it")
}

/// Each pings once or one of them twice, and these requests are made by anybody at any time.
fn beginning(requests: &[&str]) -> Limits {
    Limits {
        fires_of: vec![("Ping".to_string(), 2)],
        requests: requests.iter().map(ToString::to_string).collect(),
        ..Limits::default()
    }
}

fn exhausted(limits: Limits) -> u64 {
    let world = world(limits, None);
    let report = Explorer::new(&world).breadth_first();
    assert_eq!(report.extent, Extent::Exhausted);
    for verdict in &report.verdicts {
        let outcome = &verdict.outcome;
        assert!(report.holds(), "{}: {outcome}", verdict.name);
    }
    report.distinct
}

#[test]
fn the_first_view_with_every_disk_and_every_order_of_mail() {
    assert_eq!(exhausted(beginning(&[])), 290);
}

#[test]
fn a_read_while_the_first_view_begins() {
    let prompt = Limits {
        prompt_disks: true,
        ..beginning(&["read"])
    };
    assert_eq!(exhausted(prompt), 1_636);
}

/// Explores a world with a bug, and runs the script of what it finds in the simulator: with the bug it
/// breaks a promise there too.
fn find(limits: Limits, flaw: Flaw, steps: usize) {
    let world = world(limits, Some(flaw));
    let report = Explorer::new(&world).breadth_first();
    let (_, found) = report.counterexample().expect("so small a world shows it");
    assert_eq!(found.steps.len(), steps, "{:#?}", found.steps);
    let script = found.steps.join("\n");
    let with = format!("cluster 2 master=n1 flaw={}\n{script}\n----\n", flaw.name());
    let with = script::run(&KNOWN.suite, &with).expect("a counterexample is a script");
    let violation = found.state.violation().expect("that is what was found");
    assert!(
        with.ends_with(&format!("violated: {violation}\n")),
        "{with}"
    );
}

#[test]
fn an_acknowledgement_before_the_tail_has_the_update() {
    find(beginning(&[]), Flaw::EarlyAck, 5);
}

#[test]
fn a_read_of_what_the_tail_does_not_have() {
    let prompt = Limits {
        prompt_disks: true,
        ..beginning(&["broadcast x", "read"])
    };
    find(prompt, Flaw::DirtyRead, 16);
}
