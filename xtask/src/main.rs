//! Chores of the project: `cargo x --help`.

mod proto;
mod tidy;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Chores of the project.
#[derive(Parser)]
#[command(name = "cargo x", bin_name = "cargo x")]
struct Arguments {
    #[command(subcommand)]
    chore: Chore,
}

#[derive(Subcommand)]
enum Chore {
    /// Check what no compiler checks: file sizes, dependency rule, forbidden words, links in docs.
    Tidy,
    /// Generate the Rust side of `etcd/proto/*.proto`.
    Proto {
        /// Change nothing; fail if the committed output is not up to date.
        #[arg(long)]
        check: bool,
    },
}

fn main() -> ExitCode {
    let outcome = match Arguments::parse().chore {
        Chore::Tidy => tidy::run(),
        Chore::Proto { check } => proto::run(check),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
