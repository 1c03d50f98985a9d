//! What the worlds must know of the synod.

use std::time::Duration;

use quorate_check::world::{Judge, Watching};
use quorate_core::{Choice, NodeId};
use quorate_protocols::synod::{Ballot, Config, Flaw, Proposal, Record, Synod, one_value};
use quorate_quorums::Rule;
use quorate_sim::suite::{number, unknown_option};
use quorate_sim::{Options, Parsed, Suite, Watch};

use super::{Known, flaw};
use crate::scenes::{Claims, Promise};

/// The synod, as the lab knows it.
pub const KNOWN: Known<Synod> = Known {
    name: "synod",
    suite: SUITE,
    // Of two ballots of one round the proposer's name says which is higher.
    rename: None,
    judges: &[("one-value", judge)],
    flaws: Flaw::EXHIBITS,
    claims: Claims::consensus(ONE_VALUE, "ballot"),
};

/// What scripts and seeds need.
pub const SUITE: Suite<Synod> = Suite {
    config,
    invent,
    disk,
    describe: Synod::describe,
    watch,
};

/// What it promises besides.
const ONE_VALUE: &[Promise] = &[("one value", "a ballot has one value, whoever accepts it")];

/// What can be written behind `cluster 3` in a script.
const OPTIONS: &[&str] = &["promises", "accepts", "patience", "flaw"];

fn config(members: &[NodeId], options: &Options<'_>) -> Parsed<Config> {
    let rule = |key: &str| match options.get(key) {
        Some(value) => value.parse().map_err(|error| format!("{key}: {error}")),
        None => Ok(Rule::Majority),
    };
    let (promises, accepts) = (rule("promises")?, rule("accepts")?);
    let config = Config::with_quorums(members, promises, accepts);
    let mut config = config.map_err(|refused| refused.to_string())?;
    for (&key, &value) in options {
        match key {
            "promises" | "accepts" => {}
            "patience" => config.patience = Duration::from_millis(number(key, value)?),
            "flaw" => config.flaw = Some(flaw(Flaw::EXHIBITS, value)?),
            _ => return Err(unknown_option(key, OPTIONS)),
        }
    }
    Ok(config)
}

/// Majorities; or, where the number is even, half are enough to accept: no fewer may fail for that.
fn invent(members: &[NodeId], choice: &mut Choice) -> String {
    let half = members.len() / 2;
    let patience = [1, 10, 50, 300][choice.choose(4) as usize];
    match choice.choose(2) {
        0 if members.len().is_multiple_of(2) => format!(
            "patience={patience} promises=threshold:{} accepts=threshold:{half}",
            half + 1
        ),
        _ => format!("patience={patience}"),
    }
}

/// `begun=3 promised=4.n2 accepted=4.n2:b`.
fn disk(words: &[&str]) -> Parsed<Vec<Record>> {
    let records = words.iter().map(|word| match word.split_once('=') {
        Some(("begun", value)) => Ok(Record::Begun {
            round: number("begun", value)?,
        }),
        Some(("promised", value)) => Ok(Record::Promised {
            ballot: ballot(value)?,
        }),
        Some(("accepted", value)) => {
            let (number, text) = value
                .split_once(':')
                .ok_or_else(|| format!("not a ballot and a value: {value}"))?;
            let proposal = Proposal {
                ballot: ballot(number)?,
                value: quorate_core::Payload::from_vec(text.as_bytes().to_vec(), 0),
            };
            Ok(Record::Accepted { proposal })
        }
        _ => Err(format!("not part of a disk: {word}")),
    });
    records.collect()
}

fn ballot(text: &str) -> Parsed<Ballot> {
    let (round, proposer) = text
        .split_once('.')
        .ok_or_else(|| format!("not a ballot: {text}"))?;
    Ok(Ballot {
        round: number("round", round)?,
        proposer: proposer
            .parse()
            .map_err(|error| format!("{error}, found {proposer}"))?,
    })
}

fn watch() -> Watch<Synod> {
    Box::new(one_value)
}

fn judge() -> Box<dyn Judge<Synod>> {
    Box::new(Watching {
        memory: (),
        observe: |(), processes| one_value(processes),
        renamed: |(), _| (),
    })
}
