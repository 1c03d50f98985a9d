//! What the worlds must know of Paxos commit.

use std::time::Duration;

use quorate_check::world::{Judge, Watching};
use quorate_core::{Choice, NodeId};
use quorate_problems::atomic_commitment::{Outcome, Vote};
use quorate_protocols::paxos_commit::{Cast, Config, Flaw, PaxosCommit, Record, one_vote};
use quorate_protocols::synod::{Ballot, Proposal};
use quorate_sim::suite::{number, unknown_option};
use quorate_sim::{Options, Parsed, Suite, Watch};

use super::{Known, flaw};
use crate::scenes::{Claims, Promise};

/// Paxos commit, as the lab knows it.
pub const KNOWN: Known<PaxosCommit> = Known {
    name: "paxos-commit",
    suite: SUITE,
    // Of two ballots of one round the proposer's name says which is higher.
    rename: None,
    judges: &[("one-vote", judge)],
    flaws: Flaw::EXHIBITS,
    claims: Claims::atomic_commitment(ONE_VOTE, "ballot"),
};

/// What scripts and seeds need.
pub const SUITE: Suite<PaxosCommit> = Suite {
    config,
    invent,
    disk,
    describe: PaxosCommit::describe,
    watch,
};

/// What it promises besides.
const ONE_VOTE: &[Promise] = &[(
    "one vote",
    "a ballot counts each participant in one way, whoever accepts it",
)];

/// What can be written behind `cluster 3` in a script.
const OPTIONS: &[&str] = &["patience", "flaw"];

fn config(members: &[NodeId], options: &Options<'_>) -> Parsed<Config> {
    let mut config = Config::new(members);
    for (&key, &value) in options {
        match key {
            "patience" => config.patience = Duration::from_millis(number(key, value)?),
            "flaw" => config.flaw = Some(flaw(Flaw::EXHIBITS, value)?),
            _ => return Err(unknown_option(key, OPTIONS)),
        }
    }
    Ok(config)
}

fn invent(_: &[NodeId], choice: &mut Choice) -> String {
    let patience = [1, 10, 200, 1000][choice.choose(4) as usize];
    format!("patience={patience}")
}

/// `voted=yes begun=3 yes=n1,n2 abort`: `yes` are the votes accepted in ballot 0.
fn disk(words: &[&str]) -> Parsed<Vec<Record>> {
    let mut records = Vec::new();
    for word in words {
        match word.split_once('=') {
            None if *word == "commit" => records.push(Record::Decided {
                outcome: Outcome::Commit,
            }),
            None if *word == "abort" => records.push(Record::Decided {
                outcome: Outcome::Abort,
            }),
            Some(("voted", "yes")) => records.push(Record::Voted { vote: Vote::Yes }),
            Some(("voted", "no")) => records.push(Record::Voted { vote: Vote::No }),
            Some(("begun", value)) => records.push(Record::Begun {
                round: number("begun", value)?,
            }),
            Some(("yes", value)) => {
                for name in value.split(',') {
                    let participant = name.parse();
                    let participant = participant.map_err(|_| format!("not a node: {name}"))?;
                    let proposal = Proposal {
                        ballot: Ballot::ZERO,
                        value: Vote::Yes,
                    };
                    let cast = Cast {
                        participant,
                        proposal,
                    };
                    records.push(Record::Accepted { cast });
                }
            }
            _ => return Err(format!("not part of a disk: {word}")),
        }
    }
    Ok(records)
}

fn watch() -> Watch<PaxosCommit> {
    Box::new(one_vote)
}

fn judge() -> Box<dyn Judge<PaxosCommit>> {
    Box::new(Watching {
        memory: (),
        observe: |(), processes| one_vote(processes),
        renamed: |(), _| (),
    })
}
