//! `quorate-bench scale`: throughput and memory as work grows, as tables and pictures.

mod render;
mod sweeps;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::{Args, ValueEnum};
use serde::{Deserialize, Serialize};

use crate::document::section;
use crate::servers::{Programs, Setup, System, keeper, load_average, refuse_without_proc};

/// The name of the place in a document.
const PLACE: &str = "scale";

/// Measure throughput and memory as work grows, and draw them.
///
/// Keys from 10^4 to 10^6, values from 64 B to 1 MiB, 1 to 7 nodes, 1 to 10,000 watchers; one round, about 15
/// minutes for Quorate and twice that with etcd. --huge goes on to 10^7 keys, which takes another 10 for
/// each and 6 GB of disk.
#[derive(Args, Clone, Debug)]
pub struct Flags {
    /// What grows, separated by commas; by default everything.
    #[arg(long, value_delimiter = ',', value_enum, value_name = "WHAT")]
    rows: Vec<What>,

    /// Go on to ten million keys.
    #[arg(long)]
    huge: bool,

    /// A fiftieth of the work: to see that it works, not to quote.
    #[arg(long)]
    quick: bool,

    /// Where etcd is, if not on the PATH.
    #[arg(long, value_name = "PATH")]
    etcd: Option<PathBuf>,

    /// Leave etcd out, even if there is one.
    #[arg(long, conflicts_with = "etcd")]
    alone: bool,

    /// Where quorate is, if not beside this program or on the PATH.
    #[arg(long, value_name = "PATH")]
    quorate: Option<PathBuf>,

    /// Where the servers keep their data. By default a folder for temporary files.
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,

    /// From which port on the servers listen.
    #[arg(long, default_value_t = 23_000, value_name = "PORT")]
    port: u16,

    /// Put the tables into a document, between the lines that mark their place, and the pictures into a
    /// folder beside it that is named like it.
    #[arg(long, value_name = "FILE")]
    write: Option<PathBuf>,

    /// Keep what was measured in this file too, and show what earlier runs have kept there of what this
    /// one leaves out.
    #[arg(long, value_name = "FILE")]
    keep: Option<PathBuf>,

    /// Measure nothing: show what --keep has.
    #[arg(long, requires = "keep")]
    show: bool,
}

/// What grows.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum What {
    /// How many keys the store has.
    Keys,
    /// How large values are.
    Values,
    /// How many nodes there are.
    Nodes,
    /// How many watchers there are.
    Watchers,
}

impl What {
    const ALL: [What; 4] = [What::Keys, What::Values, What::Nodes, What::Watchers];
}

/// What is measured at each point.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Metric {
    /// Puts a second.
    Puts,
    /// Linearizable gets a second.
    Gets,
    /// MiB of values put a second.
    PutMib,
    /// Events delivered a second.
    Events,
    /// The 99th percentile of the time from a put to its events, milliseconds.
    EventP99,
    /// Processor time of all servers for a put, microseconds.
    PutCpu,
    /// Resident memory of all servers together, MiB.
    Memory,
}

/// One measurement.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
struct Point {
    what: What,
    at: u64,
    system: System,
    values: BTreeMap<Metric, f64>,
    load: f64,
}

/// All measurements.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
struct Points {
    points: Vec<Point>,
}

impl Points {
    fn read(path: &Path) -> Result<Points> {
        if !path.exists() {
            return Ok(Points::default());
        }
        let text = std::fs::read_to_string(path)?;
        serde_json::from_str(&text).with_context(|| {
            format!(
                "{} does not hold what an earlier --keep wrote",
                path.display()
            )
        })
    }

    /// Adds a point in place of an earlier one.
    fn add(&mut self, point: Point) {
        let same =
            |old: &Point| (old.what, old.at, old.system) == (point.what, point.at, point.system);
        self.points.retain(|old| !same(old));
        self.points.push(point);
        self.points
            .sort_by_key(|point| (point.what, point.at, point.system));
    }
}

/// Does what the flags say and shows the outcome.
pub(crate) fn run(flags: &Flags) -> Result<()> {
    if let Some(path) = &flags.write {
        let text = std::fs::read_to_string(path)
            .with_context(|| format!("cannot read {}", path.display()))?;
        section(&text, PLACE)?;
    }
    let mut points = match &flags.keep {
        Some(path) => Points::read(path)?,
        None => Points::default(),
    };
    let mut failures = Vec::new();
    if !flags.show {
        measure(flags, &mut points, &mut failures)?;
        if let Some(path) = &flags.keep {
            let text = serde_json::to_string_pretty(&points)?;
            std::fs::write(path, text + "\n")
                .with_context(|| format!("cannot write {}", path.display()))?;
        }
    }
    match &flags.write {
        Some(path) => render::write(path, &points)?,
        None => print!("{}", render::text(&points)),
    }
    if failures.is_empty() {
        return Ok(());
    }
    anyhow::bail!("{} points failed:\n{}", failures.len(), failures.join("\n"))
}

fn measure(flags: &Flags, points: &mut Points, failures: &mut Vec<String>) -> Result<()> {
    refuse_without_proc()?;
    let mut programs = Programs::find(flags.etcd.as_deref(), flags.quorate.as_deref())?;
    if flags.alone {
        programs.etcd = None;
    }
    let mut systems = vec![System::Quorate];
    if programs.etcd.is_some() {
        systems.insert(0, System::Etcd);
    }
    keeper::watch_for_signals()?;
    let setup = Setup {
        programs,
        root: flags.dir.clone().unwrap_or_else(std::env::temp_dir),
        port: flags.port,
    };
    let size = sweeps::Size {
        part: if flags.quick { 50 } else { 1 },
        huge: flags.huge,
    };
    let all = What::ALL.to_vec();
    for what in if flags.rows.is_empty() {
        all
    } else {
        flags.rows.clone()
    } {
        for &system in &systems {
            eprintln!("{}: {what:?}", system.name());
            let note = |at: u64, values: &[(Metric, f64)]| {
                eprintln!("  at {at}: {values:?}");
                points.add(Point {
                    what,
                    at,
                    system,
                    values: values.iter().copied().collect(),
                    load: load_average(),
                });
            };
            if let Err(error) = sweeps::sweep(what, &setup, system, size, note) {
                let line = format!("{}, {what:?}: {error:#}", system.name());
                eprintln!("{line}");
                failures.push(line);
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_point_that_is_measured_again_replaces_the_old_one() {
        let point = |at, puts| Point {
            what: What::Keys,
            at,
            system: System::Quorate,
            values: [(Metric::Puts, puts)].into(),
            load: 0.0,
        };
        let mut points = Points::default();
        for (at, puts) in [(100, 1.0), (10, 2.0), (100, 3.0)] {
            points.add(point(at, puts));
        }
        assert_eq!(points.points, [point(10, 2.0), point(100, 3.0)]);
    }
}
