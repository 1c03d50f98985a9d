//! A real etcd, to see whether the tests are right.

use std::ffi::OsStr;
use std::process::{Child, Command, Stdio};

use tokio::net::{TcpListener, TcpStream};

use super::{Limits, eventually};

/// A running etcd with its data in a folder of its own; both end with this.
pub(crate) struct Etcd {
    process: Child,
    port: u16,
    _data: tempfile::TempDir,
}

impl Etcd {
    pub(crate) async fn start(binary: &OsStr, limits: Limits) -> Etcd {
        let data = tempfile::tempdir().unwrap();
        let (port, peer_port) = (free_port().await, free_port().await);
        let url = |port: u16| format!("http://127.0.0.1:{port}");
        let mut command = Command::new(binary);
        if let Some(bytes) = limits.quota_bytes {
            command.args(["--quota-backend-bytes", &bytes.to_string()]);
        }
        if let Some(retention) = limits.retention {
            let retention = format!("{}ms", retention.as_millis());
            command.args(["--auto-compaction-retention", &retention]);
        }
        let process = command
            .arg("--data-dir")
            .arg(data.path())
            .args(["--listen-client-urls", &url(port)])
            .args(["--advertise-client-urls", &url(port)])
            .args(["--listen-peer-urls", &url(peer_port)])
            .args(["--initial-advertise-peer-urls", &url(peer_port)])
            .args(["--initial-cluster", &format!("default={}", url(peer_port))])
            .args(["--log-level", "error"])
            .stderr(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        eventually(async || TcpStream::connect(("127.0.0.1", port)).await.is_ok()).await;
        Etcd {
            process,
            port,
            _data: data,
        }
    }

    pub(crate) fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }
}

impl Drop for Etcd {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

async fn free_port() -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    listener.local_addr().unwrap().port()
}
