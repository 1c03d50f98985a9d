//! Chores of the project: `cargo x --help`.

mod lab;
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
    /// Run seeds of a hostile world: `cargo x sim raft --seeds 1000`.
    #[command(disable_help_flag = true)]
    Sim {
        /// What `quorate lab sim` takes.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Explore every schedule of a small world: `cargo x check raft`.
    #[command(disable_help_flag = true)]
    Check {
        /// What `quorate lab check` takes.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
}

fn main() -> ExitCode {
    let done = |outcome: anyhow::Result<()>| outcome.map(|()| ExitCode::SUCCESS);
    let outcome = match Arguments::parse().chore {
        Chore::Tidy => done(tidy::run()),
        Chore::Proto { check } => done(proto::run(check)),
        Chore::Sim { arguments } => lab::run("sim", &arguments),
        Chore::Check { arguments } => lab::run("check", &arguments),
    };
    match outcome {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
