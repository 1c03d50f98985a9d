//! Strategies of replication: one small protocol with switches (Bieniusa, "Programming distributed
//! systems", lecture on replication; Budhiraja, Marzullo, Schneider and Toueg, "The primary-backup
//! approach", 1993).
//!
//! Who executes an update, when its client is answered, who takes updates, and how clients get in: each is
//! one switch, and each combination runs or is refused with its reason (`config.rs`). With one master,
//! passive and synchronous, this is primary and backups. `README.md` has the table of messages.

mod clients;
mod config;
mod describe;
mod detector;
mod flaw;
mod invariants;
mod joining;
mod locks;
mod message;
mod updates;

use alloc::collections::{BTreeMap, BTreeSet, VecDeque};

use quorate_core::{Boot, Effects, Model, NodeId, Protocol, Status};
use quorate_problems::replicated::{CallId, Outcome, Replicated, Request, State};

use clients::Task;
pub use config::{Access, Config, Execution, Masters, Order, Reads, Refusal, Reply, Source};
pub use flaw::Flaw;
pub use invariants::Copies;
use locks::Lock;
pub use message::{Content, Message, Record, Snapshot, Timer, Update};

/// One process: a replica, or the proxy.
#[derive(Clone, Hash, Debug)]
pub struct Strategies {
    me: NodeId,
    config: Config,
    role: Role,
    state: State,
    /// Which result the state is, where results overwrite one another.
    stamp: (u64, NodeId),
    /// How many updates the state contains; in an order, the number of the last.
    number: u64,
    /// How many updates were executed first here, where there is no order.
    own: u64,
    /// The updates that the state contains, and what their clients are told.
    made: BTreeMap<CallId, Outcome>,
    /// Says who is master: each replica in turn.
    epoch: u64,
    /// The replicas that are not suspected, this one included.
    alive: BTreeSet<NodeId>,
    /// How far the others are known to be.
    known: BTreeMap<NodeId, u64>,
    /// The calls that are under way here.
    tasks: BTreeMap<CallId, Task>,
    /// What was answered, and nobody else has been told of.
    unsent: VecDeque<Update>,
    /// What may have to be sent again, and how often it was.
    unacknowledged: VecDeque<Update>,
    attempts: u32,
    lock: Lock,
    /// What the local clock shows.
    clock: u32,
    /// Whose turn it is, if a proxy may choose.
    turn: usize,
    executions: u64,
}

/// What a process is.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
enum Role {
    /// It has a copy.
    Replica,
    /// It was away, and waits to be told everything.
    Joining,
    /// It has no copy: clients speak to it.
    Proxy,
}

impl Protocol for Strategies {
    type Problem = Replicated;
    type Config = Config;
    type Message = Message;
    type Timer = Timer;
    type Record = Record;

    const MODEL: Model = config::MODEL;

    fn open(config: &Config, boot: Boot<'_, Strategies>, fx: &mut Effects<Strategies>) -> Self {
        Strategies::start(config, boot, fx)
    }

    fn on_request(&mut self, request: Request, fx: &mut Effects<Strategies>) {
        self.tick();
        let Request::Invoke { id, operation } = request;
        self.serve(id, operation, self.me, fx);
    }

    fn on_message(&mut self, from: NodeId, message: Message, fx: &mut Effects<Strategies>) {
        self.tick();
        match message {
            Message::Asked { id, operation } => self.on_asked(from, id, operation, fx),
            Message::Answered { id, result } => self.on_answered(id, result, fx),
            Message::Made { epoch, update } => self.on_made(from, epoch, &update, fx),
            Message::Have { epoch, number } => self.on_have(from, epoch, number, fx),
            Message::Alive { epoch, number } => self.on_alive(from, epoch, number, fx),
            Message::Deposed { epoch } => self.on_deposed(epoch, fx),
            Message::Wanted { id } => self.on_wanted(from, id, fx),
            Message::Granted { epoch, id } => self.on_granted(epoch, id, fx),
            Message::Freed { id } => self.on_freed(from, id, fx),
            Message::Joining => self.on_joining(from, fx),
            Message::Everything { epoch, snapshot } => {
                self.on_everything(from, epoch, snapshot, fx);
            }
        }
    }

    fn on_timer(&mut self, timer: Timer, fx: &mut Effects<Strategies>) {
        self.tick();
        match timer {
            Timer::Alive => self.say_alive(fx),
            Timer::Propagate => self.propagate(fx),
            Timer::Resend => self.resend(fx),
            Timer::Silence(peer) => self.on_silence(peer, fx),
        }
    }

    fn window(&self) -> usize {
        self.config.window.saturating_sub(self.tasks.len())
    }

    fn status(&self) -> Status {
        self.summary()
    }

    fn invariants(&self) {
        self.check();
    }
}
