//! Raft under the checker: small worlds with the exact numbers of their states, and the shortest
//! scripts of the bugs that so small a world can show.

use std::process::{Command, Output};

use quorate_check::world::{Limits, Symmetry, World};
use quorate_check::{Explorer, Extent, Report};
use quorate_core::NodeId;
use quorate_lab::suites::raft::KNOWN;
use quorate_protocols::raft::{Config, Flaw, Raft};
use quorate_sim::script;

/// Replicas differ in nothing but their names.
const RENAME: Symmetry<Raft> = KNOWN.rename.expect("Raft does not care about names");

fn world(limits: Limits, flaw: Option<Flaw>) -> World<Raft> {
    let members: Vec<NodeId> = (1..=3).map(NodeId).collect();
    let config = Config {
        flaw,
        ..Config::new(members.clone())
    };
    let judge = KNOWN.judges[0].1();
    let world = World::new(&members, config, limits, judge);
    world.expect("Raft claims to withstand it")
}

fn elections(count: u8) -> Limits {
    Limits {
        fires_of: vec![("Election".to_string(), count)],
        prompt_disks: true,
        ..Limits::default()
    }
}

fn exhausted(report: &Report<World<Raft>>) -> u64 {
    assert_eq!(report.extent, Extent::Exhausted);
    for verdict in &report.verdicts {
        let outcome = &verdict.outcome;
        assert!(report.holds(), "{}: {outcome}", verdict.name);
    }
    report.distinct
}

#[test]
fn one_election_with_every_disk_and_every_order_of_mail() {
    let limits = Limits {
        prompt_disks: false,
        ..elections(1)
    };
    let all = world(limits.clone(), None);
    let few = world(limits, None).with_symmetry(RENAME);
    let all = Explorer::new(&all).breadth_first();
    let wide = Explorer::new(&few).breadth_first();
    let asleep = Explorer::new(&few).depth_first_with_sleep_sets();
    assert_eq!(exhausted(&all), 7_327);
    assert_eq!(exhausted(&wide), 1_230);
    assert_eq!(exhausted(&asleep), 1_230);
    assert!(asleep.generated < wide.generated);
}

#[test]
fn an_election_with_a_crash_or_with_an_entry() {
    let crash = Limits {
        crashes: 1,
        ..elections(1)
    };
    let entry = Limits {
        requests: vec!["broadcast x".to_string()],
        ..elections(1)
    };
    for (limits, states) in [(crash, 8_537), (entry, 11_386)] {
        let world = world(limits, None).with_symmetry(RENAME);
        let report = Explorer::new(&world).breadth_first();
        assert_eq!(exhausted(&report), states);
    }
}

/// The first members of so many nodes, one election, and one change of members at any time.
fn change(nodes: u64, first: usize, request: &str) -> World<Raft> {
    let nodes: Vec<NodeId> = (1..=nodes).map(NodeId).collect();
    let config = Config::new(&nodes[..first]);
    let limits = Limits {
        requests: vec![request.to_string()],
        ..elections(1)
    };
    let world = World::new(&nodes, config, limits, KNOWN.judges[0].1());
    world.expect("Raft claims to withstand it")
}

#[test]
fn members_change_in_every_order_of_mail() {
    for (nodes, first, request, states) in [
        (2, 1, "reconfigure 1 n1 n2", 38),
        (2, 2, "reconfigure 1 n2", 620),
        (2, 1, "reconfigure 1 n2", 205),
        (3, 2, "reconfigure 1 n1 n3", 60_294),
    ] {
        let world = change(nodes, first, request);
        let report = Explorer::new(&world).breadth_first();
        assert_eq!(exhausted(&report), states, "{request}");
    }
}

/// Explores a world with a bug, and runs the script of what it finds in the simulator: with the bug it
/// breaks a promise there too, without it does not.
fn find(limits: Limits, flaw: Flaw, steps: usize) {
    let world = world(limits, Some(flaw)).with_symmetry(RENAME);
    let report = Explorer::new(&world).breadth_first();
    let (_, found) = report.counterexample().expect("so small a world shows it");
    assert_eq!(found.steps.len(), steps, "{:#?}", found.steps);
    let script = found.steps.join("\n");
    let with = format!("cluster 3 flaw={}\n{script}\n----\n", flaw.name());
    let with = script::run(&KNOWN.suite, &with).expect("a counterexample is a script");
    let violation = found.state.violation().expect("that is what was found");
    assert!(
        with.ends_with(&format!("violated: {violation}\n")),
        "{with}"
    );
}

#[test]
fn a_vote_that_is_not_on_disk() {
    let limits = Limits {
        crashes: 1,
        ..elections(2)
    };
    find(limits, Flaw::EarlyVote, 14);
}

#[test]
fn from_every_state_all_can_follow_one_leader_if_timers_run_out_often_enough() {
    let patient = |crashes: u8, patience: &[(&str, u8)]| {
        let patience = patience.iter();
        let limits = Limits {
            crashes,
            patience: patience
                .map(|&(name, most)| (name.to_string(), most))
                .collect(),
            ..elections(1)
        };
        let members = [NodeId(1), NodeId(2)];
        let judge = KNOWN.judges[0].1();
        let world = World::new(&members, Config::new(members.to_vec()), limits, judge);
        let world = world
            .expect("Raft claims to withstand it")
            .with_symmetry(RENAME);
        let report = Explorer::new(&world).breadth_first();
        assert_eq!(report.extent, Extent::Exhausted);
        let outcome = report.verdict("all can still follow one leader");
        let outcome = outcome.map(ToString::to_string).unwrap_or_default();
        (report.distinct, outcome)
    };
    let (beat, canvass, doubt) = (("Heartbeat", 1), ("Election", 1), ("Silence", 1));
    assert_eq!(patient(0, &[beat]), (79, "true".to_string()));
    let enough = patient(1, &[doubt, canvass, beat]);
    assert_eq!(enough, (16_770, "true".to_string()));
    // A follower that still believes in a leader that crashed must begin to doubt. Here it may not, and
    // whether it would is left open.
    let open = "undecided: not within the limits from 14 states, the first after 9 steps";
    assert_eq!(patient(1, &[canvass, beat]), (6_179, open.to_string()));
}

fn lab(arguments: &[&str]) -> Output {
    let mut lab = Command::new(env!("CARGO_BIN_EXE_quorate-lab"));
    let output = lab.arg("check").args(arguments).output();
    output.expect("the lab starts")
}

#[test]
fn the_command_line_says_the_same() {
    let output = lab(&["raft", "--fires", "0", "--timer", "Election=1", "--json"]);
    assert!(output.status.success());
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(report["states"], 1_230);
    assert_eq!(report["exhausted"], true);
    let text = lab(&[
        "raft",
        "--fires",
        "0",
        "--timer",
        "Election=1",
        "--depth-max",
        "5",
    ]);
    let text = String::from_utf8_lossy(&text.stdout).into_owned();
    assert!(text.starts_with("bounded: "), "{text}");
    assert!(text.contains("true as far as explored"), "{text}");
}

#[test]
fn what_makes_no_sense_is_refused_with_the_nearest_that_does() {
    let refused = [
        (&["rafd"][..], "`raft`"),
        (&["raft", "--judge", "figure-2"][..], "`figure-3`"),
        (&["raft", "--flaw", "early-vot"][..], "early-vote"),
        (&["raft", "--request", "dance"][..], "`dance`"),
        (&["raft", "--timer", "Election"][..], "NAME=COUNT"),
    ];
    for (arguments, expected) in refused {
        let output = lab(arguments);
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{error}");
        assert!(error.contains(expected), "{error}");
    }
}
