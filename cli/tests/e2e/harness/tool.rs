//! Command-line clients: our own, and etcd's where there is one.

use std::path::PathBuf;
use std::process::Stdio;

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};

use super::{PATIENCE, server};

/// Names the etcdctl to use instead of the one on the PATH.
const VARIABLE: &str = "QUORATE_E2E_ETCDCTL";

/// A command-line client and the endpoints it is given.
pub(crate) struct Tool {
    program: PathBuf,
    first: Option<&'static str>,
    endpoints: String,
}

/// What a command did.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// Its exit code.
    pub(crate) code: i32,
    /// What it printed.
    pub(crate) out: String,
    /// What it complained about.
    pub(crate) err: String,
}

impl Tool {
    /// `quorate recover`, which needs nobody's endpoint.
    pub(crate) fn recover() -> Tool {
        Tool {
            program: server::quorate().get_program().into(),
            first: Some("recover"),
            endpoints: String::new(),
        }
    }

    /// `quorate member`.
    pub(crate) fn member(endpoints: &[String]) -> Tool {
        Tool {
            first: Some("member"),
            ..Tool::ours(endpoints)
        }
    }

    /// `quorate ctl`.
    pub(crate) fn ours(endpoints: &[String]) -> Tool {
        Tool {
            program: server::quorate().get_program().into(),
            first: Some("ctl"),
            endpoints: endpoints.join(","),
        }
    }

    /// `etcdctl`, if it is installed; otherwise says that something is left out.
    pub(crate) fn etcdctl(endpoints: &[String]) -> Option<Tool> {
        let program = std::env::var_os(VARIABLE).map_or_else(on_path, |path| Some(path.into()));
        if program.is_none() {
            eprintln!("left out: there is no etcdctl on the PATH, and {VARIABLE} names none");
        }
        // `endpoint status` of 3.4 sends the whole URL as the authority of its requests, which is
        // none, and is refused as HTTP/2 wants it.
        let endpoints: Vec<&str> = endpoints
            .iter()
            .map(|url| url.trim_start_matches("http://"))
            .collect();
        Some(Tool {
            program: program?,
            first: None,
            endpoints: endpoints.join(","),
        })
    }

    /// Runs a command.
    pub(crate) async fn run(&self, arguments: &[&str]) -> Outcome {
        self.run_with(arguments, "").await
    }

    /// Runs a command and expects that it succeeds: what it printed, without empty lines.
    pub(crate) async fn lines(&self, arguments: &[&str]) -> Vec<String> {
        self.run(arguments).await.lines()
    }

    /// Runs a command and expects that it succeeds and prints one JSON object.
    pub(crate) async fn json(&self, arguments: &[&str]) -> serde_json::Value {
        let outcome = self.run(&[arguments, &["--write-out=json"]].concat()).await;
        assert_eq!(outcome.code, 0, "{outcome:?}");
        serde_json::from_str(&outcome.out).unwrap_or_else(|error| panic!("{error}: {outcome:?}"))
    }

    /// Runs a command that reads this from standard input.
    pub(crate) async fn run_with(&self, arguments: &[&str], input: &str) -> Outcome {
        let mut process = self
            .command(arguments)
            .spawn()
            .expect("the program is there");
        let mut stdin = process.stdin.take().expect("it is a pipe");
        let run = async {
            // A command that does not read may have ended already.
            let _ = stdin.write_all(input.as_bytes()).await;
            drop(stdin);
            process
                .wait_with_output()
                .await
                .expect("a child can be waited for")
        };
        let output = tokio::time::timeout(PATIENCE, run).await;
        let output = output.unwrap_or_else(|_| panic!("{arguments:?} does not end"));
        Outcome {
            code: output.status.code().unwrap_or(-1),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// Starts a command that goes on: its process, which ends with the value, and its lines.
    pub(crate) fn follow(&self, arguments: &[&str]) -> (Child, Lines<BufReader<ChildStdout>>) {
        let mut process = self
            .command(arguments)
            .spawn()
            .expect("the program is there");
        let stdout = process.stdout.take().expect("it is a pipe");
        (process, BufReader::new(stdout).lines())
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        let endpoints = match self.endpoints.is_empty() {
            true => None,
            false => Some(format!("--endpoints={}", self.endpoints)),
        };
        command
            .args(self.first)
            .args(endpoints)
            .args(arguments)
            .env("ETCDCTL_API", "3")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        command
    }
}

impl Outcome {
    /// What was printed by a command that succeeded, without empty lines.
    pub(crate) fn lines(&self) -> Vec<String> {
        assert_eq!(self.code, 0, "{self:?}");
        self.out
            .lines()
            .filter(|line| !line.is_empty())
            .map(str::to_owned)
            .collect()
    }
}

fn on_path() -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let mut found = std::env::split_paths(&path).map(|folder| folder.join("etcdctl"));
    found.find(|program| program.is_file())
}
