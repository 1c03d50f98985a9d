//! Primary and backups under the checker: every order of everything in small worlds.
//!
//! Time is only an order there, so silence proves nothing: as soon as one timer `Silence` may run out, the
//! model of the primary-backup approach is left, and the checker finds the two masters.

use quorate_check::world::{Limits, World};
use quorate_check::{Explorer, Extent};
use quorate_core::NodeId;
use quorate_lab::suites::strategies::KNOWN;
use quorate_protocols::strategies::{Config, Execution, Masters, Order, Strategies};
use quorate_sim::script;

fn world(config: &Config, limits: Limits) -> World<Strategies> {
    let members = config.succession.clone();
    let judge = KNOWN.judges[0].1();
    let world = World::new(&members, config.clone(), limits, judge);
    world.expect("the strategies claim to withstand it")
}

fn requests(words: &[&str]) -> Limits {
    Limits {
        requests: words.iter().map(|word| (*word).to_string()).collect(),
        ..Limits::default()
    }
}

/// How many states there are, if all promises hold in all of them.
fn states(config: &Config, limits: Limits) -> u64 {
    let world = world(config, limits);
    let report = Explorer::new(&world).breadth_first();
    assert_eq!(report.extent, Extent::Exhausted);
    for verdict in &report.verdicts {
        assert!(report.holds(), "{}: {}", verdict.name, verdict.outcome);
    }
    report.distinct
}

fn copies(count: u64) -> Config {
    let mut config = Config::new((1..=count).map(NodeId).collect::<Vec<_>>());
    // Signs of life are mail that only makes worlds larger.
    config.failover = false;
    config
}

#[test]
fn one_master_in_every_order_of_mail() {
    let asked = requests(&["add 2", "multiply 3", "read"]);
    assert_eq!(states(&copies(3), asked), 7_665);
}

#[test]
fn several_masters_with_an_order_or_with_locks_in_every_order_of_mail() {
    let mut agreed = copies(3);
    agreed.execution = Execution::Active;
    (agreed.masters, agreed.order) = (Masters::Multi, Order::Agreed);
    let mut locks = copies(3);
    (locks.masters, locks.order) = (Masters::Multi, Order::Locks);
    let found = [agreed, locks].map(|config| states(&config, requests(&["add 2", "multiply 3"])));
    assert_eq!(found, [1_333, 828]);
}

/// The shortest way to two masters: one timer.
#[test]
fn a_silence_that_proves_nothing_makes_two_masters() {
    let mut config = copies(2);
    config.failover = true;
    let limits = Limits {
        fires_of: vec![("Silence".to_string(), 1)],
        ..Limits::default()
    };
    let world = world(&config, limits);
    let report = Explorer::new(&world).breadth_first();
    let (property, found) = report.counterexample().expect("there are two");
    assert_eq!(property, "every promise is kept");
    let script = format!("cluster 2\n{}\n----\n", found.steps.join("\n"));
    let shown = script::run(&KNOWN.suite, &script).expect("it is a script");
    assert!(
        shown.ends_with("violated: one master: n1 and n2 are masters\n"),
        "{shown}"
    );
}
