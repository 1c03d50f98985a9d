//! A cluster of processes on loopback.

use std::fs::File;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::process::Signal;

use super::keeper::{self, Folder};
use super::{Admin, Programs, System, Usage};

/// How long a member may take until it serves, with whatever it has to read first.
const PATIENCE: Duration = Duration::from_secs(300);
/// How often to look.
const LOOK_EVERY: Duration = Duration::from_millis(5);
/// Both get the same room, enough for the largest load.
const QUOTA_BYTES: u64 = 16 << 30;

/// What clusters are made of and where.
#[derive(Clone, Debug)]
pub(crate) struct Setup {
    pub(crate) programs: Programs,
    /// Below which the members keep their data.
    pub(crate) root: PathBuf,
    /// From which on ports are looked for.
    pub(crate) port: u16,
}

/// A running cluster.
pub(crate) struct Cluster {
    members: Vec<Member>,
    /// What members used that have been killed.
    spent: Usage,
    /// Removed last.
    _folder: Folder,
}

struct Member {
    program: PathBuf,
    arguments: Vec<String>,
    /// Where its clients reach it, host and port.
    address: String,
    log: PathBuf,
    process: Option<Child>,
}

impl Cluster {
    /// Starts a cluster with fresh data and waits until every member serves.
    pub(crate) fn start(setup: &Setup, system: System, members: usize) -> Result<Cluster> {
        let folder = Folder::new(&setup.root, "cluster")?;
        let ports = free_ports(setup.port, 2 * members)?;
        let url = |port: u16| format!("http://127.0.0.1:{port}");
        let peers: Vec<String> = (0..members)
            .map(|at| format!("n{at}={}", url(ports[members + at])))
            .collect();
        let (program, first) = setup.programs.line(system)?;
        let mut all = Vec::new();
        for at in 0..members {
            let (client, peer) = (url(ports[at]), url(ports[members + at]));
            let mut arguments: Vec<String> = first.iter().map(|&word| word.to_owned()).collect();
            let address = format!("127.0.0.1:{}", ports[at]);
            if system.is_echo() {
                arguments.push(address.clone());
            } else {
                let data = folder.path().join(format!("n{at}"));
                arguments.extend([
                    format!("--name=n{at}"),
                    format!("--data-dir={}", data.display()),
                    format!("--listen-client-urls={client}"),
                    format!("--advertise-client-urls={client}"),
                    format!("--listen-peer-urls={peer}"),
                    format!("--initial-advertise-peer-urls={peer}"),
                    format!("--initial-cluster={}", peers.join(",")),
                    format!("--quota-backend-bytes={QUOTA_BYTES}"),
                    "--log-level=error".to_owned(),
                ]);
            }
            all.push(Member {
                program: program.clone(),
                arguments,
                address,
                log: folder.path().join(format!("n{at}.log")),
                process: None,
            });
        }
        let mut cluster = Cluster {
            members: all,
            spent: Usage::default(),
            _folder: folder,
        };
        for member in &mut cluster.members {
            member.start()?;
        }
        for at in 0..members {
            cluster.wait_until_serving(at)?;
        }
        Ok(cluster)
    }

    pub(crate) fn members(&self) -> usize {
        self.members.len()
    }

    /// Where clients reach a member.
    pub(crate) fn address(&self, at: usize) -> &str {
        &self.members[at].address
    }

    /// The addresses of all that run, the leader's first: who has one connection talks to the leader,
    /// who has many is spread over all.
    pub(crate) fn endpoints(&self) -> Result<Vec<String>> {
        let mut running = self.running();
        if running.len() > 1 {
            let leader = self.leader()?;
            running.retain(|&at| at != leader);
            running.insert(0, leader);
        }
        Ok(running
            .iter()
            .map(|&at| self.address(at).to_owned())
            .collect())
    }

    /// Which members run.
    pub(crate) fn running(&self) -> Vec<usize> {
        let all = 0..self.members.len();
        all.filter(|&at| self.members[at].process.is_some())
            .collect()
    }

    /// Who leads.
    pub(crate) fn leader(&self) -> Result<usize> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            for at in self.running() {
                if Admin::new(self.address(at)).leads().unwrap_or(false) {
                    return Ok(at);
                }
            }
            if Instant::now() > deadline {
                bail!("the cluster has no leader");
            }
            std::thread::sleep(LOOK_EVERY);
        }
    }

    /// What all processes together have used.
    pub(crate) fn usage(&self) -> Result<Usage> {
        let mut usage = self.spent;
        for process in self
            .members
            .iter()
            .filter_map(|member| member.process.as_ref())
        {
            usage = usage + Usage::of(process.id())?;
        }
        Ok(usage)
    }

    /// `kill -9`.
    pub(crate) fn kill(&mut self, at: usize) {
        self.members[at].end(Signal::KILL);
    }

    /// Starts a member that was killed.
    pub(crate) fn restart(&mut self, at: usize) -> Result<()> {
        self.members[at].start()
    }

    /// Waits until a member answers a linearizable get.
    pub(crate) fn wait_until_serving(&mut self, at: usize) -> Result<()> {
        let admin = Admin::new(&self.members[at].address);
        let deadline = Instant::now() + PATIENCE;
        loop {
            if admin.get().is_ok() {
                return Ok(());
            }
            let member = &mut self.members[at];
            let ended = match &mut member.process {
                Some(process) => process.try_wait()?,
                None => bail!("{} was not started", member.program.display()),
            };
            if let Some(status) = ended {
                bail!(
                    "{} ended, {status}: {}",
                    member.program.display(),
                    member.last_words()
                );
            }
            if Instant::now() > deadline {
                bail!(
                    "{} does not serve: {}",
                    member.program.display(),
                    member.last_words()
                );
            }
            std::thread::sleep(LOOK_EVERY);
        }
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        for member in &mut self.members {
            member.end(Signal::KILL);
        }
    }
}

impl Member {
    fn start(&mut self) -> Result<()> {
        let log = File::options().create(true).append(true).open(&self.log)?;
        let process = Command::new(&self.program)
            .args(&self.arguments)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .with_context(|| format!("cannot start {}", self.program.display()))?;
        keeper::add_process(process.id());
        self.process = Some(process);
        Ok(())
    }

    fn end(&mut self, signal: Signal) {
        if let Some(mut process) = self.process.take() {
            keeper::send(process.id(), signal);
            keeper::forget_process(process.id());
            // A child that was killed ends.
            let _ = process.wait();
        }
    }

    fn last_words(&self) -> String {
        let said = std::fs::read(&self.log).unwrap_or_default();
        let said = String::from_utf8_lossy(&said);
        let error = said.lines().rfind(|line| line.contains("error"));
        let last = said.trim_end().lines().next_back();
        let line = error.or(last).unwrap_or("it said nothing");
        line.chars().take(400).collect()
    }
}

/// So many ports on which nobody listens, from this one on.
fn free_ports(from: u16, count: usize) -> Result<Vec<u16>> {
    let mut found = Vec::new();
    for port in from..=u16::MAX {
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            found.push(port);
        }
        if found.len() == count {
            return Ok(found);
        }
    }
    bail!("there are no {count} free ports from {from} on: choose others with --port")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_that_are_taken_are_passed_over() {
        let taken = TcpListener::bind(("127.0.0.1", 0)).expect("there is a free port");
        let port = taken.local_addr().expect("it is bound").port();
        let ports = free_ports(port, 1).unwrap_or_default();
        assert!(!ports.contains(&port));
        let error = free_ports(u16::MAX, 2).expect_err("there is one port at most");
        assert!(error.to_string().contains("--port"), "{error}");
    }
}
