//! What the worlds must know of Raft.

use std::time::Duration;

use quorate_check::world::{Judge, Symmetry, Watching};
use quorate_core::{Choice, NodeId};
use quorate_protocols::raft::{
    Config, Content, Entry, Figure3, Flaw, Index, Raft, Record, Stability, Term,
};
use quorate_sim::suite::{number, unknown_option};
use quorate_sim::{Options, Parsed, Suite, Watch};

use super::{Known, flaw, initial};
use crate::scenes::{Claims, Promise};

/// Raft, as the lab knows it.
pub const KNOWN: Known<Raft> = Known {
    name: "raft",
    suite: SUITE,
    rename: Some(Symmetry {
        replica: |raft, names| raft.renamed(names),
        message: |message, names| message.renamed(names),
        record: |record, names| record.renamed(names),
    }),
    judges: &[("figure-3", figure_3), ("stability", stability)],
    flaws: Flaw::EXHIBITS,
    claims: Claims::total_order(FIGURE_3, "term"),
};

/// What scripts and seeds need.
pub const SUITE: Suite<Raft> = Suite {
    config,
    invent,
    disk,
    describe: Raft::describe,
    watch,
};

/// What Raft promises besides: figure 3 of its paper.
const FIGURE_3: &[Promise] = &[
    ("election safety", "at most one leads in a term"),
    ("leader append-only", "a leader only adds to its log"),
    (
        "log matching",
        "logs that agree on an index and its term agree up to there",
    ),
    (
        "leader completeness",
        "what is committed is in the log of every later leader",
    ),
    (
        "state machine safety",
        "no two apply different entries at one index",
    ),
];

/// What can be written behind `cluster 3` in a script.
const OPTIONS: &[&str] = &[
    "members",
    "window",
    "flight",
    "bytes",
    "message",
    "retention",
    "retry",
    "lease",
    "drift",
    "flaw",
];

fn config(nodes: &[NodeId], options: &Options<'_>) -> Parsed<Config> {
    let mut config = Config::new(initial(nodes, options)?);
    for (&key, &value) in options {
        match key {
            "members" => {} // Read above.
            "window" => config.window = number(key, value)?,
            "flight" => config.flight_entries_max = number(key, value)?,
            "bytes" => config.flight_bytes_max = number(key, value)?,
            "message" => config.message_bytes_max = number(key, value)?,
            "retention" => config.retention_bytes = number(key, value)?,
            "lease" => config.lease = Duration::from_millis(number(key, value)?),
            "drift" => config.drift_ppm = number(key, value)?,
            "retry" => config.snapshot_retry = Duration::from_millis(number(key, value)?),
            "flaw" => config.flaw = Some(flaw(Flaw::EXHIBITS, value)?),
            _ => return Err(unknown_option(key, OPTIONS)),
        }
    }
    Ok(config)
}

/// Limits are where things go wrong, so most worlds have tight ones. In about half of them not all nodes
/// take part at first, and so some come and go.
fn invent(nodes: &[NodeId], choice: &mut Choice) -> String {
    let members = match choice.choose(2) {
        0 => nodes.len(),
        _ => 1 + choice.choose(u32::try_from(nodes.len()).unwrap_or(u32::MAX)) as usize,
    };
    let mut pick = |values: [u64; 4]| values[choice.choose(4) as usize];
    format!(
        "members={members} retry={} window={} flight={} bytes={} message={} retention={}",
        pick([0, 300, 1000, 10_000]),
        pick([1, 3, 16, 64]),
        pick([1, 3, 16, 512]),
        pick([1, 200, 1000, 1 << 20]),
        pick([1, 150, 1000, 1 << 20]),
        pick([0, 0, 500, 1 << 20]),
    )
}

/// `term=7 vote=n2 log=1,1,4`: the terms of the entries from index 1 on.
fn disk(words: &[&str]) -> Parsed<Vec<Record>> {
    let (mut term, mut vote, mut log) = (Term(0), None, Vec::new());
    for word in words {
        let number = |text: &str| text.parse().map_err(|_| format!("not a number: {text}"));
        match word.split_once('=') {
            Some(("term", value)) => term = Term(number(value)?),
            Some(("vote", value)) => {
                vote = Some(value.parse().map_err(|_| format!("not a node: {value}"))?);
            }
            Some(("log", value)) => {
                for (place, value) in value.split(',').enumerate() {
                    let entry = Entry {
                        epoch: Term(number(value)?),
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

fn watch() -> Watch<Raft> {
    let (mut figure, mut stability) = (Figure3::default(), Stability::default());
    Box::new(move |replicas| {
        figure.observe(replicas.iter().copied())?;
        stability.observe(replicas.iter().copied())
    })
}

fn figure_3() -> Box<dyn Judge<Raft>> {
    Box::new(Watching {
        memory: Figure3::default(),
        observe: |figure, replicas| figure.observe(replicas.iter().copied()),
        renamed: |figure, names| figure.renamed(names),
    })
}

fn stability() -> Box<dyn Judge<Raft>> {
    Box::new(Watching {
        memory: Stability::default(),
        observe: |stability, replicas| stability.observe(replicas.iter().copied()),
        renamed: |stability, names| stability.renamed(names),
    })
}
