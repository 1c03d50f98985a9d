//! The strategies of replication: those that keep every promise, and those that are caught.

use quorate_lab::suites::strategies::KNOWN;
use quorate_sim::adversary::Adversary;
use quorate_sim::random::{self, Hurt};

use super::harness;

#[test]
fn scripts() {
    harness::scripts(&KNOWN);
}

#[test]
fn random_schedules_keep_every_promise_and_end_in_progress() {
    let runs = harness::schedules(&KNOWN, 150, &Hurt::default());
    let decided: u64 = runs.iter().map(|run| run.decided).sum();
    let epochs: u64 = runs.iter().map(|run| run.epoch).sum();
    let crashes: u64 = runs.iter().map(|run| run.counts.crashes).sum();
    println!("decided {decided}, epochs {epochs}, crashes {crashes}");
    assert!(decided > 0 && crashes > 0, "the schedules are not idle");
    assert!(epochs > 150, "somebody took over");
}

#[test]
fn a_seed_decides_everything() {
    for seed in 0..10 {
        let run = || random::run(&KNOWN.suite, seed, &Hurt::default());
        assert_eq!(run(), run());
    }
}

/// What each weaker strategy gives up shows, and under the name that it has.
#[test]
fn every_weaker_strategy_is_caught() {
    for (options, broken) in [
        (
            "execution=active reply=asynchronous machine=counter",
            "linearizability: durability: ",
        ),
        (
            "execution=passive reply=asynchronous machine=register",
            "linearizability: durability: ",
        ),
        (
            "execution=passive reads=any reply=synchronous machine=register",
            "linearizability: ",
        ),
        (
            "execution=active masters=multi order=none reply=synchronous told=yes machine=arithmetic",
            "convergence: linearizability: ",
        ),
        (
            "execution=active masters=multi order=none reply=asynchronous machine=counter",
            "linearizability: ",
        ),
        (
            "execution=passive masters=multi order=none reply=asynchronous told=yes machine=counter",
            "linearizability: convergence: ",
        ),
        (
            "execution=active source=local told=yes machine=lottery",
            "convergence: same order: linearizability: ",
        ),
    ] {
        let hurt = Hurt {
            options: format!("{options} access=replica window=64 {}", one_master(options)),
            shrink: false,
            ..Hurt::default()
        };
        let mut runs = (0..60).map(|seed| random::run(&KNOWN.suite, seed, &hurt));
        let failure = runs.find_map(Result::err).expect(options);
        let property = failure.reason.split(": ").next().unwrap_or_default();
        let expected = broken.split(": ").any(|name| name == property);
        assert!(expected, "{options}: {}", failure.reason);
    }
}

/// What must be said, lest a seed invent something else.
fn one_master(options: &str) -> &'static str {
    match options.contains("masters=multi") {
        true => "",
        false => "masters=single order=none",
    }
}

/// Where delays have no bound, silence proves nothing.
#[test]
fn outside_the_model_a_late_message_makes_two_masters() {
    let claimed = Adversary::parse(["asynchronous"], KNOWN_MODEL).expect("it makes sense");
    let hurt = Hurt {
        adversary: Some(claimed),
        outside_model: true,
        options: "execution=passive reply=synchronous masters=single order=none".to_string(),
        ..Hurt::default()
    };
    harness::caught(&KNOWN, 50, &hurt);
}

const KNOWN_MODEL: quorate_core::Model =
    <quorate_protocols::strategies::Strategies as quorate_core::Protocol>::MODEL;

#[test]
fn each_museum_script_shows_its_flaw_and_nothing_without_it() {
    harness::museum(&KNOWN);
}
