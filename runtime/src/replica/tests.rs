//! Whole replicas of a toy protocol: real files, real sockets on loopback.

use std::collections::BTreeSet;
use std::net::TcpListener;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender};
use quorate_core::{Checkpoint, NodeId, Payload, Survival};

use super::*;
use crate::toy::{Output, Request, Toy, ToyEdge};
use crate::{Directory, Identity, NoCheckpoints, NoIntroductions, Waker, mailbox};

/// No test waits for time to pass; this is how long it waits for what must happen.
const PATIENCE: Duration = Duration::from_secs(30);

struct Running {
    replica: Replica,
    waker: Waker,
    requests: Sender<Request>,
    outputs: Receiver<Output>,
    beats: Arc<AtomicU64>,
    failures: Receiver<String>,
}

impl Running {
    fn request(&self, request: Request) {
        self.requests.send(request).unwrap();
        self.waker.wake();
    }

    fn save(&self, text: &str) {
        let checksum = crc32c::crc32c(text.as_bytes());
        let payload = Payload::from_vec(text.as_bytes().to_vec(), checksum);
        self.request(Request::Save(payload));
    }

    fn next(&self) -> Output {
        self.outputs.recv_timeout(PATIENCE).unwrap()
    }

    fn opened(&self) -> (Survival, u64, Vec<String>) {
        match self.next() {
            Output::Opened {
                survival,
                incarnation,
                texts,
            } => (survival, incarnation, texts),
            other => panic!("{other:?} before it was opened"),
        }
    }

    /// Waits until a text is saved at all these replicas.
    fn wait_for_saved(&self, number: u64, mut at: BTreeSet<u64>) {
        while !at.is_empty() {
            if let Output::Saved { number: n, at: by } = self.next()
                && n == number
            {
                at.remove(&by.0);
            }
        }
    }

    /// Waits until a connection to this many peers stands.
    fn wait_for_connections(&self, peers: usize) {
        while self
            .replica
            .metrics()
            .peers
            .iter()
            .filter(|peer| peer.connected)
            .count()
            < peers
        {
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

/// A cluster's addresses.
struct Cluster {
    addresses: Vec<(NodeId, String)>,
    runtime: tokio::runtime::Runtime,
}

impl Cluster {
    fn new(size: u64) -> (Cluster, Vec<TcpListener>) {
        let listeners: Vec<TcpListener> = (0..size)
            .map(|_| TcpListener::bind("127.0.0.1:0").unwrap())
            .collect();
        let addresses = (1..=size)
            .map(NodeId)
            .zip(&listeners)
            .map(|(id, listener)| (id, listener.local_addr().unwrap().to_string()))
            .collect();
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        (Cluster { addresses, runtime }, listeners)
    }

    fn start(&self, me: u64, path: &Path, listener: Option<TcpListener>) -> Running {
        self.start_with(me, path, listener, Arc::new(NoCheckpoints))
    }

    fn start_with(
        &self,
        me: u64,
        path: &Path,
        listener: Option<TcpListener>,
        checkpoints: Arc<dyn Checkpoints>,
    ) -> Running {
        let identity = Identity {
            cluster: 7,
            member: NodeId(me),
        };
        let directory = Directory::open(path, identity).unwrap();
        let storage = Storage::open(directory, 1 << 20).unwrap();
        let (mailbox, waker) = mailbox();
        let (requests, to_take) = crossbeam_channel::unbounded();
        let (to_give, outputs) = crossbeam_channel::unbounded();
        let (failed, failures) = crossbeam_channel::unbounded();
        let beats = Arc::new(AtomicU64::new(0));
        let edge = ToyEdge {
            requests: to_take,
            outputs: to_give,
            beats: beats.clone(),
        };
        let mut peers = self.addresses.clone();
        peers.retain(|peer| peer.0.0 != me);
        let options = Options {
            storage,
            peers: PeerList::of(peers),
            introductions: Arc::new(NoIntroductions),
            listeners: listener.into_iter().collect(),
            peer_options: PeerOptions::default(),
            fail_stop: FailStop::with(move |reason| failed.send(reason.to_owned()).unwrap()),
            clock: Clock::start(),
        };
        let config = self.addresses.iter().map(|peer| peer.0).collect();
        let replica = Replica::spawn::<Toy, _>(
            options,
            config,
            Checkpoint::default(),
            edge,
            checkpoints,
            mailbox,
            self.runtime.handle(),
        )
        .unwrap();
        Running {
            replica,
            waker,
            requests,
            outputs,
            beats,
            failures,
        }
    }
}

#[test]
fn a_lone_replica_keeps_what_it_saved_over_restarts() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("data");
    let (cluster, _) = Cluster::new(1);
    let one = cluster.start(1, &path, None);
    assert_eq!(one.opened(), (Survival::Fresh, 1, vec![]));
    for number in 1..=100 {
        one.save(&format!("text {number}"));
        one.wait_for_saved(number, BTreeSet::from([1]));
    }
    assert_eq!(one.replica.status().head, 100);
    one.replica.stop();
    let one = cluster.start(1, &path, None);
    let (survival, incarnation, texts) = one.opened();
    assert_eq!((survival, incarnation), (Survival::Intact, 2));
    assert_eq!(texts.len(), 100);
    assert_eq!(texts[41], "text 42");
    one.request(Request::Compact);
    one.save("afterwards");
    one.wait_for_saved(1, BTreeSet::from([1]));
    one.replica.stop();
    let one = cluster.start(1, &path, None);
    assert_eq!(one.opened().2, ["text 100", "afterwards"]);
    assert!(one.failures.is_empty());
}

#[test]
fn three_replicas_write_down_what_each_says_and_one_may_restart() {
    let directory = tempfile::tempdir().unwrap();
    let path = |me: u64| directory.path().join(me.to_string());
    let (cluster, listeners) = Cluster::new(3);
    let mut running: Vec<Running> = (1..)
        .zip(listeners)
        .map(|(me, listener)| cluster.start(me, &path(me), Some(listener)))
        .collect();
    for replica in &running {
        replica.opened();
        replica.wait_for_connections(2);
    }
    for number in 1..=50 {
        running[0].save(&format!("from one {number}"));
        running[2].save(&format!("from three {number}"));
    }
    running[0].wait_for_saved(50, BTreeSet::from([1, 2, 3]));
    running[2].wait_for_saved(50, BTreeSet::from([1, 2, 3]));
    let address = cluster.addresses[1].1.clone();
    running.remove(1).replica.stop();
    let two = cluster.start(2, &path(2), Some(TcpListener::bind(address).unwrap()));
    let (survival, incarnation, texts) = two.opened();
    assert_eq!((survival, incarnation), (Survival::Intact, 2));
    let texts: BTreeSet<String> = texts.into_iter().collect();
    assert_eq!(texts.len(), 100);
    for replica in &running {
        replica.wait_for_connections(2);
    }
    two.wait_for_connections(2);
    running[0].save("again");
    running[0].wait_for_saved(51, BTreeSet::from([1, 2, 3]));
    assert!(running[0].failures.is_empty() && two.failures.is_empty());
}

/// A state of some megabytes. Its receiver is slow: it takes every further megabyte only when
/// more heartbeats have arrived, so the transfer ends only if they are not behind it.
struct SlowState {
    position: u64,
    beats: std::sync::Mutex<Option<Arc<AtomicU64>>>,
    received: Arc<std::sync::Mutex<Option<Vec<u8>>>>,
}

const STATE_BYTES: usize = 5_000_001;

fn state_bytes() -> Vec<u8> {
    (0..STATE_BYTES).map(|at| (at / 7) as u8).collect()
}

impl SlowState {
    fn new(position: u64) -> Arc<SlowState> {
        Arc::new(SlowState {
            position,
            beats: std::sync::Mutex::default(),
            received: Arc::default(),
        })
    }
}

impl Checkpoints for SlowState {
    fn open(&self) -> io::Result<(Checkpoint, Box<dyn io::Read + Send>)> {
        let checkpoint = Checkpoint {
            position: self.position,
            epoch: 3,
        };
        Ok((checkpoint, Box::new(io::Cursor::new(state_bytes()))))
    }

    fn receive(&self, checkpoint: Checkpoint) -> io::Result<Box<dyn crate::Receiving>> {
        assert_eq!(checkpoint.position, 9, "the sender's newest");
        Ok(Box::new(SlowSink {
            beats: self.beats.lock().unwrap().clone().unwrap(),
            bytes: Vec::new(),
            received: self.received.clone(),
        }))
    }
}

struct SlowSink {
    beats: Arc<AtomicU64>,
    bytes: Vec<u8>,
    received: Arc<std::sync::Mutex<Option<Vec<u8>>>>,
}

impl io::Write for SlowSink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.bytes.len() % (1 << 20) + bytes.len() >= 1 << 20 {
            let enough = self.beats.load(Ordering::Relaxed) + 3;
            while self.beats.load(Ordering::Relaxed) < enough {
                std::thread::sleep(Duration::from_millis(1));
            }
        }
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl crate::Receiving for SlowSink {
    fn finish(self: Box<Self>) -> io::Result<()> {
        *self.received.lock().unwrap() = Some(self.bytes);
        Ok(())
    }
}

#[test]
fn an_attachment_arrives_whole_before_its_message_and_heartbeats_overtake_it() {
    let directory = tempfile::tempdir().unwrap();
    let (cluster, listeners) = Cluster::new(2);
    let states = [SlowState::new(9), SlowState::new(4)];
    let running: Vec<Running> = (1..)
        .zip(listeners)
        .zip(&states)
        .map(|((me, listener), state)| {
            let path = directory.path().join(me.to_string());
            cluster.start_with(me, &path, Some(listener), state.clone())
        })
        .collect();
    *states[1].beats.lock().unwrap() = Some(running[1].beats.clone());
    for replica in &running {
        replica.opened();
        replica.wait_for_connections(1);
    }
    running[0].request(Request::SendState(NodeId(2)));
    let expected = Output::State {
        from: NodeId(1),
        checkpoint: Checkpoint {
            position: 9,
            epoch: 3,
        },
    };
    assert_eq!(running[1].next(), expected);
    let received = states[1].received.lock().unwrap().take();
    assert!(received == Some(state_bytes()), "it arrived whole");
    assert_eq!(
        running[1].replica.metrics().peers[0].attachments_received,
        1
    );
    assert!(running.iter().all(|replica| replica.failures.is_empty()));
}
