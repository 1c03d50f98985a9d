//! One computer: its disk, its clock, and the process on it when there is one.
//!
//! The process is a replica as it runs in production: the log, the node with its edge
//! (`runtime::Rounds`), the applier, the flushing. What its threads do in their own time are events
//! here, so everything between two events is one thread's work.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use quorate_core::{
    Block, Boot, Choice, Frame, Instant, NodeId, Protocol, Reader, Status, Survival, Wire,
};
use quorate_node::{Edge, Frames, Letter, Node};
use quorate_problems::total_order::{Membership, Output, Request, TotalOrder};
use quorate_runtime::log::{Log, LogError, LogOptions};
use quorate_runtime::{Next, Outside, Rounds};
use quorate_service::machine::Machine as StateMachine;
use quorate_service::store::{self, View, Worked};
use quorate_service::watch::WatchStream;
use quorate_service::{
    Applier, Assembly, Batcher, Flushing, Reading, Service, ServiceOptions, Writing, assemble,
};

use super::disk::SimDisk;
use super::engine::Clock;
use super::members::member;
use super::plan::Settings;
use super::slow_disk::DiskPace;
use crate::Parsed;

/// A larger incarnation than any that was counted, for a log that cannot tell.
const INCARNATION_AFTER_LOSS: u64 = 1_000_000_000;

pub(super) struct Machine<P: Protocol<Problem = TotalOrder>> {
    pub(super) id: NodeId,
    pub(super) disk: SimDisk,
    pub(super) clock: Clock,
    pub(super) process: Option<Process<P>>,
    /// How many processes there were.
    pub(super) life: u32,
    /// Whether this is its owner's for good: it has a store and a log, and if one is missing it was lost.
    sealed: bool,
    /// It stands still.
    pub(super) paused: bool,
    /// How much longer its disk takes.
    pub(super) slow_disk: u64,
    /// Its disk had no room at times.
    pub(super) was_filled: bool,
    /// Since when the process here could know that its disk is nearly full.
    pub(super) low_since: Option<Instant>,
    /// Something on its disk was damaged on purpose.
    pub(super) damaged: bool,
    /// What its replica was when it was last looked at.
    pub(super) role: Option<(&'static str, u64)>,
    /// Why it does not start any more.
    pub(super) broken: Option<String>,
    /// It is gone for good, with its disk.
    pub(super) lost: bool,
    /// The voters whom its command line names: the founders, or those there were when it was added;
    /// nobody as long as it has no part in this.
    pub(super) named: Option<Vec<NodeId>>,
    /// The voters with which its replica was started, each time: what its state says, or else its command line.
    pub(super) begun_with: BTreeSet<Vec<NodeId>>,
    /// Whether the newest members that it knows of include it.
    pub(super) belonged: bool,
}

pub(super) struct Process<P: Protocol<Problem = TotalOrder>> {
    rounds: Rounds<P, Ear>,
    log: Log,
    pub(super) service: Service,
    applier: Applier,
    flushing: Flushing,
    woken: Arc<AtomicBool>,
    inbox: Vec<Incoming<P>>,
    pub(super) out: Out<P>,
    /// Frames that the log's thread is writing.
    writing: Vec<Frames>,
    /// Empty buffers.
    spare: Vec<Frames>,
    pub(super) waiting: Vec<Waiting>,
    pub(super) watches: Vec<WatchStream>,
    /// Peers to whom a checkpoint is under way.
    pub(super) sending: Vec<usize>,
    /// What is planned: each thread's next turn.
    pub(super) round_at: Option<Instant>,
    pub(super) applies: bool,
    pub(super) flushes: bool,
    pub(super) syncs: bool,
    /// How often the log was written, so that an idle one is noticed.
    pub(super) written: u64,
    /// How its disk does.
    pub(super) disk_pace: DiskPace,
}

/// What came for the replica's thread.
enum Incoming<P: Protocol> {
    Mail(NodeId, P::Message),
    Synced(Frame),
}

/// What the replica's thread left for others.
pub(super) struct Out<P: Protocol> {
    /// For the log's thread.
    pub(super) frames: Vec<Frames>,
    spare: Option<Frames>,
    /// For the network.
    pub(super) mail: Vec<Letter<P>>,
}

impl<P: Protocol> Outside<P> for Out<P> {
    fn write(&mut self, frames: &mut Frames) {
        let empty = self.spare.take().unwrap_or_default();
        self.frames.push(std::mem::replace(frames, empty));
    }

    fn post(&mut self, letter: Letter<P>) {
        self.mail.push(letter);
    }

    fn hand_over(&mut self) {}
}

/// A client that waits here: which, and for which operation.
pub(super) struct Waiting {
    pub(super) client: usize,
    pub(super) operation: usize,
    /// Since when, by the machine's clock.
    pub(super) begun: Instant,
    pub(super) pending: Pending,
}

pub(super) enum Pending {
    Write(Writing),
    Read(Reading),
}

/// The edge, with somebody who listens.
struct Ear {
    batcher: Batcher,
    heard: Vec<Heard>,
}

/// What passed between a replica and its edge.
pub(super) enum Heard {
    Asked(Request),
    Told(Output),
}

impl<P: Protocol<Problem = TotalOrder>> Edge<P> for Ear {
    fn next_request(&mut self, room: usize, now: Instant) -> Option<Request> {
        let request = Edge::<P>::next_request(&mut self.batcher, room, now)?;
        self.heard.push(Heard::Asked(request.clone()));
        Some(request)
    }

    fn on_output(&mut self, output: Output, now: Instant) {
        self.heard.push(Heard::Told(output.clone()));
        Edge::<P>::on_output(&mut self.batcher, output, now);
    }

    fn on_round(&mut self, status: Status, now: Instant) {
        Edge::<P>::on_round(&mut self.batcher, status, now);
    }

    fn next_deadline(&self) -> Option<Instant> {
        Edge::<P>::next_deadline(&self.batcher)
    }
}

/// Why a process does not start, or ends.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum End {
    /// The disk was told to fail; another start may succeed.
    Disk,
    /// It refuses, with a reason that an operator can read.
    Refused(String),
}

/// How a process came up.
pub(super) struct Started {
    pub(super) survival: Survival,
    /// The store was damaged, and begins anew.
    pub(super) rebuilds: bool,
    pub(super) position: u64,
}

impl<P: Protocol<Problem = TotalOrder>> Machine<P> {
    pub(super) fn new(id: NodeId, settings: &Settings) -> Machine<P> {
        Machine {
            id,
            disk: SimDisk::new(settings.seed ^ (id.0 << 48)),
            clock: Clock::new(id.0 * 1_000_000_007),
            process: None,
            life: 0,
            sealed: false,
            paused: false,
            slow_disk: 0,
            was_filled: false,
            low_since: None,
            damaged: false,
            role: None,
            broken: None,
            lost: false,
            named: None,
            begun_with: BTreeSet::new(),
            belonged: false,
        }
    }

    /// A machine that takes part from the beginning.
    pub(super) fn founder(id: NodeId, settings: &Settings) -> Machine<P> {
        Machine {
            named: Some(settings.founders()),
            belonged: true,
            ..Machine::new(id, settings)
        }
    }

    /// Whether its replica only repeats with which voters it was started, for want of anything better: it has
    /// joined, now or in an earlier life that it remembers, or its log is damaged and its state is newer than
    /// the first members.
    pub(super) fn repeats(&self, members: &Membership, founders: u64) -> bool {
        let are_founders = members.voters.iter().map(|id| id.0).eq(1..=founders);
        members.version == 0 && !are_founders && self.begun_with.contains(&members.voters)
    }

    /// The voters that its replica should take for given, if it knows nothing or has forgotten something:
    /// those that its state names, or else its command line, but for itself before its state says so.
    fn voters(&self, named: &[NodeId], view: &View) -> Vec<NodeId> {
        let list = view.members().membership();
        match list.version {
            0 => named.to_vec(),
            _ => list.voters,
        }
    }

    /// Starts a process on what the disk holds; `config` makes a protocol's configuration of its voters.
    pub(super) fn start(
        &mut self,
        config: impl FnOnce(&[NodeId]) -> Parsed<P::Config>,
        settings: &Settings,
        world: Instant,
    ) -> Result<Started, End> {
        let now = self.clock.here(world);
        self.life += 1;
        let seed = settings.seed ^ (self.id.0 << 32) ^ u64::from(self.life);
        let options = LogOptions {
            segment_bytes: settings.segment_bytes,
            seed,
            expected: self.sealed,
            incarnation_after_loss: INCARNATION_AFTER_LOSS + world.0,
        };
        // In the order in which a member of `quorate serve` makes them.
        let store = self.store_options(settings);
        let (machine, checkpoint) = StateMachine::open(store).map_err(|error| self.end(error))?;
        let (log, recovered) =
            Log::open(self.disk.log(), &options).map_err(|error| self.end(error))?;
        self.sealed = true;
        let rebuilds = machine.is_rebuilding().map_err(|error| self.end(error))?;
        let survival = match recovered.survival {
            // What the log does not have any more was in the store.
            _ if rebuilds && recovered.is_compacted() => Survival::Damaged,
            survival => survival,
        };
        let named = self.named.clone().unwrap_or_default();
        let voters = self.voters(&named, &machine.views().view());
        let config = config(&voters).map_err(End::Refused)?;
        self.begun_with.insert(voters);
        let records = recovered.records::<P::Record>();
        let records = records.map_err(|error| self.end(error))?;
        let boot = Boot {
            me: self.id,
            incarnation: recovered.incarnation,
            survival,
            records: Box::new(records.into_iter()),
            checkpoint,
        };
        let node = Node::open(&config, boot, recovered.durable, Choice::Seeded(seed), now);
        let patience = Duration::from_millis(settings.election_ms);
        let mut options = ServiceOptions::new(self.id, recovered.incarnation, patience);
        options.disk_reserve_bytes = settings.reserve_bytes;
        // Rarely: judges compare all states anyway, and what is ordered between two checks goes deeper.
        options.check_interval = Duration::from_secs(5);
        let woken = Arc::new(AtomicBool::new(true));
        let wake = woken.clone();
        let assembly = assemble(options, machine, move || {
            wake.store(true, Ordering::Relaxed)
        });
        self.low_since = None;
        let disk_pace = DiskPace::new(settings.flaw);
        self.process = Some(Process::new(assembly, node, log, woken, disk_pace));
        Ok(Started {
            survival,
            rebuilds,
            position: checkpoint.position,
        })
    }

    fn store_options(&self, settings: &Settings) -> store::Options {
        let mut options = store::Options::new("simulated");
        options.files = Some(self.disk.store());
        options.expected = self.sealed;
        options.layer_bytes = settings.layer_bytes as usize;
        options.cache_bytes = settings.cache_bytes as usize;
        // Its age would be measured in real time.
        options.flush_after = None;
        options.scrub_every = None;
        options.flaw = settings.flaw;
        // What the log from its beginning changes: the same list for who joins.
        let founders = settings.founders().into_iter();
        options.members = founders.map(|node| member(node, false)).collect();
        options
    }

    /// Why something on the disk did not work.
    pub(super) fn end(&self, error: impl std::fmt::Display) -> End {
        match self.disk.has_failed() {
            true => End::Disk,
            false => End::Refused(error.to_string()),
        }
    }

    /// The power fails. What the log's thread and the flush thread are at may be done in part.
    pub(super) fn crash(&mut self, choice: &mut Choice) {
        if let Some(process) = &mut self.process {
            self.disk.set_power(u64::from(choice.choose(6)));
            if process.syncs {
                // Whether that works does not matter: nobody will hear of it.
                let _ = process.finish_write();
            }
            if process.flushes && choice.choose(2) == 0 {
                self.disk.set_power(u64::from(choice.choose(40)));
                let _ = process.flushing.run_once();
            }
        }
        self.disk.set_power(0);
        self.process = None;
        self.disk.crash();
    }

    /// The process ends, and nothing else.
    pub(super) fn kill(&mut self) {
        self.disk.set_power(0);
        self.process = None;
        self.disk.kill();
    }
}

impl<P: Protocol<Problem = TotalOrder>> Process<P> {
    fn new(
        assembly: Assembly,
        node: Node<P>,
        log: Log,
        woken: Arc<AtomicBool>,
        disk_pace: DiskPace,
    ) -> Process<P> {
        let ear = Ear {
            batcher: assembly.batcher,
            heard: Vec::new(),
        };
        Process {
            rounds: Rounds::new(node, ear),
            log,
            service: assembly.service,
            applier: assembly.applier,
            flushing: assembly.flushing,
            woken,
            inbox: Vec::new(),
            out: Out {
                frames: Vec::new(),
                spare: None,
                mail: Vec::new(),
            },
            writing: Vec::new(),
            spare: Vec::new(),
            waiting: Vec::new(),
            watches: Vec::new(),
            sending: Vec::new(),
            round_at: None,
            applies: false,
            flushes: false,
            syncs: false,
            written: 0,
            disk_pace,
        }
    }

    /// Mail arrived.
    ///
    /// # Panics
    /// If it cannot be decoded, which is a bug: it was encoded here.
    pub(super) fn receive(&mut self, from: NodeId, bytes: &Block) {
        let mut reader = Reader::new(bytes);
        let message = P::Message::decode(&mut reader).expect("what was encoded can be decoded");
        reader.finish().expect("all that was encoded was decoded");
        self.inbox.push(Incoming::Mail(from, message));
    }

    /// Whether the replica's thread has a reason to begin a round, besides its deadline.
    pub(super) fn has_work(&self) -> bool {
        !self.inbox.is_empty() || self.woken.load(Ordering::Relaxed)
    }

    /// When its next round is due although nothing happens, by the clock here.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.rounds.next_deadline()
    }

    /// The replica's thread works off what has piled up.
    pub(super) fn round(&mut self, now: Instant) {
        self.woken.store(false, Ordering::Relaxed);
        for incoming in self.inbox.drain(..) {
            match incoming {
                Incoming::Mail(from, message) => self.rounds.receive(from, message, now),
                Incoming::Synced(frame) => self.rounds.synced(frame, now),
            }
        }
        self.out.spare = self.spare.pop();
        while self.rounds.round(|| now, &mut self.out) == Next::Again {
            if self.out.spare.is_none() {
                self.out.spare = self.spare.pop();
            }
        }
        self.spare.extend(self.out.spare.take());
    }

    /// What passed between the replica and its edge since this was asked last.
    pub(super) fn take_heard(&mut self, heard: &mut Vec<Heard>) {
        std::mem::swap(&mut self.rounds.edge_mut().heard, heard);
    }

    pub(super) fn node(&self) -> &Node<P> {
        self.rounds.node()
    }

    pub(super) fn status(&self) -> Status {
        self.rounds.status()
    }

    /// The log's thread takes what piled up. Whether there was anything.
    pub(super) fn begin_write(&mut self) -> bool {
        std::mem::swap(&mut self.writing, &mut self.out.frames);
        !self.writing.is_empty()
    }

    /// The log's thread finishes what it took.
    pub(super) fn finish_write(&mut self) -> Result<(), LogError> {
        for mut frames in self.writing.drain(..) {
            self.log.append(&frames)?;
            frames.clear();
            self.spare.push(frames);
        }
        let durable = self.log.sync()?;
        self.inbox.push(Incoming::Synced(durable));
        self.written += 1;
        self.log.trim()?;
        Ok(())
    }

    /// The log has been idle.
    pub(super) fn mark(&mut self) -> Result<(), LogError> {
        self.log.mark()
    }

    /// Whether something waits to be applied.
    pub(super) fn has_backlog(&self) -> bool {
        self.applier.backlog() > 0
    }

    /// The apply thread works off what was delivered.
    pub(super) fn apply(&mut self) -> Result<(), quorate_service::error::Error> {
        self.applier.run_round().map(|_| ())
    }

    /// The apply thread looks after the machine.
    pub(super) fn look(&mut self) -> Result<(), quorate_service::error::Error> {
        self.applier.look()
    }

    /// The flush thread does one piece of work. Whether there may be more.
    pub(super) fn flush(&mut self) -> Result<bool, quorate_service::error::Error> {
        Ok(self.flushing.run_once()? != Worked::Nothing)
    }

    /// Somebody wants the layer in memory flushed.
    pub(super) fn ask_for_flush(&mut self) {
        self.applier.machine().flusher().ask();
    }

    /// Where checkpoints come from and go to.
    pub(super) fn checkpoints(&self) -> store::Checkpoints {
        self.applier.machine().checkpoints()
    }
}
