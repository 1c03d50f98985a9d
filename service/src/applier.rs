//! The apply thread: takes what was delivered, applies it, makes it visible, and tells everyone who
//! waits. And the flush thread, which carries the machine's state to disk beside it.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender};
use quorate_core::{Checkpoint, Payload};

use crate::edge::Work;
use crate::edge::callers::{Reader, Reply};
use crate::edge::shared::{Shared, count};
use crate::error::Error;
use crate::gathered::Wakers;
use crate::machine::{Machine, Outcome};
use crate::reply::{Applied, Revision};
use crate::store::shared::lock;
use crate::store::{Flusher, Views, Worked};
use crate::watch::Hub;
use crate::works::{Found, Seat, Works};

/// How many positions, and about how many bytes, become visible at once: enough to share the cost of
/// publishing, not so many that the first would wait long for the last.
const ROUND_POSITIONS_MAX: usize = 1024;
const ROUND_BYTES_MAX: usize = 8 << 20;

/// How often the machine is looked after although nothing is delivered.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// Applies what is delivered. Either it is given to [`Workers::start`], or somebody calls
/// [`Applier::run_round`] when there may be something to do.
pub struct Applier {
    machine: Machine,
    flusher: Flusher,
    views: Views,
    hub: Arc<Hub>,
    shared: Arc<Shared>,
    works: Found,
    /// Wakes the flush thread.
    flush: Sender<()>,
    outcome: Outcome,
    round: Round,
    /// The last position applied.
    position: u64,
    /// Readers that wait for a position.
    readers: Vec<(u64, Vec<Reader>)>,
    stopped: bool,
    /// What went wrong on a thread that is not its own.
    failed: Option<Error>,
}

/// What has come together since the last publication.
#[derive(Default)]
struct Round {
    /// Whether there is anything to publish.
    dirty: bool,
    positions: usize,
    bytes: usize,
    answers: Vec<(Reply, Result<Applied, Error>)>,
    revisions: Vec<Revision>,
}

impl Applier {
    pub(crate) fn new(
        machine: Machine,
        hub: Arc<Hub>,
        shared: Arc<Shared>,
        works: Found,
        flush: Sender<()>,
    ) -> Applier {
        let views = machine.views();
        let position = views.view().position();
        shared.set_has_leases(views.view().lease_count() > 0);
        shared.set_members(views.view().members());
        shared.set_health(views.view().health(), views.view().bytes_in_use());
        Applier {
            flusher: machine.flusher(),
            machine,
            views,
            hub,
            shared,
            works,
            flush,
            outcome: Outcome::default(),
            round: Round::default(),
            position,
            readers: Vec::new(),
            stopped: false,
            failed: None,
        }
    }

    /// Applies everything that has been delivered by now, in rounds. Answers whether there was
    /// anything.
    ///
    /// # Errors
    /// Only what is fatal: the payload or the store is damaged, or the disk failed.
    pub fn run_round(&mut self) -> Result<bool, Error> {
        if let Some(failed) = &self.failed {
            return Err(failed.clone());
        }
        let works = self.works.queue.len();
        for _ in 0..works {
            let Ok(work) = self.works.queue.try_recv() else {
                break;
            };
            self.work(work)?;
            if self.round.positions >= ROUND_POSITIONS_MAX || self.round.bytes >= ROUND_BYTES_MAX {
                self.publish();
            }
        }
        self.publish();
        Ok(works > 0)
    }

    /// Applies what is there on the thread of the edge, unless that could keep it long. Answers whether there is
    /// nothing left to do.
    pub(crate) fn work_elsewhere(&mut self) -> bool {
        // Others must hear from this replica, whatever its machine is busy with.
        if self.stopped || !self.machine.is_alone() || self.machine.may_wait() {
            return false;
        }
        if let Err(error) = self.run_round() {
            self.failed = Some(error);
            return false;
        }
        self.works.queue.is_empty() && !self.stopped
    }

    /// Looks after the machine although nothing was delivered, as the apply thread does every second.
    ///
    /// # Errors
    /// As [`Applier::run_round`].
    pub fn look(&mut self) -> Result<(), Error> {
        self.round.dirty = true;
        self.run_round().map(|_| ())
    }

    fn work(&mut self, work: Work) -> Result<(), Error> {
        match work {
            Work::Deliver {
                position,
                epoch,
                payload,
                replies,
            } => self.deliver(position, epoch, &payload, replies)?,
            Work::Install(checkpoint) => self.install(checkpoint)?,
            Work::Read { position, readers } => self.readers.push((position, readers)),
            Work::Look => self.round.dirty = true,
            Work::Stop => self.stopped = true,
        }
        Ok(())
    }

    fn deliver(
        &mut self,
        position: u64,
        epoch: u64,
        payload: &Payload,
        replies: Option<Vec<Option<Reply>>>,
    ) -> Result<(), Error> {
        let wanted = replies.is_some();
        let outcome = &mut self.outcome;
        self.machine
            .apply(position, epoch, payload, wanted, outcome)?;
        self.position = position;
        let round = &mut self.round;
        round.dirty = true;
        round.positions += 1;
        round.bytes += payload.len();
        round.revisions.append(&mut outcome.events);
        if outcome.compacted.is_some() {
            // Space can be freed; a full signal is a signal.
            let _ = self.flush.try_send(());
        }
        count(
            &self.shared.counters.duplicates,
            usize::from(outcome.duplicate),
        );
        let mut results = outcome.replies.drain(..);
        for reply in replies.into_iter().flatten() {
            // A duplicate of ours took effect before a checkpoint that we were given, or never will;
            // either way its caller cannot be told which.
            let result = results.next().unwrap_or(Err(Error::Timeout));
            if let Some(reply) = reply {
                let result = result.map(|(revision, reply)| Applied {
                    revision,
                    epoch,
                    reply,
                });
                round.answers.push((reply, result));
            }
        }
        Ok(())
    }

    fn install(&mut self, checkpoint: Checkpoint) -> Result<(), Error> {
        self.publish();
        self.machine.install(checkpoint)?;
        self.position = self.position.max(checkpoint.position);
        self.machine.publish();
        // Before the hub hears of the new revision in any other way: watches would miss what led
        // there.
        self.hub.on_install(self.views.view().revision());
        self.round.dirty = true;
        self.round.positions += 1;
        self.publish();
        count(&self.shared.counters.installs, 1);
        Ok(())
    }

    /// Makes what was applied visible, and tells everyone who waits for it.
    fn publish(&mut self) {
        if std::mem::take(&mut self.round.dirty) {
            self.publish_changes();
        }
        let position = self.position;
        let mut wakers = Wakers::default();
        self.readers.retain_mut(|(wanted, readers)| {
            let ready = *wanted <= position;
            if ready {
                for reader in readers.drain(..) {
                    reader.send(&mut wakers);
                }
            }
            !ready
        });
    }

    fn publish_changes(&mut self) {
        self.machine.publish();
        let view = self.views.view();
        let round = &mut self.round;
        let counters = &self.shared.counters;
        count(&counters.apply_rounds, 1);
        count(&counters.positions, round.positions);
        count(&counters.revisions, round.revisions.len());
        self.shared
            .on_applied(self.position, round.positions, round.bytes);
        (round.positions, round.bytes) = (0, 0);
        // Before anybody is told anything: it may turn out that nobody must be.
        self.shared.set_health(view.health(), view.bytes_in_use());
        // Callers first: they wait, while watches are told in passing.
        let mut wakers = Wakers::default();
        for (reply, result) in round.answers.drain(..) {
            reply.send(result, &mut wakers);
        }
        drop(wakers);
        self.hub.publish(&round.revisions, view.revision());
        round.revisions.clear();
        self.shared.set_has_leases(view.lease_count() > 0);
        self.shared.set_members(view.members());
        self.shared
            .set_checked(self.machine.noted(), self.machine.wants_check());
        if self.machine.differs() {
            self.shared
                .differing
                .send_if_modified(|differs| !std::mem::replace(differs, true));
        }
        self.shared.set_durable(self.flusher.durable());
        if !lock(&self.flusher.shared.turn).frozen.is_empty() {
            // A full signal is a signal.
            let _ = self.flush.try_send(());
        }
    }
}

/// Carries the state to disk. Either [`Flushing::run`] runs on a thread of its own, or somebody calls
/// [`Flushing::run_once`] now and then.
pub struct Flushing {
    flusher: Flusher,
    shared: Arc<Shared>,
    signal: Receiver<()>,
    works: Works,
}

impl Flushing {
    pub(crate) fn new(
        flusher: Flusher,
        shared: Arc<Shared>,
        signal: Receiver<()>,
        works: Works,
    ) -> Flushing {
        Flushing {
            flusher,
            shared,
            signal,
            works,
        }
    }

    /// One bounded piece of work.
    ///
    /// # Errors
    /// If the disk fails, which is fatal.
    pub fn run_once(&self) -> Result<Worked, Error> {
        let worked = self.flusher.run_once()?;
        let free_bytes = self.flusher.shared.files.free_bytes();
        let free_bytes = free_bytes.map_err(|error| Error::Storage(error.to_string()))?;
        if let Some(free_bytes) = free_bytes {
            self.shared.set_free(free_bytes);
        }
        if let Worked::Flushed(checkpoint) = worked {
            self.shared.set_durable(checkpoint);
            // What follows, such as the freeing of space, waits for the next publication.
            self.works.push(Work::Look);
            self.works.call();
        }
        Ok(worked)
    }

    /// Works until the applier is gone.
    ///
    /// # Errors
    /// If the disk fails, which is fatal.
    pub fn run(&self) -> Result<(), Error> {
        loop {
            let begin = Instant::now();
            let pause = match self.run_once()? {
                Worked::Flushed(_) => continue,
                // Freeing space is never urgent: at most half of the disk's time.
                Worked::Swept => begin.elapsed(),
                // Nor is looking at what is at rest: a twentieth.
                Worked::Looked => begin.elapsed() * 20,
                Worked::Nothing => LOOK_INTERVAL,
            };
            if self.signal.recv_timeout(pause) == Err(RecvTimeoutError::Disconnected) {
                return Ok(());
            }
        }
    }
}

/// The two threads; dropping this waits for them to end, which they do when the replica has.
pub struct Workers {
    threads: Vec<JoinHandle<()>>,
}

impl Workers {
    /// Starts the threads. `fatal` is called when the machine cannot go on: it should end the
    /// process, since what is in memory and what is on disk may no longer agree.
    ///
    /// # Errors
    /// If the operating system has no thread for us.
    pub fn start(
        applier: Applier,
        flushing: Flushing,
        fatal: impl Fn(Error) + Send + Sync + 'static,
    ) -> std::io::Result<Workers> {
        let fatal = Arc::new(fatal);
        let apply = spawn("apply", fatal.clone(), move || apply(applier))?;
        let flush = spawn("flush", fatal, move || flushing.run())?;
        Ok(Workers {
            threads: vec![apply, flush],
        })
    }
}

/// Applies until the edge is gone, or the machine cannot go on.
fn apply(applier: Applier) -> Result<(), Error> {
    let (seat, bell) = (applier.works.seat.clone(), applier.works.bell.clone());
    *seat.take() = Some(applier);
    let applied = apply_in(&seat, &bell);
    // With it goes what keeps the flush thread.
    *seat.take() = None;
    applied
}

fn apply_in(seat: &Seat, bell: &Receiver<()>) -> Result<(), Error> {
    let mut called = Ok(());
    loop {
        let mut seated = seat.take();
        let Some(applier) = seated.as_mut() else {
            return Ok(());
        };
        match called {
            Ok(()) => while applier.run_round()? {},
            Err(RecvTimeoutError::Timeout) => applier.look()?,
            Err(RecvTimeoutError::Disconnected) => return Ok(()),
        }
        if applier.stopped {
            return Ok(());
        }
        drop(seated);
        called = bell.recv_timeout(LOOK_INTERVAL);
    }
}

/// Starts a thread that ends quietly or is fatal; a panic in it is fatal too.
fn spawn(
    name: &'static str,
    fatal: Arc<dyn Fn(Error) + Send + Sync>,
    body: impl FnOnce() -> Result<(), Error> + Send + 'static,
) -> std::io::Result<JoinHandle<()>> {
    let thread = std::thread::Builder::new().name(name.into());
    thread.spawn(move || {
        // Nothing is used again after a panic, so nothing can be seen half changed.
        let ended = std::panic::catch_unwind(std::panic::AssertUnwindSafe(body));
        let panicked = || Error::Storage(format!("the {name} thread panicked"));
        if let Err(error) = ended.unwrap_or_else(|_| Err(panicked())) {
            fatal(error);
        }
    })
}

impl Drop for Workers {
    fn drop(&mut self) {
        for thread in self.threads.drain(..) {
            // A panic was reported where it happened.
            let _ = thread.join();
        }
    }
}

impl Applier {
    /// The last position whose effects are visible.
    #[must_use]
    pub fn applied(&self) -> u64 {
        self.shared.applied()
    }

    /// How many deliveries wait.
    #[must_use]
    pub fn backlog(&self) -> usize {
        self.works.queue.len()
    }

    /// The machine, for oracles and tests.
    #[must_use]
    pub fn machine(&self) -> &Machine {
        &self.machine
    }

    /// Whether the edge is gone, and with it all reason to go on.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        self.stopped
    }

    /// How many readers wait for a position.
    #[must_use]
    pub fn readers(&self) -> usize {
        self.readers.iter().map(|(_, readers)| readers.len()).sum()
    }
}

/// Numbers for metrics that only grow.
pub(crate) fn read(counter: &std::sync::atomic::AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}
