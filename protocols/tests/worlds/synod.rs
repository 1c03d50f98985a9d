//! The synod; tests of single steps are in `src/synod/paper.rs`.

use quorate_core::NodeId;
use quorate_lab::suites::synod::KNOWN;
use quorate_protocols::synod::Synod;
use quorate_sim::random::{self, Hurt};
use quorate_sim::script::Session;

use super::harness;

#[test]
fn scripts() {
    harness::scripts(&KNOWN);
}

#[test]
fn random_schedules_keep_every_promise_and_end_in_progress() {
    let runs = harness::schedules(&KNOWN, 300, &Hurt::default());
    let decided: u64 = runs.iter().map(|run| run.decided).sum();
    let ballots: u64 = runs.iter().map(|run| run.epoch).sum();
    println!("decided {decided}, ballots {ballots}");
    assert_eq!(decided, 300, "each run decides");
    assert!(ballots > 1000, "and not at once");
}

/// Whoever lost records makes no promises any more, and learns all the same.
#[test]
fn random_schedules_with_damaged_disks_keep_every_promise_and_end_in_progress() {
    let hurt = Hurt {
        damaged_disks: true,
        ..Hurt::default()
    };
    let runs = harness::schedules(&KNOWN, 150, &hurt);
    let damages: u64 = runs.iter().map(|run| run.counts.damages).sum();
    println!("damages {damages}");
    assert!(damages > 0, "disks were damaged");
}

#[test]
fn a_seed_decides_everything() {
    for seed in 0..10 {
        let run = || random::run(&KNOWN.suite, seed, &Hurt::default());
        assert_eq!(run(), run());
    }
}

#[test]
fn outside_the_model_a_disk_that_forgets_is_caught() {
    let hurt = Hurt {
        lying_disks: true,
        ..Hurt::default()
    };
    harness::caught(&KNOWN, 2000, &hurt);
}

#[test]
fn each_museum_script_shows_its_flaw_and_nothing_without_it() {
    harness::museum(&KNOWN);
}

#[test]
fn a_search_finds_the_common_flaws_at_once() {
    for flaw in ["any-value", "accept-without-promise"] {
        harness::found(&KNOWN, flaw, 400);
    }
}

/// Runs a command that makes sense and breaks no promise.
fn play(session: &mut Session<'_, Synod>, command: &str) {
    let words: Vec<&str> = command.split_whitespace().collect();
    let done = session.command(&words);
    done.unwrap_or_else(|error| panic!("{command}: {error}"));
    assert!(session.violations().is_empty(), "{command}");
}

fn decided(session: &Session<'_, Synod>) -> usize {
    let world = session.world().expect("there is one");
    let ids = (1..=3).map(NodeId);
    let status = ids.filter_map(|id| Some(world.replica(id)?.status()));
    status.filter(|status| status.decided > 0).count()
}

/// 2.4: "it's easy to construct a scenario in which two proposers each keep issuing a sequence of
/// proposals with increasing numbers, none of which are ever chosen." J3: for as many rounds as one
/// likes; and when time passes as it does, back-off ends it.
#[test]
fn two_proposers_outbid_one_another_for_as_many_rounds_as_an_adversary_likes() {
    for rounds in 0..=20 {
        let mut session = Session::new(&KNOWN.suite);
        play(&mut session, "cluster 3");
        play(&mut session, "propose n1 \"a\"");
        prepare(&mut session, 1);
        play(&mut session, "propose n2 \"b\"");
        for round in 0..rounds {
            // The one whose ballot is promised asks for acceptance, but its rival is faster.
            let (late, rival) = if round % 2 == 0 { (1, 2) } else { (2, 1) };
            if round > 0 {
                play(&mut session, &format!("fire n{rival} Patience"));
            }
            prepare(&mut session, rival);
            for acceptor in [rival, 3] {
                play(&mut session, &format!("deliver n{late} n{acceptor} Accept"));
                play(&mut session, &format!("deliver n{acceptor} n{late} Outbid"));
            }
            assert_eq!(decided(&session), 0, "after {round} rounds of {rounds}");
        }
        play(&mut session, "progress");
        assert_eq!(decided(&session), 3, "after {rounds} rounds");
    }
}

/// A proposer has itself and n3 promise.
fn prepare(session: &mut Session<'_, Synod>, proposer: u64) {
    play(session, &format!("sync n{proposer}"));
    play(session, &format!("sync n{proposer}"));
    play(session, &format!("deliver n{proposer} n3 Prepare"));
    play(session, "sync n3");
    play(session, &format!("deliver n3 n{proposer} Promise"));
}
