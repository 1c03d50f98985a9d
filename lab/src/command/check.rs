//! `quorate lab check raft`: every schedule of a small world.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use clap::{Args, ValueEnum};
use indicatif::ProgressBar;
use quorate_check::world::{Checkable, Limits, World};
use quorate_check::{Explorer, Extent, Outcome, Progress, Report};
use quorate_core::NodeId;
use quorate_sim::script;
use quorate_sim::suite::options;

use super::paper;
use crate::suites::{self, Known, Unknown, Visit};

/// Explores every schedule of a small world.
///
/// Everything that is not limited here is explored in every order: which mail arrives next, when disks
/// finish, where requests are made. A violation is printed as a script.
#[derive(Args, Debug)]
pub(super) struct Check {
    /// The protocol.
    protocol: String,
    /// How many replicas there are.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..=7))]
    nodes: u64,
    /// How often timers may run out, all together.
    #[arg(long, default_value_t = 1)]
    fires: u8,
    /// How often the timers of this name may run out instead, as in `Election=2`. Can be repeated.
    #[arg(long = "timer", value_name = "NAME=COUNT")]
    timers: Vec<String>,
    /// What is asked for, by any replica at any time, as in `broadcast x`. Can be repeated.
    #[arg(long = "request", value_name = "WORDS")]
    requests: Vec<String>,
    /// How often a machine may stop.
    #[arg(long, default_value_t = 0)]
    crashes: u8,
    /// How much mail may be lost; what never arrives is explored anyway.
    #[arg(long, default_value_t = 0)]
    losses: u8,
    /// How often mail may be doubled.
    #[arg(long, default_value_t = 0)]
    duplicates: u8,
    /// Asks besides whether all can still follow one leader, from whatever state they are in, if nothing is
    /// hurt any more and the timers of this name run out so often, as in `Election=1`. Can be repeated.
    #[arg(long = "patience", value_name = "NAME=COUNT")]
    patience: Vec<String>,
    /// Replicas do nothing else before their disks have finished: far fewer states, but slow disks are
    /// left out.
    #[arg(long)]
    prompt_disks: bool,
    /// Switches on a bug of the museum.
    #[arg(long, value_name = "NAME")]
    flaw: Option<String>,
    /// An option of the cluster, as in scripts: `window=2`. Can be repeated.
    #[arg(long = "option", value_name = "KEY=VALUE")]
    options: Vec<String>,
    /// Who watches all replicas together.
    #[arg(long, value_name = "NAME")]
    judge: Option<String>,
    /// In which order to explore.
    #[arg(long, value_enum, default_value_t = Order::Breadth)]
    order: Order,
    /// No deeper than this many steps.
    #[arg(long, value_name = "STEPS")]
    depth_max: Option<u32>,
    /// Not many more states than this.
    #[arg(long, value_name = "STATES")]
    states_max: Option<u64>,
    /// How many threads to use; all cores if not given.
    #[arg(long)]
    threads: Option<usize>,
    /// Does not treat worlds that differ only in names as one.
    #[arg(long)]
    no_symmetry: bool,
    /// Allows what the protocol does not claim to withstand.
    #[arg(long)]
    outside_the_model: bool,
    /// Writes the script of a violation here too.
    #[arg(long, value_name = "FILE")]
    script: Option<PathBuf>,
    /// Prints the result as JSON.
    #[arg(long)]
    json: bool,
}

/// In which order to explore.
#[derive(Clone, Copy, ValueEnum, PartialEq, Eq, Debug)]
enum Order {
    /// Level by level: the script of a violation is a shortest one.
    Breadth,
    /// Path by path, each core its own: takes the least memory.
    Depth,
    /// Path by path, on one core whatever `--threads` says, and of steps that do not touch one another in
    /// one order only: takes the fewest steps.
    Sleep,
}

impl Check {
    /// Explores, and answers whether everything is as it should be.
    ///
    /// # Errors
    /// What was wrong with the arguments.
    pub(super) fn run(self) -> Result<bool> {
        let subject = suites::find(&self.protocol)?;
        subject.visit(Work(&self))
    }

    fn limits(&self) -> Result<Limits> {
        if !self.patience.is_empty() && self.order != Order::Breadth {
            bail!("--patience needs the whole graph, which is drawn breadth first only");
        }
        Ok(Limits {
            fires: self.fires,
            fires_of: counts(&self.timers)?,
            patience: counts(&self.patience)?,
            requests: self.requests.clone(),
            crashes: self.crashes,
            losses: self.losses,
            duplicates: self.duplicates,
            prompt_disks: self.prompt_disks,
        })
    }

    /// The options of the cluster, as words of a script.
    fn options(&self) -> Vec<String> {
        let flaw = self.flaw.iter().map(|flaw| format!("flaw={flaw}"));
        self.options.iter().cloned().chain(flaw).collect()
    }
}

/// Reads how often the timers of some names may run out.
fn counts(texts: &[String]) -> Result<Vec<(String, u8)>> {
    let counts = texts.iter().map(|text| {
        let (name, count) = text.split_once('=').context("expected NAME=COUNT")?;
        let count = count
            .parse()
            .with_context(|| format!("not a number: {count}"))?;
        Ok((name.to_string(), count))
    });
    counts.collect()
}

struct Work<'a>(&'a Check);

impl Visit for Work<'_> {
    type Answer = Result<bool>;

    fn any<P: Checkable>(self, known: &Known<P>) -> Result<bool> {
        let arguments = self.0;
        let world = world(arguments, known)?;
        let report = explore(arguments, &world);
        let shown = report.counterexample().or_else(|| report.left_open());
        let script = match shown {
            Some((_, found)) => Some(script_of(arguments, known, &found.steps)?),
            None => None,
        };
        if let (Some(file), Some(script)) = (&arguments.script, &script) {
            std::fs::write(file, script).with_context(|| file.display().to_string())?;
        }
        match arguments.json {
            true => {
                let json = as_json(arguments, &report, script.as_deref());
                paper::print(&format!("{json:#}\n"))?;
            }
            false => paper::print(&as_text(&report, script.as_deref()))?,
        }
        Ok(report.holds())
    }
}

fn world<P: Checkable>(arguments: &Check, known: &Known<P>) -> Result<World<P>> {
    let members: Vec<NodeId> = (1..=arguments.nodes).map(NodeId).collect();
    let words = arguments.options();
    let config = options(words.iter().map(String::as_str))
        .and_then(|options| (known.suite.config)(&members, &options))
        .map_err(|reason| anyhow!(reason))?;
    let judge = match &arguments.judge {
        None => known.judges.first(),
        Some(name) => {
            let judges = known.judges.iter();
            let names = judges.clone().map(|judge| judge.0);
            let found = judges.clone().find(|judge| judge.0 == name);
            Some(found.ok_or_else(|| Unknown::new("judge", name, names))?)
        }
    };
    let judge = judge
        .map(|judge| judge.1())
        .context("a suite has a judge")?;
    let limits = arguments.limits()?;
    let world = match arguments.outside_the_model {
        true => World::outside_the_model(&members, config, limits, judge),
        false => World::new(&members, config, limits, judge),
    };
    let world = world.map_err(|reason| match arguments.outside_the_model {
        true => anyhow!(reason),
        false => anyhow!("{reason}; `--outside-the-model` allows what it does not claim"),
    })?;
    Ok(match known.rename {
        Some(rename) if !arguments.no_symmetry => world.with_symmetry(rename),
        _ => world,
    })
}

fn explore<P: Checkable>(arguments: &Check, world: &World<P>) -> Report<World<P>> {
    let bar = match arguments.json {
        true => ProgressBar::hidden(),
        false => ProgressBar::new_spinner(),
    };
    bar.enable_steady_tick(Duration::from_millis(200));
    let show = |progress: Progress| {
        bar.set_message(format!(
            "depth {}: {} states, {} steps, {} waiting",
            progress.depth, progress.distinct, progress.generated, progress.waiting
        ));
    };
    let mut explorer = Explorer::new(world).watched_by(&show);
    if let Some(threads) = arguments.threads {
        explorer = explorer.threads(threads);
    }
    if let Some(depth_max) = arguments.depth_max {
        explorer = explorer.depth_max(depth_max);
    }
    if let Some(states_max) = arguments.states_max {
        explorer = explorer.states_max(states_max);
    }
    let report = match arguments.order {
        Order::Breadth => explorer.breadth_first(),
        Order::Depth => explorer.depth_first(),
        Order::Sleep => explorer.depth_first_with_sleep_sets(),
    };
    bar.finish_and_clear();
    report
}

/// The steps as a script with its trace.
fn script_of<P: Checkable>(
    arguments: &Check,
    known: &Known<P>,
    steps: &[String],
) -> Result<String> {
    let mut script = format!("cluster {}", arguments.nodes);
    for option in arguments.options() {
        let _ = write!(script, " {option}");
    }
    let script = format!("{script}\n{}\n----\n", steps.join("\n"));
    match script::run(&known.suite, &script) {
        Ok(script) => Ok(script),
        Err(reason) => bail!("the script of the violation cannot be run: {reason}\n{script}"),
    }
}

fn as_text<P: Checkable>(report: &Report<World<P>>, script: Option<&str>) -> String {
    let mut text = format!(
        "{}: {} states, {} steps, depth {}, {:.1} s, {:.0} states/s, {:.1} bytes/state in the table",
        report.extent,
        report.distinct,
        report.generated,
        report.depth,
        report.elapsed.as_secs_f64(),
        report.rate(),
        report.table_bytes as f64 / report.distinct.max(1) as f64,
    );
    if let Some(bytes) = peak_bytes() {
        let _ = write!(
            text,
            ", {:.0} MiB at most",
            bytes as f64 / f64::from(1 << 20)
        );
    }
    text.push('\n');
    for verdict in &report.verdicts {
        let _ = writeln!(text, "  {:<34} {}", verdict.name, verdict.outcome);
    }
    if let Some(script) = script {
        let _ = write!(text, "\n{script}");
    }
    text
}

fn as_json<P: Checkable>(
    arguments: &Check,
    report: &Report<World<P>>,
    script: Option<&str>,
) -> serde_json::Value {
    let verdicts = report.verdicts.iter().map(|verdict| {
        let known = match &verdict.outcome {
            Outcome::Holds | Outcome::Seen { .. } => Some(true),
            Outcome::Violated(_) | Outcome::NeverSeen => Some(false),
            Outcome::HoldsSoFar
            | Outcome::NotSeenYet
            | Outcome::Undecided
            | Outcome::OpenFrom { .. } => None,
        };
        serde_json::json!({
            "property": verdict.name,
            "true": known,
            "verdict": verdict.outcome.to_string(),
        })
    });
    serde_json::json!({
        "protocol": arguments.protocol,
        "nodes": arguments.nodes,
        "options": arguments.options(),
        "exhausted": report.extent == Extent::Exhausted,
        "states": report.distinct,
        "steps": report.generated,
        "depth": report.depth,
        "seconds": report.elapsed.as_secs_f64(),
        "table_bytes": report.table_bytes,
        "memory_bytes_max": peak_bytes(),
        "verdicts": verdicts.collect::<Vec<_>>(),
        "script": script,
    })
}

/// The most memory that this process has had, where the system says so.
fn peak_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    let kilobytes: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kilobytes * 1024)
}
