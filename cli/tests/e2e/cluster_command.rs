//! `quorate cluster`: a whole cluster with one command.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Child;

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::harness::client::{self, Client, bounded};
use crate::harness::member::{spawn, wait};
use crate::harness::{PATIENCE, eventually, ports, server};

/// The command at work.
struct Command {
    process: Child,
    folder: TempDir,
    port: u16,
}

impl Command {
    async fn start() -> Command {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let port = ports::free_block(6);
        let mut command = Command {
            process: run(folder.path(), port),
            folder,
            port,
        };
        command.ready().await;
        command
    }

    /// Starts it once more.
    async fn again(&mut self) {
        self.process = run(self.folder.path(), self.port);
        self.ready().await;
    }

    async fn ready(&mut self) {
        eventually("the command says that it serves", async || {
            let ended = self.process.try_wait().expect("a child can be asked");
            assert!(ended.is_none(), "it ended:\n{}", said(self.folder.path()));
            said(self.folder.path()).contains("serving").then_some(())
        })
        .await;
    }

    /// The value that it prints for `ETCDCTL_ENDPOINTS`.
    fn endpoints(&self) -> Vec<String> {
        let said = said(self.folder.path());
        let (_, rest) = said
            .split_once("ETCDCTL_ENDPOINTS=")
            .expect("endpoints are printed");
        let list = rest.lines().next().expect("a value");
        list.trim()
            .split(',')
            .map(|endpoint| format!("http://{endpoint}"))
            .collect()
    }

    /// The rows of the table that it prints: for each member its process and its data.
    fn members(&self) -> Vec<(i32, PathBuf)> {
        let said = said(self.folder.path());
        let rows = said
            .lines()
            .filter(|line| line.starts_with('n') && line.contains("http://127.0.0.1:"));
        rows.map(|row| {
            let columns: Vec<&str> = row.split_whitespace().collect();
            let [_, _, process, data] = columns[..] else {
                panic!("{row}")
            };
            (process.parse().expect("a process id"), data.into())
        })
        .collect()
    }

    async fn client(&self, at: usize) -> Client {
        client::connect(&self.endpoints()[at]).await
    }

    fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.process.id()).expect("a process id");
        send(pid, signal);
    }

    /// Nobody listens on any of its ports any more.
    async fn is_gone(&self) {
        eventually("all members have ended", async || {
            let mut ports = self.port..self.port + 6;
            ports
                .all(|port| std::net::TcpStream::connect(("127.0.0.1", port)).is_err())
                .then_some(())
        })
        .await;
    }
}

impl Drop for Command {
    fn drop(&mut self) {
        for (process, _) in self.members() {
            if let Some(pid) = Pid::from_raw(process)
                && self.process.try_wait().is_ok_and(|status| status.is_none())
            {
                let _ = kill_process(pid, Signal::KILL);
            }
        }
        let _ = self.process.kill();
        let _ = self.process.wait();
        if std::thread::panicking() {
            eprintln!("--- quorate cluster said\n{}", said(self.folder.path()));
        }
    }
}

fn run(folder: &Path, port: u16) -> Child {
    let output = File::create(folder.join("output")).expect("the folder is there");
    let mut command = server::quorate();
    command.arg("cluster");
    command.arg(format!("--data-dir={}", folder.join("data").display()));
    command.arg(format!("--base-port={port}"));
    spawn(&mut command, &output)
}

fn said(folder: &Path) -> String {
    fs::read_to_string(folder.join("output")).unwrap_or_default()
}

fn send(process: i32, signal: Signal) {
    let pid = Pid::from_raw(process).expect("a process id");
    kill_process(pid, signal).expect("it is ours and runs");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_serves_until_interrupted_and_has_its_data_when_started_again() {
    let mut command = Command::start().await;
    assert_eq!(command.endpoints().len(), 3);
    assert_eq!(command.members().len(), 3);
    for (_, folder) in command.members() {
        assert!(folder.is_dir(), "{} is where the data is", folder.display());
    }
    for at in 0..3 {
        let mut client = command.client(at).await;
        bounded(client.put(format!("k{at}"), "v", None))
            .await
            .expect("acknowledged");
    }
    for signal in [Signal::INT, Signal::TERM] {
        command.signal(signal);
        let status = wait(&mut command.process, PATIENCE).expect("it ends when interrupted");
        assert_eq!(status.code(), Some(0), "{}", said(command.folder.path()));
        command.is_gone().await;
        command.again().await;
        let mut client = command.client(1).await;
        for at in 0..3 {
            let found = bounded(client.get(format!("k{at}"), None))
                .await
                .expect("it serves");
            assert_eq!(found.kvs()[0].value(), b"v");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_goes_on_with_two_of_three_and_says_how_to_start_the_third() {
    let command = Command::start().await;
    let (first, _) = command.members()[0];
    send(first, Signal::KILL);
    eventually("it says that a member has ended", async || {
        said(command.folder.path())
            .contains("n1 has ended")
            .then_some(())
    })
    .await;
    let mut client = command.client(1).await;
    eventually("the others serve", async || {
        bounded(client.put("k", "v", None)).await.ok()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_member_outlives_it() {
    let mut command = Command::start().await;
    command.signal(Signal::KILL);
    wait(&mut command.process, PATIENCE).expect("nothing outlives that signal");
    command.is_gone().await;
    command.again().await;
}

#[test]
fn a_port_in_use_is_said_before_anything_starts() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let port = ports::free_block(6);
    let _taken = std::net::TcpListener::bind(("127.0.0.1", port + 3)).expect("it was free");
    let mut process = run(folder.path(), port);
    let status = wait(&mut process, PATIENCE).expect("it ends");
    assert!(!status.success());
    let said = said(folder.path());
    assert!(
        said.contains(&format!("{}", port + 3)) && said.contains("--base-port"),
        "{said}"
    );
}
