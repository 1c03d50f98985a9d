//! `quorate lab sim raft`: many seeds of a large, hostile world.

use std::io::{self, IsTerminal as _, Write as _};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::{Args, ValueEnum};
use indicatif::{ProgressBar, ProgressStyle};
use quorate_check::world::Checkable;
use quorate_core::NodeId;
use quorate_sim::random::Hurt;
use quorate_sim::suite;
use serde_json::json;

use crate::search::{self, Report, Search};
use crate::suites::{self, Known, Unknown, Visit};

/// Runs many seeds of a hostile world, and stops at the first broken promise.
///
/// Each seed draws a cluster, a workload and faults; it first hurts the cluster, which must keep every
/// promise, and then heals it, after which it must make progress. A violation is printed as a script
/// that shows it again, as small as it could be made.
#[derive(Args, Debug)]
pub(super) struct Sim {
    /// The protocol.
    protocol: String,
    /// How many seeds.
    #[arg(long, default_value_t = 1000)]
    seeds: u64,
    /// The first seed.
    #[arg(long, default_value_t = 0)]
    first: u64,
    /// Which world.
    #[arg(long, value_enum, default_value_t = World::Schedule)]
    world: World,
    /// How many things happen to each cluster before it is healed.
    #[arg(long, default_value_t = 400)]
    steps: u32,
    /// Goes on after a violation, and prints all of them.
    #[arg(long)]
    keep_going: bool,
    /// Switches on a bug of the museum.
    #[arg(long, value_name = "NAME")]
    flaw: Option<String>,
    /// An option of every cluster, as in scripts: `window=2`. Can be repeated.
    #[arg(long = "option", value_name = "KEY=VALUE")]
    options: Vec<String>,
    /// Lets one member of each cluster find parts of its disk unreadable.
    #[arg(long)]
    damaged_disks: bool,
    /// Lets disks forget what they acknowledged, which no protocol withstands.
    #[arg(long)]
    lying_disks: bool,
    /// How many seeds run at the same time; as many as there are processors unless it is said.
    #[arg(long, value_name = "COUNT")]
    threads: Option<usize>,
    /// Runs every seed twice, to see that it gives the same run; otherwise every tenth.
    #[arg(long)]
    twice: bool,
    /// Prints the report as JSON.
    #[arg(long)]
    json: bool,
}

/// The worlds that seeds can be run in.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum, Debug)]
enum World {
    /// Nodes, frames and mail: any event next, since time is only an order.
    Schedule,
}

impl Sim {
    pub(super) fn run(self) -> Result<bool> {
        let subject = suites::find(&self.protocol)?;
        if let Some(flaw) = &self.flaw {
            let names = subject.flaws().iter().map(|exhibit| exhibit.name);
            if !names.clone().any(|name| name == flaw) {
                bail!(Unknown::new("flaw", flaw, names));
            }
        }
        if self.seeds == 0 {
            bail!("--seeds 0 would look at nothing: it must be at least 1");
        }
        let report = subject.visit(&self)?;
        let mut out = io::stdout().lock();
        match self.json {
            true => {
                let mut value = report.json();
                value["protocol"] = json!(self.protocol);
                value["world"] = json!("schedule");
                writeln!(out, "{value:#}")
            }
            false => writeln!(out, "{report}"),
        }
        .context("cannot write the report")?;
        Ok(report.failures.is_empty())
    }

    fn hurt(&self) -> Hurt {
        let flaw = self.flaw.iter().map(|flaw| format!("flaw={flaw}"));
        let options: Vec<String> = self.options.iter().cloned().chain(flaw).collect();
        Hurt {
            steps: self.steps,
            lying_disks: self.lying_disks,
            damaged_disks: self.damaged_disks,
            options: options.join(" "),
            ..Hurt::default()
        }
    }
}

impl Visit for &Sim {
    type Answer = Result<Report>;

    fn any<P>(self, known: &Known<P>) -> Result<Report>
    where
        P: Checkable,
    {
        let hurt = self.hurt();
        // Said here once, instead of by every seed.
        suite::options(hurt.options.split_whitespace())
            .and_then(|options| (known.suite.config)(&[NodeId(1)], &options))
            .map_err(|reason| anyhow::anyhow!("--option: {reason}"))?;
        let default = Search::default();
        let search = Search {
            first: self.first,
            seeds: self.seeds,
            keep_going: self.keep_going,
            threads: self.threads.unwrap_or(default.threads),
            again_every: if self.twice { 1 } else { default.again_every },
        };
        let bar = bar(self.seeds);
        let report = search::schedules(&known.suite, &hurt, &search, &|_| bar.inc(1));
        bar.finish_and_clear();
        Ok(report)
    }
}

/// A bar for people; nothing where nobody looks.
fn bar(seeds: u64) -> ProgressBar {
    if !io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(seeds);
    let style = ProgressStyle::with_template("{wide_bar} {pos}/{len} seeds, {per_sec}, {eta} left");
    bar.set_style(style.expect("the template is constant"));
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}
