//! `quorate-bench compare`, on Quorate alone, for one row.

use std::fs;

use clap::Parser;

use crate::harness::{ports, server};

/// The command line of the binary `quorate-bench`, which belongs to another package and need not be
/// built when these tests run.
#[derive(Parser)]
struct Line {
    #[command(subcommand)]
    command: quorate_bench::Command,
}

#[test]
fn one_row_is_measured_and_kept() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let kept = folder.path().join("kept.json");
    let quorate = server::quorate();
    let flags = [
        "--quick".to_owned(),
        "--alone".to_owned(),
        "--rows=lease".to_owned(),
        "--members=1".to_owned(),
        "--json".to_owned(),
        format!("--quorate={}", quorate.get_program().display()),
        format!("--dir={}", folder.path().display()),
        format!("--keep={}", kept.display()),
        format!("--port={}", ports::free_block(2)),
    ];
    let words = ["quorate-bench", "compare"].map(str::to_owned);
    let line = Line::parse_from(words.into_iter().chain(flags));
    line.command.run().expect("it measures");
    let results = fs::read_to_string(&kept).expect("it keeps what it measured");
    let results: serde_json::Value = serde_json::from_str(&results).expect("as JSON");
    let samples = results["samples"].as_array().expect("a list of samples");
    let grants = samples
        .iter()
        .find(|sample| sample["row"] == "lease grant, 64 clients");
    let grants = grants.expect("leases were granted");
    assert_eq!(grants["system"], "quorate");
    for metric in ["per_second", "p50", "p99"] {
        assert!(
            grants["values"][metric].as_f64() > Some(0.0),
            "{metric}: {grants}"
        );
    }
    // Nothing is left of the server's folder.
    let left = fs::read_dir(folder.path()).expect("the folder exists");
    assert_eq!(left.count(), 1, "only what was kept");
}
