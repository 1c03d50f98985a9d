//! Primary-backup under the checker: small worlds of a view service, a primary and a backup, with the exact
//! numbers of their states.

use quorate_check::world::{Limits, World};
use quorate_check::{Explorer, Extent};
use quorate_core::NodeId;
use quorate_lab::suites::primary_backup::KNOWN;
use quorate_protocols::primary_backup::PrimaryBackup;
use quorate_sim::suite::options;

const WORDS: &str = "service=n3 copies=n1,n2 patience=1";

fn world(limits: Limits) -> World<PrimaryBackup> {
    let members: Vec<NodeId> = (1..=3).map(NodeId).collect();
    let options = options(WORDS.split_whitespace()).expect("options");
    let config = (KNOWN.suite.config)(&members, &options).expect("a configuration");
    let judge = KNOWN.judges[0].1();
    let world = World::new(&members, config, limits, judge);
    world.expect("primary-backup claims to withstand it")
}

/// Two pings make a view.
fn pings(count: u8, requests: &[&str]) -> Limits {
    Limits {
        fires_of: vec![("Ping".to_string(), count)],
        requests: requests.iter().map(|&words| words.to_string()).collect(),
        ..Limits::default()
    }
}

#[test]
fn every_schedule_of_a_first_view_and_an_update() {
    let crash = Limits {
        crashes: 1,
        prompt_disks: true,
        ..pings(2, &["broadcast x"])
    };
    let read = Limits {
        prompt_disks: true,
        ..pings(2, &["broadcast x", "read"])
    };
    let worlds = [pings(2, &[]), pings(2, &["broadcast x"]), read, crash];
    let states = worlds.map(|limits| {
        let world = world(limits);
        let report = Explorer::new(&world).breadth_first();
        assert_eq!(report.extent, Extent::Exhausted);
        assert!(report.counterexample().is_none());
        report.distinct
    });
    assert_eq!(states, [152, 740, 8_493, 13_662]);
}
