//! Where log lines go: standard error, as etcd does, for people or for machines.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

use super::flags::{LogFormat, LogLevel};

/// Starts logging for the rest of the process.
pub(crate) fn start(level: LogLevel, format: LogFormat) {
    let level = match level {
        LogLevel::Debug => "debug",
        LogLevel::Info => "info",
        LogLevel::Warn => "warn",
        LogLevel::Error | LogLevel::Panic | LogLevel::Fatal => "error",
    };
    // Libraries below us have little to say to an operator, and much at debug level.
    let filter = EnvFilter::new(format!(
        "warn,quorate={level},quorate_runtime={level},quorate_service={level},quorate_etcd={level}"
    ));
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal());
    match format {
        LogFormat::Console => lines.with_target(false).init(),
        LogFormat::Json => lines.json().flatten_event(true).init(),
    }
}
