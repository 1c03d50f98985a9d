//! One replica in the real world: a node, its threads, its disk and its peers.
//!
//! The replica thread owns the node and the edge. It waits for whatever comes first (mail, a
//! finished sync, a wish of the edge, a timer), works off everything that has piled up, and then
//! hands over what came of it: frames to the WAL thread, mail to the peers, outputs to the edge.

use std::io;
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;

use arc_swap::ArcSwapOption;
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, TryRecvError};
use quorate_core::{Boot, Checkpoint, Choice, Frame, NodeId, Protocol, Status};
use quorate_node::{Edge, Frames, Letter, Node};
use tokio::runtime::Handle;

use crate::clock::Clock;
use crate::fail_stop::FailStop;
use crate::log::LogError;
use crate::mailbox::{Event, Mailbox};
use crate::metrics::{Counters, Metrics};
use crate::peers::{
    self, Checkpoints, Introductions, Myself, PeerList, PeerOptions, Peers, PeersHandle,
};
use crate::random_seed;
use crate::rounds::{Next, Outside, Rounds};
use crate::storage::Storage;
use crate::writer::{Direct, Writer};

#[cfg(test)]
mod tests;

/// Events taken in one go before their results are handed over.
const EVENTS_MAX: usize = 1024;

/// Buffers that travel between the replica thread and the WAL thread.
const SPARE_BUFFERS: usize = 4;

/// What a replica is made of.
pub struct Options {
    /// Its log; it also says who the replica is.
    pub storage: Storage,
    /// The other members of its cluster, to begin with.
    pub peers: PeerList,
    /// What strangers are told of the cluster, and what is heard of it.
    pub introductions: Arc<dyn Introductions>,
    /// Where peers call.
    pub listeners: Vec<TcpListener>,
    /// Bounds on what peers may cost.
    pub peer_options: PeerOptions,
    /// What to do when it cannot go on.
    pub fail_stop: FailStop,
    /// The clock by which it lives: the edge may want the same.
    pub clock: Clock,
}

/// Why a replica could not be started.
#[derive(Debug, thiserror::Error)]
pub enum SpawnError {
    /// The surviving records cannot be read.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The operating system has no thread or socket for us.
    #[error("cannot start the replica: {0}")]
    Io(#[from] io::Error),
    /// The thread ended before it began to work.
    #[error("the replica ended while it started")]
    Ended,
}

/// A running replica.
pub struct Replica {
    me: NodeId,
    incarnation: u64,
    status: Arc<ArcSwapOption<Status>>,
    counters: Arc<Counters>,
    stop: Box<dyn Fn() + Send + Sync>,
    peers: PeersHandle,
    threads: Vec<JoinHandle<()>>,
}

impl Replica {
    /// Starts a replica. `checkpoint` is the application state that survived. When this returns,
    /// the protocol has been opened on what survived of the log.
    ///
    /// # Errors
    /// If the log's records cannot be read, or threads and sockets are not to be had.
    pub fn spawn<P, E>(
        options: Options,
        config: P::Config,
        checkpoint: Checkpoint,
        edge: E,
        checkpoints: Arc<dyn Checkpoints>,
        mailbox: Mailbox<P>,
        runtime: &Handle,
    ) -> Result<Replica, SpawnError>
    where
        P: Protocol + 'static,
        P::Config: Send,
        P::Message: Send,
        E: Edge<P> + Send + 'static,
    {
        let storage = options.storage;
        let me = storage.identity().member;
        let incarnation = storage.incarnation();
        let counters = Arc::new(Counters::new(options.clock));
        let start = peers::Start {
            myself: Myself {
                cluster: storage.identity().cluster,
                me,
                incarnation,
            },
            list: options.peers,
            listeners: options.listeners,
            options: options.peer_options,
            events: mailbox.sender.clone(),
            counters: counters.clone(),
            checkpoints,
            introductions: options.introductions,
            fail_stop: options.fail_stop.clone(),
            seed: random_seed(),
        };
        let peers = Peers::start(start, runtime)?;
        let status = Arc::new(ArcSwapOption::empty());
        let (stopping, changing) = (mailbox.sender.clone(), mailbox.sender.clone());
        let (started, ready) = crossbeam_channel::bounded(1);
        let start = Start {
            storage,
            config,
            checkpoint,
            clock: options.clock,
            counters: counters.clone(),
            fail_stop: options.fail_stop.clone(),
        };
        let shown = status.clone();
        let thread = options.fail_stop.thread("replica", move || {
            match Worker::open(start, edge, mailbox, peers, shown) {
                Ok((worker, writer)) => {
                    // The starter may have given up waiting only if it is gone.
                    let _ = started.send(Ok(writer));
                    worker.run()
                }
                Err(error) => {
                    let _ = started.send(Err(error));
                    Ok(())
                }
            }
        })?;
        let writer = ready.recv().map_err(|_| SpawnError::Ended)??;
        Ok(Replica {
            me,
            incarnation,
            status,
            counters,
            stop: Box::new(move || {
                // If the replica has ended already there is nothing to stop.
                let _ = stopping.send(Event::Stop);
            }),
            peers: PeersHandle(Arc::new(move |list| {
                // A replica that has stopped has no peers.
                let _ = changing.send(Event::Peers(list));
            })),
            threads: vec![thread, writer],
        })
    }

    /// What changes its peers.
    #[must_use]
    pub fn peers(&self) -> PeersHandle {
        self.peers.clone()
    }

    /// Who it is.
    #[must_use]
    pub fn me(&self) -> NodeId {
        self.me
    }

    /// How often it was started, this time included.
    #[must_use]
    pub fn incarnation(&self) -> u64 {
        self.incarnation
    }

    /// What it says of itself, as of the end of its last round.
    ///
    /// # Panics
    /// Never: the first status is there before [`Replica::spawn`] returns.
    #[must_use]
    pub fn status(&self) -> Status {
        **self
            .status
            .load()
            .as_ref()
            .expect("a replica says something before it runs")
    }

    /// What it has done.
    #[must_use]
    pub fn metrics(&self) -> Metrics {
        self.counters.read()
    }

    /// A handle that reads status and metrics and outlives this one.
    #[must_use]
    pub fn observer(&self) -> Observer {
        Observer {
            status: self.status.clone(),
            counters: self.counters.clone(),
        }
    }

    /// Stops it: what it has written becomes durable, and its threads end.
    pub fn stop(mut self) {
        self.shut_down();
    }

    fn shut_down(&mut self) {
        (self.stop)();
        for thread in self.threads.drain(..) {
            // A panic was reported where it happened.
            let _ = thread.join();
        }
    }
}

impl Drop for Replica {
    fn drop(&mut self) {
        self.shut_down();
    }
}

/// Sees what a replica does, from any thread.
#[derive(Clone)]
pub struct Observer {
    status: Arc<ArcSwapOption<Status>>,
    counters: Arc<Counters>,
}

impl Observer {
    /// What the replica says of itself, as of the end of its last round.
    #[must_use]
    pub fn status(&self) -> Option<Status> {
        self.status.load().as_deref().copied()
    }

    /// What it has done.
    #[must_use]
    pub fn metrics(&self) -> Metrics {
        self.counters.read()
    }
}

/// Opens the protocol on what survived, without threads, peers or a log to write to: for those who want to know
/// what there is.
///
/// # Errors
/// If the log's records cannot be read.
pub fn look_at<P: Protocol>(
    storage: &Storage,
    config: &P::Config,
    checkpoint: Checkpoint,
    clock: &Clock,
) -> Result<Node<P>, SpawnError> {
    let records = storage.records::<P::Record>()?;
    let boot = Boot {
        me: storage.identity().member,
        incarnation: storage.incarnation(),
        survival: storage.survival(),
        records: Box::new(records.into_iter()),
        checkpoint,
    };
    let choice = Choice::Seeded(random_seed());
    let durable = storage.durable();
    Ok(Node::open(config, boot, durable, choice, clock.now()))
}

/// What the replica thread starts from.
struct Start<P: Protocol> {
    storage: Storage,
    config: P::Config,
    checkpoint: Checkpoint,
    clock: Clock,
    counters: Arc<Counters>,
    fail_stop: FailStop,
}

/// The replica thread.
struct Worker<P: Protocol, E> {
    rounds: Rounds<P, E>,
    mailbox: Mailbox<P>,
    clock: Clock,
    status: Arc<ArcSwapOption<Status>>,
    threads: Threads<P>,
}

/// Those who carry out what the replica asks for.
struct Threads<P: Protocol> {
    peers: Peers<P>,
    writer: Writer,
    to_disk: Sender<Frames>,
    spare: Receiver<Frames>,
    /// The last frame that was given away to be written,
    given: Frame,
    /// and the last one that is known to be durable.
    durable: Frame,
    /// Whether frames may be written here, before this thread goes on.
    may_wait: bool,
    /// What went wrong with that.
    failed: Option<LogError>,
}

/// More than this is written by the WAL thread, bytes: it takes a while.
const DIRECT_BYTES_MAX: usize = 64 << 10;

impl<P: Protocol> Threads<P> {
    /// Writes frames here, if that is quicker than to have it done and nobody else is kept waiting. Answers
    /// whether it was.
    fn write_directly(&mut self, frames: &mut Frames) -> bool {
        let is_next = self.given <= self.durable && frames.bytes.len() <= DIRECT_BYTES_MAX;
        if !self.may_wait || !is_next || self.failed.is_some() {
            return false;
        }
        match self.writer.write_directly(frames) {
            Ok(None) => return false,
            Ok(Some(Direct { durable, rouse })) => {
                frames.clear();
                self.durable = durable;
                self.given = durable;
                if rouse {
                    // The WAL thread ends early only when it has failed, and then the process ends.
                    let _ = self.to_disk.send(Frames::default());
                }
            }
            Err(error) => self.failed = Some(error),
        }
        true
    }
}

impl<P> Outside<P> for Threads<P>
where
    P: Protocol + 'static,
    P::Message: Send,
{
    fn write(&mut self, frames: &mut Frames) {
        if self.write_directly(frames) {
            return;
        }
        if let Some(last) = frames.written.last() {
            self.given = last.frame;
        }
        let empty = self.spare.try_recv().unwrap_or_default();
        let frames = std::mem::replace(frames, empty);
        // The WAL thread ends early only when it has failed, and then the process ends.
        let _ = self.to_disk.send(frames);
    }

    fn post(&mut self, letter: Letter<P>) {
        self.peers.post(letter);
    }

    fn hand_over(&mut self) {
        self.peers.hand_over();
    }
}

impl<P, E> Worker<P, E>
where
    P: Protocol + 'static,
    P::Message: Send,
    E: Edge<P>,
{
    /// Opens the protocol on what survived, and starts the WAL thread.
    fn open(
        start: Start<P>,
        edge: E,
        mailbox: Mailbox<P>,
        peers: Peers<P>,
        status: Arc<ArcSwapOption<Status>>,
    ) -> Result<(Worker<P, E>, JoinHandle<()>), SpawnError> {
        let Start {
            storage,
            config,
            checkpoint,
            clock,
            counters,
            fail_stop,
        } = start;
        let node = look_at(&storage, &config, checkpoint, &clock)?;
        status.store(Some(Arc::new(node.status())));
        let (to_disk, frames) = crossbeam_channel::unbounded();
        let (give_back, spare) = crossbeam_channel::bounded(SPARE_BUFFERS);
        let (directory, log) = storage.into_parts();
        let events = mailbox.sender.clone();
        let durable = log.durable();
        let writer = Writer::new(log, counters);
        let waiting = writer.clone();
        let thread = fail_stop.thread("wal", move || {
            // The last to end: the directory stays locked until then.
            let _directory = directory;
            waiting.run(&frames, &give_back, &events)
        })?;
        let worker = Worker {
            rounds: Rounds::new(node, edge),
            mailbox,
            clock,
            status,
            threads: Threads {
                peers,
                writer,
                to_disk,
                spare,
                given: durable,
                durable,
                may_wait: false,
                failed: None,
            },
        };
        Ok((worker, thread))
    }

    fn run(mut self) -> Result<(), LogError> {
        let mut next = Next::Again;
        while self.take_events(&next) {
            next = self.round();
            if let Some(failed) = self.threads.failed.take() {
                return Err(failed);
            }
        }
        self.threads.peers.stop();
        Ok(())
    }

    /// Takes what has arrived; waits for it if there is nothing else to do. `false` at the end.
    fn take_events(&mut self, next: &Next) -> bool {
        let first = match next {
            Next::Again => match self.mailbox.receiver.try_recv() {
                Ok(event) => Some(event),
                Err(TryRecvError::Empty) => None,
                Err(TryRecvError::Disconnected) => return false,
            },
            Next::Wait => match self.wait() {
                Ok(event) => Some(event),
                Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected) => return false,
            },
        };
        let Some(first) = first else {
            return true;
        };
        let mut event = first;
        for _ in 0..EVENTS_MAX {
            if !self.on_event(event) {
                return false;
            }
            match self.mailbox.receiver.try_recv() {
                Ok(another) => event = another,
                Err(_) => return true,
            }
        }
        self.on_event(event)
    }

    fn wait(&self) -> Result<Event<P>, RecvTimeoutError> {
        match self.rounds.next_deadline() {
            Some(deadline) => {
                let wait = self.clock.until(deadline);
                self.mailbox.receiver.recv_timeout(wait)
            }
            None => {
                let received = self.mailbox.receiver.recv();
                received.map_err(|_| RecvTimeoutError::Disconnected)
            }
        }
    }

    fn on_event(&mut self, event: Event<P>) -> bool {
        match event {
            // Cleared before the edge is asked, so that a wish after that wakes again. Reading what
            // is overwritten makes the wishes of those who found it set visible here.
            Event::Wake => drop(self.mailbox.woken.swap(false, Ordering::AcqRel)),
            Event::Mail {
                from,
                messages,
                room,
            } => {
                let now = self.clock.now();
                for message in messages {
                    self.rounds.receive(from, message, now);
                }
                drop(room);
            }
            Event::Synced(frame) => self.synced(frame),
            Event::Peers(list) => self.threads.peers.set(list),
            Event::Stop => return false,
        }
        true
    }

    fn synced(&mut self, frame: Frame) {
        // Of what was written here the WAL thread speaks too.
        self.threads.durable = self.threads.durable.max(frame);
        self.rounds.synced(frame, self.clock.now());
    }

    /// Hands over what came of everything, and says how things stand.
    fn round(&mut self) -> Next {
        let threads = &mut self.threads;
        // Peers must hear that this replica is alive, however slow its disk; a replica without peers keeps only
        // those waiting who have left something here already.
        threads.may_wait = threads.peers.is_alone() && self.mailbox.receiver.is_empty();
        let before = threads.durable;
        let mut next = self.rounds.round(|| self.clock.now(), threads);
        if self.threads.durable > before {
            self.synced(self.threads.durable);
            next = Next::Again;
        }
        let status = self.rounds.status();
        if self.status.load().as_deref() != Some(&status) {
            self.status.store(Some(Arc::new(status)));
        }
        next
    }
}
