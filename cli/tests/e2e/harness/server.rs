//! Which program is tested.

use std::path::{Path, PathBuf};
use std::process::Command;

/// The environment variable that names another server to run the tests against.
const VARIABLE: &str = "QUORATE_E2E_SERVER";

/// The built binary, whatever server is tested.
pub(crate) fn quorate() -> Command {
    Command::new(env!("CARGO_BIN_EXE_quorate"))
}

/// The command that starts one member, without its flags.
pub(crate) fn command() -> Command {
    match other() {
        Some(program) if is_etcd(&program) => Command::new(program),
        Some(program) => serve(Command::new(program)),
        None => serve(quorate()),
    }
}

/// Whether our own server is tested; prints why the rest of a test is left out when it is not.
pub(crate) fn is_ours() -> bool {
    let ours = !other().is_some_and(|program| is_etcd(&program));
    if !ours {
        eprintln!("left out: this is about quorate, and {VARIABLE} names an etcd");
    }
    ours
}

fn serve(mut command: Command) -> Command {
    command.arg("serve");
    command
}

fn other() -> Option<PathBuf> {
    std::env::var_os(VARIABLE).map(PathBuf::from)
}

fn is_etcd(program: &Path) -> bool {
    program
        .file_name()
        .is_some_and(|name| name.to_string_lossy().starts_with("etcd"))
}
