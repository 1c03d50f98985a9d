//! Chores of the project: `cargo x --help`.

mod tidy;

use anyhow::Result;
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
}

fn main() -> Result<()> {
    match Arguments::parse().chore {
        Chore::Tidy => tidy::run(),
    }
}
