//! A server's part in the view service, whatever the service is made of.
//!
//! Every server pings and is told the present view. One that is the service, alone or as the leader of
//! those who replicate it, also listens, counts ticks and decides.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::marker::PhantomData;
use core::mem;
use core::time::Duration;

use quorate_core::{
    Checkpoint, Effects, Frame, NodeId, Output, Payload, Protocol, Reader, Survival, Wire,
};
use quorate_problems::total_order::{self, Request};

use super::config::{Careless, Config, Replicator, Service};
use super::detector::Detector;
use super::message::{Known, Message, Record, Report, Timer};
use super::{Command, Views};
use crate::embed::{self, Embedded, Lift, Restated, Step};

/// After how many commands a replicated service writes its state down and drops its log.
const COMPACT_EVERY: u64 = 16;

/// For how many ticks the service waits for what it proposed before it proposes again.
const PROPOSAL_TICKS: u32 = 3;

/// An impatient service is only that much less patient with the leader of those who replicate it.
const SILENCE_TICKS_MIN: u32 = 5;

/// A service that waits for an operator has a leader all the same.
const SILENCE_TICKS_MAX: u32 = 100;

/// A protocol that has a seat in a view service replicated by `M`.
pub trait Host<M: Protocol>: Protocol {
    /// Wraps a message about views.
    fn message(message: Message<M::Message>) -> Self::Message;

    /// Wraps a record about views.
    fn record(record: Record<M::Record>) -> Self::Record;

    /// Wraps a timer about views.
    fn timer(timer: Timer<M::Timer>) -> Self::Timer;
}

/// A server's part in the view service.
#[derive(Clone, Hash)]
pub struct Seat<M: Replicator> {
    me: NodeId,
    config: Config<M::Config>,
    /// What the next ping says.
    report: Report,
    /// The latest that this server was told.
    known: Known,
    body: Body<M>,
    /// The service's state, as far as this server has it.
    views: Views,
    /// What of the service's order that state contains.
    checkpoint: Checkpoint,
    /// What of it is written down.
    written: u64,
    /// States that arrived, until the service takes one over.
    staged: Vec<(Checkpoint, Views)>,
    /// What this server heard of the others, while it answers for the service.
    detector: Option<Detector>,
    /// How often the state was written down since all was.
    states: u32,
    /// How many ticks ago a change was proposed that is still to come.
    proposed: Option<u32>,
    /// The replicated service lost its records, and has made up for it now.
    mended: bool,
}

/// What a server has of the service.
#[derive(Clone, Hash)]
enum Body<M: Replicator> {
    /// It is the service.
    Alone,
    /// It was the service, and has lost its records: nobody knows the view any more.
    Gone,
    /// Somebody else is the service.
    Elsewhere {
        /// Who.
        service: NodeId,
    },
    /// It is one of those who replicate the service.
    Replicated {
        /// Its replica.
        child: Box<Embedded<M>>,
        /// Who leads the replicas.
        leader: Option<NodeId>,
    },
}

/// What a host's replay collects for its seat.
pub struct SeatReplay<R> {
    state: Option<(Checkpoint, Views)>,
    staged: Vec<(Checkpoint, Views)>,
    child: embed::Replay<R>,
}

impl<R> Default for SeatReplay<R> {
    fn default() -> SeatReplay<R> {
        SeatReplay {
            state: None,
            staged: Vec::new(),
            child: embed::Replay::default(),
        }
    }
}

impl<R> SeatReplay<R> {
    /// The next record about views.
    pub fn record(&mut self, frame: Frame, record: Record<R>) {
        match record {
            Record::State { checkpoint, views } => self.state = Some((checkpoint, views)),
            Record::Staged { checkpoint, views } => self.staged.push((checkpoint, views)),
            Record::Operator { .. } => {} // It is there for people to read.
            Record::Service(record) => self.child.record(frame, record),
            Record::Anew => self.child.restated(Restated::Anew),
            Record::Damaged => self.child.restated(Restated::Damaged),
        }
    }
}

/// How the replicated service's effects become those of its host.
struct Wrapped<'a, P> {
    checkpoint: Checkpoint,
    views: &'a Views,
    host: PhantomData<P>,
}

impl<M: Replicator, P: Host<M>> Lift<M, P> for Wrapped<'_, P> {
    fn record(&self, record: M::Record) -> P::Record {
        P::record(Record::Service(record))
    }

    fn message(&self, mut message: M::Message) -> P::Message {
        P::message(match M::attachment(&mut message) {
            None => Message::Service(message),
            Some(named) => {
                debug_assert!(named.position <= self.checkpoint.position);
                *named = self.checkpoint;
                Message::State {
                    checkpoint: self.checkpoint,
                    views: self.views.clone(),
                    message,
                }
            }
        })
    }

    fn timer(&self, timer: M::Timer) -> P::Timer {
        P::timer(Timer::Service(timer))
    }
}

impl<M: Replicator> Seat<M> {
    /// Takes the seat, with what survived of it.
    pub fn open<P: Host<M>>(
        config: &Config<M::Config>,
        (me, incarnation, survival): (NodeId, u64, Survival),
        mut replay: SeatReplay<M::Record>,
        fx: &mut Effects<P>,
    ) -> Seat<M> {
        if survival == Survival::Damaged {
            (replay.state, replay.staged) = (None, Vec::new());
        }
        let fresh = || (Checkpoint::default(), Views::new(&config.servers));
        let (checkpoint, views) = replay.state.unwrap_or_else(fresh);
        let mut seat = Seat {
            me,
            config: config.clone(),
            report: Report {
                incarnation,
                ..Report::default()
            },
            known: Known::default(),
            body: Body::Gone,
            views,
            checkpoint,
            written: checkpoint.position,
            staged: replay.staged,
            detector: None,
            states: 0,
            proposed: None,
            mended: false,
        };
        match &config.service {
            Service::Alone { node } if *node != me => {
                seat.body = Body::Elsewhere { service: *node };
            }
            Service::Alone { .. } if survival == Survival::Damaged => {}
            Service::Alone { .. } => {
                seat.body = Body::Alone;
                seat.preside(None, fx);
            }
            Service::Replicated(service) => {
                let (ping, patience) = (config.ping, config.patience);
                let service = M::paced(
                    service,
                    ping,
                    ping * patience.clamp(SILENCE_TICKS_MIN, SILENCE_TICKS_MAX),
                );
                let boot = (me, incarnation, survival);
                let lift = Wrapped::<P> {
                    checkpoint,
                    views: &seat.views,
                    host: PhantomData,
                };
                let opened = Embedded::open(&service, replay.child, boot, checkpoint, fx, &lift);
                let (child, step) = opened;
                seat.body = Body::Replicated {
                    child: Box::new(child),
                    leader: None,
                };
                seat.attend(step, fx);
            }
        }
        seat.learn();
        let soon = seat.config.ping;
        fx.set_timer(P::timer(Timer::Ping), Duration::ZERO..soon);
        seat
    }

    /// The present view, as far as this server was told.
    #[must_use]
    pub fn known(&self) -> &Known {
        &self.known
    }

    /// The service's state, as far as this server has it; for people.
    #[must_use]
    pub fn views(&self) -> &Views {
        &self.views
    }

    /// Whether this server answers for the service.
    #[must_use]
    pub fn presides(&self) -> bool {
        self.detector.is_some()
    }

    /// Whether this server is the service, or is one of those who replicate it.
    #[must_use]
    pub fn serves(&self) -> bool {
        !matches!(self.body, Body::Elsewhere { .. })
    }

    /// Whether this server was the service and has lost it for good.
    #[must_use]
    pub fn is_gone(&self) -> bool {
        matches!(self.body, Body::Gone)
    }

    /// Whether the replicated service has just made up for the records that it had lost here, so that
    /// the damaged part of the log can go.
    pub fn take_mended(&mut self) -> bool {
        mem::take(&mut self.mended)
    }

    /// Says in all pings to come what `change` says; and at once, if it is news that the service waits for.
    pub fn report<P: Host<M>>(&mut self, fx: &mut Effects<P>, change: impl FnOnce(&mut Report)) {
        let before = self.report.clone();
        change(&mut self.report);
        if self.report.is_news_after(&before) {
            self.ping(fx);
        }
    }

    /// What it says in its pings.
    #[must_use]
    pub fn reported(&self) -> &Report {
        &self.report
    }

    /// A message about views arrived.
    pub fn on_message<P: Host<M>>(
        &mut self,
        from: NodeId,
        message: Message<M::Message>,
        fx: &mut Effects<P>,
    ) {
        match message {
            Message::Ping(report) => self.on_ping(from, report, fx),
            Message::Current(known) => self.on_current(known),
            Message::Service(message) => {
                self.drive(fx, |child, fx| child.on_message(from, message, fx));
            }
            Message::State {
                checkpoint,
                views,
                message,
            } => {
                self.stage(checkpoint, views, fx);
                self.drive(fx, |child, fx| child.on_message(from, message, fx));
            }
        }
        self.learn();
    }

    /// A timer about views ran out.
    pub fn on_timer<P: Host<M>>(&mut self, timer: Timer<M::Timer>, fx: &mut Effects<P>) {
        match timer {
            Timer::Ping => {
                self.ping(fx);
                let ping = self.config.ping;
                fx.set_timer(P::timer(Timer::Ping), ping..ping);
            }
            Timer::Tick => self.on_tick(fx),
            Timer::Service(timer) => self.drive(fx, |child, fx| child.on_timer(timer, fx)),
        }
        self.learn();
    }

    /// An operator, who has made sure that the servers which cannot be reached are off, wants another first
    /// member. Written down, so that everybody can see who decided.
    pub fn on_operator<P: Host<M>>(&mut self, first: NodeId, fx: &mut Effects<P>) {
        if matches!(self.body, Body::Alone) {
            fx.persist(P::record(Record::Operator { first }));
            let view = self.views.view();
            let mut members = view.members.clone();
            members.retain(|&id| id != first && Some(id) != view.first());
            members.insert(0, first);
            let command = Command::Change {
                from: view.number,
                members,
            };
            self.decide(&command, fx);
            self.learn();
        }
    }

    /// Whether so much was written down since all was that the host should do so again.
    #[must_use]
    pub fn is_bloated(&self) -> bool {
        /// How many states of the service may be on disk.
        const STATES_MAX: u32 = 16;
        self.states > STATES_MAX
    }

    /// Writes down all that this seat needs to start again; the host forgets the frames before.
    pub fn restate<P: Host<M>>(&mut self, fx: &mut Effects<P>) {
        if self.serves() && !self.is_gone() {
            self.write_state(fx);
        }
        self.states = 0;
        for (checkpoint, views) in &self.staged {
            let (checkpoint, views) = (*checkpoint, views.clone());
            fx.persist(P::record(Record::Staged { checkpoint, views }));
        }
        if let Body::Replicated { child, .. } = &self.body {
            let (restated, records) = child.restated();
            fx.persist(P::record(restated.into()));
            for record in records {
                fx.persist(P::record(Record::Service(record)));
            }
        }
    }

    fn write_state<P: Host<M>>(&mut self, fx: &mut Effects<P>) {
        self.written = self.checkpoint.position;
        self.states += 1;
        fx.persist(P::record(Record::State {
            checkpoint: self.checkpoint,
            views: self.views.clone(),
        }));
    }

    /// Who answers for the service, as far as this server knows.
    fn service(&self) -> Option<NodeId> {
        match &self.body {
            Body::Alone => Some(self.me),
            Body::Gone => None,
            Body::Elsewhere { service } => Some(*service),
            Body::Replicated { leader, .. } => *leader,
        }
    }

    /// Pings the service now, and so asks for the present view.
    pub fn ping<P: Host<M>>(&self, fx: &mut Effects<P>) {
        let me = self.me;
        let idle = self.service() == Some(me) && !self.config.servers.contains(&me);
        if let Some(service) = self.service().filter(|_| !idle) {
            // Early: what it acknowledges was counted from mail that waited for disks; the rest is a hint.
            fx.send_early(service, P::message(Message::Ping(self.report.clone())));
        }
    }

    fn on_ping<P: Host<M>>(&mut self, from: NodeId, report: Report, fx: &mut Effects<P>) {
        if let Some(detector) = &mut self.detector {
            detector.on_ping(from, report);
            let number = self.views.view().number;
            let active = self.views.is_active();
            self.propose(fx);
            // If a lone service decided just now, it has told everybody.
            if (self.views.view().number, self.views.is_active()) == (number, active) {
                self.tell(from, fx);
            }
        }
    }

    /// Tells a server the present view.
    fn tell<P: Host<M>>(&self, to: NodeId, fx: &mut Effects<P>) {
        let known = Known {
            view: self.views.view().clone(),
            active: self.views.is_active(),
            lost: self.views.lost(to),
        };
        // Held: a lone service must not announce what it could forget.
        fx.send(to, P::message(Message::Current(known)));
    }

    fn on_current(&mut self, known: Known) {
        self.known.lost = self.known.lost.max(known.lost);
        if known.view.number > self.known.view.number {
            (self.known.view, self.known.active) = (known.view, known.active);
        } else if known.view.number == self.known.view.number {
            self.known.active |= known.active;
        }
    }

    /// What this server's own copy of the service's state says it knows too.
    fn learn(&mut self) {
        let news = match self.views.view().number.cmp(&self.known.view.number) {
            core::cmp::Ordering::Less => false,
            core::cmp::Ordering::Equal => self.views.is_active() && !self.known.active,
            core::cmp::Ordering::Greater => true,
        };
        let lost = self.views.lost(self.me);
        if self.serves() && (news || lost > self.known.lost) {
            let known = Known {
                view: self.views.view().clone(),
                active: self.views.is_active(),
                lost,
            };
            self.on_current(known);
        }
    }

    /// This server answers for the service from now on.
    fn preside<P: Host<M>>(&mut self, suspected: Option<NodeId>, fx: &mut Effects<P>) {
        self.detector = Some(Detector::new(&self.config, suspected));
        self.proposed = None;
        let tick = self.config.ping;
        fx.set_timer(P::timer(Timer::Tick), tick..tick);
    }

    fn on_tick<P: Host<M>>(&mut self, fx: &mut Effects<P>) {
        if let Some(detector) = &mut self.detector {
            detector.tick();
            self.proposed = match self.proposed {
                Some(ticks) if ticks < PROPOSAL_TICKS => Some(ticks + 1),
                _ => None,
            };
            let tick = self.config.ping;
            fx.set_timer(P::timer(Timer::Tick), tick..tick);
            self.propose(fx);
        }
    }

    /// Decides what should happen, and sees to it.
    fn propose<P: Host<M>>(&mut self, fx: &mut Effects<P>) {
        let detector = self.detector.as_ref().filter(|_| self.proposed.is_none());
        let command = detector.and_then(|detector| detector.decide(&self.views, &self.config));
        let Some(command) = command else {
            return;
        };
        match &self.body {
            Body::Alone => self.decide(&command, fx),
            Body::Replicated { .. } => {
                self.proposed = Some(0);
                let mut bytes = Vec::new();
                command.encode(&mut bytes);
                // Logs and links have checksums of their own, so this needs none.
                let payload = Payload::from_vec(bytes, 0);
                self.drive(fx, |child, fx| {
                    child.on_request(Request::Broadcast(payload), fx);
                });
            }
            Body::Gone | Body::Elsewhere { .. } => {}
        }
    }

    /// The lone service has decided, and announces it.
    fn decide<P: Host<M>>(&mut self, command: &Command, fx: &mut Effects<P>) {
        if self.views.apply(command, self.trusts()) {
            self.write_state(fx);
            for &server in &self.config.servers {
                self.tell(server, fx);
            }
        }
    }

    fn trusts(&self) -> bool {
        match self.config.careless {
            Some(Careless::Hasty | Careless::StartsOver) => true,
            Some(Careless::Forgetful) | None => false,
        }
    }

    /// A state arrived, which the replicated service may want now or later.
    fn stage<P: Host<M>>(&mut self, checkpoint: Checkpoint, views: Views, fx: &mut Effects<P>) {
        /// More than are ever between arrival and installation.
        const STAGED_MAX: usize = 8;
        let position = self.checkpoint.position;
        self.staged.retain(|staged| staged.0.position > position);
        let known = self.staged.iter().any(|staged| staged.0 == checkpoint);
        if checkpoint.position > position && !known {
            if self.staged.len() == STAGED_MAX {
                self.staged.remove(0);
            }
            self.staged.push((checkpoint, views.clone()));
            fx.persist(P::record(Record::Staged { checkpoint, views }));
        }
    }

    /// Lets the replicated service take a step, and sees to what comes of it.
    fn drive<P: Host<M>>(
        &mut self,
        fx: &mut Effects<P>,
        step: impl FnOnce(&mut M, &mut Effects<M>),
    ) {
        let Body::Replicated { child, .. } = &mut self.body else {
            return;
        };
        let lift = Wrapped::<P> {
            checkpoint: self.checkpoint,
            views: &self.views,
            host: PhantomData,
        };
        let step = child.step(fx, &lift, step);
        self.attend(step, fx);
    }

    fn attend<P: Host<M>>(&mut self, step: Step, fx: &mut Effects<P>) {
        let Body::Replicated { child, .. } = &mut self.body else {
            return;
        };
        let outputs: Vec<Output<M>> = child.take_outputs().collect();
        for output in outputs {
            self.on_output(output, fx);
        }
        if step == Step::Mended {
            self.mended = true;
            self.restate(fx);
        }
        if self.checkpoint.position >= self.written + COMPACT_EVERY {
            // In one frame with the state, so whatever the service drops is in the state.
            self.write_state(fx);
            let checkpoint = self.checkpoint;
            self.drive(fx, |child, fx| {
                child.on_request(Request::Compact(checkpoint), fx);
            });
        }
    }

    fn on_output<P: Host<M>>(&mut self, output: Output<M>, fx: &mut Effects<P>) {
        match output {
            total_order::Output::Deliver {
                position,
                epoch,
                payload,
            } => {
                self.checkpoint = Checkpoint { position, epoch };
                self.on_command(&payload);
            }
            total_order::Output::Install(checkpoint) => self.install(checkpoint, fx),
            total_order::Output::Lead { leader, .. } => self.on_lead(leader, fx),
            total_order::Output::Members(_) => {}
            total_order::Output::ReadReady { .. } => {} // Nobody reads.
        }
    }

    /// The replicas of the service have agreed on a command.
    fn on_command(&mut self, payload: &Payload) {
        let block = alloc::sync::Arc::new(payload.as_bytes().to_vec());
        if let Ok(command) = Command::decode(&mut Reader::new(&block)) {
            self.views.apply(&command, self.trusts());
            self.proposed = None;
        }
    }

    /// The staged state takes the place of this one.
    fn install<P: Host<M>>(&mut self, checkpoint: Checkpoint, fx: &mut Effects<P>) {
        let found = self.staged.iter().find(|staged| staged.0 == checkpoint);
        let (_, views) = found.expect("what is installed has arrived before");
        self.views = views.clone();
        self.checkpoint = checkpoint;
        self.write_state(fx);
    }

    /// Somebody leads the replicas of the service, or nobody does.
    fn on_lead<P: Host<M>>(&mut self, now: Option<NodeId>, fx: &mut Effects<P>) {
        let me = self.me;
        let Body::Replicated { leader, .. } = &mut self.body else {
            return;
        };
        let before = mem::replace(leader, now);
        if now == Some(me) && self.detector.is_none() {
            self.preside(before.filter(|&id| id != me), fx);
        } else if now != Some(me) && self.detector.is_some() {
            self.detector = None;
            fx.stop_timer(P::timer(Timer::Tick));
        }
        if now.is_some() && now != before {
            self.ping(fx);
        }
    }
}
