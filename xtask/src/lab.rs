//! The searches of the lab, built for speed: `cargo x sim raft`, `cargo x check raft`.

use std::process::{Command, ExitCode};

use anyhow::{Context, Result};

/// Runs `quorate-lab VERB ARGUMENTS...` and answers with its exit status.
pub(crate) fn run(verb: &str, arguments: &[String]) -> Result<ExitCode> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let status = Command::new(cargo)
        .args([
            "run",
            "--quiet",
            "--profile",
            "search",
            "--package",
            "quorate-lab",
            "--",
            verb,
        ])
        .args(arguments)
        .status()
        .context("cannot start cargo")?;
    // Killed by a signal: neither right nor wrong, so the code for "could not be done".
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    Ok(ExitCode::from(code.unwrap_or(2)))
}
