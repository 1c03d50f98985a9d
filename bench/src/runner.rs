//! Threads, connections and clients that carry a load out.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow};
use bytes::{Bytes, BytesMut};
use quorate_client::Address;
use tokio::task::LocalSet;

use crate::keys::Dice;
use crate::pace::Pace;
use crate::progress::Progress;
use crate::tally::Tally;
use crate::wire::{Call, Failure, Stream, Wire, frame};

/// After a failure a client waits, so that a server that is down is not flooded.
const FAILURE_PAUSE: Duration = Duration::from_millis(20);

/// Requests of one kind.
pub(crate) trait Requests: Send + Sync + 'static {
    /// What the request with this index calls.
    fn call(&self, index: u64) -> Call;

    /// Whether each client sends its requests over one stream of its own.
    fn streaming(&self) -> bool {
        false
    }

    /// Appends the request of a client.
    fn encode(&self, index: u64, client: usize, dice: &mut Dice, out: &mut BytesMut);

    /// Looks at an answer on a stream; a failure is one of the request.
    fn check(&self, answer: &Bytes) -> Result<(), Failure> {
        let _ = answer;
        Ok(())
    }
}

/// How a load is carried out.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) addresses: Vec<Address>,
    pub(crate) clients: usize,
    pub(crate) connections: usize,
    pub(crate) threads: usize,
    pub(crate) total: u64,
    pub(crate) pace: Pace,
    /// Ends the load early when it becomes true.
    pub(crate) stop: Arc<AtomicBool>,
}

/// What the threads share.
pub(crate) struct Shared {
    requests: Box<dyn Requests>,
    pace: Pace,
    /// The index of the next request.
    next: AtomicU64,
    /// No request has this index; lowered when the user interrupts.
    total: AtomicU64,
    pub(crate) done: AtomicU64,
    began: Instant,
}

/// A load that is being carried out.
pub(crate) struct Running {
    pub(crate) shared: Arc<Shared>,
    stop: Arc<AtomicBool>,
    /// Each answers what it measured and when it was done.
    threads: Vec<JoinHandle<Result<(Tally, Instant)>>>,
}

/// Starts a load.
pub(crate) fn start(plan: &Plan, requests: Box<dyn Requests>) -> Result<Running> {
    let shared = Arc::new(Shared {
        requests,
        pace: plan.pace,
        next: AtomicU64::new(0),
        total: AtomicU64::new(plan.total),
        done: AtomicU64::new(0),
        began: Instant::now(),
    });
    let connections = plan.connections.min(plan.clients);
    let threads_used = plan.threads.min(connections);
    let mut threads = Vec::new();
    for thread in 0..threads_used {
        // Connection c belongs to thread c modulo threads, and client k to connection k modulo
        // connections.
        let mut lines = Vec::new();
        for connection in (thread..connections).step_by(threads_used) {
            let address = plan.addresses[connection % plan.addresses.len()].clone();
            let clients: Vec<usize> = (connection..plan.clients).step_by(connections).collect();
            lines.push((address, clients));
        }
        let shared = Arc::clone(&shared);
        let thread = std::thread::Builder::new()
            .name(format!("load-{thread}"))
            .spawn(move || carry_out(&shared, lines))
            .context("cannot start a thread")?;
        threads.push(thread);
    }
    Ok(Running {
        shared,
        stop: Arc::clone(&plan.stop),
        threads,
    })
}

impl Running {
    /// Waits for the end, showing progress and listening for Ctrl-C.
    pub(crate) fn finish(self, progress: &Progress) -> Result<(Tally, Duration)> {
        while !self.threads.iter().all(JoinHandle::is_finished) {
            let interrupted = progress.tick(self.shared.done.load(Ordering::Relaxed));
            if interrupted || self.stop.load(Ordering::Relaxed) {
                self.shared.total.store(0, Ordering::Relaxed);
            }
        }
        let mut tally = Tally::new();
        let mut took = Duration::ZERO;
        for thread in self.threads {
            let outcome = thread.join().map_err(|_| anyhow!("a thread panicked"))?;
            let (part, ended) = outcome?;
            tally.add(&part);
            took = took.max(ended - self.shared.began);
        }
        Ok((tally, took))
    }
}

/// One thread: its own runtime, its own connections, its own histogram.
fn carry_out(shared: &Arc<Shared>, lines: Vec<(Address, Vec<usize>)>) -> Result<(Tally, Instant)> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let tally = Rc::new(RefCell::new(Tally::new()));
    let local = LocalSet::new();
    for (address, clients) in lines {
        let wire = Rc::new(Wire::new(address));
        for client in clients {
            let one = Client {
                shared: Arc::clone(shared),
                wire: Rc::clone(&wire),
                tally: Rc::clone(&tally),
                number: client,
                dice: Dice::new(client as u64),
                buffer: BytesMut::new(),
                stream: None,
            };
            local.spawn_local(one.run());
        }
    }
    runtime.block_on(local);
    let ended = Instant::now();
    let tally = tally.borrow().clone();
    Ok((tally, ended))
}

/// Runs something that needs a runtime, outside any load.
pub(crate) fn block_on<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?
        .block_on(work)
}

/// One client, with one request under way.
struct Client {
    shared: Arc<Shared>,
    wire: Rc<Wire>,
    tally: Rc<RefCell<Tally>>,
    number: usize,
    dice: Dice,
    buffer: BytesMut,
    stream: Option<Stream>,
}

impl Client {
    async fn run(mut self) {
        loop {
            let index = self.shared.next.fetch_add(1, Ordering::Relaxed);
            if index >= self.shared.total.load(Ordering::Relaxed) {
                return;
            }
            let began = self.wait_until_due(index).await;
            let requests = &self.shared.requests;
            let message = frame(&mut self.buffer, |out| {
                requests.encode(index, self.number, &mut self.dice, out);
            });
            match self.exchange(index, message).await {
                Ok(()) => self.tally.borrow_mut().succeeded(began.elapsed()),
                Err(failure) => {
                    self.stream = None;
                    self.tally.borrow_mut().failed(failure.0);
                    tokio::time::sleep(FAILURE_PAUSE).await;
                }
            }
            self.shared.done.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Answers when the latency begins to count: when the request is due, or now if it is due at
    /// once. A wait that took too long by itself is ours and not the server's.
    async fn wait_until_due(&self, index: u64) -> Instant {
        let now = Instant::now();
        let Some(due) = self.shared.pace.due(index) else {
            return now;
        };
        let due = self.shared.began + due;
        if due <= now {
            return due;
        }
        tokio::time::sleep_until(due.into()).await;
        Instant::now()
    }

    async fn exchange(&mut self, index: u64, message: Bytes) -> Result<(), Failure> {
        let requests = &self.shared.requests;
        if !requests.streaming() {
            return self.wire.call(requests.call(index), message).await;
        }
        let stream = match &mut self.stream {
            Some(stream) => stream,
            none => none.insert(self.wire.stream(requests.call(index)).await?),
        };
        stream.send(message);
        requests.check(&stream.next().await?)
    }
}
