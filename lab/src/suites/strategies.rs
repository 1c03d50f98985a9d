//! What the worlds must know of the strategies of replication.

use std::str::FromStr;
use std::time::Duration;

use quorate_check::world::{Judge, Watching};
use quorate_core::{Choice, NodeId};
use quorate_problems::replicated::{Machine, State};
use quorate_protocols::strategies::{
    Access, Config, Copies, Execution, Flaw, Masters, Order, Reads, Record, Reply, Snapshot,
    Source, Strategies,
};
use quorate_sim::nearest::perhaps;
use quorate_sim::suite::{number, unknown_option};
use quorate_sim::{Options, Parsed, Suite, Watch};

use super::{Known, flaw};
use crate::scenes::{Claims, Promise};

/// The strategies, as the lab knows them.
pub const KNOWN: Known<Strategies> = Known {
    name: "strategies",
    suite: SUITE,
    // Replicas differ in when it is their turn to be master.
    rename: None,
    judges: &[("copies", copies)],
    flaws: Flaw::EXHIBITS,
    claims: Claims::replicated(COPIES, "epoch"),
};

/// What scripts and seeds need.
pub const SUITE: Suite<Strategies> = Suite {
    config,
    invent,
    disk,
    describe: Strategies::describe,
    watch,
};

/// What is promised besides, where updates are ordered.
const COPIES: &[Promise] = &[
    ("one master", "no two replicas are masters at a time"),
    (
        "same order",
        "copies that are equally far in the order are in the same state",
    ),
];

/// What can be written behind `cluster 3` in a script.
pub const OPTIONS: &[&str] = &[
    "machine",
    "execution",
    "reply",
    "masters",
    "order",
    "access",
    "reads",
    "source",
    "resends",
    "failover",
    "log",
    "told",
    "heartbeat",
    "delay",
    "propagate",
    "window",
    "flaw",
];

fn config(members: &[NodeId], options: &Options<'_>) -> Parsed<Config> {
    let config = strategy(members, options)?;
    match config.refusal() {
        Some(refusal) => Err(format!("refused: {refusal}")),
        None => Ok(config),
    }
}

/// The strategy of these words, whether it makes sense or not.
///
/// # Errors
/// A word that is none, with the one that was perhaps meant.
pub fn strategy(members: &[NodeId], options: &Options<'_>) -> Parsed<Config> {
    let mut config = Config::new(members);
    let ms = |key: &str, value: &str| number(key, value).map(Duration::from_millis);
    for (&key, &value) in options {
        match key {
            "machine" => config.machine = named(key, value, Machine::ALL.map(Machine::name))?,
            "execution" => config.execution = named(key, value, names(Execution::ALL))?,
            "reply" => config.reply = named(key, value, names(Reply::ALL))?,
            "masters" => config.masters = named(key, value, names(Masters::ALL))?,
            "order" => config.order = named(key, value, names(Order::ALL))?,
            "reads" => config.reads = named(key, value, names(Reads::ALL))?,
            "source" => config.source = named(key, value, names(Source::ALL))?,
            "access" => match named(key, value, names(Access::ALL))? {
                Access::Proxy => config = config.with_proxy(),
                Access::Replica => {}
            },
            "resends" => config.resends = number(key, value)?,
            "failover" => config.failover = switched(key, value)?,
            "log" => config.log = switched(key, value)?,
            "told" => config.told = switched(key, value)?,
            "heartbeat" => config.heartbeat = ms(key, value)?,
            "delay" => config.delay = ms(key, value)?,
            "propagate" => config.propagate = ms(key, value)?,
            "window" => config.window = number(key, value)?,
            "flaw" => config.flaw = Some(flaw(Flaw::EXHIBITS, value)?),
            _ => return Err(unknown_option(key, OPTIONS)),
        }
    }
    Ok(config)
}

/// A value by its name.
fn named<T: FromStr>(
    key: &str,
    value: &str,
    choices: impl IntoIterator<Item = &'static str>,
) -> Parsed<T> {
    value.parse().map_err(|_| {
        let choices: Vec<&str> = choices.into_iter().collect();
        let perhaps = perhaps(value, choices.iter().copied());
        let choices = choices.join(", ");
        format!("{key}={value}: expected one of {choices}{perhaps}")
    })
}

/// A value that has a name.
trait Named: Copy + 'static {
    fn name(self) -> &'static str;
}

macro_rules! named {
    ($($switch:ident)+) => {$(
        impl Named for $switch {
            fn name(self) -> &'static str {
                $switch::name(self)
            }
        }
    )+};
}

named!(Execution Reply Masters Order Access Reads Source);

fn names<T: Named>(all: &'static [T]) -> impl Iterator<Item = &'static str> {
    all.iter().map(|value| value.name())
}

fn switched(key: &str, value: &str) -> Parsed<bool> {
    match value {
        "on" | "yes" => Ok(true),
        "off" | "no" => Ok(false),
        _ => Err(format!("{key}={value}: expected on or off")),
    }
}

/// Strategies under which clients cannot tell that there are copies, whatever the model allows: the
/// others are there to be caught, and `protocols/tests/worlds/strategies.rs` catches them.
fn invent(members: &[NodeId], choice: &mut Choice) -> String {
    let mut pick = |words: &[&'static str]| {
        let count = u32::try_from(words.len()).expect("the words are few");
        words[choice.choose(count) as usize]
    };
    let strategy = pick(&[
        "execution=active",
        "execution=passive",
        "execution=active reply=sent",
        "execution=passive reply=sent",
        "execution=active masters=multi order=agreed",
        "execution=active masters=multi order=locks",
        "execution=passive masters=multi order=locks",
    ]);
    let machine = match strategy.contains("passive") {
        true => pick(&["register", "counter", "arithmetic", "stock", "lottery"]),
        false => pick(&[
            "register",
            "counter",
            "arithmetic",
            "stock",
            "lottery source=shipped",
        ]),
    };
    let access = match members.len() {
        1 | 2 => "replica",
        _ => pick(&["replica", "replica", "proxy"]),
    };
    let window = pick(&["1", "4", "64"]);
    format!("{strategy} machine={machine} access={access} window={window}")
}

/// `made=n1.1,n2.1 value=5`: a copy that contains these updates.
fn disk(words: &[&str]) -> Parsed<Vec<Record>> {
    let mut snapshot = Snapshot {
        number: 0,
        state: State::default(),
        stamp: (0, NodeId(0)),
        made: Vec::new(),
    };
    for word in words {
        match word.split_once('=') {
            Some(("value", value)) => snapshot.state.value = number("value", value)?,
            Some(("made", ids)) => {
                for id in ids.split(',') {
                    let id = id.parse().map_err(|()| format!("not a call: {id}"))?;
                    let done = quorate_problems::replicated::Outcome::Done;
                    snapshot.made.push((id, done));
                }
            }
            _ => return Err(format!("not part of a disk: {word}")),
        }
    }
    snapshot.number = snapshot.made.len() as u64;
    Ok(vec![Record::Installed(snapshot)])
}

fn watch() -> Watch<Strategies> {
    let mut copies = Copies::default();
    Box::new(move |processes| copies.observe(processes.iter().copied()))
}

fn copies() -> Box<dyn Judge<Strategies>> {
    Box::new(Watching {
        memory: Copies::default(),
        observe: |copies, processes| copies.observe(processes.iter().copied()),
        renamed: |copies, names| copies.renamed(names),
    })
}
