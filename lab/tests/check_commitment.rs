//! Atomic commitment under the checker: two-phase commit and Paxos commit in the same small worlds, with
//! the exact numbers of their states.

use quorate_check::world::{Checkable, Limits, World};
use quorate_check::{Explorer, Extent};
use quorate_core::{NodeId, Protocol};
use quorate_lab::suites::{Known, paxos_commit, two_phase_commit};
use quorate_protocols::{paxos_commit as paxos, two_phase_commit as two_phase};
use quorate_sim::script;

/// Each of these votes is cast once, by anybody at any time. A second vote of the same participant says
/// nothing new.
fn votes(votes: &[&str]) -> Limits {
    let requests = votes.iter().map(|vote| format!("vote {vote}"));
    Limits {
        requests: requests.collect(),
        prompt_disks: true,
        ..Limits::default()
    }
}

fn world<P: Checkable>(known: &Known<P>, size: u64, config: P::Config, limits: Limits) -> World<P> {
    let members: Vec<NodeId> = (1..=size).map(NodeId).collect();
    let judge = known.judges[0].1();
    let world = World::new(&members, config, limits, judge);
    let world = world.expect("it claims to withstand it");
    match known.rename {
        Some(rename) => world.with_symmetry(rename),
        None => world,
    }
}

fn members(size: u64) -> Vec<NodeId> {
    (1..=size).map(NodeId).collect()
}

fn exhausted<P: Checkable>(
    known: &Known<P>,
    size: u64,
    config: <P as Protocol>::Config,
    limits: Limits,
) -> u64 {
    let world = world(known, size, config, limits);
    let report = Explorer::new(&world).breadth_first();
    assert_eq!(report.extent, Extent::Exhausted);
    for verdict in &report.verdicts {
        let outcome = &verdict.outcome;
        assert!(report.holds(), "{}: {outcome}", verdict.name);
    }
    report.distinct
}

#[test]
fn three_votes_in_two_phases() {
    let config = || two_phase::Config::new(members(3));
    let count = |limits| exhausted(&two_phase_commit::KNOWN, 3, config(), limits);
    let yes = votes(&["yes", "yes", "yes"]);
    let crash = Limits {
        crashes: 1,
        ..yes.clone()
    };
    let late = Limits {
        fires: 1,
        ..yes.clone()
    };
    assert_eq!(count(votes(&["yes", "yes", "no"])), 1_541);
    assert_eq!(count(yes), 409);
    assert_eq!(count(late), 46_118);
    assert_eq!(count(crash), 75_537);
}

#[test]
fn the_same_votes_with_paxos_commit() {
    let count = |size, limits| {
        let config = paxos::Config::new(members(size));
        exhausted(&paxos_commit::KNOWN, size, config, limits)
    };
    assert_eq!(count(3, votes(&["yes", "yes", "yes"])), 18_545);
    let yes = votes(&["yes", "yes"]);
    let crash = Limits {
        crashes: 1,
        ..yes.clone()
    };
    let late = Limits { fires: 1, ..yes };
    assert_eq!(count(2, crash), 1_200);
    assert_eq!(count(2, late), 1_808);
}

/// A vote or a decision that is not on disk, and a crash at the wrong moment.
#[test]
fn what_leaves_too_early() {
    for (flaw, steps) in [
        (two_phase::Flaw::EarlyVote, 9),
        (two_phase::Flaw::ForgetfulCoordinator, 10),
        (two_phase::Flaw::MajorityCommit, 6),
    ] {
        let config = two_phase::Config {
            flaw: Some(flaw),
            ..two_phase::Config::new(members(3))
        };
        let limits = Limits {
            crashes: 1,
            ..votes(&["yes", "yes", "yes"])
        };
        let known = &two_phase_commit::KNOWN;
        let world = world(known, 3, config, limits);
        let report = Explorer::new(&world).breadth_first();
        let (_, found) = report.counterexample().expect("so small a world shows it");
        assert_eq!(found.steps.len(), steps, "{:#?}", found.steps);
        let script = found.steps.join("\n");
        let with = format!("cluster 3 flaw={}\n{script}\n----\n", flaw.name());
        let with = script::run(&known.suite, &with).expect("a counterexample is a script");
        let violation = found.state.violation().expect("that is what was found");
        assert!(
            with.ends_with(&format!("violated: {violation}\n")),
            "{with}"
        );
    }
}
