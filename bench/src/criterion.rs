//! `quorate-bench criterion`: the benches of the core alone, run and put into one table.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use clap::Args;
use serde_json::Value;

use crate::document::{replace, section};
use crate::servers::load_average;
use crate::table::{Table, grouped};

/// The name of the place in a document.
const PLACE: &str = "criterion";

/// What runs all of them.
const COMMAND: &[&str] = &[
    "bench",
    "-p",
    "quorate-protocols",
    "-p",
    "quorate-runtime",
    "-p",
    "quorate-service",
    "--bench",
    "commands",
    "--bench",
    "log",
    "--bench",
    "store",
];

/// Run the criterion benches (protocols with nodes, the log, the store, codecs) and print one table.
#[derive(Args, Clone, Debug)]
pub struct Flags {
    /// Run nothing: show what the last run measured.
    #[arg(long)]
    show: bool,

    /// Put the table into a document, between the lines that mark its place.
    #[arg(long, value_name = "FILE")]
    write: Option<PathBuf>,
}

/// One bench.
#[derive(Clone, PartialEq, Debug)]
struct Measured {
    group: String,
    name: String,
    /// The median of an iteration, nanoseconds.
    nanos: f64,
    /// What an iteration does: so many things, or so many bytes.
    elements: Option<f64>,
    bytes: Option<f64>,
}

pub(crate) fn run(flags: &Flags) -> Result<()> {
    if let Some(path) = &flags.write {
        section(&read(path)?, PLACE)?;
    }
    if !flags.show {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let status = Command::new(cargo)
            .args(COMMAND)
            .status()
            .context("cannot run cargo")?;
        if !status.success() {
            bail!("cargo bench ended with {status}");
        }
    }
    let folder = results_folder();
    let mut found = Vec::new();
    collect(&folder, &mut found)?;
    if found.is_empty() {
        bail!("{} has no results: run it without --show", folder.display());
    }
    let table = table(&found);
    match &flags.write {
        None => print!("{}", table.text()),
        Some(path) => {
            let text = format!(
                "Load average {:.1}.\n\n{}",
                load_average(),
                table.markdown()
            );
            std::fs::write(path, replace(&read(path)?, PLACE, &text)?)
                .with_context(|| format!("cannot write {}", path.display()))?;
        }
    }
    Ok(())
}

fn read(path: &Path) -> Result<String> {
    std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
}

/// Where criterion keeps what it measured: in cargo's folder for what it builds.
fn results_folder() -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into());
    Path::new(&target).join("criterion")
}

/// Reads all results below a folder, in the order of their names.
fn collect(folder: &Path, found: &mut Vec<Measured>) -> Result<()> {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return Ok(());
    };
    let mut paths = entries
        .map(|entry| Ok(entry?.path()))
        .collect::<Result<Vec<_>>>()?;
    paths.sort();
    for path in paths.into_iter().filter(|path| path.is_dir()) {
        if path.ends_with("new") {
            found.push(one(&path)?);
        } else {
            collect(&path, found)?;
        }
    }
    Ok(())
}

fn one(folder: &Path) -> Result<Measured> {
    let json =
        |name: &str| -> Result<Value> { Ok(serde_json::from_str(&read(&folder.join(name))?)?) };
    let (about, estimates) = (json("benchmark.json")?, json("estimates.json")?);
    let text = |name: &str| about[name].as_str().unwrap_or_default().to_owned();
    let nanos = estimates["median"]["point_estimate"].as_f64();
    Ok(Measured {
        group: text("group_id"),
        name: text("function_id"),
        nanos: nanos.with_context(|| format!("{} has no median", folder.display()))?,
        elements: about["throughput"]["Elements"].as_f64(),
        bytes: about["throughput"]["Bytes"].as_f64(),
    })
}

fn table(found: &[Measured]) -> Table {
    let mut table = Table::new(&["what", "median", "a second"]);
    for one in found {
        let each = one.nanos / one.elements.unwrap_or(1.0);
        let rate = match one.bytes {
            Some(bytes) => format!(
                "{} MiB",
                grouped(bytes / f64::from(1 << 20) / (one.nanos / 1e9))
            ),
            None => grouped(1e9 / each),
        };
        table.add(vec![
            format!("{}: {}", one.group, one.name),
            time(each),
            rate,
        ]);
    }
    table
}

/// A time in the unit that suits it.
fn time(nanos: f64) -> String {
    match nanos {
        nanos if nanos < 1e3 => format!("{nanos:.0} ns"),
        nanos if nanos < 1e6 => format!("{:.2} µs", nanos / 1e3),
        nanos => format!("{:.2} ms", nanos / 1e6),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::servers::keeper::Folder;

    #[test]
    fn what_criterion_left_becomes_a_table() {
        let folder = Folder::new(&std::env::temp_dir(), "criterion").expect("a place for files");
        for (name, throughput, median) in [
            ("get", r#"{"Elements":4}"#, 2_000.0),
            ("pack", r#"{"Bytes":1048576}"#, 1e6),
        ] {
            for kind in ["new", "base"] {
                let results = folder.path().join("store").join(name).join(kind);
                std::fs::create_dir_all(&results).expect("a folder");
                let about = format!(
                    r#"{{"group_id":"store","function_id":"{name}","throughput":{throughput}}}"#
                );
                std::fs::write(results.join("benchmark.json"), about).expect("a file");
                let estimates = format!(r#"{{"median":{{"point_estimate":{median}}}}}"#);
                std::fs::write(results.join("estimates.json"), estimates).expect("a file");
            }
        }
        let mut found = Vec::new();
        collect(folder.path(), &mut found).expect("results can be read");
        let text = table(&found).text();
        let lines: Vec<Vec<&str>> = text
            .lines()
            .map(|line| line.split("  ").filter(|cell| !cell.is_empty()).collect())
            .collect();
        assert_eq!(lines.len(), 3, "{text}");
        assert_eq!(
            lines[1].iter().map(|cell| cell.trim()).collect::<Vec<_>>(),
            ["store: get", "500 ns", "2,000,000"]
        );
        assert_eq!(
            lines[2].iter().map(|cell| cell.trim()).collect::<Vec<_>>(),
            ["store: pack", "1.00 ms", "1,000 MiB"]
        );
    }

    #[test]
    fn times_have_the_unit_that_suits_them() {
        assert_eq!(
            [1.4, 2_345.0, 12_000_000.0].map(time),
            ["1 ns", "2.35 µs", "12.00 ms"]
        );
    }
}
