//! The server: gRPC and a little plain HTTP on the same ports.

mod connection;
mod front;
mod health;
mod http;
mod link;
mod metrics;
mod stats;

use std::sync::Arc;
use std::time::Duration;

use quorate_core::NodeId;
use quorate_service::Service;
use quorate_service::command::Rules;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;

use crate::compactor::{self, Retention};
use crate::context::Context;
use connection::Connections;
use front::Front;
pub use metrics::{Metric, MetricKind, MetricSource};

/// How long we wait before accepting again after that failed, which it does when the process has
/// no file descriptors left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// How much longer than its time of grace a connection may take to end.
const STOP_SLACK: Duration = Duration::from_millis(500);
/// What gRPC may receive beyond the largest request: requests between the two are refused with
/// etcd's own words.
const RECEIVE_SLACK: usize = 512 * 1024;

/// Whether a member is there, as far as this one can tell.
pub type Connected = Arc<dyn Fn(NodeId) -> bool + Send + Sync>;

/// What an operator should know of a member, in sentences.
pub type Complaints = Arc<dyn Fn() -> Vec<String> + Send + Sync>;

/// How a server presents itself, and what it puts up with.
#[derive(Clone)]
pub struct ServerOptions {
    /// The cluster's id, in every header.
    pub cluster_id: u64,
    /// Our id, in every header.
    pub member_id: u64,
    /// The version that we report: clients switch features on by it.
    pub version: String,
    /// The version of the cluster that we report.
    pub cluster_version: String,
    /// How many comparisons, or operations per branch, a transaction may have.
    pub txn_ops_max: usize,
    /// How large a request may be, bytes.
    pub request_bytes_max: usize,
    /// Leases live at least one and a half of these; streams that want a leader outlive three
    /// without one.
    pub election_timeout: Duration,
    /// How many connections there may be at a time; more are closed at once.
    pub connections_max: usize,
    /// How many calls one connection may have under way; more wait at the client.
    pub streams_per_connection_max: u32,
    /// How long a connection may take to say what it wants.
    pub handshake_timeout: Duration,
    /// How often a quiet connection is asked whether it is still there.
    pub keepalive_interval: Duration,
    /// How long it may take to answer that.
    pub keepalive_timeout: Duration,
    /// How long calls under way may take to finish when the server stops.
    pub shutdown_grace: Duration,
    /// What changes of the list of members must respect.
    pub rules: Rules,
    /// Whether another member has been connected with this one for some time.
    pub connected: Connected,
    /// How much history is kept, if it is forgotten by itself.
    pub retention: Option<Retention>,
    /// What else the status tells among its errors.
    pub complaints: Complaints,
    /// What else `/metrics` tells.
    pub metrics: Vec<MetricSource>,
}

impl ServerOptions {
    /// Options with etcd's defaults.
    #[must_use]
    pub fn new(cluster_id: u64, member_id: u64) -> ServerOptions {
        ServerOptions {
            cluster_id,
            member_id,
            version: "3.5.16".to_owned(),
            cluster_version: "3.5.0".to_owned(),
            txn_ops_max: 128,
            request_bytes_max: 1_572_864,
            election_timeout: Duration::from_millis(1000),
            connections_max: 10_000,
            streams_per_connection_max: 250,
            handshake_timeout: Duration::from_secs(10),
            keepalive_interval: Duration::from_secs(2 * 60 * 60),
            keepalive_timeout: Duration::from_secs(20),
            shutdown_grace: Duration::from_secs(2),
            rules: Rules::default(),
            complaints: Arc::new(Vec::new),
            connected: Arc::new(|_| true),
            retention: None,
            metrics: Vec::new(),
        }
    }

    /// How large a message may be for gRPC to receive it.
    pub(crate) fn receive_bytes_max(&self) -> usize {
        self.request_bytes_max.saturating_add(RECEIVE_SLACK)
    }
}

/// Serves on all listeners until `shutdown`; then lets calls under way finish, for a while, and ends
/// streams.
pub async fn serve(
    listeners: Vec<TcpListener>,
    service: Service,
    options: ServerOptions,
    shutdown: impl Future<Output = ()>,
) {
    let (stop, stopping) = watch::channel(false);
    let mut compacting = JoinSet::new();
    if let Some(retention) = options.retention {
        let me = NodeId(options.member_id);
        compacting.spawn(compactor::run(service.clone(), me, retention));
    }
    let grace = options.shutdown_grace;
    let room = Arc::new(Semaphore::new(options.connections_max));
    let front = Front::new(Context::new(service, options.clone(), stopping.clone())).await;
    let connections = Arc::new(Connections::new(front, &options, stopping));

    let mut accepting = JoinSet::new();
    for listener in listeners {
        accepting.spawn(accept(
            listener,
            Arc::clone(&connections),
            Arc::clone(&room),
        ));
    }
    shutdown.await;
    compacting.shutdown().await;
    accepting.shutdown().await;
    // The receivers are in the contexts of connections that are still there, if any.
    let _ = stop.send(true);
    let all = u32::try_from(connections.max()).unwrap_or(u32::MAX);
    // Each connection ends itself within the time of grace.
    let patience = grace + STOP_SLACK;
    if tokio::time::timeout(patience, room.acquire_many(all))
        .await
        .is_err()
    {
        tracing::warn!("some connections did not end");
    }
}

/// Accepts connections until dropped.
async fn accept(listener: TcpListener, connections: Arc<Connections>, room: Arc<Semaphore>) {
    loop {
        let stream: TcpStream = match listener.accept().await {
            Ok((stream, _from)) => stream,
            Err(error) => {
                tracing::warn!(%error, "could not accept a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let Ok(permit) = Arc::clone(&room).try_acquire_owned() else {
            tracing::warn!(
                max = connections.max(),
                "too many connections, one was closed"
            );
            continue;
        };
        let connections = Arc::clone(&connections);
        tokio::spawn(async move {
            connections.serve(stream).await;
            drop(permit);
        });
    }
}
