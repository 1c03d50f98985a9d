//! Clusters that come and go, and the loads on them.

use std::collections::BTreeMap;

use anyhow::{Context, Result};

use super::acts;
use super::machine;
use super::results::{Metric, Sample};
use super::rows::{Group, Row, Work};
use crate::drive::{bench, measured};
use crate::servers::{Cluster, Setup, System, load_average};

/// A little load before the first row, so that no row pays for what a server does once.
const WARM_UP: &str = "put --clients 16 --conns 4 --total 2000 --key-size 16 --key-space-size 100";

/// Goes through groups of rows.
pub(super) struct Runner {
    pub(super) setup: Setup,
    rounds: u32,
    /// One in so many requests is made.
    part: u64,
    members: Vec<usize>,
    pub(super) samples: Vec<Sample>,
}

/// Whose turn it is.
#[derive(Clone, Copy)]
pub(super) struct Turn {
    pub(super) system: System,
    pub(super) members: usize,
    pub(super) round: u32,
}

impl Runner {
    pub(super) fn new(setup: Setup, rounds: u32, part: u64, members: Vec<usize>) -> Runner {
        Runner {
            setup,
            rounds,
            part,
            members,
            samples: Vec::new(),
        }
    }

    /// Measures a group with all numbers of members, in all rounds, everybody in turn.
    pub(super) fn run(&mut self, group: &Group, failures: &mut Vec<String>) -> Result<()> {
        let with_etcd = self.setup.programs.etcd.is_some();
        // Filling a store with millions of keys is not done again for a median.
        let rounds = match group.work {
            Work::Memory { .. } | Work::Restart { .. } => 1,
            _ => self.rounds,
        };
        for members in self.members.clone() {
            if members < group.members_min {
                continue;
            }
            for round in 0..rounds {
                for system in group.systems(members, with_etcd) {
                    let turn = Turn {
                        system,
                        members,
                        round,
                    };
                    if let Err(error) = self.turn(group, turn, failures) {
                        let line = format!("{}, {}: {error:#}", turn.name(), group.name);
                        eprintln!("{line}");
                        failures.push(line);
                    }
                }
            }
        }
        Ok(())
    }

    fn turn(&mut self, group: &Group, turn: Turn, failures: &mut Vec<String>) -> Result<()> {
        eprintln!("{}, round {}: {}", turn.name(), turn.round + 1, group.name);
        let mut cluster = Cluster::start(&self.setup, turn.system, turn.members)?;
        match &group.work {
            Work::Loads { prepare, rows, .. } => {
                bench(WARM_UP, &cluster).context("warming up")?;
                for line in *prepare {
                    bench(line, &cluster).context("preparing")?;
                }
                for row in *rows {
                    if let Err(error) = self.row(row, turn, &cluster) {
                        let line = format!("{}, {}: {error:#}", turn.name(), row.title);
                        eprintln!("{line}");
                        failures.push(line);
                    }
                }
                if !turn.system.is_echo() {
                    let peak = cluster.usage()?.peak;
                    let title = format!("resident memory at most, rows {}", group.name);
                    self.add(turn, &title, &[(Metric::Memory, peak)]);
                }
                Ok(())
            }
            Work::Memory { keys } => acts::memory(self, turn, &cluster, keys / self.part),
            Work::Failover => acts::failover(self, turn, &mut cluster),
            Work::Restart { keys } => acts::restart(self, turn, &mut cluster, keys / self.part),
            Work::Busy => acts::busy(self, turn, &mut cluster, self.part),
        }
    }

    fn row(&mut self, row: &Row, turn: Turn, cluster: &Cluster) -> Result<()> {
        let (report, cpu) = measured(&row.command(self.part), cluster)?;
        let part = report.main_part();
        let values = [
            (Metric::PerSecond, part.per_second),
            (Metric::P50, part.latency_ms.p50),
            (Metric::P99, part.latency_ms.p99),
            (Metric::Cpu, cpu * 1000.0 / part.succeeded.max(1) as f64),
        ];
        eprintln!("  {}: {:.0} a second", row.title, part.per_second);
        self.add(turn, row.title, &values);
        Ok(())
    }

    /// Notes what was measured.
    pub(super) fn add(&mut self, turn: Turn, row: &str, values: &[(Metric, f64)]) {
        self.samples.push(Sample {
            row: row.to_owned(),
            members: turn.members,
            system: turn.system,
            round: turn.round,
            values: values.iter().copied().collect::<BTreeMap<_, _>>(),
            day: machine::today(),
            load: load_average(),
        });
    }
}

impl Turn {
    fn name(self) -> String {
        format!(
            "{}, {} node{}",
            self.system.name(),
            self.members,
            if self.members == 1 { "" } else { "s" }
        )
    }
}
