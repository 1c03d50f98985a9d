//! How failures are told: one line on standard error with all causes, and an exit code.

use std::fmt;
use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;

/// What was asked was understood, and failed.
const FAILED: u8 = 1;
/// The command line makes no sense; clap uses the same code.
const USAGE: u8 = 2;
/// A member was removed from its cluster.
const REMOVED: u8 = 3;

/// A command line that parses and yet makes no sense. The text says what to do.
#[derive(Debug)]
pub(crate) struct Usage(pub(crate) String);

impl fmt::Display for Usage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Usage {}

/// A member that was removed from its cluster: whatever restarts it may stop doing so. The text says what to do.
#[derive(Debug)]
pub(crate) struct Removed(pub(crate) String);

impl fmt::Display for Removed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Removed {}

/// A [`Usage`] error.
pub(crate) fn usage<T>(text: impl Into<String>) -> anyhow::Result<T> {
    Err(Usage(text.into()).into())
}

/// A failure that needs no words, such as a key that was asked for and is not there.
#[derive(Debug)]
pub(crate) struct Silent;

impl fmt::Display for Silent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("failed")
    }
}

impl std::error::Error for Silent {}

/// Writes to standard output.
pub(crate) fn print(bytes: &[u8]) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(bytes)?;
    out.flush()?;
    Ok(())
}

/// Tells the error and answers the exit code.
pub(crate) fn report(error: &anyhow::Error) -> ExitCode {
    if !is_silent(error) {
        let mut out = io::stderr().lock();
        let colour = out.is_terminal() && std::env::var_os("NO_COLOR").is_none();
        let label = if colour {
            "\x1b[1;31merror:\x1b[0m"
        } else {
            "error:"
        };
        // There is nobody left to tell that standard error is gone.
        let _ = writeln!(out, "{label} {}", one_line(error));
    }
    ExitCode::from(code(error))
}

fn code(error: &anyhow::Error) -> u8 {
    let usage = error.is::<Usage>() || error.is::<quorate_bench::Usage>();
    match error.is::<Removed>() {
        true => REMOVED,
        false if usage => USAGE,
        false => FAILED,
    }
}

/// Who reads our output may stop reading: that is no news to anyone.
fn is_silent(error: &anyhow::Error) -> bool {
    let broken_pipe = |cause: &(dyn std::error::Error + 'static)| {
        cause
            .downcast_ref::<io::Error>()
            .is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
    };
    error.is::<Silent>() || error.chain().any(broken_pipe)
}

/// The error and its causes, except for a cause that the text before it tells already.
fn one_line(error: &anyhow::Error) -> String {
    let mut line = String::new();
    for cause in error.chain() {
        let text = cause.to_string();
        if line.is_empty() {
            line = text;
        } else if !line.ends_with(&text) {
            line = format!("{line}: {text}");
        }
    }
    line.replace('\n', " ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::{Context, anyhow};

    #[test]
    fn an_error_is_one_line_with_its_causes() {
        let error = anyhow!("connection refused").context("cannot read\nthe key");
        assert_eq!(one_line(&error), "cannot read the key: connection refused");
        let error = anyhow!("b").context("a: b");
        assert_eq!(one_line(&error), "a: b");
    }

    #[test]
    fn codes_tell_usage_from_failure() {
        let wrong = usage::<()>("choose one").expect_err("an error");
        assert_eq!(code(&wrong), USAGE);
        let wrong = usage::<()>("choose one")
            .context("here")
            .expect_err("an error");
        assert_eq!(code(&wrong), USAGE);
        assert_eq!(code(&anyhow!("no")), FAILED);
        assert_eq!(code(&Removed("gone".to_owned()).into()), REMOVED);
        assert!(is_silent(&Silent.into()));
        assert!(is_silent(
            &io::Error::from(io::ErrorKind::BrokenPipe).into()
        ));
        assert!(!is_silent(&anyhow!("no")));
    }
}
