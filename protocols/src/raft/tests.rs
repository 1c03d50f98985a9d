//! Scripts and seeds; tests of single steps are in `paper.rs`.

mod paper;

use alloc::boxed::Box;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::time::Duration;
use std::panic;

use quorate_core::{Choice, NodeId};
use quorate_sim::random::{self, Hurt};
use quorate_sim::{Options, Suite, Watch, script};

use super::role::Role;
use super::{Config, Content, Entry, Figure3, Index, Raft, Record, Term};

const SUITE: Suite<Raft> = Suite {
    config,
    invent,
    disk,
    describe,
    watch,
};

fn config(members: &[NodeId], options: &Options<'_>) -> Result<Config, String> {
    let mut config = Config::new(members);
    for (&key, &value) in options {
        match key {
            "window" => config.window = usize::try_from(value).expect("it is small"),
            "flight" => config.flight_entries_max = value,
            "message" => config.message_bytes_max = value,
            "retention" => config.retention_bytes = value,
            "retry" => config.snapshot_retry = Duration::from_millis(value),
            _ => return Err(format!("no such option: {key}")),
        }
    }
    Ok(config)
}

/// Limits are where things go wrong, so most worlds have tight ones.
fn invent(members: &[NodeId], choice: &mut Choice) -> Config {
    let mut pick = |values: [u64; 4]| values[choice.choose(4) as usize];
    Config {
        snapshot_retry: Duration::from_millis(pick([0, 300, 1000, 10_000])),
        window: usize::try_from(pick([1, 3, 16, 64])).expect("it is small"),
        flight_entries_max: pick([1, 3, 16, 512]),
        flight_bytes_max: pick([1, 200, 1000, 1 << 20]),
        message_bytes_max: pick([1, 150, 1000, 1 << 20]),
        retention_bytes: pick([0, 0, 500, 1 << 20]),
        ..Config::new(members)
    }
}

/// `term=7 vote=n2 log=1,1,4`: the terms of the entries from index 1 on.
fn disk(words: &[&str]) -> Result<Vec<Record>, String> {
    let (mut term, mut vote, mut log) = (Term(0), None, Vec::new());
    for word in words {
        let number = |text: &str| text.parse().map_err(|_| format!("not a number: {text}"));
        match word.split_once('=') {
            Some(("term", value)) => term = Term(number(value)?),
            Some(("vote", value)) => {
                vote = Some(value.parse().map_err(|_| format!("not a node: {value}"))?)
            }
            Some(("log", value)) => {
                for (place, value) in value.split(',').enumerate() {
                    let entry = Entry {
                        term: Term(number(value)?),
                        content: Content::Noop,
                    };
                    let index = Index(0).plus(place + 1);
                    log.push(Record::Append { index, entry });
                }
            }
            _ => return Err(format!("not part of a disk: {word}")),
        }
    }
    log.insert(0, Record::Vote { term, vote });
    Ok(log)
}

fn describe(raft: &Raft) -> String {
    let entries: Vec<_> = raft
        .log
        .iter()
        .map(|(_, entry, _)| format!("{entry:?}"))
        .collect();
    let mut text = format!(
        "commit {:?}, log {:?} | {}",
        raft.commit,
        raft.log.base(),
        entries.join(" ")
    );
    if let Role::Leader(leader) = &raft.role {
        for (id, peer) in leader.peers.iter().filter(|(id, _)| **id != raft.me) {
            let (matched, next, flow) = (peer.matched, peer.next, peer.flow);
            text += &format!("\n   {id} matched {matched:?}, next {next:?}, {flow:?}");
        }
    }
    text
}

fn watch() -> Watch<Raft> {
    let mut figure = Figure3::default();
    Box::new(move |replicas| figure.observe(replicas.iter().copied()))
}

#[test]
fn scripts() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/raft/scripts");
    if let Err(differences) = script::run_folder(&SUITE, folder) {
        panic!("{differences}");
    }
}

/// Seeds to run: `SEEDS=1000..2000` in the environment says which.
fn seeds(default: core::ops::Range<u64>) -> core::ops::Range<u64> {
    let Ok(text) = std::env::var("SEEDS") else {
        return default;
    };
    let (from, to) = text.split_once("..").expect("SEEDS=from..to");
    from.parse().expect("a number")..to.parse().expect("a number")
}

#[test]
fn random_schedules_keep_every_promise_and_end_in_progress() {
    let (mut decided, mut epochs, mut crashes) = (0, 0, 0);
    for seed in seeds(0..200) {
        let run = panic::catch_unwind(|| random::run(&SUITE, seed, Hurt::default()));
        match run {
            Ok(Ok(summary)) => {
                decided += summary.decided;
                epochs += summary.epoch;
                crashes += summary.crashes;
            }
            Ok(Err(reason)) => panic!("{reason}"),
            Err(_) => panic!("seed {seed} panicked"),
        }
    }
    std::println!("decided {decided}, epochs {epochs}, crashes {crashes}");
    assert!(decided > 0 && epochs > 0, "the schedules are not idle");
}

#[test]
fn a_seed_decides_everything() {
    for seed in 0..10 {
        let run = || random::run(&SUITE, seed, Hurt::default());
        assert_eq!(run(), run());
    }
}

#[test]
fn outside_the_model_a_disk_that_forgets_is_caught() {
    let hurt = Hurt {
        lying_disks: true,
        ..Hurt::default()
    };
    let hook = panic::take_hook();
    panic::set_hook(Box::new(|_| {}));
    let caught =
        (0..200).find_map(
            |seed| match panic::catch_unwind(|| random::run(&SUITE, seed, hurt)) {
                Ok(Ok(_)) => None,
                Ok(Err(reason)) => Some(reason),
                Err(_) => Some("an invariant".to_string()),
            },
        );
    panic::set_hook(hook);
    assert!(
        caught.is_some(),
        "nobody noticed that promises were forgotten"
    );
}
