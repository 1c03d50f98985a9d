//! The handle to a replica's key-value service, and how its parts are put together.

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crossbeam_channel::Sender;
use quorate_core::{Instant, NodeId, Status};
use quorate_problems::total_order::Membership;
use tokio::sync::oneshot::error::TryRecvError;
use tokio::sync::{oneshot, watch};
use tokio::task::spawn_blocking;
use tokio::time::{sleep, timeout};

use crate::applier::{Applier, Flushing, read};
use crate::codec;
use crate::command::{Command, KeyRange};
use crate::edge::Batcher;
use crate::edge::callers::{Answers, Reader, Reply, Ticket};
use crate::edge::shared::{Claim, Shared, Submission, count};
use crate::error::Error;
use crate::fresh::Fresh;
use crate::machine::Machine;
use crate::reply::{self, Applied, Revision};
use crate::store::snapshot::Snapshot;
use crate::store::{Flaw, Upkeep, View, Views};
use crate::watch::{Hub, Past, WatchCounts, WatchOptions, WatchStream};
use crate::works::works;

/// How often to look whether what was applied is durable.
const FLUSH_LOOK_EVERY: Duration = Duration::from_millis(20);
/// How long that may take.
const FLUSH_PATIENCE: Duration = Duration::from_secs(60);

/// Who this replica is, and what the service may cost. [`ServiceOptions::new`] has the usual values.
#[derive(Clone, Debug)]
pub struct ServiceOptions {
    /// This replica.
    pub me: NodeId,
    /// Its incarnation: larger than ever before, and durable already. Batches are recognised by it.
    pub incarnation: u64,
    /// The protocol's election timeout: how long to wait for an answer before asking again.
    pub election_timeout: Duration,
    /// How long a caller waits at most.
    pub timeout: Duration,
    /// How often the leader tells the time while there are leases.
    pub tick_interval: Duration,
    /// How often the leader has the replicas compare their states, while these change; zero for never.
    pub check_interval: Duration,
    /// After how many changes it does not wait that long.
    pub check_changes: u64,
    /// How much the store may hold before nothing is added any more, if there is a limit.
    pub quota_bytes: Option<u64>,
    /// How much the disk must have left, bytes, for anything to be added: what is agreed on already, and
    /// what it takes to make room, must find some.
    pub disk_reserve_bytes: u64,
    /// The largest encoded command. The encoding is not the client's: leave room for about four times
    /// the largest request, since small operations take more space here.
    pub request_bytes_max: usize,
    /// About how large a batch grows. A larger command is a batch by itself.
    pub batch_bytes_max: usize,
    /// How many commands a batch has at most.
    pub batch_commands_max: usize,
    /// How many batches may be under way before commands gather until there are
    /// `small_batch_bytes` of them.
    pub small_batches_max: usize,
    /// From how many waiting bytes on a batch is not small.
    pub small_batch_bytes: usize,
    /// How many batches may be under way.
    pub flight_batches_max: usize,
    /// How many bytes of batches may be under way before no more are begun.
    pub flight_bytes_max: usize,
    /// How many commands may wait or be under way; more are refused.
    pub pending_commands_max: usize,
    /// How many bytes of commands may wait or be under way; more are refused.
    pub pending_bytes_max: usize,
    /// How many readers may wait; more are refused.
    pub readers_max: usize,
    /// How many delivered positions may wait to be applied before no more batches are begun.
    pub backlog_positions_max: usize,
    /// How many delivered bytes may wait to be applied before no more batches are begun.
    pub backlog_bytes_max: usize,
    /// What watches may cost.
    pub watch: WatchOptions,
}

impl ServiceOptions {
    /// The usual values.
    #[must_use]
    pub fn new(me: NodeId, incarnation: u64, election_timeout: Duration) -> ServiceOptions {
        ServiceOptions {
            me,
            incarnation,
            election_timeout,
            timeout: Duration::from_secs(5) + 2 * election_timeout,
            tick_interval: Duration::from_millis(500),
            check_interval: Duration::from_secs(1),
            check_changes: 10_000,
            quota_bytes: None,
            disk_reserve_bytes: 128 << 20,
            request_bytes_max: 8 << 20,
            batch_bytes_max: 1 << 20,
            batch_commands_max: 4096,
            small_batches_max: 4,
            small_batch_bytes: 256 << 10,
            flight_batches_max: 64,
            flight_bytes_max: 32 << 20,
            pending_commands_max: 65_536,
            pending_bytes_max: 128 << 20,
            readers_max: 65_536,
            backlog_positions_max: 5000,
            backlog_bytes_max: 64 << 20,
            watch: WatchOptions::default(),
        }
    }
}

/// The parts of a service. The batcher goes to the replica as its edge, the applier and the flushing
/// to [`Workers::start`](crate::applier::Workers::start), or are driven by a simulator.
pub struct Assembly {
    /// The handle.
    pub service: Service,
    /// The edge of the replica.
    pub batcher: Batcher,
    /// What applies.
    pub applier: Applier,
    /// What carries the state to disk.
    pub flushing: Flushing,
}

/// Puts a service together around a machine. `wake` must make the replica ask its edge for requests
/// soon; it is called for every command, so it should be cheap when called again and again.
#[must_use]
pub fn assemble(
    options: ServiceOptions,
    machine: Machine,
    wake: impl Fn() + Send + Sync + 'static,
) -> Assembly {
    let views = machine.views();
    let checkpoint = views.view().checkpoint();
    let watch = options.watch.clone();
    let shared = Arc::new(Shared::new(options, checkpoint, Box::new(wake)));
    let hub = Arc::new(Hub::new(Arc::new(views.clone()), watch));
    let (submissions, submitted) = crossbeam_channel::unbounded();
    let (readers, reading) = crossbeam_channel::unbounded();
    let (desk, works, found) = works();
    // One signal is as good as many.
    let (flush, signal) = crossbeam_channel::bounded(1);
    let flusher = machine.flusher();
    let flaw = machine.flaw();
    Assembly {
        service: Service(Arc::new(Inner {
            shared: shared.clone(),
            submissions,
            readers,
            views,
            upkeep: machine.upkeep(),
            hub: hub.clone(),
            fresh: Fresh::new(flaw == Some(Flaw::FreshWhenAnswered)),
        })),
        batcher: Batcher::new(shared.clone(), submitted, reading, desk, checkpoint),
        applier: Applier::new(machine, hub, shared.clone(), found, flush),
        flushing: Flushing::new(flusher, shared, signal, works),
    }
}

/// Where a caller waits for its answer.
pub(crate) type Answer = oneshot::Receiver<Result<Applied, Error>>;

/// A replica's key-value service. Cheap to clone, usable from any thread.
#[derive(Clone)]
pub struct Service(Arc<Inner>);

struct Inner {
    shared: Arc<Shared>,
    // Unbounded channels: what goes in is bounded by the meters in `shared`.
    submissions: Sender<Submission>,
    readers: Sender<Reader>,
    views: Views,
    upkeep: Upkeep,
    hub: Arc<Hub>,
    fresh: Fresh,
}

/// What a replica says of itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ServiceStatus {
    /// Who it is.
    pub me: NodeId,
    /// How often it was started, this time included.
    pub incarnation: u64,
    /// The role, in the protocol's own word.
    pub role: &'static str,
    /// The epoch (term) in which it is.
    pub epoch: u64,
    /// Who leads, if it knows.
    pub leader: Option<NodeId>,
    /// The last position that it holds.
    pub head: u64,
    /// The last position that it knows to be decided.
    pub decided: u64,
    /// Whether it does all that others count on: false while it makes up for what it forgot.
    pub whole: bool,
    /// How many positions that it could not read it has put back since it started.
    pub repaired: u64,
    /// The last position whose effects are visible here.
    pub applied: u64,
    /// Commands that wait or are under way.
    pub pending: u64,
    /// How often another leader was seen.
    pub leader_changes: u64,
}

/// What a service has done and has to do, for metrics.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct ServiceMetrics {
    /// Commands asked for.
    pub writes: u64,
    /// Commands and reads refused because too much was waiting.
    pub refused: u64,
    /// Commands and reads whose caller was not answered in time.
    pub timeouts: u64,
    /// Commands that wait or are under way.
    pub pending: u64,
    /// Their bytes.
    pub pending_bytes: u64,
    /// Batches made.
    pub batches: u64,
    /// Commands in them.
    pub batch_commands: u64,
    /// Bytes of them.
    pub batch_bytes: u64,
    /// Batches broadcast again.
    pub broadcast_again: u64,
    /// Linearizable reads asked for.
    pub reads: u64,
    /// Rounds in which they were confirmed.
    pub read_rounds: u64,
    /// Readers that wait.
    pub readers: u64,
    /// Ticks proposed.
    pub ticks: u64,
    /// How often another leader was seen.
    pub leader_changes: u64,
    /// Positions applied.
    pub positions: u64,
    /// Rounds in which they became visible.
    pub apply_rounds: u64,
    /// Batches that were delivered again, and skipped.
    pub duplicates: u64,
    /// Revisions made.
    pub revisions: u64,
    /// Checkpoints installed.
    pub installs: u64,
    /// Positions delivered and not yet applied.
    pub backlog: u64,
    /// Their bytes.
    pub backlog_bytes: u64,
    /// Watches.
    pub watch: WatchCounts,
}

impl Service {
    /// Has a command carried out, and answers when that is visible here.
    ///
    /// # Errors
    /// What the machine refuses it for; or [`Error::NoLeader`], [`Error::TooManyRequests`] and
    /// [`Error::TooLarge`] if it was certainly not carried out, [`Error::Timeout`] and
    /// [`Error::Stopped`] if that is not known.
    pub async fn write(&self, command: Command) -> Result<Applied, Error> {
        let mut writing = self.begin_write(&command)?;
        drop(command);
        match timeout(self.0.shared.options.timeout, &mut writing.answer).await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(_)) => Err(Error::Stopped),
            Err(_) => Err(writing.give_up()),
        }
    }

    /// Has the list of members changed, and answers when the change is visible here and the protocol goes
    /// by it. A replica that removed itself waits no longer than `patience` for that: nobody has to tell
    /// it, and its removal is ordered already. Nor does one that adds another: that one may be needed for
    /// its own addition, and is started when this is answered.
    ///
    /// # Errors
    /// As [`Service::write`]; after [`Error::Timeout`] the list may have changed all the same.
    pub async fn change_members(
        &self,
        command: Command,
        patience: Duration,
    ) -> Result<Applied, Error> {
        let adds = matches!(command, Command::MemberAdd { .. });
        let applied = self.write(command).await?;
        let reply::Reply::Members { version } = applied.reply else {
            return Ok(applied);
        };
        let is_member = {
            let view = self.view();
            view.members().get(self.0.shared.options.me.0).is_some()
        };
        let may_wait = is_member && !adds;
        let patience = match may_wait {
            true => self.0.shared.options.timeout,
            false => patience,
        };
        let mut changes = self.membership_changes();
        let in_force = changes.wait_for(|members| members.version >= version);
        match timeout(patience, in_force).await {
            Ok(Ok(_)) => Ok(applied),
            Err(_) if !may_wait => Ok(applied),
            Ok(Err(_)) => Err(Error::Stopped),
            Err(_) => Err(Error::Timeout),
        }
    }

    /// As [`Service::write`], for callers who look after their answers themselves.
    ///
    /// # Errors
    /// [`Error::TooManyRequests`], [`Error::TooLarge`] or [`Error::Stopped`], and it was certainly not
    /// carried out.
    pub fn begin_write(&self, command: &Command) -> Result<Writing, Error> {
        let (reply, answer) = oneshot::channel();
        let promise = self.submit(command, Reply::One(reply))?;
        Ok(Writing { promise, answer })
    }

    /// As [`Service::begin_write`], for callers who look after many answers together: this one will be
    /// among `answers`, with this number.
    ///
    /// # Errors
    /// As [`Service::begin_write`]; then no answer comes, or none that has to be looked at.
    pub fn write_among(
        &self,
        command: &Command,
        number: u64,
        answers: &Arc<Answers>,
    ) -> Result<Promise, Error> {
        let ticket = Ticket::new(number, false, answers);
        self.submit(command, Reply::OfMany(ticket))
    }

    /// Leaves a command for the edge.
    pub(crate) fn submit(&self, command: &Command, reply: Reply) -> Result<Promise, Error> {
        let Inner {
            shared,
            submissions,
            ..
        } = &*self.0;
        let options = &shared.options;
        if !shared.admits(command.price()) {
            count(&shared.counters.refused, 1);
            return Err(Error::NoSpace);
        }
        // Encoded here, on the caller's thread: the replica's only copies.
        let mut bytes = Vec::new();
        codec::encode_command(command, &mut bytes);
        if bytes.len() > options.request_bytes_max {
            return Err(Error::TooLarge);
        }
        count(&shared.counters.writes, 1);
        let (count_max, bytes_max) = (options.pending_commands_max, options.pending_bytes_max);
        if !shared.pending.admit(bytes.len(), count_max, bytes_max) {
            count(&shared.counters.refused, 1);
            return Err(Error::TooManyRequests);
        }
        let claim = Arc::new(Claim::default());
        let submission = Submission {
            bytes,
            reply,
            claim: claim.clone(),
        };
        submissions.send(submission).map_err(|_| Error::Stopped)?;
        shared.wake();
        Ok(Promise {
            shared: shared.clone(),
            claim,
        })
    }

    /// Waits until [`Service::view`] contains everything that any client was told, or could read,
    /// before this call.
    ///
    /// # Errors
    /// [`Error::NoLeader`], [`Error::Timeout`], [`Error::TooManyRequests`] or [`Error::Stopped`].
    pub async fn read_barrier(&self) -> Result<(), Error> {
        let mut reading = self.begin_read()?;
        match timeout(self.0.shared.options.timeout, &mut reading.ready).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(Error::Stopped),
            Err(_) => Err(reading.give_up()),
        }
    }

    /// As [`Service::read_barrier`], for callers who look after their answers themselves.
    ///
    /// # Errors
    /// [`Error::TooManyRequests`] or [`Error::Stopped`].
    pub fn begin_read(&self) -> Result<Reading, Error> {
        let (reader, ready) = oneshot::channel();
        let waiting = self.ask(1, Reader::One(reader))?;
        Ok(Reading { waiting, ready })
    }

    /// As [`Service::begin_read`], for so many readers that come together; their answer will be among
    /// `answers`, with this number.
    ///
    /// # Errors
    /// As [`Service::begin_read`]; then no answer comes, or none that has to be looked at.
    pub fn read_among(
        &self,
        readers: usize,
        number: u64,
        answers: &Arc<Answers>,
    ) -> Result<Waiting, Error> {
        let ticket = Ticket::new(number, true, answers);
        self.ask(readers, Reader::OfMany(ticket))
    }

    /// Leaves a wish to read for the edge.
    pub(crate) fn ask(&self, readers: usize, reader: Reader) -> Result<Waiting, Error> {
        let shared = &self.0.shared;
        count(&shared.counters.reads, readers);
        let waiting = Waiting::new(shared.clone(), readers);
        if waiting.before >= shared.options.readers_max {
            count(&shared.counters.refused, readers);
            return Err(Error::TooManyRequests);
        }
        self.0.readers.send(reader).map_err(|_| Error::Stopped)?;
        shared.wake();
        Ok(waiting)
    }

    /// How long a caller waits at most.
    #[must_use]
    pub fn patience(&self) -> Duration {
        self.0.shared.options.timeout
    }

    /// The state as it is here now; as new as the last [`Service::read_barrier`] at least.
    #[must_use]
    pub fn view(&self) -> View {
        self.0.views.view()
    }

    /// The state as it is here, if it is known that at `now` it was at most so old, without asking anybody: a
    /// read that began within that time was confirmed.
    #[must_use]
    pub fn view_at_most(&self, age: Duration, now: Instant) -> Option<View> {
        let view = self.view();
        // Looked at behind the state, so that it is not older than it was found to be.
        self.0.fresh.is_within(age, now).then_some(view)
    }

    /// A read that began at `begun` was confirmed, and it is `now`: what [`Service::view_at_most`] goes by.
    /// Both moments, and those that it is asked about, are of one clock.
    pub fn on_confirmed(&self, begun: Instant, now: Instant) {
        self.0.fresh.on_confirmed(begun, now);
    }

    /// A stream of watches: one per client connection.
    #[must_use]
    pub fn watches(&self) -> WatchStream {
        self.0.hub.open()
    }

    /// What the replica says of itself.
    #[must_use]
    pub fn status(&self) -> ServiceStatus {
        let shared = &self.0.shared;
        let Status {
            role,
            epoch,
            leader,
            head,
            decided,
            whole,
            repaired,
        } = **shared.status.load();
        ServiceStatus {
            me: shared.options.me,
            incarnation: shared.options.incarnation,
            role,
            epoch,
            leader,
            head,
            decided,
            whole,
            repaired,
            applied: shared.applied(),
            pending: shared.pending.count() as u64,
            leader_changes: read(&shared.counters.leader_changes),
        }
    }

    /// What it has done and has to do.
    #[must_use]
    pub fn metrics(&self) -> ServiceMetrics {
        let shared = &self.0.shared;
        let counters = &shared.counters;
        ServiceMetrics {
            writes: read(&counters.writes),
            refused: read(&counters.refused),
            timeouts: read(&counters.timeouts),
            pending: shared.pending.count() as u64,
            pending_bytes: shared.pending.bytes() as u64,
            batches: read(&counters.batches),
            batch_commands: read(&counters.batch_commands),
            batch_bytes: read(&counters.batch_bytes),
            broadcast_again: read(&counters.broadcast_again),
            reads: read(&counters.reads),
            read_rounds: read(&counters.read_rounds),
            readers: shared.reading.load(Ordering::Relaxed) as u64,
            ticks: read(&counters.ticks),
            leader_changes: read(&counters.leader_changes),
            positions: read(&counters.positions),
            apply_rounds: read(&counters.apply_rounds),
            duplicates: read(&counters.duplicates),
            revisions: read(&counters.revisions),
            installs: read(&counters.installs),
            backlog: shared.backlog.count() as u64,
            backlog_bytes: shared.backlog.bytes() as u64,
            watch: self.0.hub.counts(),
        }
    }

    /// Who leads in which epoch, as this replica learns it; `None` until it has heard anything.
    #[must_use]
    pub fn leader_changes(&self) -> watch::Receiver<Option<(u64, Option<NodeId>)>> {
        self.0.shared.lead.subscribe()
    }

    /// The version of the list of members that [`Service::view`] has at least.
    #[must_use]
    pub fn member_changes(&self) -> watch::Receiver<u64> {
        self.0.shared.listed.subscribe()
    }

    /// Who takes part, says the protocol: those whom the newest list of members names, once its version
    /// is this one.
    #[must_use]
    pub fn membership_changes(&self) -> watch::Receiver<Membership> {
        self.0.shared.in_force.subscribe()
    }

    /// What operators may do to the store.
    #[must_use]
    pub fn upkeep(&self) -> &Upkeep {
        &self.0.upkeep
    }

    /// The content of the store, with everything in it that is visible here now, as a stream.
    ///
    /// # Errors
    /// If the store is damaged or the disk fails, or it is not durable in time.
    pub async fn snapshot(&self) -> Result<Snapshot, Error> {
        let upkeep = self.upkeep().clone();
        let flushed = async {
            let wanted = upkeep.ask();
            while upkeep.durable() < wanted {
                sleep(FLUSH_LOOK_EVERY).await;
            }
        };
        let flushed = timeout(FLUSH_PATIENCE, flushed).await;
        flushed.map_err(|_| Error::Timeout)?;
        let snapshot = spawn_blocking(move || upkeep.snapshot()).await;
        let failed = |error: &dyn std::fmt::Display| Error::Storage(error.to_string());
        snapshot
            .map_err(|error| failed(&error))?
            .map_err(|error| failed(&error))
    }

    /// How much the store may hold, if there is a limit.
    #[must_use]
    pub fn quota_bytes(&self) -> Option<u64> {
        self.0.shared.options.quota_bytes
    }

    /// Becomes true when a majority of replicas was seen to have another state than this one: it has to be
    /// rebuilt from theirs.
    #[must_use]
    pub fn differing(&self) -> watch::Receiver<bool> {
        self.0.shared.differing.subscribe()
    }

    /// Whether this replica's state is known not to be the others', or nobody's to be right: it must not be
    /// shown to anybody as long as this is true.
    #[must_use]
    pub fn fenced(&self) -> watch::Receiver<bool> {
        self.0.shared.fenced.subscribe()
    }

    /// Asks that leadership be handed over, which happens if this replica leads.
    pub fn transfer(&self, to: Option<NodeId>) {
        self.0.shared.ask_transfer(to);
    }
}

/// A command under way. If this is dropped, so is the command, unless it is on its way already.
pub struct Promise {
    shared: Arc<Shared>,
    pub(crate) claim: Arc<Claim>,
}

impl Promise {
    /// The caller waits no longer: [`Error::NoLeader`] if the command was certainly not carried out,
    /// and [`Error::Timeout`] if that is not known.
    #[must_use]
    pub fn give_up(self) -> Error {
        count(&self.shared.counters.timeouts, 1);
        let not_carried_out = self.claim.take();
        match not_carried_out && self.shared.leader().is_none() {
            true => Error::NoLeader,
            false => Error::Timeout,
        }
    }
}

impl Drop for Promise {
    fn drop(&mut self) {
        self.claim.take();
    }
}

/// A [`Promise`] with a way to its answer.
pub struct Writing {
    promise: Promise,
    answer: Answer,
}

impl Writing {
    /// The answer, once it is there; asked no more after that.
    pub fn answered(&mut self) -> Option<Result<Applied, Error>> {
        match self.answer.try_recv() {
            Ok(outcome) => Some(outcome),
            Err(TryRecvError::Empty) => None,
            Err(TryRecvError::Closed) => Some(Err(Error::Stopped)),
        }
    }

    /// See [`Promise::give_up`].
    #[must_use]
    pub fn give_up(self) -> Error {
        self.promise.give_up()
    }
}

/// A reader that waits for [`Service::view`] to be new enough.
pub struct Reading {
    waiting: Waiting,
    ready: oneshot::Receiver<()>,
}

impl Reading {
    /// Whether it is, or that it never will be; asked no more after that.
    pub fn answered(&mut self) -> Option<Result<(), Error>> {
        match self.ready.try_recv() {
            Ok(()) => Some(Ok(())),
            Err(TryRecvError::Empty) => None,
            Err(TryRecvError::Closed) => Some(Err(Error::Stopped)),
        }
    }

    /// See [`Waiting::give_up`].
    #[must_use]
    pub fn give_up(self) -> Error {
        self.waiting.give_up()
    }
}

/// Readers are counted as long as they wait.
pub struct Waiting {
    shared: Arc<Shared>,
    readers: usize,
    before: usize,
}

impl Waiting {
    fn new(shared: Arc<Shared>, readers: usize) -> Waiting {
        let before = shared.reading.fetch_add(readers, Ordering::Relaxed);
        Waiting {
            shared,
            readers,
            before,
        }
    }

    /// They wait no longer: [`Error::NoLeader`] or [`Error::Timeout`].
    #[must_use]
    pub fn give_up(self) -> Error {
        count(&self.shared.counters.timeouts, self.readers);
        match self.shared.leader() {
            None => Error::NoLeader,
            Some(_) => Error::Timeout,
        }
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.shared
            .reading
            .fetch_sub(self.readers, Ordering::Relaxed);
    }
}

impl Past for Views {
    fn revision(&self) -> i64 {
        self.view().revision()
    }

    fn compacted(&self) -> i64 {
        self.view().compacted()
    }

    fn history(
        &self,
        range: &KeyRange,
        from: i64,
        bytes_max: usize,
    ) -> Result<(Vec<Revision>, i64), Error> {
        self.view().history(range, from, bytes_max)
    }
}
