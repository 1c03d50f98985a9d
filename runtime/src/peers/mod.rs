//! Peers over TCP. `docs/file-format.md` describes the bytes.
//!
//! Each replica calls each of its peers and sends its mail on that connection; nothing comes back
//! on it. An attachment travels on a connection of its own, so that heartbeats are never behind it.

mod attachment;
pub mod frame;
pub mod handshake;
mod outbox;
mod receiver;
mod sender;

#[cfg(test)]
mod tests;

use std::future::poll_fn;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::Duration;

use crossbeam_channel::Sender;
use quorate_core::{Checkpoint, NodeId, Protocol};
use quorate_node::Letter;
use tokio::runtime::Handle;
use tokio::sync::{Notify, Semaphore};
use tokio::task::{AbortHandle, JoinSet};

use crate::fail_stop::{FailStop, told_by};
use crate::mailbox::Event;
use crate::metrics::{Counters, PeerCounters};
use attachment::Attachments;
use outbox::Outbox;

/// Where application checkpoints come from and go to: how a peer that was away for long gets what
/// the log no longer has. Called on threads of their own, which may block.
pub trait Checkpoints: Send + Sync {
    /// Opens the newest durable state for reading.
    ///
    /// # Errors
    /// If it cannot be opened; the attachment is not sent then.
    fn open(&self) -> io::Result<(Checkpoint, Box<dyn io::Read + Send>)>;

    /// A peer is about to send this state.
    ///
    /// # Errors
    /// If there is no place for it; the attachment is not received then.
    fn receive(&self, checkpoint: Checkpoint) -> io::Result<Box<dyn Receiving>>;
}

/// A state that is being received. Dropping it unfinished throws away what came.
pub trait Receiving: io::Write + Send {
    /// All of it came: it is durable and ready to be installed when this returns.
    ///
    /// # Errors
    /// If it is not a whole state, or cannot be made durable; the message that carried it is not
    /// delivered then.
    fn finish(self: Box<Self>) -> io::Result<()>;
}

/// For a service without checkpoints: sends none and takes none.
#[derive(Clone, Copy, Default, Debug)]
pub struct NoCheckpoints;

impl Checkpoints for NoCheckpoints {
    fn open(&self) -> io::Result<(Checkpoint, Box<dyn io::Read + Send>)> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn receive(&self, _checkpoint: Checkpoint) -> io::Result<Box<dyn Receiving>> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

/// Bounds on what peers may cost.
#[derive(Clone, Debug)]
pub struct PeerOptions {
    /// Bytes of mail that wait for one peer.
    pub queue_bytes_max: usize,
    /// The longest frame, either way.
    pub frame_bytes_max: u32,
    /// Bytes of mail that arrived, from all peers together, and were not processed yet.
    pub arrived_bytes_max: usize,
    /// How long a handshake may take, and a connection attempt.
    pub handshake_timeout: Duration,
    /// Connections that have not finished their handshake.
    pub handshakes_max: usize,
    /// How long to wait before calling again: the first time, and at most. Each wait is twice the
    /// one before, and jittered.
    pub retry: Range<Duration>,
    /// How long a connection may make no progress before it is given up.
    pub progress_timeout: Duration,
}

impl Default for PeerOptions {
    fn default() -> PeerOptions {
        PeerOptions {
            queue_bytes_max: 64 << 20,
            frame_bytes_max: 64 << 20,
            arrived_bytes_max: 128 << 20,
            handshake_timeout: Duration::from_secs(5),
            handshakes_max: 64,
            retry: Duration::from_millis(20)..Duration::from_millis(500),
            progress_timeout: Duration::from_secs(15),
        }
    }
}

/// Who we are, on the wire.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Myself {
    pub(crate) cluster: u64,
    pub(crate) me: NodeId,
    pub(crate) incarnation: u64,
}

/// What all tasks and threads of the peers share.
struct Shared<P: Protocol> {
    myself: Myself,
    options: PeerOptions,
    peers: Vec<Peer>,
    events: Sender<Event<P>>,
    counters: Arc<Counters>,
    checkpoints: Arc<dyn Checkpoints>,
    /// Memory for incoming mail, in units of [`ROOM_UNIT`] bytes.
    room: Arc<Semaphore>,
    fail_stop: FailStop,
}

/// The unit in which memory for incoming mail is counted: a semaphore counts to less than 2^32.
const ROOM_UNIT: usize = 1024;

/// One peer.
struct Peer {
    id: NodeId,
    /// Host and port. Looked up at each call: names may come to mean other machines.
    address: String,
    outbox: Outbox,
    /// It called us, so it is worth calling it now.
    seen: Notify,
    /// The task that receives its mail.
    receiving: Mutex<ReceivingTask>,
}

/// The task that receives a peer's mail, and whether there may be one.
#[derive(Default)]
struct ReceivingTask {
    task: Option<AbortHandle>,
    stopped: bool,
}

/// All peers of one replica.
pub(crate) struct Peers<P: Protocol> {
    shared: Arc<Shared<P>>,
    attachments: Attachments<P>,
    tasks: JoinSet<()>,
    runtime: Handle,
    /// The peers that mail was posted to since the last [`Peers::hand_over`].
    posted: Vec<bool>,
}

impl<P> Peers<P>
where
    P: Protocol + 'static,
    P::Message: Send,
{
    #[expect(clippy::too_many_arguments, reason = "called once, by the replica")]
    pub(crate) fn start(
        myself: Myself,
        addresses: Vec<(NodeId, String)>,
        listeners: Vec<TcpListener>,
        options: PeerOptions,
        events: Sender<Event<P>>,
        counters: Arc<Counters>,
        checkpoints: Arc<dyn Checkpoints>,
        fail_stop: FailStop,
        seed: u64,
        runtime: &Handle,
    ) -> io::Result<Peers<P>> {
        let peers: Vec<Peer> = addresses
            .into_iter()
            .map(|(id, address)| Peer {
                id,
                address,
                outbox: Outbox::new(options.queue_bytes_max, options.frame_bytes_max as usize),
                seen: Notify::new(),
                receiving: Mutex::default(),
            })
            .collect();
        let room = (options.arrived_bytes_max / ROOM_UNIT).clamp(1, Semaphore::MAX_PERMITS);
        let shared = Arc::new(Shared {
            myself,
            options,
            peers,
            events,
            counters,
            checkpoints,
            room: Arc::new(Semaphore::new(room)),
            fail_stop,
        });
        let attachments = Attachments::new(shared.clone());
        let mut tasks = JoinSet::new();
        let entered = runtime.enter();
        for listener in listeners {
            listener.set_nonblocking(true)?;
            let listener = tokio::net::TcpListener::from_std(listener)?;
            let accepting =
                receiver::accept(shared.clone(), listener, attachments.receiving.clone());
            tasks.spawn(supervised(shared.fail_stop.clone(), accepting));
        }
        for index in 0..shared.peers.len() {
            let seed = seed.wrapping_add(index as u64 + 1);
            let sending = sender::send_to(shared.clone(), index, seed);
            tasks.spawn(supervised(shared.fail_stop.clone(), sending));
        }
        drop(entered);
        Ok(Peers {
            posted: vec![false; shared.peers.len()],
            shared,
            attachments,
            tasks,
            runtime: runtime.clone(),
        })
    }

    /// Sends a message, or drops it if there is no way to.
    pub(crate) fn post(&mut self, letter: Letter<P>) {
        let Letter { to, mut message } = letter;
        let Some(index) = self.shared.peers.iter().position(|peer| peer.id == to) else {
            tracing::debug!(%to, "mail for somebody unknown is dropped");
            return;
        };
        if P::attachment(&mut message).is_some() {
            self.attachments.send(index, message);
            return;
        }
        match self.shared.peers[index].outbox.post(&message) {
            true => self.posted[index] = true,
            false => count(&self.shared.counters.peers[index].messages_dropped, 1),
        }
    }

    /// All mail of a round was posted.
    pub(crate) fn hand_over(&mut self) {
        for (posted, peer) in self.posted.iter_mut().zip(&self.shared.peers) {
            if std::mem::take(posted) {
                peer.outbox.hand_over();
            }
        }
    }

    /// Hangs up. When this returns, nobody listens any more.
    pub(crate) fn stop(&mut self) {
        self.tasks.abort_all();
        self.runtime
            .block_on(async { while self.tasks.join_next().await.is_some() {} });
        for peer in &self.shared.peers {
            receiver::hang_up(peer);
        }
        self.attachments.stop();
    }
}

impl<P: Protocol> Shared<P> {
    fn counters(&self, index: usize) -> &PeerCounters {
        &self.counters.peers[index]
    }
}

fn count(counter: &std::sync::atomic::AtomicU64, more: u64) {
    counter.fetch_add(more, std::sync::atomic::Ordering::Relaxed);
}

/// Makes a task one whose panic is the end.
async fn supervised(fail_stop: FailStop, task: impl Future<Output = ()>) {
    let mut task = pin!(task);
    poll_fn(
        move |context| match catch_unwind(AssertUnwindSafe(|| task.as_mut().poll(context))) {
            Ok(poll) => poll,
            Err(panic) => {
                let told = told_by(&*panic);
                fail_stop.fail(&format!("a task of the peers panicked: {told}"));
                Poll::Ready(())
            }
        },
    )
    .await;
}

/// Sets what every connection needs: mail goes out at once, and a peer that vanished is noticed.
fn prepare(stream: &socket2::SockRef<'_>, progress_timeout: Duration) -> io::Result<()> {
    stream.set_tcp_nodelay(true)?;
    let keepalive = socket2::TcpKeepalive::new()
        .with_time(progress_timeout / 3)
        .with_interval(progress_timeout / 3);
    stream.set_tcp_keepalive(&keepalive)?;
    #[cfg(target_os = "linux")]
    stream.set_tcp_user_timeout(Some(progress_timeout))?;
    Ok(())
}

/// An address for a log line.
fn shown(address: io::Result<SocketAddr>) -> String {
    address.map_or_else(|_| "unknown".to_owned(), |address| address.to_string())
}
