//! `quorate-bench`: Quorate measured beside others.
//!
//! The loads by themselves, on any endpoint, are in `quorate bench`.
#![forbid(unsafe_code)]

use std::process::ExitCode;

use clap::Parser;
use quorate_bench::Command;

/// The allocator of the binary `quorate`, so that the load costs the same in both.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Measure Quorate beside etcd, and how it behaves as work grows.
///
/// To put a load on servers that run already: quorate bench.
#[derive(Parser)]
#[command(name = "quorate-bench", version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

fn main() -> ExitCode {
    match Arguments::parse().command.run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            match error.downcast_ref::<quorate_bench::Usage>() {
                Some(_) => ExitCode::from(2),
                None => ExitCode::FAILURE,
            }
        }
    }
}
