//! What the worlds must know of chain replication.

use std::time::Duration;

use quorate_check::world::{Judge, Watching};
use quorate_core::{Choice, NodeId};
use quorate_protocols::chain::{Chain, Chains, Config, Flaw, Record, View, ViewNumber};
use quorate_protocols::log::{Content, Entry, Epoch, Index};
use quorate_sim::suite::{number, unknown_option};
use quorate_sim::{Options, Parsed, Suite, Watch};

use super::{Known, flaw, initial};
use crate::scenes::{Claims, Promise};

/// Chain replication, as the lab knows it.
pub const KNOWN: Known<Chain> = Known {
    name: "chain",
    suite: SUITE,
    // The first chain has the order of the names.
    rename: None,
    judges: &[("chains", chains)],
    flaws: Flaw::EXHIBITS,
    claims: Claims::total_order(INVARIANTS, "view"),
};

/// What scripts and seeds need.
pub const SUITE: Suite<Chain> = Suite {
    config,
    invent,
    disk,
    describe: Chain::describe,
    watch,
};

/// What chain replication promises besides.
const INVARIANTS: &[Promise] = &[
    ("one chain", "a view has one chain"),
    (
        "one history",
        "what is committed at an index is the same everywhere and for ever",
    ),
    (
        "complete chains",
        "all members of an active view have what was committed before it",
    ),
    (
        "update propagation",
        "what a replica has, its predecessor has",
    ),
    (
        "inprocess requests",
        "what its successor lacks, a replica keeps",
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
    "timeout",
    "min",
    "service",
    "master",
    "flaw",
];

fn config(all: &[NodeId], options: &Options<'_>) -> Parsed<Config> {
    // Beside a lone service, everybody takes part all the time.
    let lone = options.contains_key("service") || options.contains_key("master");
    let members = if lone { all } else { initial(all, options)? };
    let mut config = Config::new(members);
    // The view service: one process that keeps no copy, or one that does.
    if let Some(value) = options.get("service") {
        config = config.with_service(node(members, "service", value)?);
    } else if let Some(value) = options.get("master") {
        config.service = Some(node(members, "master", value)?);
    }
    for (&key, &value) in options {
        match key {
            "window" => config.window = number(key, value)?,
            "flight" => config.flight_entries_max = number(key, value)?,
            "bytes" => config.flight_bytes_max = number(key, value)?,
            "message" => config.message_bytes_max = number(key, value)?,
            "retention" => config.retention_bytes = number(key, value)?,
            "retry" => config.snapshot_retry = Duration::from_millis(number(key, value)?),
            "timeout" => config.election_timeout = Duration::from_millis(number(key, value)?),
            "min" => config.members_min = Some(number(key, value)?),
            "members" | "service" | "master" => {}
            "flaw" => config.flaw = Some(flaw(Flaw::EXHIBITS, value)?),
            _ => return Err(unknown_option(key, OPTIONS)),
        }
    }
    Ok(config)
}

fn node(members: &[NodeId], key: &str, value: &str) -> Parsed<NodeId> {
    let node = value.parse().ok().filter(|node| members.contains(node));
    node.ok_or_else(|| format!("not a member: {key}={value}"))
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

/// `view=3 chain=n2,n3 log=1,1,3`: the view it is in, and the epochs of the entries from index 1 on.
fn disk(words: &[&str]) -> Parsed<Vec<Record>> {
    let (mut view, mut log) = (View::default(), Vec::new());
    for word in words {
        let number = |text: &str| text.parse().map_err(|_| format!("not a number: {text}"));
        match word.split_once('=') {
            Some(("view", value)) => view.number = ViewNumber(number(value)?),
            Some(("chain", value)) => {
                let members = value.split(',').map(str::parse);
                let members = members.collect::<Result<_, _>>();
                view.members = members.map_err(|_| format!("not nodes: {value}"))?;
            }
            Some(("log", value)) => {
                for (place, value) in value.split(',').enumerate() {
                    let entry = Entry {
                        epoch: Epoch(number(value)?),
                        content: Content::Noop,
                    };
                    let index = Index(0).plus(place + 1);
                    log.push(Record::Append { index, entry });
                }
            }
            _ => return Err(format!("not part of a disk: {word}")),
        }
    }
    log.insert(0, Record::Entered(view));
    Ok(log)
}

fn watch() -> Watch<Chain> {
    let mut chains = Chains::default();
    Box::new(move |replicas| chains.observe(replicas.iter().copied()))
}

fn chains() -> Box<dyn Judge<Chain>> {
    Box::new(Watching {
        memory: Chains::default(),
        observe: |chains, replicas| chains.observe(replicas.iter().copied()),
        renamed: |chains, _| chains.clone(),
    })
}
