//! One member: its flags, its folder, and at times its process.

use std::fs::{self, File, OpenOptions};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::network::Network;
use super::{LOOK_EVERY, PATIENCE, server};

/// One member of a cluster.
pub(crate) struct Member {
    /// Its name.
    pub(crate) name: String,
    /// Its address.
    pub(crate) host: String,
    /// Its clients' port.
    pub(crate) client_port: u16,
    /// Where it listens for its peers.
    pub(crate) peer_port: u16,
    /// Where its peers reach it: elsewhere if there is something between them.
    pub(crate) advertised_port: u16,
    /// Where its data is.
    pub(crate) folder: PathBuf,
    /// Where its output goes.
    pub(crate) log: PathBuf,
    /// Its flags, as `--name=value`.
    pub(crate) flags: Vec<String>,
    /// Its network, and its place there, if it has one of its own.
    pub(crate) network: Option<(Arc<Network>, usize)>,
    process: Option<Child>,
    /// How long its output was when the process was started.
    said_before: usize,
}

impl Member {
    /// A member that has not been started.
    pub(crate) fn new(root: &Path, name: &str, client_port: u16, peer_port: u16) -> Member {
        Member {
            name: name.to_owned(),
            host: "127.0.0.1".to_owned(),
            client_port,
            peer_port,
            advertised_port: peer_port,
            folder: root.join(name),
            log: root.join(format!("{name}.log")),
            flags: Vec::new(),
            network: None,
            process: None,
            said_before: 0,
        }
    }

    /// Where its clients reach it.
    pub(crate) fn client_url(&self) -> String {
        format!("http://{}:{}", self.host, self.client_port)
    }

    /// Where its peers reach it.
    pub(crate) fn peer_url(&self) -> String {
        format!("http://{}:{}", self.host, self.advertised_port)
    }

    /// The flags that say who and where it is, and what `more` says.
    pub(crate) fn set_flags(&mut self, initial_cluster: &str, more: &[String]) {
        let own = [
            ("name", self.name.clone()),
            ("data-dir", self.folder.display().to_string()),
            ("listen-client-urls", self.client_url()),
            ("advertise-client-urls", self.client_url()),
            (
                "listen-peer-urls",
                format!("http://{}:{}", self.host, self.peer_port),
            ),
            ("initial-advertise-peer-urls", self.peer_url()),
            ("initial-cluster", initial_cluster.to_owned()),
        ];
        self.flags = own
            .iter()
            .map(|(name, value)| format!("--{name}={value}"))
            .collect();
        self.flags.extend_from_slice(more);
    }

    /// Replaces one flag, or adds it.
    pub(crate) fn set_flag(&mut self, name: &str, value: &str) {
        let start = format!("--{name}=");
        self.flags.retain(|flag| !flag.starts_with(&start));
        self.flags.push(format!("{start}{value}"));
    }

    /// Whether there is a process, paused or not.
    pub(crate) fn is_running(&self) -> bool {
        self.process.is_some()
    }

    /// Starts the process; whether it serves is another question.
    pub(crate) fn start(&mut self) {
        assert!(self.process.is_none(), "{} is running already", self.name);
        self.said_before = fs::read(&self.log).unwrap_or_default().len();
        self.process = Some(self.spawn());
    }

    /// Whether it has said this since it was started.
    pub(crate) fn has_said(&self, words: &str) -> bool {
        let said = fs::read(&self.log).unwrap_or_default();
        let said = String::from_utf8_lossy(&said[self.said_before.min(said.len())..]);
        said.contains(words)
    }

    /// Starts it and expects that it ends by itself with an error: the words it said.
    pub(crate) fn start_and_fail(&mut self) -> String {
        let before = fs::read(&self.log).unwrap_or_default().len();
        let mut process = self.spawn();
        let status = wait(&mut process, PATIENCE);
        let said = String::from_utf8_lossy(&fs::read(&self.log).unwrap_or_default()[before..])
            .into_owned();
        let Some(status) = status else {
            let _ = process.kill();
            let _ = process.wait();
            panic!(
                "{} should have refused to start, and runs:\n{said}",
                self.name
            );
        };
        assert!(
            !status.success(),
            "{} ended without an error:\n{said}",
            self.name
        );
        said
    }

    fn spawn(&self) -> Child {
        let output = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&self.log)
            .expect("the folder for logs exists");
        let mut command = server::command();
        command.args(&self.flags);
        if let Some((network, at)) = &self.network {
            command = network.inside(*at, &command);
        }
        spawn(&mut command, &output)
    }

    /// `kill -9`, as a crash of the process.
    pub(crate) fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            let _ = process.kill();
            let _ = process.wait();
        }
    }

    /// `SIGTERM`, and how the process ended.
    pub(crate) fn terminate(&mut self) -> ExitStatus {
        self.signal(Signal::TERM);
        let mut process = self.process.take().expect("signal() has looked");
        let Some(status) = wait(&mut process, PATIENCE) else {
            self.process = Some(process);
            panic!("{} does not end after SIGTERM", self.name);
        };
        status
    }

    /// Stops the process in mid-air, as a long stall of its machine would.
    pub(crate) fn pause(&self) {
        self.signal(Signal::STOP);
    }

    /// Ends a pause.
    pub(crate) fn resume(&self) {
        self.signal(Signal::CONT);
    }

    /// How the process ended, if it did by itself.
    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        self.process
            .as_mut()?
            .try_wait()
            .expect("a child can be asked")
    }

    fn signal(&self, signal: Signal) {
        let process = self
            .process
            .as_ref()
            .unwrap_or_else(|| panic!("{} is not running", self.name));
        let pid = i32::try_from(process.id()).ok().and_then(Pid::from_raw);
        kill_process(pid.expect("a process has an id"), signal).expect("a child can be signalled");
    }

    /// The last lines of what it said.
    pub(crate) fn last_words(&self, lines: usize) -> String {
        let said = fs::read(&self.log).unwrap_or_default();
        let said = String::from_utf8_lossy(&said);
        let all: Vec<String> = said.lines().map(shortened).collect();
        all[all.len().saturating_sub(lines)..].join("\n")
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        self.kill();
    }
}

/// The start of a line, which may be very long.
fn shortened(line: &str) -> String {
    line.chars().take(400).collect()
}

/// Starts a process whose output goes to a file.
pub(crate) fn spawn(command: &mut Command, output: &File) -> Child {
    command
        .stdin(Stdio::null())
        .stdout(output.try_clone().expect("a file can be shared"))
        .stderr(output.try_clone().expect("a file can be shared"))
        .spawn()
        .unwrap_or_else(|error| panic!("cannot start {command:?}: {error}"))
}

/// Waits for a process to end, for so long.
pub(crate) fn wait(process: &mut Child, patience: Duration) -> Option<ExitStatus> {
    let deadline = Instant::now() + patience;
    loop {
        let status = process.try_wait().expect("a child can be asked");
        if status.is_some() || Instant::now() > deadline {
            return status;
        }
        std::thread::sleep(LOOK_EVERY);
    }
}
