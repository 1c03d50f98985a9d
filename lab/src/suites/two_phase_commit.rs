//! What the worlds must know of two-phase commit.

use std::time::Duration;

use quorate_check::world::{Judge, Symmetry, Watching};
use quorate_core::{Choice, NodeId};
use quorate_problems::atomic_commitment::Outcome;
use quorate_protocols::two_phase_commit::{Config, Flaw, Record, TwoPhaseCommit, Unanimity};
use quorate_sim::suite::{number, unknown_option};
use quorate_sim::{Options, Parsed, Suite, Watch};

use super::{Known, flaw};
use crate::scenes::{Claims, Promise};

/// Two-phase commit, as the lab knows it.
pub const KNOWN: Known<TwoPhaseCommit> = Known {
    name: "two-phase-commit",
    suite: SUITE,
    rename: Some(Symmetry {
        replica: |process, names| process.renamed(names),
        message: |message, _| *message,
        record: |record, _| *record,
    }),
    judges: &[("unanimity", unanimity)],
    flaws: Flaw::EXHIBITS,
    claims: Claims::atomic_commitment(UNANIMITY, ""),
};

/// What scripts and seeds need.
pub const SUITE: Suite<TwoPhaseCommit> = Suite {
    config,
    invent,
    disk,
    describe: TwoPhaseCommit::describe,
    watch,
};

/// What it promises besides.
const UNANIMITY: &[Promise] = &[(
    "unanimity",
    "nobody commits before all have voted yes, and remember it",
)];

/// What can be written behind `cluster 3` in a script.
const OPTIONS: &[&str] = &["votes", "outcome", "flaw"];

fn config(members: &[NodeId], options: &Options<'_>) -> Parsed<Config> {
    let mut config = Config::new(members);
    for (&key, &value) in options {
        match key {
            "votes" => config.votes_timeout = Duration::from_millis(number(key, value)?),
            "outcome" => config.outcome_timeout = Duration::from_millis(number(key, value)?),
            "flaw" => config.flaw = Some(flaw(Flaw::EXHIBITS, value)?),
            _ => return Err(unknown_option(key, OPTIONS)),
        }
    }
    Ok(config)
}

/// Who loses patience first makes a difference.
fn invent(_: &[NodeId], choice: &mut Choice) -> String {
    let mut pick = |values: [u64; 3]| values[choice.choose(3) as usize];
    format!(
        "votes={} outcome={}",
        pick([10, 100, 1000]),
        pick([20, 300, 3000])
    )
}

/// `collecting voted commit`.
fn disk(words: &[&str]) -> Parsed<Vec<Record>> {
    let records = words.iter().map(|word| match *word {
        "collecting" => Ok(Record::Collecting),
        "voted" => Ok(Record::VotedYes),
        "commit" => Ok(Record::Decided {
            outcome: Outcome::Commit,
        }),
        "abort" => Ok(Record::Decided {
            outcome: Outcome::Abort,
        }),
        _ => Err(format!("not part of a disk: {word}")),
    });
    records.collect()
}

fn watch() -> Watch<TwoPhaseCommit> {
    let mut memory = Unanimity::default();
    Box::new(move |processes| memory.observe(processes.iter().copied()))
}

fn unanimity() -> Box<dyn Judge<TwoPhaseCommit>> {
    Box::new(Watching {
        memory: Unanimity::default(),
        observe: |memory, processes| memory.observe(processes.iter().copied()),
        renamed: |memory, names| memory.renamed(names),
    })
}
