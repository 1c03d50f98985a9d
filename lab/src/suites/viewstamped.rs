//! What the worlds must know of Viewstamped Replication.

use std::time::Duration;

use quorate_check::world::{Judge, Watching};
use quorate_core::{Choice, NodeId};
use quorate_protocols::viewstamped::{
    Config, Content, Entry, Flaw, Index, Memory, Record, Section8, View, Viewstamped,
};
use quorate_sim::suite::{number, unknown_option};
use quorate_sim::{Options, Parsed, Suite, Watch};

use super::{Known, flaw, initial};
use crate::scenes::{Claims, Promise};

/// Viewstamped Replication, as the lab knows it.
pub const KNOWN: Known<Viewstamped> = Known {
    name: "viewstamped",
    suite: SUITE,
    // The names say whose turn it is.
    rename: None,
    judges: &[("section-8", section_8)],
    flaws: Flaw::EXHIBITS,
    claims: Claims::total_order(SECTION_8, "view"),
};

/// What scripts and seeds need.
pub const SUITE: Suite<Viewstamped> = Suite {
    config,
    invent,
    disk,
    describe: Viewstamped::describe,
    watch,
};

/// What it promises besides: section 8 of its paper.
const SECTION_8: &[Promise] = &[
    (
        "append-only",
        "in one view, the primary only adds to its log",
    ),
    (
        "survival",
        "what is committed is in the log of every later primary",
    ),
    (
        "one order",
        "no two execute different operations at one op-number",
    ),
    (
        "viewstamps",
        "logs that agree on a view and an op-number agree up to there",
    ),
    (
        "epochs",
        "an epoch begins in one place, and nothing follows where it ends",
    ),
];

/// What can be written behind `cluster 3` in a script.
const OPTIONS: &[&str] = &[
    "members",
    "memory",
    "window",
    "flight",
    "bytes",
    "message",
    "retention",
    "retry",
    "flaw",
];

fn config(members: &[NodeId], options: &Options<'_>) -> Parsed<Config> {
    let mut config = Config::new(initial(members, options)?);
    for (&key, &value) in options {
        match key {
            "members" => {}
            "memory" => {
                config.memory = match value {
                    "durable" => Memory::Durable,
                    "volatile" => Memory::Volatile,
                    _ => return Err(format!("memory is durable or volatile, not {value}")),
                }
            }
            "window" => config.window = number(key, value)?,
            "flight" => config.flight_entries_max = number(key, value)?,
            "bytes" => config.flight_bytes_max = number(key, value)?,
            "message" => config.message_bytes_max = number(key, value)?,
            "retention" => config.retention_bytes = number(key, value)?,
            "retry" => config.checkpoint_retry = Duration::from_millis(number(key, value)?),
            "flaw" => config.flaw = Some(flaw(Flaw::EXHIBITS, value)?),
            _ => return Err(unknown_option(key, OPTIONS)),
        }
    }
    Ok(config)
}

/// Limits are where things go wrong, so most worlds have tight ones; and in half of them others take part
/// later than at first.
fn invent(nodes: &[NodeId], choice: &mut Choice) -> String {
    let mut pick = |values: [u64; 4]| values[choice.choose(4) as usize];
    let limits = format!(
        "retry={} window={} flight={} bytes={} message={} retention={}",
        pick([0, 300, 1000, 10_000]),
        pick([1, 3, 16, 64]),
        pick([1, 3, 16, 512]),
        pick([1, 200, 1000, 1 << 20]),
        pick([1, 150, 1000, 1 << 20]),
        pick([0, 0, 500, 1 << 20]),
    );
    let count = u32::try_from(nodes.len()).expect("worlds are small");
    match choice.choose(2) {
        0 => format!("{limits} members={}", 1 + choice.choose(count)),
        _ => limits,
    }
}

/// `view=3 normal=2 log=1,1,2`: the views of the operations from op-number 1 on.
fn disk(words: &[&str]) -> Parsed<Vec<Record>> {
    let (mut view, mut normal, mut log) = (View(1), None, Vec::new());
    for word in words {
        let number = |text: &str| text.parse().map_err(|_| format!("not a number: {text}"));
        match word.split_once('=') {
            Some(("view", value)) => view = View(number(value)?),
            Some(("normal", value)) => normal = Some(View(number(value)?)),
            Some(("log", value)) => {
                for (place, value) in value.split(',').enumerate() {
                    let entry = Entry {
                        epoch: View(number(value)?),
                        content: Content::Noop,
                    };
                    let op = Index(0).plus(place + 1);
                    log.push(Record::Append { op, entry });
                }
            }
            _ => return Err(format!("not part of a disk: {word}")),
        }
    }
    let last = Index(0).plus(log.len());
    log.push(Record::Normal {
        view: normal.unwrap_or(view),
        last,
    });
    log.push(Record::View(view));
    Ok(log)
}

fn watch() -> Watch<Viewstamped> {
    let mut section = Section8::default();
    Box::new(move |replicas| section.observe(replicas.iter().copied()))
}

fn section_8() -> Box<dyn Judge<Viewstamped>> {
    Box::new(Watching {
        memory: Section8::default(),
        observe: |section, replicas| section.observe(replicas.iter().copied()),
        renamed: |section, _| section.clone(),
    })
}
