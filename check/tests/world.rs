//! Every schedule of a few replicas of a tiny protocol.

#[path = "models/gossip.rs"]
mod gossip;

use gossip::{Config, Gossip};
use quorate_check::world::{Lenient, Limits, World};
use quorate_check::{Explorer, Extent, Outcome};
use quorate_core::NodeId;

fn config(size: u64) -> Config {
    Config {
        members: (1..=size).map(NodeId).collect(),
        source: None,
        early: false,
        gives_up: false,
    }
}

fn world(config: Config, limits: Limits) -> World<Gossip> {
    let members = config.members.clone();
    World::new(&members, config, limits, Box::new(Lenient)).expect("it is within the model")
}

fn limits(fires: u8, crashes: u8, requests: &[&str]) -> Limits {
    Limits {
        fires,
        crashes,
        requests: requests.iter().map(|words| words.to_string()).collect(),
        ..Limits::default()
    }
}

#[test]
fn every_choice_is_explored_and_jitter_is_none() {
    // One request at any of three replicas; its disk finishes; its timer runs out once and one of two
    // peers is told, whose disk finishes.
    let world = world(config(3), limits(1, 0, &["broadcast x"]));
    let report = Explorer::new(&world).breadth_first();
    assert_eq!(report.extent, Extent::Exhausted);
    assert!(
        report
            .verdict("every promise is kept")
            .is_some_and(|outcome| matches!(outcome, Outcome::Holds))
    );
    // At each replica: asked; or told before synced, by mail to one of two.
    let (asked, synced) = (1, 1);
    let fired = 2; // Not synced: the rumour is held, for one peer or the other.
    let sent = 2; // The same, synced: it is under way.
    let arrived = 2; // Its receiver has not synced.
    let pairs = 3; // It has: now nobody knows any more who told whom.
    let before = 3 * (asked + synced + fired + sent + arrived);
    assert_eq!(report.distinct, 1 + before + pairs);
}

#[test]
fn symmetric_worlds_are_one() {
    for (size, crashes) in [(3, 0), (3, 1)] {
        let limits = limits(2, crashes, &["broadcast x"]);
        let all = world(config(size), limits.clone());
        let all = Explorer::new(&all).breadth_first();
        let few = world(config(size), limits).with_symmetry(gossip::symmetry());
        let few = Explorer::new(&few).breadth_first();
        assert_eq!(all.extent, Extent::Exhausted);
        assert_eq!(few.extent, Extent::Exhausted);
        assert_eq!((all.holds(), all.depth), (few.holds(), few.depth));
        let (few, all) = (few.distinct, all.distinct);
        assert!(few * 4 < all && few * 6 >= all, "{few} of {all}");
    }
}

#[test]
fn two_payloads_disagree_and_the_shortest_script_shows_it() {
    let limits = limits(1, 0, &["broadcast x", "broadcast y"]);
    for symmetric in [false, true] {
        let mut world = world(config(3), limits.clone());
        if symmetric {
            world = world.with_symmetry(gossip::symmetry());
        }
        let report = Explorer::new(&world).breadth_first();
        let (_, found) = report.counterexample().expect("nobody orders the two");
        assert_eq!(found.steps.len(), 4);
        assert!(
            found.steps[0].starts_with("broadcast n"),
            "{:?}",
            found.steps
        );
        let broadcasts = found
            .steps
            .iter()
            .filter(|step| step.starts_with("broadcast"));
        assert_eq!(broadcasts.count(), 2);
        let violation = found.state.violation().expect("that is why it was found");
        assert!(violation.contains("position 1"), "{violation}");
    }
}

#[test]
fn what_leaves_early_and_is_forgotten_is_noticed() {
    let limits = limits(1, 1, &["broadcast x", "broadcast y"]);
    let good = Config {
        source: Some(NodeId(1)),
        ..config(2)
    };
    let report = Explorer::new(&world(good.clone(), limits.clone())).breadth_first();
    assert_eq!(report.extent, Extent::Exhausted);
    let bad = Config {
        early: true,
        ..good.clone()
    };
    let report = Explorer::new(&world(bad, limits)).breadth_first();
    let (_, found) = report.counterexample().expect("the promise was forgotten");
    assert_eq!(found.steps.len(), 8, "{:?}", found.steps);
    assert_eq!(
        found.steps[..2],
        ["broadcast n1 x", "choose 0 fire n1 Tell"]
    );
    // What arrives at n2 and what happens to n1 come in either order.
    let crash = ["crash n1", "restart n1", "broadcast n1 y"];
    let on_n1 = found.steps[2..]
        .iter()
        .filter(|step| crash.contains(&step.as_str()));
    assert!(on_n1.eq(crash.iter()), "{:?}", found.steps);
    let told = "deliver n1 n2 Rumour".to_string();
    assert!(found.steps.contains(&told), "{:?}", found.steps);
}

#[test]
fn limits_beyond_the_model_and_requests_of_another_problem_are_refused() {
    let limits = Limits {
        duplicates: 1,
        ..limits(0, 0, &[])
    };
    let members = config(2).members;
    let refused = World::<Gossip>::new(&members, config(2), limits, Box::new(Lenient));
    let reason = refused.err().expect("the protocol claims no such thing");
    assert!(reason.contains("doubled mail"), "{reason}");
    let limits = self::limits(0, 0, &["dance"]);
    let refused = World::<Gossip>::new(&members, config(2), limits, Box::new(Lenient));
    let reason = refused.err().expect("nobody dances");
    assert!(reason.contains("`dance`"), "{reason}");
}

#[test]
fn sleep_sets_visit_the_same_states_in_fewer_steps() {
    for (fires, crashes, symmetric) in [(2, 0, false), (2, 1, false), (2, 2, true)] {
        let mut world = world(config(3), limits(fires, crashes, &["broadcast x"]));
        if symmetric {
            world = world.with_symmetry(gossip::symmetry());
        }
        let full = Explorer::new(&world).depth_first();
        let asleep = Explorer::new(&world).depth_first_with_sleep_sets();
        assert_eq!(full.extent, Extent::Exhausted);
        assert_eq!(asleep.extent, Extent::Exhausted);
        assert_eq!(
            (full.distinct, full.holds()),
            (asleep.distinct, asleep.holds())
        );
        println!("{} of {}", asleep.generated, full.generated);
        let saves = asleep.generated < full.generated;
        // Without a crash there are too few steps that nobody shares.
        assert!(saves || crashes == 0 && asleep.generated == full.generated);
    }
}

#[test]
fn sleep_sets_find_the_planted_bugs_too() {
    let early = Config {
        source: Some(NodeId(1)),
        early: true,
        ..config(2)
    };
    let both = ["broadcast x", "broadcast y"];
    for (config, limits) in [
        (config(3), limits(1, 0, &both)),
        (early, limits(1, 1, &both)),
    ] {
        let world = world(config, limits);
        let report = Explorer::new(&world).depth_first_with_sleep_sets();
        let (_, found) = report.counterexample().expect("it is there to be found");
        assert!(found.state.violation().is_some());
    }
}

#[test]
fn what_can_still_be_reached_is_told_from_what_cannot_and_from_what_limits_leave_open() {
    let live = "all can still follow one leader";
    let patient = |gives_up, fires, crashes, tells| {
        let config = Config {
            gives_up,
            ..config(3)
        };
        let limits = Limits {
            patience: vec![("Tell".to_string(), tells)],
            ..limits(fires, crashes, &["broadcast x"])
        };
        let world = world(config, limits);
        let report = Explorer::new(&world).breadth_first();
        assert_eq!(report.extent, Extent::Exhausted);
        let plain = Explorer::new(&world).plain().depth_first();
        assert_eq!(report.distinct, plain.distinct);
        report
    };
    let enough = patient(false, 0, 0, 2);
    assert!(matches!(enough.verdict(live), Some(Outcome::Holds)));
    let too_few = patient(false, 0, 0, 1);
    let (name, first) = too_few.left_open().expect("both others must be told");
    assert_eq!(name, live);
    assert!(too_few.counterexample().is_none());
    assert!(first.steps.is_empty(), "{:?}", first.steps);
    // Who gives up can leave one out for ever: no timer runs any more, so no limit is to blame.
    let given_up = patient(true, 2, 0, 2);
    let (name, found) = given_up.counterexample().expect("two can tell one another");
    assert_eq!(name, live);
    assert!(found.state.violation().is_none());
    let tells = found.steps.iter().filter(|step| step.contains("fire "));
    assert!(tells.count() >= 1, "{:?}", found.steps);
    // What was forgotten before it was told cannot be heard of again.
    let forgotten = patient(false, 0, 1, 2);
    let (_, found) = forgotten
        .counterexample()
        .expect("it was asked for only once");
    let verbs = found.steps.iter().map(|step| &step[..5]);
    assert_eq!(verbs.collect::<Vec<_>>(), ["broad", "crash"]);
}

#[test]
fn worlds_that_wait_as_bytes_are_the_same() {
    for (fires, crashes) in [(1, 1), (2, 0)] {
        let world = world(config(3), limits(fires, crashes, &["broadcast x"]));
        let world = world.with_symmetry(gossip::symmetry());
        let packed = Explorer::new(&world).breadth_first();
        let plain = Explorer::new(&world).plain().threads(1).breadth_first();
        let deep = Explorer::new(&world).threads(2).depth_first();
        assert_eq!(
            (packed.distinct, packed.generated),
            (plain.distinct, plain.generated)
        );
        assert_eq!(
            (packed.distinct, packed.generated),
            (deep.distinct, deep.generated)
        );
    }
}
