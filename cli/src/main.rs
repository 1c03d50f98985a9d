//! The binary `quorate`: server, cluster, command line client and load generator.
//!
//! Exit codes: 0 if what was asked was done, 1 if it failed, 2 if the command line makes no sense, 3 if a member
//! ends because it was removed from its cluster.
#![forbid(unsafe_code)]

mod cluster;
mod ctl;
mod duration;
mod failure;
mod go_flags;
mod member;
mod recover;
mod serve;
mod snapshot;

use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};
use clap_complete::Shell;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// A replicated key-value service with the etcd v3 API.
#[derive(Parser)]
#[command(name = "quorate", version, arg_required_else_help = true)]
#[command(
    after_help = "Exit codes: 0 done, 1 failed, 2 the command line makes no sense, 3 (serve) this member was removed \
                  from its cluster."
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run one member of a cluster, with the flags of etcd.
    Serve(Box<serve::Flags>),
    /// Run a cluster on this machine, for trying things out.
    Cluster(cluster::Flags),
    /// Read and write a cluster, with the options of etcdctl.
    Ctl(ctl::Flags),
    /// Change who takes part in a cluster, in safe steps.
    Member(member::Flags),
    /// Back a cluster up, and begin a new one with what was backed up.
    Snapshot(snapshot::Flags),
    /// Begin a new cluster with what one member has, when a majority is gone for good.
    Recover(recover::Flags),
    /// Measure a cluster, with the options of etcd's benchmark tool.
    Bench(quorate_bench::Flags),
    /// Look at protocols: short named runs with pictures, searches for violations, verdicts on
    /// histories.
    Lab(quorate_lab::command::Lab),
    /// Print the script that completes this command in a shell.
    Completions {
        /// The shell to complete in.
        shell: Shell,
    },
    /// Print the version.
    Version,
}

fn main() -> ExitCode {
    let arguments = go_flags::with_two_dashes(std::env::args_os());
    let outcome = match Cli::parse_from(arguments).command {
        Command::Serve(flags) => serve::run(&flags),
        Command::Cluster(flags) => cluster::run(&flags),
        Command::Ctl(flags) => ctl::run(flags),
        Command::Member(flags) => member::run(&flags),
        Command::Snapshot(flags) => snapshot::run(flags),
        Command::Recover(flags) => recover::run(&flags),
        Command::Bench(flags) => quorate_bench::run(flags),
        Command::Lab(lab) => match lab.run() {
            Ok(true) => Ok(()),
            Ok(false) => Err(failure::Silent.into()),
            // What the lab cannot do, it cannot do because of what it was given.
            Err(error) => failure::usage(format!("{error:#}")),
        },
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "quorate", &mut script);
            failure::print(&script)
        }
        Command::Version => {
            let version = concat!("quorate ", env!("CARGO_PKG_VERSION"), "\n");
            failure::print(version.as_bytes())
        }
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => failure::report(&error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_mistyped_word_is_answered_with_the_nearest_known_one() {
        for (line, nearest) in [
            ("quorate ctll get a", "'ctl'"),
            ("quorate ctl gett a", "'get'"),
            ("quorate ctl get a --prefx", "'--prefix'"),
            ("quorate ctl --endpoint=x get a", "'--endpoints'"),
            ("quorate ctl lease grand 5", "'grant'"),
            (
                "quorate ctl get a --consistency x",
                "[possible values: l, s]",
            ),
            ("quorate bench putt", "'put'"),
            ("quorate bench put --client 5", "'--clients'"),
            ("quorate completions bush", "'bash'"),
        ] {
            let error = Cli::try_parse_from(line.split(' '))
                .err()
                .map(|error| error.to_string())
                .unwrap_or_default();
            assert!(error.contains(nearest), "{line:?} gave: {error}");
        }
    }

    #[test]
    fn every_shell_gets_a_completion_script() {
        for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "quorate", &mut script);
            let script = String::from_utf8(script).expect("scripts are text");
            assert!(script.contains("timetolive"), "{shell} lacks a subcommand");
        }
    }
}
