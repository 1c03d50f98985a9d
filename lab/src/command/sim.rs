//! `quorate lab sim raft`: many seeds of a large, hostile world.

use std::fs;
use std::io::{self, IsTerminal as _};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use clap::{Args, ValueEnum};
use indicatif::{ProgressBar, ProgressStyle};
use quorate_check::world::Checkable;
use quorate_core::{NodeId, Protocol};
use quorate_problems::total_order::TotalOrder;
use quorate_sim::adversary::Adversary;
use quorate_sim::random::{self, Hurt};
use quorate_sim::{cluster, suite};
use serde_json::json;

use super::paper;
use crate::history;
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
    /// Prints a violation's whole schedule at once, instead of a small one after a while.
    #[arg(long)]
    whole: bool,
    /// Switches on a bug of the museum.
    #[arg(long, value_name = "NAME")]
    flaw: Option<String>,
    /// An option of every cluster, as in scripts: `window=2`. Can be repeated.
    #[arg(long = "option", value_name = "KEY=VALUE")]
    options: Vec<String>,
    /// Lets one member of each cluster find parts of its disk unreadable.
    #[arg(long)]
    damaged_disks: bool,
    /// Lets nearly all of each cluster find holes in their logs in the end, at once. Schedules only.
    #[arg(long)]
    holes: bool,
    /// Leaves the members of each cluster as they are. Clusters only.
    #[arg(long)]
    same_members: bool,
    /// Never lets more than a minority of a cluster be away at once: down, or back but still recovering,
    /// which is what replicas withstand that keep nothing. Schedules only.
    #[arg(long)]
    minority: bool,
    /// Lets disks forget what they acknowledged, which no protocol withstands. Schedules only.
    #[arg(long)]
    lying_disks: bool,
    /// What may go wrong, as in `crash-stop,lossy,fifo,synchronous,faulty=1`: a class of faults, what
    /// may happen to mail, an assumption about time. Otherwise each seed draws something that the
    /// protocol claims to withstand. Schedules only.
    #[arg(long, value_name = "WORDS", value_delimiter = ',')]
    model: Vec<String>,
    /// Lets a model in that the protocol does not claim to withstand.
    #[arg(long)]
    outside_model: bool,
    /// How many seeds run at the same time; as many as there are processors unless it is said.
    #[arg(long, value_name = "COUNT")]
    threads: Option<usize>,
    /// Runs every seed twice, to see that it gives the same run; otherwise every tenth.
    #[arg(long)]
    twice: bool,
    /// Writes what the clients of one seed saw, as `quorate lab verify` reads it. Clusters only.
    #[arg(long, value_name = "FILE")]
    history: Option<PathBuf>,
    /// Runs the plan in this file, as a violation in a cluster is printed, instead of seeds.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["seeds", "first", "flaw", "options"])]
    plan: Option<PathBuf>,
    /// Prints the report as JSON.
    #[arg(long)]
    json: bool,
}

/// The worlds that seeds can be run in.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum, Debug)]
enum World {
    /// Nodes, frames and mail: any event next, since time is only an order.
    Schedule,
    /// Whole replicas, with log, store and clients, in simulated time.
    Cluster,
}

impl Sim {
    pub(super) fn run(self) -> Result<bool> {
        let subject = suites::find(&self.protocol)?;
        if self.seeds == 0 {
            bail!("--seeds 0 would look at nothing: it must be at least 1");
        }
        self.check_history()?;
        let report = subject.visit(&self)?;
        match self.json {
            true => {
                let mut value = report.json();
                value["protocol"] = json!(self.protocol);
                value["world"] = json!(match self.world {
                    World::Schedule => "schedule",
                    World::Cluster => "cluster",
                });
                paper::print(&format!("{value:#}\n"))?;
            }
            false => paper::print(&format!("{report}\n"))?,
        }
        Ok(report.failures.is_empty())
    }

    /// A history is what clients of one cluster saw.
    fn check_history(&self) -> Result<()> {
        match (&self.history, self.world, self.seeds) {
            (None, ..) | (Some(_), World::Cluster, 1) => Ok(()),
            (Some(_), World::Schedule, _) => {
                bail!("--history needs clients, which only --world cluster has: add it")
            }
            (Some(_), World::Cluster, _) => {
                bail!("--history is for one seed: add --seeds 1, and --first SEED to say which")
            }
        }
    }

    /// The options of every cluster, with the flaw if it is the protocol's.
    fn words<P: Checkable>(&self, known: &Known<P>) -> Result<String> {
        let flaw = self.flaw.iter().filter(|_| self.service_flaw().is_none());
        let flaw = flaw.map(|flaw| format!("flaw={flaw}"));
        let words: Vec<String> = self.options.iter().cloned().chain(flaw).collect();
        let words = words.join(" ");
        // Said here once, instead of by every seed.
        suite::options(words.split_whitespace())
            .and_then(|options| (known.suite.config)(&[NodeId(1)], &options))
            .map_err(|reason| anyhow!("--option: {reason}"))?;
        Ok(words)
    }

    /// The flaw, if it is one of the service above all protocols.
    fn service_flaw(&self) -> Option<cluster::Flaw> {
        let mut flaws = cluster::Flaw::ALL.into_iter();
        flaws.find(|flaw| self.flaw.as_deref() == Some(flaw.name()))
    }

    /// Whether there is such a flaw, in this world.
    fn check_flaw<P: Checkable>(&self, known: &Known<P>) -> Result<()> {
        let Some(flaw) = self.flaw.as_deref() else {
            return Ok(());
        };
        let mut names: Vec<&str> = known.flaws.iter().map(|exhibit| exhibit.name).collect();
        let service = cluster::Flaw::ALL.map(cluster::Flaw::name);
        if self.world == World::Schedule && service.contains(&flaw) {
            bail!("{flaw} is a flaw of the service, which only --world cluster has");
        }
        names.extend(service.iter().filter(|_| self.world == World::Cluster));
        match names.contains(&flaw) {
            true => Ok(()),
            false => bail!(Unknown::new("flaw", flaw, names)),
        }
    }

    fn search(&self) -> Search {
        let default = Search::default();
        Search {
            first: self.first,
            seeds: self.seeds,
            keep_going: self.keep_going,
            threads: self.threads.unwrap_or(default.threads),
            again_every: if self.twice { 1 } else { default.again_every },
        }
    }

    fn schedules<P: Checkable>(&self, known: &Known<P>) -> Result<Report> {
        if self.plan.is_some() {
            bail!("--plan is for --world cluster: add it");
        }
        self.check_flaw(known)?;
        if self.outside_model && self.model.is_empty() {
            bail!("--outside-model lets a --model in: say which");
        }
        let words = self.model.iter().map(String::as_str);
        let adversary = match self.model.is_empty() {
            true => None,
            false => Some(Adversary::parse(words, P::MODEL).map_err(|e| anyhow!("--model: {e}"))?),
        };
        let mut options = self.words(known)?;
        if self.minority {
            options += " minority";
        }
        let hurt = Hurt {
            steps: self.steps,
            lying_disks: self.lying_disks,
            damaged_disks: self.damaged_disks,
            holes: self.holes,
            options,
            adversary,
            outside_model: self.outside_model,
            shrink: !self.whole,
        };
        random::admit::<P>(&hurt).map_err(|reason| anyhow!("{reason} (see --outside-model)"))?;
        let bar = bar(self.seeds);
        let search = self.search();
        let report = search::schedules(&known.suite, &hurt, &search, &|_| bar.inc(1));
        bar.finish_and_clear();
        Ok(report)
    }

    fn clusters<P>(&self, known: &Known<P>) -> Result<Report>
    where
        P: Checkable + Protocol<Problem = TotalOrder>,
    {
        if let Some(file) = &self.plan {
            let text = fs::read_to_string(file);
            let text = text.with_context(|| format!("cannot read {}", file.display()))?;
            let plan = text.parse();
            let plan = plan.map_err(|error| anyhow!("{}: {error}", file.display()))?;
            return Ok(search::plan(&known.suite, &plan));
        }
        self.check_flaw(known)?;
        if self.lying_disks || self.minority || !self.model.is_empty() {
            bail!("--lying-disks, --minority and --model are for --world schedule");
        }
        let hurt = cluster::Hurt {
            damage: self.damaged_disks,
            members: !self.same_members,
            options: self.words(known)?,
            flaw: self.service_flaw(),
            outside_model: self.outside_model,
            shrink: !self.whole,
            ..cluster::Hurt::default()
        };
        let bar = bar(self.seeds);
        let search = self.search();
        let report = search::clusters(&known.suite, &hurt, &search, &|_| bar.inc(1));
        bar.finish_and_clear();
        if let Some(file) = &self.history {
            let plan = match report.failures.first() {
                Some(failure) => failure.script.parse().map_err(|error| anyhow!("{error}")),
                None => cluster::drawn(&known.suite, self.first, &hurt).map_err(|e| anyhow!(e)),
            }?;
            let (_, clients) = cluster::run_recorded(&known.suite, &plan);
            let text = history::write_key_value(&history::of_clients(&clients));
            fs::write(file, text).with_context(|| format!("cannot write {}", file.display()))?;
        }
        Ok(report)
    }
}

impl Visit for &Sim {
    type Answer = Result<Report>;

    fn any<P>(self, known: &Known<P>) -> Result<Report>
    where
        P: Checkable,
    {
        match self.world {
            World::Schedule => self.schedules(known),
            World::Cluster => bail!("{} serves no clients: --world schedule", known.name),
        }
    }

    fn total_order<P>(self, known: &Known<P>) -> Result<Report>
    where
        P: Checkable + Protocol<Problem = TotalOrder>,
    {
        match self.world {
            World::Schedule => self.schedules(known),
            World::Cluster => self.clusters(known),
        }
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
