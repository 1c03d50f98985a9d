//! A server's part in the view service, whatever the service is made of.
//!
//! Every server pings and is told the present view. One that is the service, alone or as the leader of
//! those who replicate it, also listens, counts ticks and decides.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::marker::PhantomData;
use core::mem;
use core::time::Duration;

use quorate_core::{Checkpoint, Effects, Frame, NodeId, Protocol, Survival};
use quorate_problems::total_order::{Membership, TotalOrder};

use super::config::{Config, Replicator, Service};
use super::detector::Detector;
use super::message::{Known, Message, Record, Report, Standing, Timer};
use super::{Command, Number, View, Views};
use crate::embed::{self, Embedded, Lift, Restated};

mod presiding;
mod replica;

/// An impatient service is only that much less patient with the leader of those who replicate it.
const SILENCE_TICKS_MIN: u32 = 5;

/// A service that waits for an operator has a leader all the same.
const SILENCE_TICKS_MAX: u32 = 100;

/// A protocol that has a seat in a view service replicated by `M`.
pub trait Host<M: Protocol>: Protocol<Problem = TotalOrder> {
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
    /// The view that it knew of when it started: it may have been left out of the next while it was down.
    opened_in: Number,
    /// Who told it last, for those who have no part in the service yet, or not any more.
    told_by: Option<NodeId>,
    /// How many pings were due since then.
    untold: u32,
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
    /// The version of the members that replicate the service.
    in_force: u64,
    /// The replicated service lost its records, and has made up for it now.
    mended: bool,
    /// Who replicated the service when this server joined, until the service has written something here.
    joining: Option<Vec<NodeId>>,
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
    joining: Option<Vec<NodeId>>,
    /// Whether the host has been in a view.
    entered: bool,
    child: embed::Replay<R>,
}

impl<R> Default for SeatReplay<R> {
    fn default() -> SeatReplay<R> {
        SeatReplay {
            state: None,
            staged: Vec::new(),
            joining: None,
            entered: false,
            child: embed::Replay::default(),
        }
    }
}

impl<R> SeatReplay<R> {
    /// The host has been in this view. If it is one, somebody has replicated the service.
    pub fn enter(&mut self, view: Number) {
        self.entered |= view > Number(0);
    }

    /// The next record about views.
    pub fn record(&mut self, frame: Frame, record: Record<R>) {
        match record {
            Record::State { checkpoint, views } => self.state = Some((checkpoint, views)),
            Record::Staged { checkpoint, views } => self.staged.push((checkpoint, views)),
            Record::Operator { .. } => {} // It is there for people to read.
            Record::Joining { members } => self.joining = Some(members),
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
        let fresh = || (Checkpoint::default(), Views::new());
        let (checkpoint, views) = replay.state.take().unwrap_or_else(fresh);
        let mut seat = Seat {
            me,
            config: config.clone(),
            report: Report {
                incarnation,
                ..Report::default()
            },
            known: Known::default(),
            opened_in: Number(0),
            told_by: None,
            untold: 0,
            body: Body::Gone,
            views,
            checkpoint,
            written: checkpoint.position,
            staged: mem::take(&mut replay.staged),
            detector: None,
            states: 0,
            proposed: None,
            in_force: 0,
            mended: false,
            joining: None,
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
                let survival = seat.resume(service, survival, &mut replay, fx);
                let (ping, patience) = (config.ping, config.patience);
                let members = seat.joining.as_deref();
                let service = M::paced(
                    service,
                    members.unwrap_or(M::members(service)),
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
        seat.opened_in = seat.known.view.number;
        let soon = seat.config.ping;
        fx.set_timer(P::timer(Timer::Ping), Duration::ZERO..soon);
        seat
    }

    /// What the replicated service starts from, if it has never written anything here. The host may have been
    /// started with the newest servers that were asked for. They replicate the service last of all, so
    /// nobody must found another one because of that: who joined goes on as it began, and anybody else
    /// must be told who takes part, like one who has forgotten it.
    fn resume<P: Host<M>>(
        &mut self,
        service: &M::Config,
        survival: Survival,
        replay: &mut SeatReplay<M::Record>,
        fx: &mut Effects<P>,
    ) -> Survival {
        if survival == Survival::Damaged || !replay.child.is_empty() {
            return survival;
        }
        self.joining = replay.joining.take();
        if self.joining.is_none() && !M::members(service).contains(&self.me) {
            self.joining = Some(M::members(service).to_vec());
            self.write_joining(fx);
        }
        match self.joining.is_none() && replay.entered {
            true => Survival::Damaged,
            false => survival,
        }
    }

    fn write_joining<P: Host<M>>(&self, fx: &mut Effects<P>) {
        if let Some(members) = self.joining.clone() {
            fx.persist(P::record(Record::Joining { members }));
        }
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

    /// Whether the service has, or makes do without, all that it has ever promised here.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        match &self.body {
            Body::Alone | Body::Elsewhere { .. } => true,
            Body::Gone => false,
            Body::Replicated { child, .. } => child.status().whole,
        }
    }

    /// Whether a server that had lost its records can be relied on as if it had not: it is a member of a
    /// view that is active, or never will be.
    #[must_use]
    pub fn is_reliable(&self) -> bool {
        let member = self.known.active && self.known.view.contains(self.me);
        member || (self.known.view.number > Number(0) && !self.is_voter())
    }

    /// The role of a process that keeps no copy, for people.
    #[must_use]
    pub fn role_name(&self) -> &'static str {
        match &self.body {
            Body::Gone => "damaged",
            Body::Alone => "view service",
            Body::Elsewhere { .. } => "client",
            Body::Replicated { .. } if self.known.view.number == Number(0) => "newcomer",
            Body::Replicated { .. } => "removed",
        }
    }

    /// Whether this server can be a member of views, as far as it knows.
    #[must_use]
    pub fn is_voter(&self) -> bool {
        match self.known.view.number {
            Number(0) => self.config.servers.contains(&self.me),
            _ => self.known.servers.voters.contains(&self.me),
        }
    }

    /// Whether this server is told everything and never is a member.
    #[must_use]
    pub fn is_learner(&self) -> bool {
        self.known.servers.learners.contains(&self.me)
    }

    /// Everybody who keeps a copy, as far as this server knows: members of the view, and servers. Some are
    /// named twice.
    pub fn copies(&self) -> impl Iterator<Item = NodeId> + '_ {
        let begun = self.known.view.number > Number(0);
        let first = self.config.servers.iter().filter(move |_| !begun);
        let members = first.chain(self.known.view.members.iter()).copied();
        members.chain(self.known.servers.iter())
    }

    /// How many times as long as usual servers are waited for.
    #[must_use]
    pub fn slack(&self) -> u32 {
        self.known.slack.max(1)
    }

    /// The first member wants these servers, unless newer ones are known. A lone service keeps those that it
    /// began with.
    pub fn reconfigure<P: Host<M>>(&mut self, servers: Membership, fx: &mut Effects<P>) {
        let wanted = self
            .report
            .wanted
            .as_ref()
            .map_or(0, |wanted| wanted.version);
        let news = servers.version > self.known.servers.version.max(wanted);
        if news && matches!(self.body, Body::Replicated { .. }) {
            self.report(fx, |report| report.wanted = Some(servers));
        }
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
            Message::Current(known) => {
                (self.told_by, self.untold) = (Some(from), 0);
                self.on_current(known);
            }
            Message::Unchanged { .. } => (self.told_by, self.untold) = (Some(from), 0),
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
                self.untold = self.untold.saturating_add(1);
                if self.untold > self.config.patience {
                    // Who is heard and does not hear is worse than who is dead.
                    self.told_by = None;
                }
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
            let mut members = view.members.to_vec();
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
            if child.kept() > 0 {
                self.joining = None;
            }
            self.write_joining(fx);
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
            Body::Replicated { leader, .. } => leader.or(self.told_by),
        }
    }

    /// Pings the service now, and so asks for the present view.
    pub fn ping<P: Host<M>>(&self, fx: &mut Effects<P>) {
        let me = self.me;
        let idle = matches!(self.body, Body::Alone) && !self.config.servers.contains(&me);
        if let Some(service) = self.service().filter(|_| !idle) {
            // Early: what it acknowledges was counted from mail that waited for disks; the rest is a hint.
            fx.send_early(service, P::message(Message::Ping(self.report.clone())));
        }
    }

    fn on_current(&mut self, known: Known) {
        if known.changes > self.known.changes {
            let before = mem::replace(&mut self.known, known);
            self.report.changes = self.known.changes;
            let wanted = self.report.wanted.take();
            let version = self.known.servers.version;
            self.report.wanted = wanted.filter(|wanted| wanted.version > version);
            if self.known.view.number > before.view.number {
                self.maybe_object(&before.view);
            }
        }
    }

    /// There is another view. Whoever was left out of it, or is not first any more, and has not asked for
    /// that, was taken for dead; and it is not.
    fn maybe_object(&mut self, before: &View) {
        let (me, view) = (self.me, &self.known.view);
        let lived = before.number > self.opened_in && self.report.standing == Standing::Well;
        let out = before.contains(me) && !view.contains(me);
        let asked = self.report.successor == view.first();
        let deposed = before.first() == Some(me) && view.first() != Some(me) && !asked;
        if lived && self.is_voter() && (out || deposed) {
            self.report.doubted = view.number;
        }
    }

    /// What this server's own copy of the service's state says it knows too.
    fn learn(&mut self) {
        if self.serves() && self.views.changes() > self.known.changes {
            let known = self.knowledge(self.me);
            self.on_current(known);
        }
    }

    /// What this server can tell another from its own copy of the service's state.
    fn knowledge(&self, server: NodeId) -> Known {
        Known {
            changes: self.views.changes(),
            view: self.views.view().clone(),
            active: self.views.is_active(),
            lost: self.views.lost(server),
            servers: self.views.servers().clone(),
            slack: self.views.slack(),
        }
    }
}
