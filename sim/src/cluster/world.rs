//! The cluster as a whole: everything that happens is an event on one agenda.

use quorate_core::{Block, Checkpoint, Choice, Instant, NodeId, Protocol, Survival, Wire};
use quorate_node::Letter;
use quorate_problems::total_order::{Output, TotalOrder};

use super::Summary;
use super::aged::AgedReader;
use super::engine::Agenda;
use super::glances::Reader;
use super::judge::{Judge, Outcome, Watcher};
use super::keeper::Keeper;
use super::machine::{End, Heard, Machine, Process};
use super::members::Operator;
use super::network::{Network, draw};
use super::plan::{Plan, Settings};
use super::session::{Answer, Client};
use super::space::Janitor;
use crate::{Options, Parsed, Suite};

/// A machine's process is started again so long after it ended by itself.
const SUPERVISOR: u64 = 1_000_000_000;

/// How long a log is idle before a marker says that its tail was acknowledged.
const IDLE: u64 = 50_000_000;

/// How often the apply thread looks after the machine.
const LOOK: u64 = 1_000_000_000;

/// Nanoseconds.
pub(super) const MS: u64 = 1_000_000;

pub(super) enum Event {
    /// Something goes wrong, by its place in the plan.
    Fault(usize),
    Mail {
        from: usize,
        to: usize,
        bytes: Block,
    },
    Attachment(Box<Attachment>),
    Thread(usize, u32, Thread),
    /// A process that ended by itself is started again.
    Supervise(usize),
    Client(usize, Step),
    /// A keeper's turn.
    Keeper(usize),
    /// The operator's turn.
    Operator,
    /// Somebody reads whatever there is.
    Glance(usize),
    /// Somebody reads what may be so old.
    Aged(usize),
    /// Whoever disarms alarms looks around.
    Janitor,
    /// A process ends, since its machine takes part no more.
    Retire(usize, u32),
}

/// Whose turn it is, in a process.
#[derive(Clone, Copy)]
pub(super) enum Thread {
    Round,
    Synced,
    /// The log was written so often and not since.
    Mark(u64),
    Apply,
    Flush,
    Look,
    /// Whoever watches the disk.
    Disk,
}

/// What happens to a client.
pub(super) enum Step {
    Think,
    /// Its question about an operation arrives.
    Ask(usize),
    /// With the answer, and the revision that it names.
    Answered(usize, (Answer, i64)),
    /// It learns that its operation was certainly not carried out.
    Refused(usize),
    /// It learns that it was not carried out for want of room.
    NoRoom(usize),
    /// It learns that nobody knows.
    Lost(usize),
    /// It has waited long enough.
    GiveUp(usize),
}

/// A checkpoint under way.
pub(super) struct Attachment {
    from: usize,
    to: usize,
    /// The processes at both ends of the connection.
    lives: [u32; 2],
    checkpoint: Checkpoint,
    message: Block,
    content: Vec<u8>,
}

pub(super) struct World<P: Protocol<Problem = TotalOrder>> {
    pub(super) settings: Settings,
    pub(super) plan: Plan,
    config: fn(&[NodeId], &Options<'_>) -> Parsed<P::Config>,
    /// One line about a replica's state.
    pub(super) describe: fn(&P) -> String,
    pub(super) agenda: Agenda<Event>,
    pub(super) machines: Vec<Machine<P>>,
    pub(super) network: Network,
    pub(super) clients: Vec<Client>,
    pub(super) keepers: Vec<Keeper>,
    pub(super) operator: Operator,
    pub(super) readers: Vec<Reader>,
    pub(super) aged: Vec<AgedReader>,
    pub(super) janitor: Janitor,
    pub(super) judge: Judge<P>,
    pub(super) watchers: Vec<Vec<Watcher>>,
    pub(super) choice: Choice,
    pub(super) summary: Summary,
    /// Events that wait until their machine goes on.
    pub(super) held: Vec<(usize, Event)>,
    /// Clients ask nothing new.
    pub(super) quiet: bool,
    events_max: u64,
    pub(super) last_value: u64,
    pub(super) last_process: u64,
    /// Rounds of all replicas so far, and when to look at all of them next.
    rounds: u64,
    observe_at: u64,
    heard: Vec<Heard>,
}

/// The protocol's options.
fn options(settings: &Settings) -> Options<'_> {
    let options = settings.options.iter();
    options
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect()
}

impl<P: Protocol<Problem = TotalOrder>> World<P> {
    /// A cluster in which nothing runs yet.
    ///
    /// # Errors
    /// If the protocol cannot be configured as the plan says, or does not claim to withstand it.
    pub(super) fn new(suite: &Suite<P>, plan: &Plan, events_max: u64) -> Result<World<P>, String> {
        plan.admit(P::MODEL)?;
        let settings = plan.settings.clone();
        let machines = settings.machines().into_iter().map(|id| match id.0 {
            founder if founder <= settings.members => Machine::founder(id, &settings),
            _ => Machine::new(id, &settings),
        });
        let machines: Vec<Machine<P>> = machines.collect();
        let watchers = vec![Watcher::new(); settings.watchers as usize];
        (suite.config)(&settings.founders(), &options(&settings))?;
        Ok(World {
            config: suite.config,
            describe: suite.describe,
            agenda: Agenda::new(),
            network: Network::new(&settings),
            clients: (0..settings.clients)
                .map(|number| Client::new(number, &settings))
                .collect(),
            keepers: Keeper::all(&settings),
            judge: Judge::new(suite, plan.rate_max()),
            watchers: machines.iter().map(|_| watchers.clone()).collect(),
            machines,
            operator: Operator::default(),
            readers: Reader::all(&settings),
            aged: AgedReader::all(&settings),
            janitor: Janitor::default(),
            choice: Choice::Seeded(settings.seed ^ 0x0c1a_57e5),
            summary: Summary::default(),
            held: Vec::new(),
            quiet: false,
            last_value: 0,
            last_process: settings.clients,
            events_max,
            rounds: 0,
            observe_at: 0,
            heard: Vec::new(),
            plan: plan.clone(),
            settings,
        })
    }

    pub(super) fn now(&self) -> Instant {
        self.agenda.now()
    }

    /// Lets everything begin.
    pub(super) fn open(&mut self) -> Outcome {
        for (number, timed) in self.plan.faults.iter().enumerate() {
            self.agenda.plan(timed.at, Event::Fault(number));
        }
        for at in 0..self.machines.len() {
            self.start(at)?;
        }
        for keeper in 0..self.keepers.len() {
            self.agenda.plan_in(0, Event::Keeper(keeper));
        }
        for reader in 0..self.readers.len() {
            self.agenda.plan_in(0, Event::Glance(reader));
        }
        for reader in 0..self.aged.len() {
            self.agenda.plan_in(0, Event::Aged(reader));
        }
        if self.settings.reserve_bytes > 0 {
            self.agenda.plan_in(0, Event::Janitor);
        }
        for client in 0..self.clients.len() {
            let think = self.settings.think_us * 1000;
            let first = draw(&mut self.clients[client].choice, think);
            self.agenda
                .plan_in(first, Event::Client(client, Step::Think));
        }
        Ok(())
    }

    /// Lets everything happen that happens by `end`, or until something is wrong.
    pub(super) fn run_until(&mut self, end: Instant) -> Outcome {
        while let Some(event) = self.agenda.next(end) {
            self.happen(event)?;
        }
        self.agenda.wait_until(end);
        Ok(())
    }

    fn happen(&mut self, event: Event) -> Outcome {
        self.summary.events += 1;
        if self.summary.events > self.events_max {
            return Err("this takes too long".to_owned());
        }
        let now = self.now().0;
        self.judge.note(now);
        match event {
            Event::Fault(number) => self.fault(number),
            Event::Mail { to, .. } if self.machines[to].paused => self.hold(to, event),
            Event::Mail { from, to, bytes } => {
                self.summary.messages += 1;
                let from = self.machines[from].id;
                if let Some(process) = &mut self.machines[to].process {
                    process.receive(from, &bytes);
                    self.nudge(to);
                }
                Ok(())
            }
            Event::Attachment(attachment) => self.attachment(*attachment),
            Event::Thread(at, life, _) if self.machines[at].life != life => Ok(()),
            Event::Thread(at, ..) if self.machines[at].paused => self.hold(at, event),
            Event::Thread(at, life, thread) => self.thread(at, life, thread),
            Event::Supervise(at) => match self.machines[at].process {
                None if self.machines[at].broken.is_none() => self.start(at),
                _ => Ok(()),
            },
            Event::Client(client, step) => self.client(client, step),
            Event::Keeper(number) => self.keep(number),
            Event::Operator => self.operate(),
            Event::Glance(reader) => self.glance(reader),
            Event::Aged(reader) => self.read_aged(reader),
            Event::Janitor => self.tidy_up(),
            Event::Retire(at, life) => {
                if self.machines[at].life == life && self.machines[at].process.is_some() {
                    self.kill(at);
                }
                Ok(())
            }
        }
    }

    pub(super) fn hold(&mut self, at: usize, event: Event) -> Outcome {
        self.held.push((at, event));
        Ok(())
    }

    /// A process starts on a machine.
    pub(super) fn start(&mut self, at: usize) -> Outcome {
        let now = self.now();
        let machine = &mut self.machines[at];
        if machine.process.is_some() || machine.broken.is_some() || machine.lost {
            return Ok(());
        }
        if machine.named.is_none() {
            return Ok(()); // It has no part in this yet.
        }
        let config = |voters: &[NodeId]| (self.config)(voters, &options(&self.settings));
        let started = match machine.start(config, &self.settings, now) {
            Ok(started) => started,
            Err(end) => return self.ended(at, end),
        };
        self.summary.damaged += u64::from(started.survival == Survival::Damaged);
        self.summary.rebuilt += u64::from(started.rebuilds);
        // What it begins with may be older than what it had seen: that is no removal.
        machine.belonged = false;
        let damaged = started.survival == Survival::Damaged || started.rebuilds;
        if damaged && !machine.damaged {
            return Err(format!(
                "disk: {} finds damage that nothing has done",
                machine.id
            ));
        }
        self.judge.on_open(machine.id, started.position);
        let life = machine.life;
        let process = machine.process.as_mut().expect("it was started");
        self.judge.on_state(machine.id, &process.service.view())?;
        for watcher in &mut self.watchers[at] {
            let stream = process.service.watches();
            watcher.start_again();
            watcher.watch(&stream);
            process.watches.push(stream);
        }
        self.agenda
            .plan_in(LOOK, Event::Thread(at, life, Thread::Look));
        self.watch_disk(at, life)?;
        self.after(at)
    }

    /// A process did not start, or ends by itself.
    pub(super) fn ended(&mut self, at: usize, end: End) -> Outcome {
        self.summary.ends += 1;
        self.disconnect(at);
        let machine = &mut self.machines[at];
        // Who finds its store damaged as it runs says so on the disk, and starts with another.
        let ran = machine.process.is_some();
        machine.kill();
        match end {
            End::Disk => {
                self.agenda.plan_in(SUPERVISOR, Event::Supervise(at));
                Ok(())
            }
            End::Refused(_) if machine.damaged && ran => {
                self.agenda.plan_in(SUPERVISOR, Event::Supervise(at));
                Ok(())
            }
            End::Refused(reason) if machine.damaged => {
                machine.broken = Some(reason);
                Ok(())
            }
            End::Refused(reason) => Err(format!(
                "{} ends although nothing was done to it: {reason}",
                machine.id
            )),
        }
    }

    /// Everyone who waits for an answer of a process that is about to end loses it.
    pub(super) fn disconnect(&mut self, at: usize) {
        let Some(process) = &mut self.machines[at].process else {
            return;
        };
        let waiting = std::mem::take(&mut process.waiting);
        for machine in &mut self.machines {
            if let Some(process) = &mut machine.process {
                process.sending.retain(|busy| *busy != at);
            }
        }
        for waiting in waiting {
            let event = Event::Client(waiting.client, Step::Lost(waiting.operation));
            self.agenda.plan_in(self.settings.delay_us * 1000, event);
        }
        let life = self.machines[at].life;
        self.held.retain(|(held, event)| {
            *held != at || !matches!(event, Event::Thread(_, old, _) if *old == life)
        });
    }

    fn thread(&mut self, at: usize, life: u32, thread: Thread) -> Outcome {
        let now = self.now();
        let machine = &mut self.machines[at];
        let here = machine.clock.here(now);
        let Some(process) = &mut machine.process else {
            return Ok(());
        };
        let done = match thread {
            Thread::Round if process.round_at == Some(now) => {
                process.round_at = None;
                if process.has_work() || process.next_deadline().is_some_and(|due| due <= here) {
                    process.round(here);
                    self.rounds += 1;
                    return self.after(at).and_then(|()| self.observe(at));
                }
                self.nudge(at);
                return Ok(());
            }
            Thread::Round => return Ok(()),
            Thread::Synced => {
                process.syncs = false;
                process.disk_pace.end(here, now);
                let written = process.written + 1;
                self.agenda
                    .plan_in(IDLE, Event::Thread(at, life, Thread::Mark(written)));
                process.finish_write().map_err(|error| error.to_string())
            }
            Thread::Mark(written) if written == process.written && !process.syncs => {
                process.mark().map_err(|error| error.to_string())
            }
            Thread::Mark(_) => return Ok(()),
            Thread::Apply => {
                process.applies = false;
                let applied = process.apply();
                applied.map_err(|error| error.to_string())
            }
            Thread::Disk => return self.watch_disk(at, life),
            Thread::Look => {
                self.agenda
                    .plan_in(LOOK, Event::Thread(at, life, Thread::Look));
                process.look().map_err(|error| error.to_string())
            }
            Thread::Flush => {
                process.flushes = false;
                match process.flush() {
                    Ok(true) => {
                        self.plan_flush(at, life);
                        Ok(())
                    }
                    Ok(false) => Ok(()),
                    Err(error) => Err(error.to_string()),
                }
            }
        };
        if let Err(error) = done {
            let end = self.machines[at].end(error);
            return self.ended(at, end);
        }
        if matches!(thread, Thread::Look) {
            self.on_look(at);
        }
        if matches!(thread, Thread::Apply | Thread::Look) {
            self.on_applied(at, life)?;
        }
        self.after(at)
    }

    fn plan_flush(&mut self, at: usize, life: u32) {
        let process = self.machines[at].process.as_mut().expect("it runs");
        if !process.flushes {
            process.flushes = true;
            self.agenda.plan_in(
                self.settings.flush_ms * MS,
                Event::Thread(at, life, Thread::Flush),
            );
        }
    }

    /// Something new is visible at a machine.
    fn on_applied(&mut self, at: usize, life: u32) -> Outcome {
        let now = self.now().0;
        let machine = &mut self.machines[at];
        let process = machine
            .process
            .as_mut()
            .expect("it has just applied something");
        let view = process.service.view();
        self.judge.on_state(machine.id, &view)?;
        self.judge.leases.on_state(at, &view, now)?;
        self.on_alarms(&view)?;
        let machine = &mut self.machines[at];
        let process = machine.process.as_ref().expect("it was there");
        self.summary.positions = self.summary.positions.max(view.position());
        for (watcher, stream) in self.watchers[at].iter_mut().zip(&process.watches) {
            self.judge.on_watch(machine.id, watcher, stream)?;
        }
        self.plan_flush(at, life);
        Ok(())
    }

    /// Carries out what a process asks for.
    pub(super) fn after(&mut self, at: usize) -> Outcome {
        let machine = &mut self.machines[at];
        let (id, life, slow) = (machine.id, machine.life, machine.slow_disk);
        let Some(process) = &mut machine.process else {
            return Ok(());
        };
        let mut heard = std::mem::take(&mut self.heard);
        process.take_heard(&mut heard);
        let founders = self.settings.members;
        for heard in &heard {
            if let Heard::Told(Output::Members(members)) = heard {
                if self.machines[at].repeats(members, founders) {
                    continue;
                }
                self.on_members(at, members);
            }
            self.judge.on_heard(id, heard)?;
        }
        heard.clear();
        self.heard = heard;
        let now = self.now();
        let machine = &mut self.machines[at];
        let here = machine.clock.here(now);
        let Some(process) = &mut machine.process else {
            return Ok(());
        };
        if !process.syncs && process.begin_write() {
            process.syncs = true;
            process.disk_pace.begin(here, now);
            let took = draw(&mut self.choice, self.settings.sync_us * 1000) + slow;
            self.agenda
                .plan_in(took, Event::Thread(at, life, Thread::Synced));
        }
        if !process.applies && process.has_backlog() {
            process.applies = true;
            self.agenda.plan_in(
                self.settings.apply_us * 1000,
                Event::Thread(at, life, Thread::Apply),
            );
        }
        let mut mail = std::mem::take(&mut process.out.mail);
        for letter in mail.drain(..) {
            self.post(at, letter);
        }
        let process = self.machines[at].process.as_mut().expect("it was there");
        process.out.mail = mail;
        self.answer(at)?;
        self.nudge(at);
        Ok(())
    }

    /// Plans the next round of a replica.
    pub(super) fn nudge(&mut self, at: usize) {
        let now = self.now();
        let machine = &mut self.machines[at];
        let Some(process) = &mut machine.process else {
            return;
        };
        let due = match process.has_work() {
            true => Some(Instant(now.0 + self.settings.wake_us * 1000)),
            false => process
                .next_deadline()
                .map(|due| machine.clock.world(due).max(now)),
        };
        let Some(due) = due else { return };
        if process.round_at.is_none_or(|planned| planned > due) {
            process.round_at = Some(due);
            self.agenda
                .plan(due, Event::Thread(at, machine.life, Thread::Round));
        }
    }

    fn post(&mut self, from: usize, letter: Letter<P>) {
        let Letter { to, mut message } = letter;
        let Some(to) = self.machines.iter().position(|machine| machine.id == to) else {
            return;
        };
        if P::attachment(&mut message).is_some() {
            self.send_attachment(from, to, message);
            return;
        }
        let mut bytes = Vec::new();
        message.encode(&mut bytes);
        self.judge.note(u64::from(crc32c::crc32c(&bytes)));
        let now = self.now();
        let arrivals = self.network.send(from, to, bytes.len(), now);
        let bytes = Block::new(bytes);
        for at in arrivals.into_iter().flatten() {
            let bytes = bytes.clone();
            self.agenda.plan(at, Event::Mail { from, to, bytes });
        }
    }

    /// Sends a message with the newest checkpoint, unless one is under way already.
    fn send_attachment(&mut self, from: usize, to: usize, mut message: P::Message) {
        let now = self.now();
        let lives = [from, to].map(|at| self.machines[at].life);
        let process = self.machines[from].process.as_mut().expect("it posts");
        if process.sending.contains(&to) {
            return;
        }
        let Ok((checkpoint, mut export)) = process.checkpoints().open() else {
            return;
        };
        let mut content = Vec::new();
        if std::io::copy(&mut export, &mut content).is_err() {
            return;
        }
        if let Some(named) = P::attachment(&mut message) {
            *named = checkpoint;
        }
        let mut bytes = Vec::new();
        message.encode(&mut bytes);
        // It travels on a connection of its own, which does not lose or repeat anything.
        let [Some(at), _] = self.network.send(from, to, content.len(), now) else {
            return;
        };
        process.sending.push(to);
        self.judge.note(u64::from(crc32c::crc32c(&content)));
        let attachment = Attachment {
            from,
            to,
            lives,
            checkpoint,
            message: Block::new(bytes),
            content,
        };
        self.agenda
            .plan(at, Event::Attachment(Box::new(attachment)));
    }

    fn attachment(&mut self, attachment: Attachment) -> Outcome {
        let Attachment {
            from, to, lives, ..
        } = attachment;
        if self.machines[to].paused {
            return self.hold(to, Event::Attachment(Box::new(attachment)));
        }
        let sender = &mut self.machines[from];
        let id = sender.id;
        match &mut sender.process {
            Some(process) if sender.life == lives[0] => process.sending.retain(|busy| *busy != to),
            _ => return Ok(()), // The connection broke with the process.
        }
        if self.machines[to].life != lives[1] || self.network.is_cut(from, to) {
            return Ok(());
        }
        let Some(process) = &mut self.machines[to].process else {
            return Ok(());
        };
        let received = process.checkpoints().receive(attachment.checkpoint);
        let received = received.and_then(|mut import| {
            std::io::copy(&mut attachment.content.as_slice(), &mut import)?;
            import.finish()
        });
        match received {
            Ok(()) => {
                self.summary.checkpoints += 1;
                process.receive(id, &attachment.message);
                self.nudge(to);
                Ok(())
            }
            // The sender is told no more than that it did not work, and tries again.
            Err(_) if self.machines[to].disk.has_failed() => Ok(()),
            Err(error) => Err(format!(
                "checkpoint: {} cannot take it: {error}",
                self.machines[to].id
            )),
        }
    }

    /// Everybody is asked whether all is well whenever somebody's role changes, and now and then in
    /// between: more rarely as logs grow, since all of them are looked at.
    fn observe(&mut self, at: usize) -> Outcome {
        let machine = &mut self.machines[at];
        let Some(process) = &machine.process else {
            return Ok(());
        };
        let status = process.status();
        let role = Some((status.role, status.epoch));
        let changed = machine.role != role;
        machine.role = role;
        self.summary.epoch = self.summary.epoch.max(status.epoch);
        match changed || self.rounds >= self.observe_at {
            true => self.look_at_all(),
            false => Ok(()),
        }
    }

    pub(super) fn look_at_all(&mut self) -> Outcome {
        self.observe_at = self.rounds + self.settings.check_every.max(self.summary.positions / 2);
        let processes = self
            .machines
            .iter()
            .filter_map(|machine| machine.process.as_ref());
        let replicas: Vec<&P> = processes.map(|process| process.node().protocol()).collect();
        self.judge.on_replicas(&replicas)
    }

    /// The process on a machine, if it runs.
    pub(super) fn process(&self, at: usize) -> Option<&Process<P>> {
        self.machines[at].process.as_ref()
    }
}
