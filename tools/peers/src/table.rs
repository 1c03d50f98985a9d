//! What was measured, in Markdown.

use std::fmt::Write;

use crate::measure::{Measured, Turn, WINDOWS};
use crate::subjects::{Kind, Subject};

/// The tables: what was measured, and ratios within the same rounds.
pub fn markdown(subjects: &[&Subject], measured: &Measured) -> String {
    let mut out = String::new();
    heading(&mut out, "who", &["/s", "CPU ns", "allocations"]);
    for (at, subject) in subjects.iter().enumerate() {
        row(&mut out, &subject.name, |window| {
            let turns = &measured[window][at];
            let of = |pick: fn(&Turn) -> f64| median(turns.iter().map(pick).collect());
            let (rate, cpu, allocations) = (
                of(|turn| turn.rate),
                of(|turn| turn.cpu_ns),
                of(|turn| turn.allocations),
            );
            format!("{} | {cpu:.0} | {}", thousands(rate), decimals(allocations))
        });
    }
    for (title, pick) in [
        (
            "times as many a second as",
            (|turn: &Turn| turn.rate) as fn(&Turn) -> f64,
        ),
        ("by processor time", |turn| 1e9 / turn.cpu_ns),
    ] {
        ratios(&mut out, subjects, measured, title, pick);
    }
    out
}

/// How often as good as each crate, in the median of the rounds. A crate that was measured in several ways
/// counts by what was best in the round.
fn ratios(
    out: &mut String,
    subjects: &[&Subject],
    measured: &Measured,
    title: &str,
    pick: fn(&Turn) -> f64,
) {
    let mut crates: Vec<(&str, Vec<usize>)> = Vec::new();
    for (at, subject) in subjects.iter().enumerate() {
        if subject.kind == Kind::Peer {
            let name = subject.name.split(' ').next().unwrap_or_default();
            match crates.iter_mut().find(|known| known.0 == name) {
                Some(known) => known.1.push(at),
                None => crates.push((name, vec![at])),
            }
        }
    }
    if crates.is_empty() {
        return;
    }
    let names: Vec<&str> = crates.iter().map(|one| one.0).collect();
    out.push('\n');
    heading(out, title, &names);
    let ours = subjects.iter().enumerate();
    for (at, subject) in ours.filter(|(_, subject)| subject.kind == Kind::Ours) {
        row(out, &subject.name, |window| {
            let turns = &measured[window];
            let ratio = |(_, ways): &(&str, Vec<usize>)| {
                let rounds = turns[at].iter().enumerate().map(|(round, turn)| {
                    let theirs = ways.iter().map(|&way| pick(&turns[way][round]));
                    pick(turn) / theirs.fold(0.0, f64::max)
                });
                format!("{:.1}", median(rounds.collect()))
            };
            crates.iter().map(ratio).collect::<Vec<_>>().join(" | ")
        });
    }
}

fn heading(out: &mut String, title: &str, columns: &[&str]) {
    let cells: Vec<String> = WINDOWS
        .iter()
        .flat_map(|window| {
            columns
                .iter()
                .map(move |column| format!("{window}: {column}"))
        })
        .collect();
    let _ = writeln!(out, "| {title} | {} |", cells.join(" | ")); // A string takes everything.
    let _ = writeln!(out, "|---|{}", "---|".repeat(cells.len()));
}

fn row(out: &mut String, name: &str, cells: impl Fn(usize) -> String) {
    let cells: Vec<String> = (0..WINDOWS.len()).map(cells).collect();
    let _ = writeln!(out, "| {name} | {} |", cells.join(" | "));
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn decimals(value: f64) -> String {
    match value {
        0.0 => "0".into(),
        ..0.01 => format!("{value:.4}"),
        _ => format!("{value:.2}"),
    }
}

fn thousands(value: f64) -> String {
    let digits = format!("{value:.0}");
    let mut out = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}
