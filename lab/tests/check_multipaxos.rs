//! Multi-Paxos under the checker: small worlds with the exact numbers of their states. Larger ones are in
//! `docs/testing.md`.

use quorate_check::world::{Limits, World};
use quorate_check::{Explorer, Extent, Outcome, Report};
use quorate_core::NodeId;
use quorate_lab::suites::multipaxos::KNOWN;
use quorate_protocols::multipaxos::{Config, MultiPaxos};

fn explore(members: u64, limits: Limits) -> Report<World<MultiPaxos>> {
    explore_from(members, members, limits)
}

/// These nodes, the first of which are members at first.
fn explore_from(nodes: u64, members: u64, limits: Limits) -> Report<World<MultiPaxos>> {
    let members: Vec<NodeId> = (1..=members).map(NodeId).collect();
    let config = Config::new(members);
    let members: Vec<NodeId> = (1..=nodes).map(NodeId).collect();
    let judge = KNOWN.judges[0].1();
    let world = World::new(&members, config, limits, judge);
    let world = world.expect("Multi-Paxos claims to withstand it");
    let report = Explorer::new(&world).breadth_first();
    assert_eq!(report.extent, Extent::Exhausted);
    report
}

fn ballots(count: u8) -> Limits {
    Limits {
        fires_of: vec![("Election".to_string(), count)],
        prompt_disks: true,
        ..Limits::default()
    }
}

/// Phase 1 alone decides nothing, in any order of mail and disks.
#[test]
fn one_ballot_with_every_disk_and_every_order_of_mail() {
    for (prompt_disks, states) in [(true, 3_974), (false, 6_869)] {
        let limits = Limits {
            prompt_disks,
            ..ballots(1)
        };
        let report = explore(3, limits);
        assert_eq!(report.distinct, states);
        let kept = report.verdict("every promise is kept");
        assert!(!matches!(kept, None | Some(Outcome::Violated(_))));
    }
}

#[test]
fn a_command_in_two_ballots_or_with_a_crash() {
    let command = || vec!["broadcast x".to_string()];
    let ballots = Limits {
        requests: command(),
        ..ballots(2)
    };
    let crash = Limits {
        requests: command(),
        crashes: 1,
        ..self::ballots(1)
    };
    for (limits, states) in [(ballots, 1_801), (crash, 719)] {
        let report = explore(2, limits);
        assert_eq!(report.distinct, states);
        assert!(report.holds(), "something is decided, and nothing breaks");
    }
}

/// The only voter lets another take its place: in every order of mail and disks nothing breaks.
#[test]
fn all_members_change() {
    let limits = Limits {
        requests: vec!["reconfigure 5 n2".to_string()],
        ..ballots(1)
    };
    let report = explore_from(2, 1, limits);
    assert_eq!(report.distinct, 1_279);
    assert!(report.holds(), "something is decided, and nothing breaks");
}
