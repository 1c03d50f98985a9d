//! A run as text: what kind of world it is, and what goes wrong in it when.
//!
//! ```text
//! cluster seed=17 members=3 clients=8 hurt_ms=20000
//! 1200.500 crash n2
//! 2500.000 start n2
//! 3000.000 cut n1 n3
//! ```
//!
//! Moments are milliseconds. A seed draws such a plan; a plan can be shortened and run again, and a
//! shortened one that still breaks a promise is the bug report.

use std::fmt;
use std::str::FromStr;

use quorate_core::{Instant, NodeId};
use quorate_service::store::Flaw;

use super::disk::{Area, DiskFault};

/// Declares the settings: numbers only, so that a plan is a list of `name=number`.
macro_rules! settings {
    ($($(#[doc = $doc:literal])+ $name:ident = $usual:literal,)+) => {
        /// What kind of world it is.
        #[derive(Clone, PartialEq, Eq, Debug)]
        pub struct Settings {
            $($(#[doc = $doc])+ pub $name: u64,)+
            /// A famous bug of the service, if it is to have one.
            pub flaw: Option<Flaw>,
            /// Options of the protocol's configuration, as in a script: `window=2 flaw=figure-8`.
            pub options: Vec<(String, String)>,
        }

        impl Default for Settings {
            fn default() -> Settings {
                Settings { $($name: $usual,)+ flaw: None, options: Vec::new() }
            }
        }

        impl Settings {
            /// Every setting with its value.
            pub(super) fn all(&self) -> Vec<(&'static str, u64)> {
                vec![$((stringify!($name), self.$name),)+]
            }

            /// Where a setting is.
            pub(super) fn place(&mut self, name: &str) -> Option<&mut u64> {
                match name {
                    $(stringify!($name) => Some(&mut self.$name),)+
                    _ => None,
                }
            }
        }
    };
}

settings! {
    /// Decides everything that the rest leaves open.
    seed = 0,
    /// How many replicas there are at first.
    members = 3,
    /// How many machines there are besides, for members to come.
    spares = 0,
    /// How long things go wrong.
    hurt_ms = 20_000,
    /// How many replicas must work after that: the lowest ids; where members change, as many as make the
    /// same difference to `members`, whichever these are.
    core = 3,
    /// How many clients ask, each one thing at a time.
    clients = 8,
    /// How long a client thinks before it asks again.
    think_us = 2000,
    /// How long a client waits for an answer.
    patience_ms = 3000,
    /// How many keys they use.
    keys = 5,
    /// How many of a hundred operations read.
    reads = 40,
    /// How many of a hundred operations touch several keys.
    txns = 10,
    /// How many bytes a value has.
    value_bytes = 16,
    /// How long a message usually takes.
    delay_us = 500,
    /// How many of ten thousand messages are lost.
    loss = 0,
    /// How many of ten thousand messages arrive twice.
    duplicate = 0,
    /// Whether messages of one link arrive in order.
    fifo = 1,
    /// The longest that a message takes; 0 for no bound.
    bound_us = 0,
    /// From when on the bound holds and nothing is lost; 0 for always.
    gst_ms = 0,
    /// Messages arrive at multiples of this, in rounds; 0 for no rounds.
    round_us = 0,
    /// How long a disk usually takes to sync.
    sync_us = 1000,
    /// How long after it was woken a replica begins a round.
    wake_us = 20,
    /// How long after a delivery it is applied.
    apply_us = 30,
    /// How long after it is asked for, a flush is done.
    flush_ms = 50,
    /// How large a layer in memory grows before it is flushed.
    layer_bytes = 65_536,
    /// How much redb may keep in memory.
    cache_bytes = 1_048_576,
    /// How large a segment of the log is.
    segment_bytes = 262_144,
    /// How many clients watch everything.
    watchers = 1,
    /// The protocol's invariants are asked after so many rounds at least.
    check_every = 64,
    /// What the service is told about how long an election takes.
    election_ms = 1000,
    /// How many clients hold leases.
    leases = 0,
    /// How many clients read whatever a machine has applied.
    glances = 0,
    /// How many clients read what may be old, but only so old.
    aged = 0,
    /// How many bytes a disk must have left for anything to be added.
    reserve_bytes = 0,
    /// How often a client compacts what was superseded; 0 for never.
    compact_ms = 0,
    /// Whether a member that learns that it was removed goes on as before: 0 or 1.
    stay = 0,
    /// Whether the plan may be harsher than what the protocol claims to withstand: 0 or 1.
    outside_model = 0,
}

impl Settings {
    /// Every machine, by name: the members at first, then the spares.
    pub(super) fn machines(&self) -> Vec<NodeId> {
        (1..=self.members + self.spares).map(NodeId).collect()
    }

    /// The members at first.
    pub(super) fn founders(&self) -> Vec<NodeId> {
        (1..=self.members).map(NodeId).collect()
    }

    /// The first machine that a fault names and that is not there.
    fn stranger(&self, fault: &Fault) -> Option<NodeId> {
        let mut nodes = fault.nodes().into_iter();
        nodes.find(|node| !(1..=self.members + self.spares).contains(&node.0))
    }
}

/// Something that goes wrong, or is mended again.
#[derive(Clone, PartialEq, Eq, Debug)]
#[expect(missing_docs, reason = "the names of the fields say it")]
pub enum Fault {
    /// The power fails: what was not synced survives in part.
    Crash { node: NodeId },
    /// The process ends, the machine does not.
    Kill { node: NodeId },
    /// It starts again.
    Start { node: NodeId },
    /// It stands still, and goes on later as if nothing had happened.
    Pause { node: NodeId },
    /// It goes on.
    Resume { node: NodeId },
    /// Nothing gets from one to the other.
    Cut { from: NodeId, to: NodeId },
    /// It does again.
    Join { from: NodeId, to: NodeId },
    /// All links work again.
    Heal,
    /// What goes from one to the other takes so much longer.
    SlowLink { from: NodeId, to: NodeId, us: u64 },
    /// What goes from one to the other arrives only after so long.
    Clog { from: NodeId, to: NodeId, us: u64 },
    /// Its disk takes so much longer.
    SlowDisk { node: NodeId, us: u64 },
    /// Its clock runs at so many millionths of the usual rate.
    Clock { node: NodeId, rate: u64 },
    /// It writes what it has in memory to its store, although that is not much.
    Flush { node: NodeId },
    /// It is asked to hand leadership over.
    Transfer { node: NodeId },
    /// Its disk has so many bytes left.
    Full { node: NodeId, bytes: u64 },
    /// Its disk has space again, and what was armed is not any more.
    Mend { node: NodeId },
    /// Something goes wrong with its disk.
    Disk {
        node: NodeId,
        area: Area,
        fault: DiskFault,
    },
    /// A bit rots on its disk.
    Rot { node: NodeId, area: Area },
    /// It is gone for good, with its disk, unless too few voters would be left.
    Lose { node: NodeId },
    /// The operator lets it take part, as a voter.
    Add { node: NodeId },
    /// The operator lets it take part, as a learner.
    AddLearner { node: NodeId },
    /// The operator gives the learner a vote.
    Promote { node: NodeId },
    /// The operator removes it, unless too few voters would be left.
    Remove { node: NodeId },
}

/// When something goes wrong.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Timed {
    /// When.
    pub at: Instant,
    /// What.
    pub fault: Fault,
}

/// A whole run.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Plan {
    /// The world.
    pub settings: Settings,
    /// What goes wrong, in order of time.
    pub faults: Vec<Timed>,
}

impl Plan {
    /// The rate of the fastest clock there ever is, in millionths.
    pub(super) fn rate_max(&self) -> u64 {
        let rates = self.faults.iter().map(|timed| match timed.fault {
            Fault::Clock { rate, .. } => rate,
            _ => 0,
        });
        rates.fold(1_000_000, u64::max)
    }
}

/// Why a text is no plan.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("line {line}: {reason}")]
pub struct BadPlan {
    /// Counted from 1.
    pub line: usize,
    /// What is wrong with it.
    pub reason: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::Crash { node } => write!(f, "crash {node}"),
            Fault::Kill { node } => write!(f, "kill {node}"),
            Fault::Start { node } => write!(f, "start {node}"),
            Fault::Pause { node } => write!(f, "pause {node}"),
            Fault::Resume { node } => write!(f, "resume {node}"),
            Fault::Cut { from, to } => write!(f, "cut {from} {to}"),
            Fault::Join { from, to } => write!(f, "join {from} {to}"),
            Fault::Heal => f.write_str("heal"),
            Fault::SlowLink { from, to, us } => write!(f, "slow-link {from} {to} {us}us"),
            Fault::Clog { from, to, us } => write!(f, "clog {from} {to} {us}us"),
            Fault::SlowDisk { node, us } => write!(f, "slow-disk {node} {us}us"),
            Fault::Clock { node, rate } => write!(f, "clock {node} {rate}ppm"),
            Fault::Flush { node } => write!(f, "flush {node}"),
            Fault::Transfer { node } => write!(f, "transfer {node}"),
            Fault::Full { node, bytes } => write!(f, "full {node} {bytes}bytes"),
            Fault::Mend { node } => write!(f, "mend {node}"),
            Fault::Disk { node, area, fault } => {
                write!(f, "{} {node} {}", fault.name(), area.name())
            }
            Fault::Rot { node, area } => write!(f, "rot {node} {}", area.name()),
            Fault::Lose { node } => write!(f, "lose {node}"),
            Fault::Add { node } => write!(f, "add {node}"),
            Fault::AddLearner { node } => write!(f, "add-learner {node}"),
            Fault::Promote { node } => write!(f, "promote {node}"),
            Fault::Remove { node } => write!(f, "remove {node}"),
        }
    }
}

/// The words of a line, taken one by one.
struct Words<'a>(std::str::SplitWhitespace<'a>);

impl Words<'_> {
    fn word(&mut self, expected: &str) -> Result<&str, String> {
        self.0
            .next()
            .ok_or_else(|| format!("expected {expected}, found the end of the line"))
    }

    fn node(&mut self) -> Result<NodeId, String> {
        let word = self.word("a node")?;
        word.parse().map_err(|error| format!("{word}: {error}"))
    }

    fn number(&mut self, unit: &str) -> Result<u64, String> {
        let word = self.word("a number")?;
        let digits = word.strip_suffix(unit).unwrap_or(word);
        digits
            .parse()
            .map_err(|_| format!("expected a number with {unit}, found {word}"))
    }

    fn area(&mut self) -> Result<Area, String> {
        self.word("log or store")?.parse()
    }
}

/// The first words of faults, for whoever misspells one.
const VERBS: [&str; 22] = [
    "crash",
    "kill",
    "start",
    "pause",
    "resume",
    "cut",
    "join",
    "heal",
    "slow-link",
    "clog",
    "slow-disk",
    "clock",
    "flush",
    "transfer",
    "full",
    "mend",
    "rot",
    "lose",
    "add",
    "add-learner",
    "promote",
    "remove",
];

impl FromStr for Fault {
    type Err = String;

    fn from_str(text: &str) -> Result<Fault, String> {
        let mut words = Words(text.split_whitespace());
        let verb = words.word("what goes wrong")?.to_owned();
        let w = &mut words;
        let fault = match verb.as_str() {
            "crash" => Fault::Crash { node: w.node()? },
            "kill" => Fault::Kill { node: w.node()? },
            "start" => Fault::Start { node: w.node()? },
            "pause" => Fault::Pause { node: w.node()? },
            "resume" => Fault::Resume { node: w.node()? },
            "cut" => Fault::Cut {
                from: w.node()?,
                to: w.node()?,
            },
            "join" => Fault::Join {
                from: w.node()?,
                to: w.node()?,
            },
            "heal" => Fault::Heal,
            "slow-link" => Fault::SlowLink {
                from: w.node()?,
                to: w.node()?,
                us: w.number("us")?,
            },
            "clog" => Fault::Clog {
                from: w.node()?,
                to: w.node()?,
                us: w.number("us")?,
            },
            "slow-disk" => Fault::SlowDisk {
                node: w.node()?,
                us: w.number("us")?,
            },
            "clock" => Fault::Clock {
                node: w.node()?,
                rate: w.number("ppm")?,
            },
            "flush" => Fault::Flush { node: w.node()? },
            "transfer" => Fault::Transfer { node: w.node()? },
            "full" => Fault::Full {
                node: w.node()?,
                bytes: w.number("bytes")?,
            },
            "mend" => Fault::Mend { node: w.node()? },
            "rot" => Fault::Rot {
                node: w.node()?,
                area: w.area()?,
            },
            "lose" => Fault::Lose { node: w.node()? },
            "add" => Fault::Add { node: w.node()? },
            "add-learner" => Fault::AddLearner { node: w.node()? },
            "promote" => Fault::Promote { node: w.node()? },
            "remove" => Fault::Remove { node: w.node()? },
            other => match DiskFault::ALL
                .into_iter()
                .find(|fault| fault.name() == other)
            {
                Some(fault) => Fault::Disk {
                    node: w.node()?,
                    area: w.area()?,
                    fault,
                },
                None => return Err(unknown(other)),
            },
        };
        match words.0.next() {
            None => Ok(fault),
            Some(word) => Err(format!("nothing more is expected, found {word}")),
        }
    }
}

fn unknown(verb: &str) -> String {
    let disk = DiskFault::ALL.map(DiskFault::name);
    format!(
        "nothing called {verb} can go wrong: expected {} or {}",
        VERBS.join(", "),
        disk.join(", ")
    )
}

impl Fault {
    /// The machines that it is about.
    #[must_use]
    pub fn nodes(&self) -> Vec<NodeId> {
        match *self {
            Fault::Heal => vec![],
            Fault::Cut { from, to }
            | Fault::Join { from, to }
            | Fault::SlowLink { from, to, .. }
            | Fault::Clog { from, to, .. } => vec![from, to],
            Fault::Crash { node }
            | Fault::Kill { node }
            | Fault::Start { node }
            | Fault::Pause { node }
            | Fault::Resume { node }
            | Fault::SlowDisk { node, .. }
            | Fault::Clock { node, .. }
            | Fault::Flush { node }
            | Fault::Transfer { node }
            | Fault::Full { node, .. }
            | Fault::Mend { node }
            | Fault::Disk { node, .. }
            | Fault::Rot { node, .. }
            | Fault::Lose { node }
            | Fault::Add { node }
            | Fault::AddLearner { node }
            | Fault::Promote { node }
            | Fault::Remove { node } => vec![node],
        }
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let usual = Settings::default();
        f.write_str("cluster")?;
        for ((name, value), (_, usual)) in self.settings.all().into_iter().zip(usual.all()) {
            if value != usual || name == "seed" {
                write!(f, " {name}={value}")?;
            }
        }
        if let Some(flaw) = self.settings.flaw {
            write!(f, " flaw={}", flaw.name())?;
        }
        for (name, value) in &self.settings.options {
            write!(f, " option.{name}={value}")?;
        }
        writeln!(f)?;
        for Timed { at, fault } in &self.faults {
            let us = at.0 / 1000;
            writeln!(f, "{}.{:03} {fault}", us / 1000, us % 1000)?;
        }
        Ok(())
    }
}

impl FromStr for Plan {
    type Err = BadPlan;

    fn from_str(text: &str) -> Result<Plan, BadPlan> {
        let mut plan = Plan::default();
        let mut begun = false;
        for (number, line) in text.lines().enumerate() {
            let at = |reason: String| BadPlan {
                line: number + 1,
                reason,
            };
            let line = line.split('#').next().unwrap_or_default().trim();
            if line.is_empty() {
                continue;
            }
            if !begun {
                plan.settings = settings(line).map_err(at)?;
                begun = true;
                continue;
            }
            let timed = timed(line).map_err(at)?;
            if plan.faults.last().is_some_and(|last| last.at > timed.at) {
                return Err(at("it comes before the line above it".to_owned()));
            }
            if let Some(node) = plan.settings.stranger(&timed.fault) {
                let Settings {
                    members, spares, ..
                } = plan.settings;
                let spares = match spares {
                    0 => String::new(),
                    spares => format!(" and {spares} spares"),
                };
                return Err(at(format!(
                    "there is no {node}: the cluster has {members} members{spares}"
                )));
            }
            plan.faults.push(timed);
        }
        match begun {
            true => Ok(plan),
            false => Err(BadPlan {
                line: 1,
                reason: "expected a line that begins with cluster".to_owned(),
            }),
        }
    }
}

fn settings(line: &str) -> Result<Settings, String> {
    let mut settings = Settings::default();
    let mut words = line.split_whitespace();
    if words.next() != Some("cluster") {
        return Err(format!(
            "expected a line that begins with cluster, found {line}"
        ));
    }
    for word in words {
        let (name, value) = word
            .split_once('=')
            .ok_or_else(|| format!("expected name=value, found {word}"))?;
        if let Some(name) = name.strip_prefix("option.") {
            settings.options.push((name.to_owned(), value.to_owned()));
            continue;
        }
        if name == "flaw" {
            settings.flaw = Some(flaw(value)?);
            continue;
        }
        let names: Vec<&str> = settings.all().into_iter().map(|(name, _)| name).collect();
        let place = settings.place(name);
        let place = place
            .ok_or_else(|| format!("no such setting: {name}; there are {}", names.join(", ")))?;
        *place = value
            .parse()
            .map_err(|_| format!("{name} must be a number, found {value}"))?;
    }
    match (settings.members, settings.spares) {
        (1..=9, 0..=9) => Ok(settings),
        (1..=9, spares) => Err(format!("spares must be 0 to 9, found {spares}")),
        (members, _) => Err(format!("members must be 1 to 9, found {members}")),
    }
}

fn flaw(name: &str) -> Result<Flaw, String> {
    let found = Flaw::ALL.into_iter().find(|flaw| flaw.name() == name);
    let names = Flaw::ALL.map(Flaw::name);
    found.ok_or_else(|| {
        format!(
            "the service has no flaw {name}; there are {}",
            names.join(", ")
        )
    })
}

fn timed(line: &str) -> Result<Timed, String> {
    let (moment, fault) = line
        .split_once(' ')
        .ok_or("expected a moment and what goes wrong")?;
    let bad = || format!("expected milliseconds such as 1200.500, found {moment}");
    let (ms, us) = moment.split_once('.').unwrap_or((moment, "0"));
    let ms: u64 = ms.parse().map_err(|_| bad())?;
    let us: u64 = match us.len() {
        1..=3 => format!("{us:0<3}").parse().map_err(|_| bad())?,
        _ => return Err(bad()),
    };
    let nanos = ms
        .checked_mul(1000)
        .and_then(|ms| ms.checked_add(us))
        .and_then(|us| us.checked_mul(1000));
    Ok(Timed {
        at: Instant(nanos.ok_or_else(bad)?),
        fault: fault.parse()?,
    })
}
