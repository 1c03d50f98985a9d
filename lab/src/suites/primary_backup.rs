//! What the worlds must know of primary-backup.

use std::time::Duration;

use quorate_check::world::{Judge, Watching};
use quorate_core::{Choice, NodeId};
use quorate_protocols::log::{Content, Entry, Epoch, Index};
use quorate_protocols::primary_backup::{
    Completeness, Config, Flaw, Mode, PrimaryBackup, Promotion, ReadsBy, Record,
};
use quorate_protocols::raft;
use quorate_protocols::views::{Number, Service};
use quorate_sim::suite::{number, unknown_option};
use quorate_sim::{Options, Parsed, Suite, Watch};

use super::{Known, Unknown, flaw, initial};
use crate::scenes::{Claims, Promise};

/// Primary-backup, as the lab knows it: its view service is replicated by Raft, or is one process.
pub const KNOWN: Known<PrimaryBackup> = Known {
    name: "primary-backup",
    suite: SUITE,
    // The service prefers servers with small names where it does not matter.
    rename: None,
    judges: &[("completeness", completeness)],
    flaws: Flaw::EXHIBITS,
    claims: Claims::total_order(COMPLETENESS, "view"),
};

/// What scripts and seeds need.
pub const SUITE: Suite<PrimaryBackup> = Suite {
    config,
    invent,
    disk,
    describe: PrimaryBackup::describe,
    watch,
};

/// What views are for.
const COMPLETENESS: &[Promise] = &[
    ("one primary", "at most one serves as primary in a view"),
    (
        "completeness",
        "what was delivered is in the log of every later primary",
    ),
    (
        "same deliveries",
        "no two deliver different entries at one index",
    ),
];

/// What can be written behind `cluster 3` in a script.
const OPTIONS: &[&str] = &[
    "members",
    "service",
    "copies",
    "min",
    "mode",
    "reads",
    "promotion",
    "patience",
    "window",
    "flight",
    "bytes",
    "message",
    "retention",
    "retry",
    "flaw",
];

fn config(all: &[NodeId], options: &Options<'_>) -> Parsed<Config<raft::Config>> {
    // Beside a lone service, everybody takes part all the time.
    let lone = options
        .get("service")
        .is_some_and(|&value| value != "replicated");
    let members = if lone { all } else { initial(all, options)? };
    let mut config = Config::new(members);
    for (&key, &value) in options {
        match key {
            "members" => {}
            "service" => config.service = service(members, value)?,
            "copies" => config.copies = nodes(members, value)?,
            "min" => config.members_min = Some(number(key, value)?),
            "mode" => config.mode = word(key, value, MODES)?,
            "reads" => config.reads = word(key, value, READS)?,
            "promotion" => config.promotion = word(key, value, PROMOTIONS)?,
            "patience" => {
                config.election_timeout =
                    config.heartbeat * number::<u32>(key, value)?.clamp(1, 1 << 20)
            }
            "window" => config.window = number(key, value)?,
            "flight" => config.flight_entries_max = number(key, value)?,
            "bytes" => config.flight_bytes_max = number(key, value)?,
            "message" => config.message_bytes_max = number(key, value)?,
            "retention" => config.retention_bytes = number(key, value)?,
            "retry" => config.snapshot_retry = Duration::from_millis(number(key, value)?),
            "flaw" => config.flaw = Some(flaw(Flaw::EXHIBITS, value)?),
            _ => return Err(unknown_option(key, OPTIONS)),
        }
    }
    // A lone service lets the last survivor go on; a replicated one needs a majority anyway.
    if lone {
        config.members_min = config.members_min.or(Some(1));
    }
    let least = config.members_min.as_mut();
    if let Some(least) = least {
        *least = (*least).clamp(1, config.copies.len());
    }
    Ok(config)
}

const MODES: &[(&str, Mode)] = &[("sync", Mode::Synchronous), ("async", Mode::Asynchronous)];
const READS: &[(&str, ReadsBy)] = &[
    ("confirmed", ReadsBy::Confirmation),
    ("lease", ReadsBy::Lease),
];
const PROMOTIONS: &[(&str, Promotion)] = &[
    ("automatic", Promotion::Automatic),
    ("operator", Promotion::ByOperator),
];

fn word<T: Copy>(key: &str, value: &str, words: &[(&str, T)]) -> Parsed<T> {
    let found = words.iter().find(|(word, _)| *word == value);
    let known = words.iter().map(|(word, _)| *word);
    found
        .map(|(_, meaning)| *meaning)
        .ok_or_else(|| Unknown::new("value", &format!("{key}={value}"), known).to_string())
}

/// `service=n3`, or `service=replicated`.
fn service(members: &[NodeId], value: &str) -> Parsed<Service<raft::Config>> {
    if value == "replicated" {
        return Ok(Service::Replicated(raft::Config::new(members)));
    }
    let node = nodes(members, value)?[0];
    Ok(Service::Alone { node })
}

/// `n1,n2`.
fn nodes(members: &[NodeId], value: &str) -> Parsed<Vec<NodeId>> {
    let node = |word: &str| {
        let node = word.parse().ok().filter(|node| members.contains(node));
        node.ok_or_else(|| format!("not a member: {word}"))
    };
    value.split(',').map(node).collect()
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
        "members={members} patience={} retry={} window={} flight={} bytes={} message={} retention={}",
        pick([5, 10, 10, 10]),
        pick([0, 300, 1000, 10_000]),
        pick([1, 3, 16, 64]),
        pick([1, 3, 16, 512]),
        pick([1, 200, 1000, 1 << 20]),
        pick([1, 150, 1000, 1 << 20]),
        pick([0, 0, 500, 1 << 20]),
    )
}

/// `view=7 log=1,1,4`: the views of the entries from index 1 on.
fn disk(words: &[&str]) -> Parsed<Vec<Record<raft::Record>>> {
    let (mut view, mut log) = (Number(0), Vec::new());
    for word in words {
        let number = |text: &str| text.parse().map_err(|_| format!("not a number: {text}"));
        match word.split_once('=') {
            Some(("view", value)) => view = Epoch(number(value)?),
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
    log.insert(0, Record::View { number: view });
    Ok(log)
}

fn watch() -> Watch<PrimaryBackup> {
    let mut completeness = Completeness::default();
    Box::new(move |replicas| completeness.observe(replicas.iter().copied()))
}

fn completeness() -> Box<dyn Judge<PrimaryBackup>> {
    Box::new(Watching {
        memory: Completeness::default(),
        observe: |completeness, replicas| completeness.observe(replicas.iter().copied()),
        // Nobody is renamed.
        renamed: |completeness, _| completeness.clone(),
    })
}
