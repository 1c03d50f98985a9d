//! What was measured, as text and for a document.

use std::path::Path;

use anyhow::{Context, Result};

use super::goals::{GOALS, bound, short};
use super::results::{Metric, Results};
use super::rows::all_rows;
use crate::document::{replace, section};
use crate::servers::System;
use crate::table::{Table, grouped};

/// The names of the places in a document.
const GOALS_PLACE: &str = "compare goals";
const TABLES_PLACE: &str = "compare tables";

/// What stands where nothing was measured.
const NOTHING: &str = "";

/// A title and its table.
type Part = (String, Table);

/// For a terminal.
pub(super) fn text(results: &Results) -> String {
    let mut text = String::new();
    for line in about(results) {
        text.push_str(&format!("{line}\n"));
    }
    for (title, table) in tables(results).into_iter().chain([goals(results)]) {
        if !table.is_empty() {
            text.push_str(&format!("\n{title}\n\n{}", table.text()));
        }
    }
    text
}

/// For a document: goals first.
pub(super) fn markdown(results: &Results) -> String {
    format!(
        "{}\n{}",
        goals_in_markdown(results),
        tables_in_markdown(results)
    )
}

fn goals_in_markdown(results: &Results) -> String {
    let (title, table) = goals(results);
    format!("{title}\n\n{}\n{}", table.markdown(), measured(results))
}

/// Under which conditions, without which the numbers say nothing.
fn measured(results: &Results) -> String {
    format!("Measured: {}.\n", about(results).join("; "))
}

fn tables_in_markdown(results: &Results) -> String {
    let mut text = measured(results);
    for (title, table) in tables(results) {
        if !table.is_empty() {
            text.push_str(&format!("\n{title}\n\n{}", table.markdown()));
        }
    }
    text
}

/// An error if a document has no places for what we write.
pub(super) fn check_document(path: &Path) -> Result<()> {
    let text = read(path)?;
    section(&text, GOALS_PLACE)?;
    section(&text, TABLES_PLACE)?;
    Ok(())
}

/// Writes goals and tables to their places.
pub(super) fn write_document(path: &Path, results: &Results) -> Result<()> {
    let text = replace(&read(path)?, GOALS_PLACE, &goals_in_markdown(results))?;
    let text = replace(&text, TABLES_PLACE, &tables_in_markdown(results))?;
    std::fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}

fn read(path: &Path) -> Result<String> {
    std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
}

fn about(results: &Results) -> Vec<String> {
    let mut lines = results.about.clone();
    if let Some((first, last, least, most)) = results.conditions() {
        let days = if first == last {
            first
        } else {
            format!("{first} to {last}")
        };
        lines.push(format!("{days}, load average {least:.1} to {most:.1}"));
    }
    lines
}

fn nodes(members: usize) -> String {
    match members {
        1 => "One node".to_owned(),
        3 => "Three nodes".to_owned(),
        _ => format!("{members} nodes"),
    }
}

/// All tables but that of the goals.
fn tables(results: &Results) -> Vec<Part> {
    let mut parts = Vec::new();
    for members in results.members() {
        parts.push((
            format!("{}, loads:", nodes(members)),
            loads(results, members),
        ));
        parts.push((
            format!("{}, other measurements:", nodes(members)),
            others(results, members),
        ));
    }
    parts.push((
        "How near the limit, one node, requests a second:".to_owned(),
        limits(results),
    ));
    parts.push(("The disk alone:".to_owned(), disk(results)));
    parts
}

/// A ratio, with the goal about it if there is one.
fn ratio(results: &Results, row: &str, members: usize, metric: Metric) -> String {
    let Some(value) = results.ratio(row, members, metric) else {
        return NOTHING.to_owned();
    };
    match bound(row, members, metric) {
        Some(bound) => bound.verdict(value),
        None => short(value),
    }
}

/// Two medians, etcd's first, or the only one.
fn pair(
    results: &Results,
    row: &str,
    members: usize,
    metric: Metric,
    show: fn(f64) -> String,
) -> [String; 2] {
    [System::Etcd, System::Quorate].map(|system| {
        let value = results.median(row, members, system, metric);
        value.map_or_else(|| NOTHING.to_owned(), show)
    })
}

fn loads(results: &Results, members: usize) -> Table {
    let mut table = Table::new(&[
        "load",
        "etcd /s",
        "Quorate /s",
        "times",
        "etcd p50 ms",
        "Quorate",
        "times",
        "etcd p99 ms",
        "Quorate",
        "times",
        "etcd CPU s per 1000",
        "Quorate",
        "times",
    ]);
    for (_, row) in all_rows() {
        let ours = results.median(row.title, members, System::Quorate, Metric::PerSecond);
        let etcds = results.median(row.title, members, System::Etcd, Metric::PerSecond);
        if ours.is_none() && etcds.is_none() {
            continue;
        }
        let mut cells = vec![row.title.to_owned()];
        for (metric, show) in [
            (Metric::PerSecond, grouped as fn(f64) -> String),
            (Metric::P50, |value| format!("{value:.2}")),
            (Metric::P99, |value| format!("{value:.2}")),
            (Metric::Cpu, |value| format!("{value:.4}")),
        ] {
            cells.extend(pair(results, row.title, members, metric, show));
            cells.push(ratio(results, row.title, members, metric));
        }
        table.add(cells);
    }
    table
}

fn others(results: &Results, members: usize) -> Table {
    let mut table = Table::new(&["what", "unit", "etcd", "Quorate", "times"]);
    let loads: Vec<&str> = all_rows().map(|(_, row)| row.title).collect();
    for row in results.rows(members) {
        if loads.contains(&row) {
            continue;
        }
        for (metric, unit, show) in [
            (Metric::Memory, "MiB", grouped as fn(f64) -> String),
            (Metric::Seconds, "s", |value| format!("{value:.3}")),
            (Metric::P99, "p99 ms", |value| format!("{value:.2}")),
        ] {
            let [etcd, ours] = pair(results, row, members, metric, show);
            if etcd.is_empty() && ours.is_empty() {
                continue;
            }
            let times = ratio(results, row, members, metric);
            table.add(vec![row.to_owned(), unit.to_owned(), etcd, ours, times]);
        }
        // Measured against oneself, when quiet.
        let metric = Metric::TimesQuiet;
        let [etcd, ours] = pair(results, row, members, metric, short);
        if !ours.is_empty() || !etcd.is_empty() {
            let ours = results.median(row, members, System::Quorate, metric);
            let verdict = ours.map(|value| match bound(row, members, metric) {
                Some(bound) => bound.verdict(value),
                None => short(value),
            });
            let verdict = verdict.unwrap_or_default();
            table.add(vec![
                row.to_owned(),
                "times quiet".to_owned(),
                etcd,
                verdict,
                NOTHING.to_owned(),
            ]);
        }
    }
    table
}

/// What servers reach that do nothing, and how near to it the others come.
fn limits(results: &Results) -> Table {
    const ECHOES: [System; 2] = [System::TonicEcho, System::BareEcho];
    let mut table = Table::new(&[
        "load",
        "etcd",
        "Quorate",
        "tonic echo",
        "HTTP/2 echo",
        "Quorate of tonic echo",
        "of HTTP/2 echo",
        "CPU: tonic echo of Quorate",
        "HTTP/2 echo of Quorate",
    ]);
    for (_, row) in all_rows() {
        let value = |system, metric| results.median(row.title, 1, system, metric);
        let rate = |system| value(system, Metric::PerSecond);
        if ECHOES.iter().all(|&echo| rate(echo).is_none()) {
            continue;
        }
        let shown = |value: Option<f64>| value.map_or_else(String::new, grouped);
        let percent = |part: Option<f64>, whole: Option<f64>| {
            // Of nothing, which is what a short run may count, nothing is a share.
            let whole = whole.filter(|&whole| whole > 0.0);
            let share = part.zip(whole).map(|(part, whole)| 100.0 * part / whole);
            share.map_or_else(String::new, |share| format!("{share:.0} %"))
        };
        let ours = rate(System::Quorate);
        let cpu = |system| value(system, Metric::Cpu);
        let mut cells = vec![row.title.to_owned(), shown(rate(System::Etcd)), shown(ours)];
        cells.extend(ECHOES.map(|echo| shown(rate(echo))));
        cells.extend(ECHOES.map(|echo| percent(ours, rate(echo))));
        cells.extend(ECHOES.map(|echo| percent(cpu(echo), cpu(System::Quorate))));
        table.add(cells);
    }
    table
}

fn disk(results: &Results) -> Table {
    let mut table = Table::new(&["what", "p50 ms", "p99 ms"]);
    for (what, p50, p99) in &results.disk {
        table.add(vec![what.clone(), format!("{p50:.3}"), format!("{p99:.3}")]);
    }
    table
}

fn goals(results: &Results) -> Part {
    let mut table = Table::new(&["what", "goal", "verdict", "met", "worst"]);
    for goal in GOALS {
        let [verdict, met, worst] = match goal.outcome(results) {
            None => ["not measured", "", ""].map(str::to_owned),
            Some(outcome) => [
                if outcome.met == outcome.of {
                    "met"
                } else {
                    "**missed**"
                }
                .to_owned(),
                format!("{} of {}", outcome.met, outcome.of),
                format!("{}: {}", outcome.where_, goal.bound.verdict(outcome.worst)),
            ],
        };
        table.add(vec![
            goal.what.to_owned(),
            goal.goal.to_owned(),
            verdict,
            met,
            worst,
        ]);
    }
    (
        "The goals, against etcd 3.5.1 on the same machine in the same run:".to_owned(),
        table,
    )
}

#[cfg(test)]
mod tests {
    use super::super::results::tests::sample;
    use super::*;

    fn results() -> Results {
        use System::{Etcd, Quorate, TonicEcho};
        let row = "put 256 B, 64 clients";
        Results {
            about: vec!["two programs".to_owned()],
            disk: vec![("write".to_owned(), 0.1, 0.2)],
            samples: vec![
                sample(row, 1, Etcd, 0, 1000.0),
                sample(row, 1, Quorate, 0, 4000.0),
                sample(row, 1, TonicEcho, 0, 8000.0),
            ],
        }
    }

    #[test]
    fn a_row_shows_both_and_the_goal_beside_the_ratio() {
        let text = text(&results());
        let line = text.lines().find(|line| line.starts_with("put 256 B, 64"));
        let line = line.expect("the row is there");
        let cells: Vec<&str> = line
            .split("  ")
            .map(str::trim)
            .filter(|cell| !cell.is_empty())
            .collect();
        let expected = [
            "put 256 B, 64 clients",
            "1,000",
            "4,000",
            "4 ≥ 3 met",
            "0.00",
            "0.00",
            "0.25",
            "0.01",
            "0.00",
            "0.25 ≤ 0.50 met",
            "0.0020",
            "0.0005",
            "0.25 ≤ 0.33 met",
        ];
        assert_eq!(cells, expected);
        assert!(text.contains("50 %"), "{text}");
        assert!(text.contains("load average 1.0 to 1.0"), "{text}");
    }

    #[test]
    fn without_etcd_there_are_no_ratios() {
        let mut results = results();
        results
            .samples
            .retain(|sample| sample.system == System::Quorate);
        let text = text(&results);
        assert!(text.contains("4,000") && !text.contains("≥"), "{text}");
        assert!(text.contains("not measured"), "{text}");
    }

    #[test]
    fn the_document_gets_goals_and_tables_in_their_places() {
        let folder = crate::servers::keeper::Folder::new(&std::env::temp_dir(), "document")
            .expect("a place");
        let path = folder.path().join("doc.md");
        std::fs::write(&path, "# Title\n").expect("it can be written");
        let error = check_document(&path).expect_err("no places");
        assert!(error.to_string().contains("compare goals"), "{error}");
        let places = "a\n<!-- compare goals -->\nold\n<!-- end of compare goals -->\nb\n<!-- compare tables -->\n<!-- end of compare tables -->\nc\n";
        std::fs::write(&path, places).expect("it can be written");
        check_document(&path).expect("both places");
        write_document(&path, &results()).expect("both places");
        let text = std::fs::read_to_string(&path).expect("it was written");
        assert!(!text.contains("old") && text.ends_with("c\n"), "{text}");
        let at = |what: &str| {
            text.find(what)
                .unwrap_or_else(|| panic!("{what} in {text}"))
        };
        assert!(at("| what | goal |") < at("b\n") && at("| load |") > at("b\n"));
    }
}
