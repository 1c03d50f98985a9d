//! Whoever can reach the ports can send anything; the cluster goes on serving.

use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng, RngExt, SeedableRng};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::harness::client::bounded;
use crate::harness::cluster::{Cluster, Settings};
use crate::harness::{eventually, server};
use crate::history::load::{Load, PREFIX};
use crate::history::verdict::judge;
use crate::history::watcher::Watcher;

/// Sends these bytes, waits a moment for what comes back, and hangs up.
async fn send(port: u16, bytes: &[u8]) {
    let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)).await else {
        panic!("nobody listens on {port} any more");
    };
    // It may hang up as soon as it has seen enough.
    let _ = stream.write_all(bytes).await;
    let mut answer = [0; 1024];
    let _ = tokio::time::timeout(Duration::from_millis(20), stream.read(&mut answer)).await;
}

/// Things that are not what is spoken here, some of them nearly.
fn garbage(random: &mut StdRng) -> Vec<Vec<u8>> {
    let mut noise = vec![0; 100_000];
    random.fill_bytes(&mut noise);
    let mut http2 = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    http2.extend_from_slice(&noise[..1000]);
    // A frame of HTTP/2 that says it is 16 MiB long.
    let mut oversized = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0".to_vec();
    oversized.extend_from_slice(b"\xff\xff\xff\0\0\0\0\0\x01");
    oversized.extend_from_slice(&noise[..5000]);
    let mut header = b"GET /health HTTP/1.1\r\nhost: x\r\nx: ".to_vec();
    header.resize(1 << 20, b'a');
    vec![
        Vec::new(),
        vec![0],
        vec![0xff; 64],
        vec![0; 70_000],
        vec![0xff; 1 << 20],
        noise[..7].to_vec(),
        noise,
        http2,
        oversized,
        header,
        b"GET / HTTP/1.1\r\n\r\n".to_vec(),
        b"POST /v3/kv/put HTTP/1.1\r\ncontent-length: 99999999999\r\n\r\n{".to_vec(),
        b"SSH-2.0-OpenSSH_9.2\r\n".to_vec(),
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".to_vec(),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn garbage_at_every_port_disturbs_nobody() {
    let mut cluster = Cluster::start(3).await;
    let load = Load::begin(&cluster.endpoints());
    let watchers = vec![Watcher::begin("a watcher", &cluster.endpoints(), PREFIX, 1)];
    let ports: Vec<u16> = cluster
        .members
        .iter()
        .flat_map(|member| [member.client_port, member.peer_port])
        .collect();
    let mut random = StdRng::seed_from_u64(7);
    // Connections that say nothing, or half of something, and stay.
    let mut held = Vec::new();
    for port in &ports {
        for start in [&b""[..], b"P", b"QUOR", b"PRI * HTTP/2.0\r\n"] {
            let mut stream = TcpStream::connect(("127.0.0.1", *port))
                .await
                .expect("it listens");
            stream.write_all(start).await.expect("it takes a few bytes");
            held.push(stream);
        }
    }
    for _ in 0..3 {
        for bytes in garbage(&mut random) {
            for port in &ports {
                send(*port, &bytes).await;
            }
        }
        load.progress(10).await;
    }
    judge(&mut cluster, load, watchers).await;
    drop(held);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_peers_really_say_is_refused_once_it_is_bent() {
    let mut cluster = Cluster::start(3).await;
    let load = Load::begin(&cluster.endpoints());
    // Something that listens where a member should be hears how members speak.
    let away = 2;
    cluster.members[away].kill();
    let port = cluster.members[away].peer_port;
    let listener = eventually("the port is free", async || {
        tokio::net::TcpListener::bind(("127.0.0.1", port))
            .await
            .ok()
    })
    .await;
    let mut heard = Vec::new();
    for _ in 0..4 {
        let accepted = tokio::time::timeout(Duration::from_secs(10), listener.accept()).await;
        let (mut stream, _) = accepted
            .expect("a member calls")
            .expect("it can be accepted");
        let mut words = vec![0; 4096];
        let length = tokio::time::timeout(Duration::from_secs(1), stream.read(&mut words)).await;
        words.truncate(length.map_or(0, |read| read.unwrap_or(0)));
        heard.push(words);
    }
    drop(listener);
    let mut random = StdRng::seed_from_u64(11);
    for words in heard.iter().filter(|words| !words.is_empty()) {
        for _ in 0..40 {
            let mut bent = words.clone();
            let at = random.random_range(0..bent.len());
            bent[at] ^= 1 << random.random_range(0..8);
            // What would follow if it were accepted.
            let mut tail = [0; 300];
            random.fill_bytes(&mut tail);
            bent.extend_from_slice(&tail);
            for member in cluster.members.iter().filter(|member| member.is_running()) {
                send(member.peer_port, &bent).await;
            }
        }
    }
    // The member they were meant for takes the first words for a peer's, and then hears nonsense.
    cluster.start_one(away).await;
    for words in &heard {
        for length in [1, 12, 300, 70_000] {
            let mut tail = vec![0; length];
            random.fill_bytes(&mut tail);
            send(port, &[words.as_slice(), &tail].concat()).await;
            send(port, &[words.as_slice(), &vec![0xff; length]].concat()).await;
            send(port, &[words.as_slice(), &vec![0; length]].concat()).await;
        }
    }
    load.progress(30).await;
    judge(&mut cluster, load, Vec::new()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_of_another_cluster_is_turned_away() {
    let mut cluster = Cluster::start(3).await;
    let load = Load::begin(&cluster.endpoints());
    load.progress(30).await;
    // It thinks that two members of our cluster are its own.
    let mut stranger = Cluster::plan(1, Settings::default());
    let mut initial = crate::harness::cluster::initial_cluster(&stranger.members);
    for member in &cluster.members[1..] {
        initial.push_str(&format!(",{}={}", member.name, member.peer_url()));
    }
    stranger.members[0].set_flag("initial-cluster", &initial);
    stranger.members[0].set_flag("initial-cluster-token", "another");
    stranger.members[0].start();
    eventually("someone says that the clusters differ", async || {
        let mut said = stranger.members[0].last_words(200);
        for member in &cluster.members {
            said.push_str(&member.last_words(200));
        }
        let words = ["--protocol on both", "cluster ID mismatch"];
        words.iter().any(|word| said.contains(word)).then_some(())
    })
    .await;
    load.progress(100).await;
    let mut client = stranger.client(0).await;
    assert!(
        bounded(client.get("x", None)).await.is_err(),
        "it has no quorum of its own"
    );
    if server::is_ours() {
        assert!(
            stranger.members[0].ended().is_none(),
            "it waits, in case the other side is put right"
        );
    }
    judge(&mut cluster, load, Vec::new()).await;
}
