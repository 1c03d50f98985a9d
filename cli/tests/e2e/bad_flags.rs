//! Flags that make no sense, and folders that are not this member's: each is refused with a sentence
//! that says what to do.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::harness::cluster::{Cluster, Settings};
use crate::harness::server;

/// Starts the first member of a cluster of one with other flags, and expects these words.
fn refused(flags: &[(&str, &str)], words: &[&str]) {
    let mut cluster = Cluster::plan(1, Settings::default());
    let member = &mut cluster.members[0];
    for (name, value) in flags {
        member.set_flag(name, value);
    }
    expect(&member.start_and_fail(), words);
}

fn expect(said: &str, words: &[&str]) {
    for word in words {
        assert!(said.contains(word), "expected {word:?} in:\n{said}");
    }
    assert!(!said.contains("panicked"), "{said}");
    let lines = said.lines().filter(|line| !line.is_empty()).count();
    assert!(lines <= 12, "{lines} lines to say what is wrong:\n{said}");
}

#[test]
fn flags_that_make_no_sense_are_refused() {
    if !server::is_ours() {
        return;
    }
    refused(
        &[("data-directory", "x")],
        &["--data-directory", "--data-dir"],
    );
    refused(
        &[("listen-client-url", "x")],
        &["--listen-client-url", "--listen-client-urls"],
    );
    refused(
        &[("election-timeout", "200")],
        &["--election-timeout", "--heartbeat-interval"],
    );
    refused(
        &[("election-timeout", "60000")],
        &["--election-timeout", "50000"],
    );
    refused(&[("heartbeat-interval", "0")], &["--heartbeat-interval"]);
    refused(
        &[("heartbeat-interval", "soon")],
        &["--heartbeat-interval", "soon"],
    );
    refused(&[("max-txn-ops", "0")], &["--max-txn-ops"]);
    refused(&[("max-request-bytes", "0")], &["--max-request-bytes"]);
    refused(&[("log-level", "loud")], &["--log-level", "loud", "info"]);
    refused(&[("protocol", "rafft")], &["--protocol", "rafft", "raft"]);
    refused(
        &[("initial-cluster-state", "old")],
        &["--initial-cluster-state", "new", "existing"],
    );
    refused(
        &[("initial-cluster-state", "existing")],
        &["--initial-cluster-state", "existing"],
    );
    refused(
        &[("listen-client-urls", "127.0.0.1:1")],
        &["--listen-client-urls", "http://"],
    );
    refused(
        &[("listen-client-urls", "http://127.0.0.1")],
        &["--listen-client-urls", "port"],
    );
    refused(
        &[("listen-client-urls", "https://127.0.0.1:1")],
        &["--listen-client-urls", "TLS"],
    );
    refused(&[("listen-peer-urls", "")], &["--listen-peer-urls"]);
    refused(&[("name", "")], &["--name"]);
    refused(&[("name", "other")], &["--initial-cluster", "other"]);
}

#[test]
fn a_wrong_list_of_members_is_refused() {
    if !server::is_ours() {
        return;
    }
    refused(
        &[("initial-cluster", "n1")],
        &["--initial-cluster", "NAME=PEER_URL"],
    );
    refused(
        &[("initial-cluster", "n2=http://127.0.0.1:1")],
        &["--initial-cluster", "n1"],
    );
    refused(
        &[("initial-cluster", "n1=http://127.0.0.1:1")],
        &["--initial-cluster", "--initial-advertise-peer-urls"],
    );
    let twice = [
        (
            "initial-cluster",
            "n1=http://127.0.0.1:1,n2=http://127.0.0.1:1",
        ),
        ("initial-advertise-peer-urls", "http://127.0.0.1:1"),
    ];
    refused(&twice, &["--initial-cluster", "n1", "n2", "same"]);
}

#[test]
fn a_port_in_use_is_said_first() {
    let mut cluster = Cluster::plan(1, Settings::default());
    let member = &mut cluster.members[0];
    for (port, flag) in [
        (member.client_port, "--listen-client-urls"),
        (member.peer_port, "--listen-peer-urls"),
    ] {
        let _taken = TcpListener::bind(("127.0.0.1", port)).expect("it was free");
        let said = member.start_and_fail();
        assert!(said.contains(&format!("127.0.0.1:{port}")), "{said}");
        if server::is_ours() {
            expect(&said, &[flag]);
            assert!(!member.folder.exists(), "nothing was created");
        }
    }
}

#[test]
fn a_folder_that_others_may_open_is_refused() {
    if !server::is_ours() {
        return;
    }
    let mut cluster = Cluster::plan(1, Settings::default());
    let member = &mut cluster.members[0];
    fs::create_dir(&member.folder).expect("the folder above exists");
    fs::set_permissions(&member.folder, fs::Permissions::from_mode(0o755)).expect("it is ours");
    expect(&member.start_and_fail(), &["chmod 700"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_folder_that_is_not_this_members_is_refused() {
    if !server::is_ours() {
        return;
    }
    let mut cluster = Cluster::start(3).await;

    // In use by a process that runs.
    let mut second = Cluster::plan(1, Settings::default());
    second.members[0].set_flag("data-dir", &cluster.members[0].folder.display().to_string());
    expect(&second.members[0].start_and_fail(), &["another process"]);

    cluster.kill_all();
    let folders: Vec<String> = cluster
        .members
        .iter()
        .map(|member| member.folder.display().to_string())
        .collect();
    let member = &mut cluster.members[0];

    member.set_flag("data-dir", &folders[1]);
    expect(
        &member.start_and_fail(),
        &[&folders[1], "member", "--name", "--data-dir"],
    );

    member.set_flag("data-dir", &folders[0]);
    member.set_flag("initial-cluster-token", "another");
    expect(
        &member.start_and_fail(),
        &[&folders[0], "cluster", "--initial-cluster-token"],
    );

    member.set_flag("initial-cluster-token", "etcd-cluster");
    let identity = Path::new(&folders[0]).join("identity");
    let intact = fs::read(&identity).expect("the identity is there");
    fs::write(&identity, of_a_newer_format(&intact)).expect("it is ours");
    expect(&member.start_and_fail(), &[&folders[0], "format", "newer"]);

    let mut broken = intact.clone();
    broken[20] ^= 1;
    let copy = Path::new(&folders[0]).join("identity.copy");
    for file in [&identity, &copy] {
        fs::write(file, &broken).expect("it is ours");
    }
    expect(&member.start_and_fail(), &["identity", "damaged"]);

    // None of this has changed anything, and one of the two will do.
    fs::write(&copy, &intact).expect("it is ours");
    cluster.start_all().await;
    assert_eq!(fs::read(&identity).expect("it is there"), intact);
}

/// The same identity as a program of the future would write it: see `docs/file-format.md`.
fn of_a_newer_format(identity: &[u8]) -> Vec<u8> {
    let mut newer = identity.to_vec();
    newer[8..12].copy_from_slice(&1000_u32.to_le_bytes());
    let crc = crc32c::crc32c_append(crc32c::crc32c(&newer[..12]), &newer[16..]);
    newer[12..16].copy_from_slice(&crc.to_le_bytes());
    newer
}
