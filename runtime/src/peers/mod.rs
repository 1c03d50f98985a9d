//! Peers over TCP. `docs/file-format.md` describes the bytes.
//!
//! Each replica calls each of its peers and sends its mail on that connection; nothing comes back
//! on it. An attachment travels on a connection of its own, so that heartbeats are never behind it.

mod attachment;
pub mod frame;
pub mod handshake;
mod introduction;
mod list;
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

use arc_swap::ArcSwap;
use crossbeam_channel::Sender;
use quorate_core::{Checkpoint, NodeId, Protocol};
use quorate_node::Letter;
use tokio::runtime::Handle;
use tokio::sync::{Notify, Semaphore};
use tokio::task::{AbortHandle, JoinSet};

use crate::fail_stop::{FailStop, told_by};
use crate::mailbox::Event;
use crate::metrics::{Counters, PeerCounters};
use attachment::{Incoming, Outgoing};
pub use introduction::{Introductions, NoIntroductions, ask};
pub use list::{PeerList, PeersHandle};
use list::{Roster, Slot};
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
    /// Who is called and may call, for those outside the replica's thread.
    roster: ArcSwap<Roster>,
    events: Sender<Event<P>>,
    counters: Arc<Counters>,
    checkpoints: Arc<dyn Checkpoints>,
    introductions: Arc<dyn Introductions>,
    /// Memory for incoming mail, in units of [`ROOM_UNIT`] bytes.
    room: Arc<Semaphore>,
    fail_stop: FailStop,
}

/// The unit in which memory for incoming mail is counted: a semaphore counts to less than 2^32.
const ROOM_UNIT: usize = 1024;

/// One peer. It lives as long as a task or thread works for it.
struct Peer {
    id: NodeId,
    /// Hosts and ports, tried one after the other. Looked up at each call: names may come to mean other
    /// machines.
    addresses: ArcSwap<Vec<String>>,
    outbox: Outbox,
    /// It called us or has other addresses, so it is worth calling it now.
    seen: Notify,
    /// The task that receives its mail.
    receiving: Mutex<ReceivingTask>,
    /// The attachment under way to it.
    outgoing: Outgoing,
    counters: Arc<PeerCounters>,
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
    slots: Vec<Slot>,
    incoming: Arc<Incoming>,
    tasks: JoinSet<()>,
    runtime: Handle,
    seed: u64,
}

/// What peers are made of.
pub(crate) struct Start<P: Protocol> {
    pub(crate) myself: Myself,
    pub(crate) list: PeerList,
    pub(crate) listeners: Vec<TcpListener>,
    pub(crate) options: PeerOptions,
    pub(crate) events: Sender<Event<P>>,
    pub(crate) counters: Arc<Counters>,
    pub(crate) checkpoints: Arc<dyn Checkpoints>,
    pub(crate) introductions: Arc<dyn Introductions>,
    pub(crate) fail_stop: FailStop,
    pub(crate) seed: u64,
}

impl<P> Peers<P>
where
    P: Protocol + 'static,
    P::Message: Send,
{
    pub(crate) fn start(start: Start<P>, runtime: &Handle) -> io::Result<Peers<P>> {
        let room = start.options.arrived_bytes_max / ROOM_UNIT;
        let room = room.clamp(1, Semaphore::MAX_PERMITS);
        let shared = Arc::new(Shared {
            myself: start.myself,
            options: start.options,
            roster: ArcSwap::default(),
            events: start.events,
            counters: start.counters,
            checkpoints: start.checkpoints,
            introductions: start.introductions,
            room: Arc::new(Semaphore::new(room)),
            fail_stop: start.fail_stop,
        });
        let mut peers = Peers {
            shared,
            slots: Vec::new(),
            incoming: Arc::default(),
            tasks: JoinSet::new(),
            runtime: runtime.clone(),
            seed: start.seed,
        };
        peers.set(start.list);
        let _entered = runtime.enter();
        for listener in start.listeners {
            listener.set_nonblocking(true)?;
            let listener = tokio::net::TcpListener::from_std(listener)?;
            let shared = peers.shared.clone();
            let accepting = receiver::accept(shared.clone(), listener, peers.incoming.clone());
            let accepting = supervised(shared.fail_stop.clone(), accepting);
            peers.tasks.spawn(accepting);
        }
        Ok(peers)
    }

    /// Sends a message, or drops it if there is no way to.
    pub(crate) fn post(&mut self, letter: Letter<P>) {
        let Letter { to, mut message } = letter;
        let Some(slot) = self.slots.iter_mut().find(|slot| slot.peer.id == to) else {
            tracing::debug!(%to, "mail for somebody unknown is dropped");
            return;
        };
        if P::attachment(&mut message).is_some() {
            attachment::send(&self.shared, &slot.peer, message);
            return;
        }
        match slot.peer.outbox.post(&message) {
            true => slot.posted = true,
            false => count(&slot.peer.counters.messages_dropped, 1),
        }
    }

    /// Whether there is nobody to send anything to.
    pub(crate) fn is_alone(&self) -> bool {
        self.slots.is_empty()
    }

    /// All mail of a round was posted.
    pub(crate) fn hand_over(&mut self) {
        for slot in &mut self.slots {
            if std::mem::take(&mut slot.posted) {
                slot.peer.outbox.hand_over();
            }
        }
    }

    /// Hangs up. When this returns, nobody listens any more.
    pub(crate) fn stop(&mut self) {
        self.tasks.abort_all();
        self.runtime
            .block_on(async { while self.tasks.join_next().await.is_some() {} });
        for slot in &self.slots {
            slot.peer.hang_up();
        }
        self.incoming.stop();
    }
}

impl Peer {
    /// Closes all connections with it, for good.
    fn hang_up(&self) {
        receiver::hang_up(self);
        self.outgoing.stop();
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
