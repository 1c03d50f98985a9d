//! All measurements, side by side.

use std::process::Command;

use crate::engines::{Measured, PLAIN};

/// What is measured: the model, the threads, the order of the search, and who takes part beside
/// stateright.
const ROWS: &[(&str, usize, &str, &[&str])] = &[
    ("2pc-7", 1, "wide", &["quorate", PLAIN]),
    ("2pc-7", 2, "wide", &["quorate"]),
    ("2pc-8", 1, "wide", &["quorate", PLAIN]),
    ("2pc-8", 2, "wide", &["quorate"]),
    ("2pc-8", 1, "deep", &["quorate"]),
    ("paxos-2", 1, "wide", &["quorate", PLAIN]),
    ("paxos-2", 2, "wide", &["quorate"]),
    ("paxos-3", 1, "wide", &["quorate", PLAIN]),
    ("paxos-3", 2, "wide", &["quorate"]),
    ("abd-2", 1, "wide", &["quorate"]),
    ("abd-3", 1, "wide", &["quorate", PLAIN]),
    ("abd-3", 2, "wide", &["quorate"]),
];

/// Measures everything and prints it as Markdown.
pub(crate) fn print(repetitions: usize) -> Result<(), String> {
    println!(
        "| Model | Search | Threads | States | stateright, CPU s | here | times | stateright, s | here \
         | times | stateright, MiB | here | share |"
    );
    println!("|---|---|---|---|---|---|---|---|---|---|---|---|---|");
    for &(model, threads, order, ours) in ROWS {
        let mut best: Vec<Option<Measured>> = vec![None; ours.len() + 1];
        for _ in 0..repetitions {
            let engines = ["stateright"].iter().chain(ours);
            for (best, engine) in best.iter_mut().zip(engines) {
                let measured = measure(engine, model, threads, order)?;
                *best = Some(best.map_or(measured, |known| better(known, measured)));
            }
        }
        let mut best = best.into_iter().flatten();
        let theirs = best.next().ok_or("at least one repetition")?;
        for (engine, here) in ours.iter().zip(best) {
            if here.states != theirs.states {
                return Err(format!(
                    "{model}: {} states, stateright {}",
                    here.states, theirs.states
                ));
            }
            println!("{}", row(model, threads, order, engine, theirs, here));
        }
    }
    Ok(())
}

/// The least of everything.
fn better(one: Measured, two: Measured) -> Measured {
    Measured {
        states: one.states,
        elapsed: one.elapsed.min(two.elapsed),
        busy: one.busy.min(two.busy),
        memory_kib: one.memory_kib.min(two.memory_kib),
    }
}

fn row(
    model: &str,
    threads: usize,
    order: &str,
    engine: &str,
    theirs: Measured,
    here: Measured,
) -> String {
    let memory = |measured: Measured| measured.memory_kib as f64 / 1024.0;
    let (busy, elapsed) = (
        |measured: Measured| measured.busy.as_secs_f64(),
        |measured: Measured| measured.elapsed.as_secs_f64(),
    );
    let plain = if engine == PLAIN { ", plain" } else { "" };
    format!(
        "| {model} | {order}{plain} | {threads} | {} | {:.2} | {:.2} | {:.1} | {:.2} | {:.2} | {:.1} | {:.0} | {:.0} | {:.2} |",
        here.states,
        busy(theirs),
        busy(here),
        busy(theirs) / busy(here).max(0.01),
        elapsed(theirs),
        elapsed(here),
        elapsed(theirs) / elapsed(here),
        memory(theirs),
        memory(here),
        memory(here) / memory(theirs),
    )
}

/// Runs one measurement as a process of its own.
fn measure(engine: &str, model: &str, threads: usize, order: &str) -> Result<Measured, String> {
    let myself = std::env::current_exe().map_err(|error| error.to_string())?;
    let output = Command::new(myself)
        .args(["one", engine, model, &threads.to_string(), order])
        .output()
        .map_err(|error| error.to_string())?;
    let text = String::from_utf8_lossy(&output.stdout);
    let last = text.lines().last().unwrap_or_default();
    Measured::parse(last).ok_or_else(|| {
        let complaint = String::from_utf8_lossy(&output.stderr);
        format!("{engine} on {model}: {complaint}")
    })
}
