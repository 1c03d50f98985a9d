//! `quorate lab` by itself, without the server: what `cargo x sim` and `cargo x check` build.

use std::process::ExitCode;

use clap::Parser;
use quorate_lab::command::Lab;

#[derive(Parser)]
#[command(name = "quorate-lab", version, about)]
struct Arguments {
    #[command(flatten)]
    lab: Lab,
}

fn main() -> ExitCode {
    match Arguments::parse().lab.run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::from(2)
        }
    }
}
