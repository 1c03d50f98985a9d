//! `quorate cluster`: several members on this machine, for trying things out.
//!
//! Every member is a process of its own, so that one can be killed, paused and started again as in
//! earnest.

use std::fs::{self, File};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use crate::serve::Protocol;
use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use rustix::process::{Pid, Signal, kill_process};
use tokio::signal::unix::{SignalKind, signal};

/// The most members that `quorate cluster` starts.
const MEMBERS_MAX: u16 = 9;
/// How often it looks whether a member has ended.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// How long a member may take to say that it serves.
const START_TIMEOUT: Duration = Duration::from_secs(60);

/// Run a cluster on this machine, one process for each member, until Ctrl-C.
#[derive(Args, Clone, Debug)]
pub(crate) struct Flags {
    /// How many members.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=i64::from(MEMBERS_MAX)))]
    members: u16,

    /// Where the members keep their data, a folder for each.
    #[arg(long, default_value = "quorate.cluster", value_name = "DIR")]
    data_dir: PathBuf,

    /// The first member's client port; its peer port is the next, and so on.
    #[arg(long, default_value_t = 2379, value_name = "PORT")]
    base_port: u16,

    /// How the members agree on an order.
    #[arg(long, default_value = "raft", value_enum, value_name = "PROTOCOL")]
    protocol: Protocol,

    /// How often a leader says that it is alive, milliseconds.
    #[arg(long, default_value_t = 100, value_name = "MS")]
    heartbeat_interval: u64,

    /// How long the others wait for that before they elect a leader, milliseconds.
    #[arg(long, default_value_t = 1000, value_name = "MS")]
    election_timeout: u64,
}

/// One member and its process.
struct Member {
    name: String,
    client_url: String,
    folder: PathBuf,
    log: PathBuf,
    arguments: Vec<String>,
    process: Option<Child>,
}

/// Runs the command until a signal, or until every member has ended.
pub(crate) fn run(flags: &Flags) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(supervise(flags))
}

async fn supervise(flags: &Flags) -> Result<()> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut members = plan(flags)?;
    for member in &mut members {
        member.start()?;
    }
    let ready = tokio::select! {
        ready = wait_until_ready(&mut members) => Some(ready),
        _ = interrupt.recv() => None,
        _ = terminate.recv() => None,
    };
    let Some(Ok(())) = ready else {
        stop(&mut members).await?;
        return ready.unwrap_or(Ok(()));
    };
    print_members(&members);
    loop {
        tokio::select! {
            _ = interrupt.recv() => break,
            _ = terminate.recv() => break,
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
        for member in &mut members {
            if let Some(status) = member.ended()? {
                println!("{} has ended ({status}); start it again with", member.name);
                println!("  {}", member.command_line()?);
            }
        }
        if members.iter().all(|member| member.process.is_none()) {
            bail!(
                "every member has ended; the logs in {} say why",
                flags.data_dir.display()
            );
        }
    }
    println!("stopping");
    stop(&mut members).await
}

/// What to run, once it is certain that nothing is in the way.
fn plan(flags: &Flags) -> Result<Vec<Member>> {
    let last = u32::from(flags.base_port) + 2 * u32::from(flags.members);
    ensure!(
        last <= u32::from(u16::MAX),
        "--base-port {} leaves no room for {} members",
        flags.base_port,
        flags.members
    );
    fs::create_dir_all(&flags.data_dir)
        .with_context(|| format!("cannot create {}", flags.data_dir.display()))?;
    let root = fs::canonicalize(&flags.data_dir)?;
    let ports = |at: u16| (flags.base_port + 2 * at, flags.base_port + 2 * at + 1);
    let mut initial = Vec::new();
    for at in 0..flags.members {
        let (client, peer) = ports(at);
        for port in [client, peer] {
            TcpListener::bind(("127.0.0.1", port))
                .with_context(|| format!("port {port} is taken; choose others with --base-port"))?;
        }
        initial.push(format!("n{}=http://127.0.0.1:{peer}", at + 1));
    }
    let mut members = Vec::new();
    for at in 0..flags.members {
        let (client, peer) = ports(at);
        let name = format!("n{}", at + 1);
        let client_url = format!("http://127.0.0.1:{client}");
        let peer_url = format!("http://127.0.0.1:{peer}");
        let folder = root.join(&name);
        let options = [
            ("name", name.clone()),
            ("data-dir", folder.display().to_string()),
            ("listen-client-urls", client_url.clone()),
            ("advertise-client-urls", client_url.clone()),
            ("listen-peer-urls", peer_url.clone()),
            ("initial-advertise-peer-urls", peer_url),
            ("initial-cluster", initial.join(",")),
            ("initial-cluster-token", "quorate-cluster".to_owned()),
            ("protocol", flags.protocol.name()),
            ("heartbeat-interval", flags.heartbeat_interval.to_string()),
            ("election-timeout", flags.election_timeout.to_string()),
        ];
        let mut arguments = vec!["serve".to_owned()];
        arguments.extend(options.map(|(name, value)| format!("--{name}={value}")));
        members.push(Member {
            log: root.join(format!("{name}.log")),
            name,
            client_url,
            folder,
            arguments,
            process: None,
        });
    }
    Ok(members)
}

impl Member {
    fn start(&mut self) -> Result<()> {
        let log = File::create(&self.log)
            .with_context(|| format!("cannot write {}", self.log.display()))?;
        let process = Command::new(std::env::current_exe()?)
            .args(&self.arguments)
            // The member ends with this process, however this process ends.
            .env(
                super::serve::PARENT_VARIABLE,
                std::process::id().to_string(),
            )
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .with_context(|| format!("cannot start {}", self.name))?;
        self.process = Some(process);
        Ok(())
    }

    /// How the process ended, the first time that it is seen to have.
    fn ended(&mut self) -> Result<Option<ExitStatus>> {
        let Some(process) = &mut self.process else {
            return Ok(None);
        };
        let status = process.try_wait()?;
        if status.is_some() {
            self.process = None;
        }
        Ok(status)
    }

    fn command_line(&self) -> Result<String> {
        let program = std::env::current_exe()?;
        Ok(format!(
            "{} {}",
            program.display(),
            self.arguments.join(" ")
        ))
    }

    fn is_ready(&self) -> bool {
        let log = fs::read_to_string(&self.log).unwrap_or_default();
        log.contains(super::serve::READY)
    }
}

/// Waits until every member says that it serves.
async fn wait_until_ready(members: &mut [Member]) -> Result<()> {
    let deadline = tokio::time::Instant::now() + START_TIMEOUT;
    while !members.iter().all(Member::is_ready) {
        for member in members.iter_mut() {
            if let Some(status) = member.ended()? {
                bail!(
                    "{} did not start ({status}):\n{}",
                    member.name,
                    tail(&member.log)
                );
            }
        }
        ensure!(
            tokio::time::Instant::now() < deadline,
            "the members did not find a leader in {START_TIMEOUT:?}; their logs are beside their data"
        );
        tokio::time::sleep(LOOK_EVERY / 4).await;
    }
    Ok(())
}

fn tail(log: &Path) -> String {
    let text = fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(5)..].join("\n")
}

fn print_members(members: &[Member]) {
    println!("member  clients                 process  data");
    let mut endpoints = Vec::new();
    for member in members {
        let process = member.process.as_ref().map_or(0, Child::id);
        println!(
            "{:<6}  {:<22}  {process:<7}  {}",
            member.name,
            member.client_url,
            member.folder.display()
        );
        endpoints.push(member.client_url.trim_start_matches("http://").to_owned());
    }
    let endpoints = endpoints.join(",");
    println!("\nserving; Ctrl-C stops all members. Try, in another terminal:");
    println!("  export ETCDCTL_API=3 ETCDCTL_ENDPOINTS={endpoints}");
    println!("  quorate ctl put greeting hello    (or etcdctl put greeting hello)");
}

/// Asks every member to stop, and waits for it.
async fn stop(members: &mut [Member]) -> Result<()> {
    for member in members.iter() {
        if let Some(process) = &member.process {
            let pid = i32::try_from(process.id()).ok().and_then(Pid::from_raw);
            if let Some(pid) = pid {
                // It may have ended by itself, as it does when Ctrl-C reaches the whole group.
                let _ = kill_process(pid, Signal::TERM);
            }
        }
    }
    for member in members.iter_mut() {
        while member.process.is_some() {
            member.ended()?;
            tokio::time::sleep(LOOK_EVERY / 10).await;
        }
    }
    Ok(())
}
