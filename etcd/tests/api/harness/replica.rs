//! Our server in this process: a cluster of one replica on a disk of its own.

use std::sync::Arc;
use std::time::Duration;

use quorate_core::NodeId;
use quorate_etcd::{Retention, ServerOptions, serve};
use quorate_protocols::raft::{Config, Raft};
use quorate_runtime as runtime;
use quorate_service::command::Member;
use quorate_service::machine::Machine;
use quorate_service::store::Options as StoreOptions;
use quorate_service::{ServiceOptions, Workers, assemble};
use tokio::net::TcpListener;
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::Limits;

/// Who we are.
const MEMBER: u64 = 0x8e9e_05c5_2164_694d;
const CLUSTER: u64 = 0xcdf8_18fe_bb42_4ba1;
/// As in etcd, since the shortest lease follows from it; elections themselves are quick.
const ELECTION_TIMEOUT: Duration = Duration::from_secs(1);

/// A running replica with its server.
pub(crate) struct Replica {
    address: String,
    stop: oneshot::Sender<()>,
    server: JoinHandle<()>,
    replica: runtime::Replica,
    workers: Workers,
    _data: tempfile::TempDir,
}

impl Replica {
    /// A cluster of one.
    pub(crate) async fn start(limits: Limits) -> Replica {
        Replica::start_with(&[], limits).await
    }

    /// One of a cluster of two, of which the other never comes: there will not be a leader.
    pub(crate) async fn start_alone() -> Replica {
        Replica::start_with(&[NodeId(2)], Limits::default()).await
    }

    async fn start_with(others: &[NodeId], limits: Limits) -> Replica {
        let data = tempfile::tempdir().unwrap();
        let me = NodeId(MEMBER);
        let identity = runtime::Identity {
            cluster: CLUSTER,
            member: me,
        };
        let directory = runtime::Directory::open(&data.path().join("member"), identity).unwrap();
        let storage = runtime::Storage::open(directory, 1 << 20).unwrap();

        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let mut store = StoreOptions::new(data.path());
        store.members = vec![Member {
            id: MEMBER,
            name: "default".to_owned(),
            peer_urls: vec!["http://127.0.0.1:2380".to_owned()],
            client_urls: vec![format!("http://{address}")],
            is_learner: false,
        }];
        let (machine, checkpoint) = Machine::open(store).unwrap();

        let (mailbox, waker) = runtime::mailbox::<Raft>();
        let mut options = ServiceOptions::new(me, storage.incarnation(), ELECTION_TIMEOUT);
        options.check_interval = Duration::from_millis(200);
        options.quota_bytes = limits.quota_bytes;
        if !others.is_empty() {
            options.timeout = Duration::from_millis(500);
        }
        let parts = assemble(options, machine, move || waker.wake());
        let workers = Workers::start(parts.applier, parts.flushing, |error| {
            panic!("the machine cannot go on: {error}")
        });
        let config = Config {
            heartbeat: Duration::from_millis(20),
            election_timeout: Duration::from_millis(100),
            ..Config::new([&[me], others].concat())
        };
        let replica = runtime::Replica::spawn(
            runtime::Options {
                storage,
                // Nobody listens there.
                peers: runtime::PeerList::of(
                    others.iter().map(|&id| (id, "127.0.0.1:1".to_owned())),
                ),
                introductions: Arc::new(runtime::NoIntroductions),
                listeners: Vec::new(),
                peer_options: runtime::PeerOptions::default(),
                fail_stop: runtime::FailStop::with(|reason| panic!("{reason}")),
                clock: runtime::Clock::start(),
            },
            config,
            checkpoint,
            parts.batcher,
            Arc::new(runtime::NoCheckpoints),
            mailbox,
            &Handle::current(),
        );
        let (stop, stopped) = oneshot::channel();
        let mut options = ServerOptions {
            election_timeout: ELECTION_TIMEOUT,
            retention: limits.retention.map(Retention::Time),
            ..ServerOptions::new(CLUSTER, MEMBER)
        };
        if let Some(keepalive) = limits.keepalive {
            options.keepalive_interval = keepalive;
            options.keepalive_timeout = 4 * keepalive;
        }
        let server = tokio::spawn(serve(vec![listener], parts.service, options, async {
            // Dropped or told: either way the test is over.
            let _ = stopped.await;
        }));
        Replica {
            address,
            stop,
            server,
            replica: replica.unwrap(),
            workers: workers.unwrap(),
            _data: data,
        }
    }

    pub(crate) fn address(&self) -> String {
        self.address.clone()
    }

    pub(crate) async fn stop(self) {
        self.stop.send(()).unwrap();
        self.server.await.unwrap();
        let (replica, workers) = (self.replica, self.workers);
        // Both wait for threads.
        let stopping = tokio::task::spawn_blocking(move || {
            replica.stop();
            drop(workers);
        });
        stopping.await.unwrap();
    }
}
