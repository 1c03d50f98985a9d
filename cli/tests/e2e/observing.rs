//! What operators look at: pages on the client port, and the log.

use std::fs;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::harness::cluster::{Cluster, Settings};
use crate::harness::{PATIENCE, eventually, server};

/// A page's status and body, by HTTP/1.1 as monitoring speaks it.
pub(crate) async fn page(port: u16, path: &str) -> (u16, String) {
    let fetch = async {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
        let request =
            format!("GET {path} HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        std::io::Result::Ok(answer)
    };
    let answer = tokio::time::timeout(PATIENCE, fetch).await;
    let answer = answer.expect("it answers").expect("it listens");
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    let status = head
        .split(' ')
        .nth(1)
        .and_then(|status| status.parse().ok());
    (
        status.unwrap_or_else(|| panic!("{answer:?}")),
        body.to_owned(),
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn health_version_and_metrics_are_pages_of_the_client_port() {
    let mut cluster = Cluster::start(3).await;
    let port = cluster.members[0].client_port;
    let (status, version) = page(port, "/version").await;
    assert_eq!(status, 200);
    assert!(version.contains("\"etcdserver\":\"3."), "{version}");

    let (status, health) = page(port, "/health").await;
    assert_eq!(status, 200);
    assert!(health.contains("\"health\":\"true\""), "{health}");

    let mut client = cluster.client(0).await;
    client.put("k", "v", None).await.expect("acknowledged");
    let (status, metrics) = page(port, "/metrics").await;
    assert_eq!(status, 200);
    assert!(metrics.contains("\netcd_server_has_leader 1"), "{metrics}");
    for line in metrics
        .lines()
        .filter(|line| !line.starts_with('#') && !line.is_empty())
        // Some of etcd's help texts go on in the next line.
        .filter(|_| server::is_ours())
    {
        let value = line.rsplit(' ').next().unwrap_or_default();
        assert!(value.parse::<f64>().is_ok(), "not a sample: {line}");
    }
    assert_eq!(page(port, "/nowhere").await.0, 404);

    for other in [1, 2] {
        cluster.members[other].kill();
    }
    eventually("it says that it is not healthy", async || {
        let (status, health) = page(port, "/health").await;
        (status == 503 && health.contains("\"health\":\"false\"")).then_some(())
    })
    .await;
    eventually("it says that there is no leader", async || {
        page(port, "/metrics")
            .await
            .1
            .contains("\netcd_server_has_leader 0")
            .then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_line_of_the_log_is_an_object_if_that_is_wanted() {
    if !server::is_ours() {
        return;
    }
    let settings = Settings {
        flags: vec![
            "--log-format=json".to_owned(),
            "--log-level=debug".to_owned(),
        ],
        ..Settings::default()
    };
    let mut cluster = Cluster::start_with(3, settings).await;
    let file = cluster.members[0].log.clone();
    let log = || fs::read_to_string(&file).expect("there is a log");
    eventually("it says that it serves", async || {
        log()
            .contains("ready to serve client requests")
            .then_some(())
    })
    .await;
    cluster.members[1].kill();
    cluster.members[0].terminate();
    let log = log();
    for line in log.lines() {
        let object: serde_json::Value =
            serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        for name in ["timestamp", "level", "message"] {
            assert!(object[name].is_string(), "no {name}: {line}");
        }
    }
}
