//! The matrix as text and as JSON.

use std::fmt::Write as _;

use quorate_core::NodeId;
use quorate_problems::replicated::Machine;
use quorate_protocols::strategies::{Access, Config, Execution, Refusal};
use serde_json::{Value, json};

use super::cells::{Cell, Tried};
use super::measure::{self, Failover, Measured, TimeOrSpace};
use crate::draw::words;

/// The whole matrix, measured.
#[derive(Clone, Debug)]
pub struct Matrix {
    /// How many seeds each number is from.
    pub seeds: u64,
    /// What ran.
    pub rows: Vec<Row>,
    /// What did not, and why: the same reason once.
    pub refused: Vec<(String, String)>,
    /// Primary and backup against their bounds.
    pub failovers: Vec<Failover>,
    /// Replication in time and in space.
    pub time_or_space: Vec<TimeOrSpace>,
}

/// One cell that ran.
#[derive(Clone, Debug)]
pub struct Row {
    /// The cell.
    pub cell: Cell,
    /// What it ran with.
    pub machine: Machine,
    /// What came out.
    pub measured: Measured,
}

impl Matrix {
    /// Runs every cell.
    #[must_use]
    pub fn run(seeds: u64, progress: &dyn Fn(&str)) -> Matrix {
        let mut rows = Vec::new();
        let mut refused: Vec<(String, String)> = Vec::new();
        for cell in Cell::all() {
            for tried in cell.tried() {
                match tried {
                    Tried::Runs(cell, machine) => {
                        progress(&cell.words().join(" "));
                        let measured = measure::measure(&cell, machine, seeds);
                        rows.push(Row {
                            cell,
                            machine,
                            measured,
                        });
                    }
                    Tried::Refused(cell, machine, refusal) => {
                        refuse(&mut refused, &cell, machine, &refusal);
                    }
                }
            }
        }
        let mut lottery = Config::new([NodeId(1), NodeId(2)]);
        (lottery.execution, lottery.machine) = (Execution::Active, Machine::Lottery);
        if let Some(refusal) = lottery.refusal() {
            refused.push(("active, lottery".to_string(), refusal.to_string()));
        }
        progress("primary and backup");
        Matrix {
            seeds,
            rows,
            refused,
            failovers: measure::failovers(seeds),
            time_or_space: measure::time_or_space(seeds),
        }
    }

    /// Whether every promise that a strategy makes was kept: what answers only when all have an update must
    /// not lose one, and the primary-backup protocols must stay within their bounds.
    #[must_use]
    pub fn is_as_promised(&self) -> bool {
        let within = |(measured, bound): (f64, f64)| measured <= bound + 1e-9;
        self.failovers.iter().all(|failover| {
            within(failover.without_master)
                && within(failover.blocking)
                && failover.broken.is_none()
        })
    }

    /// The table.
    #[must_use]
    pub fn text(&self) -> String {
        let mut out = String::new();
        let head = HEAD.map(str::to_string);
        let mut table = vec![head.to_vec()];
        table.extend(self.rows.iter().map(columns));
        write_table(&mut out, &table);
        out.push_str(LEGEND);
        out.push_str("\nNot run, and why:\n");
        for (cells, reason) in &self.refused {
            let _ = writeln!(out, "  {cells}:");
            for line in words::wrap(reason, 100) {
                let _ = writeln!(out, "    {line}");
            }
        }
        out.push_str("\nPrimary and one backup, in message delays (measured / bound):\n");
        let mut table = vec![named(&["", "without master", "blocking", "promises"])];
        for failover in &self.failovers {
            let pair = |(measured, bound): (f64, f64)| format!("{measured:.1} / {bound:.1}");
            table.push(vec![
                failover.name.to_string(),
                pair(failover.without_master),
                pair(failover.blocking),
                kept(&failover.broken),
            ]);
        }
        write_table(&mut out, &table);
        let repair = measure::REPAIR;
        let _ = writeln!(
            out,
            "\nReplication in time and in space; a machine is started again {repair} delays after its crash:"
        );
        let mut table = vec![named(&["", "answered in time", "lost", "promises"])];
        for row in &self.time_or_space {
            table.push(vec![
                row.name.to_string(),
                percent(row.available),
                row.lost.to_string(),
                kept(&row.broken),
            ]);
        }
        write_table(&mut out, &table);
        out
    }

    /// Everything, for programs.
    #[must_use]
    pub fn json(&self) -> Value {
        let rows = self.rows.iter().map(|row| {
            let [execution, reply, masters, access] = row.cell.words();
            let measured = &row.measured;
            json!({
                "execution": execution, "reply": reply, "masters": masters, "access": access,
                "machine": row.machine.name(),
                "loss": { "updates": measured.lost_updates, "delays": measured.lost_delays },
                "staleness": { "versions": measured.stale_versions, "delays": measured.stale_delays },
                "latency_delays": measured.latency,
                "latency_delays_one_slow": measured.latency_slow,
                "executions_per_update": measured.executions,
                "messages_per_update_and_process": measured.load,
                "messages_per_update": measured.messages,
                "available": { "crash": measured.available_crash, "partition": measured.available_cut },
                "broken": {
                    "quiet": measured.broken_quiet,
                    "crash": measured.broken_crash,
                    "partition": measured.broken_cut,
                },
            })
        });
        let refused = self.refused.iter();
        let refused = refused.map(|(cells, reason)| json!({ "cells": cells, "reason": reason }));
        let failovers = self.failovers.iter().map(|failover| {
            let pair =
                |(measured, bound): (f64, f64)| json!({ "measured": measured, "bound": bound });
            json!({
                "protocol": failover.name,
                "without_master_delays": pair(failover.without_master),
                "blocking_delays": pair(failover.blocking),
                "broken": failover.broken,
            })
        });
        let copies = self.time_or_space.iter().map(|row| {
            json!({
                "replication": row.name,
                "available": row.available,
                "lost_updates": row.lost,
                "broken": row.broken,
            })
        });
        json!({
            "seeds": self.seeds,
            "cells": rows.collect::<Vec<_>>(),
            "refused": refused.collect::<Vec<_>>(),
            "primary_backup": failovers.collect::<Vec<_>>(),
            "time_or_space": copies.collect::<Vec<_>>(),
        })
    }
}

/// Notes a refusal, one line for all cells with the same reason.
fn refuse(refused: &mut Vec<(String, String)>, cell: &Cell, machine: Machine, refusal: &Refusal) {
    if cell.access == Access::Proxy {
        return; // How clients get in changes nothing about it.
    }
    let [execution, reply, masters, _] = cell.words();
    let mut name = format!("{execution} {reply} {masters}");
    if matches!(refusal, Refusal::Conflict(..) | Refusal::Overwrites(..)) {
        let _ = write!(name, ", {}", machine.name());
    }
    let reason = refusal.to_string();
    match refused.iter_mut().find(|(_, known)| *known == reason) {
        Some((cells, _)) => {
            let _ = write!(cells, "; {name}");
        }
        None => refused.push((name, reason)),
    }
}

pub(super) const HEAD: [&str; 14] = [
    "executes",
    "reply",
    "masters",
    "at",
    "lost",
    "stale",
    "latency",
    "slow",
    "executions",
    "load",
    "messages",
    "crash",
    "cut",
    "promises",
];

pub(super) const LEGEND: &str = "
at          where clients ask: at replicas, or at a proxy
lost        acknowledged updates that no copy has after the master died at the worst moment, and how many
            message delays before that the oldest of them was acknowledged
stale       acknowledged updates that a read at any replica misses, and how long ago the first was
latency     message delays from request to answer, median; slow: with one replica five times as far
executions  per update, at n1, n2, n3; load: messages sent and received per update, the proxy last
messages    per update, without signs of life
crash, cut  operations answered within 8 delays, of those asked within 15 delays after the master crashed,
            or was cut off from all others
promises    what clients saw broken without faults, after the crash, and in and after the cut: nothing (.),
            linearizability (L), durability (D), convergence (C), exactly once (E)
";

pub(super) fn columns(row: &Row) -> Vec<String> {
    let [execution, reply, masters, access] = row.cell.words();
    let measured = &row.measured;
    let masters = match row.machine {
        Machine::Counter => masters.to_string(),
        machine => format!("{masters} ({})", machine.name()),
    };
    let many = |numbers: &[f64]| {
        let numbers: Vec<_> = numbers.iter().map(|number| short(*number)).collect();
        numbers.join(" ")
    };
    let reply = reply.trim_end_matches("hronous");
    vec![
        execution.to_string(),
        reply.to_string(),
        masters,
        access.to_string(),
        with_age(measured.lost_updates, measured.lost_delays),
        with_age(measured.stale_versions, measured.stale_delays),
        short(measured.latency),
        short(measured.latency_slow),
        many(&measured.executions),
        many(&measured.load),
        short(measured.messages),
        percent(measured.available_crash),
        percent(measured.available_cut),
        promises(measured),
    ]
}

/// `. . D`: the first letters of what was broken.
fn promises(measured: &Measured) -> String {
    let all = [
        &measured.broken_quiet,
        &measured.broken_crash,
        &measured.broken_cut,
    ];
    let letters = all.map(|broken| match kept(broken).chars().next() {
        Some(first) if broken.is_some() => first.to_ascii_uppercase(),
        _ => '.',
    });
    letters.map(String::from).join(" ")
}

/// How many, and how old the oldest is.
pub(super) fn with_age(count: u64, age: f64) -> String {
    match count {
        0 => "0".to_string(),
        count => format!("{count} / {}", short(age)),
    }
}

pub(super) fn kept(broken: &Option<String>) -> String {
    let property = broken.as_ref().and_then(|text| text.split(": ").next());
    property.unwrap_or("kept").to_string()
}

pub(super) fn short(number: f64) -> String {
    if number.is_infinite() {
        return "never".to_string();
    }
    let text = format!("{number:.1}");
    text.strip_suffix(".0").map_or(text.clone(), str::to_string)
}

pub(super) fn percent(share: f64) -> String {
    format!("{:.0} %", share * 100.0)
}

fn named(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_string()).collect()
}

fn write_table(out: &mut String, table: &[Vec<String>]) {
    let columns = table.first().map_or(0, Vec::len);
    let width = |column: usize| {
        let cells = table.iter().map(|row| row[column].chars().count());
        cells.max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    for row in table {
        let cells = row.iter().zip(&widths);
        let cells: Vec<_> = cells
            .map(|(cell, width)| format!("{cell:<width$}"))
            .collect();
        let _ = writeln!(out, "{}", cells.join("  ").trim_end());
    }
}
