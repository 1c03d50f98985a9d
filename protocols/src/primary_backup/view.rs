//! Views, and what a replica is in one.

use quorate_core::{Effects, NodeId, Status};
use quorate_problems::total_order::Output;

use super::primary::Primary;
use super::{Flaw, Message, Number, Position, PrimaryBackup, Record, Timer};
use crate::views::{self, Host, Replicator, Standing};

/// What a replica is at the moment, with what only that role knows.
#[derive(Clone, Hash, Debug)]
pub(super) enum Role {
    /// A backup, or a spare: both do what the primary says.
    Follower,
    /// The primary of its view.
    Primary(Primary),
    /// It lost records, so it may have forgotten what others count on: it takes part in nothing until the
    /// view service knows.
    Lost {
        /// The application's state, which is not part of the damage.
        state: Position,
    },
}

impl<M: Replicator> PrimaryBackup<M> {
    pub(super) fn summary(&self) -> Status {
        Status {
            role: self.role_name(),
            epoch: self.number.0,
            leader: self.leader,
            head: self.log.last().index.0,
            decided: self.commit.0,
            whole: !self.forgot && self.seat.is_whole(),
            repaired: 0,
        }
    }

    /// The role's name in traces and metrics.
    fn role_name(&self) -> &'static str {
        let known = &self.seat.known().view;
        match &self.role {
            Role::Lost { .. } => "damaged",
            Role::Primary(primary) if primary.lapsed => "lapsed primary",
            Role::Primary(primary) if primary.active => "primary",
            Role::Primary(_) => "next primary",
            Role::Follower if !self.keeps_copy() => self.seat.role_name(),
            Role::Follower if self.must_not_lead() => "restarted primary",
            Role::Follower if self.seat.is_learner() && !known.contains(self.me) => "learner",
            Role::Follower if known.number == self.number && !known.contains(self.me) => "spare",
            Role::Follower if known.number == self.number => "backup",
            Role::Follower => "follower",
        }
    }

    /// Whether this process keeps a copy, as far as it knows. Otherwise it is the view service and nothing
    /// else, or is to come, or is not needed any more.
    pub(super) fn keeps_copy(&self) -> bool {
        self.seat.copies().any(|id| id == self.me)
    }

    /// Whether it is first in its view and yet not the primary: it was stopped since, and does not
    /// know what it ordered in that view.
    fn must_not_lead(&self) -> bool {
        let known = &self.seat.known().view;
        known.number == self.number
            && known.first() == Some(self.me)
            && matches!(self.role, Role::Follower)
    }

    /// Whether a message belongs to the present, once a newer view in it has been entered and an older
    /// one answered: this is the fence.
    pub(super) fn admit(
        &mut self,
        from: NodeId,
        message: &Message<M::Message>,
        fx: &mut Effects<Self>,
    ) -> bool {
        let answers = match message {
            Message::ReadReady { incarnation, .. } => Some(*incarnation),
            _ => None,
        };
        if answers.is_some_and(|asked| asked != self.incarnation) {
            return false;
        }
        let Some(view) = message.view() else {
            return true;
        };
        if matches!(self.role, Role::Lost { .. }) {
            return false;
        }
        if view > self.number {
            if message.is_the_primarys() {
                self.enter(view, fx);
                self.tell_leader(fx);
            } else if matches!(message, Message::Superseded { .. }) {
                self.on_superseded(fx);
            }
            message.is_the_primarys()
        } else if view < self.number {
            if message.is_the_primarys() && from != self.me {
                self.reject(from, view, message, fx);
            }
            false
        } else {
            true
        }
    }

    /// Somebody believes in a view that is over.
    fn reject(
        &self,
        to: NodeId,
        old: Number,
        message: &Message<M::Message>,
        fx: &mut Effects<Self>,
    ) {
        let believed = match message {
            Message::Update {
                previous, entries, ..
            } => Some(Message::Updated {
                view: old,
                index: previous.index.plus(entries.as_slice().len()),
            }),
            Message::Leading { round, .. } => Some(Message::Heard {
                view: old,
                round: *round,
            }),
            _ => None,
        };
        match believed.filter(|_| self.has(Flaw::Unfenced)) {
            Some(answer) => fx.send(to, answer),
            None => {
                // Early: that there is a later view is on the view service's disks.
                fx.send_early(to, Message::Superseded { view: self.number });
            }
        }
    }

    /// Primary: there is a later view. Perhaps it is first there too, so it asks.
    fn on_superseded(&mut self, fx: &mut Effects<Self>) {
        if let Role::Primary(primary) = &mut self.role {
            primary.lapsed = true;
            self.leader = None;
            self.tell_leader(fx);
            self.seat.ping(fx);
        }
    }

    /// Enters a later view, with no role in it yet.
    fn enter(&mut self, view: Number, fx: &mut Effects<Self>) {
        assert!(view > self.number, "views follow one another");
        self.number = view;
        fx.persist(Record::View { number: view });
        self.role = Role::Follower;
        self.leader = None;
        for timer in [
            Timer::Silence,
            Timer::Heartbeat,
            Timer::Transfer,
            Timer::Lease,
        ] {
            fx.stop_timer(timer);
        }
        self.seat.report(fx, |report| {
            report.view = view;
            report.standing = Standing::Well;
            report.successor = None;
            report.ready.clear();
            report.missing.clear();
        });
    }

    /// A message about views arrived.
    pub(super) fn on_views(
        &mut self,
        from: NodeId,
        message: Message<M::Message>,
        fx: &mut Effects<Self>,
    ) {
        let answered = matches!(message, Message::Current(_) | Message::Unchanged { .. });
        let Some(message) = message.about_views() else {
            return;
        };
        self.seat.on_message(from, message, fx);
        self.look_at_views(fx);
        if answered {
            self.renew_lease(fx);
        }
    }

    /// A timer about views ran out.
    pub(super) fn on_views_timer(&mut self, timer: views::Timer<M::Timer>, fx: &mut Effects<Self>) {
        self.seat.on_timer(timer, fx);
        self.look_at_views(fx);
    }

    /// Does what the present view demands, as far as it is known.
    pub(super) fn look_at_views(&mut self, fx: &mut Effects<Self>) {
        if matches!(self.role, Role::Lost { .. }) && !self.maybe_found(fx) {
            return;
        }
        if self.seat.is_bloated() {
            self.restate(Record::Base(self.log.base()), fx);
        }
        let known = self.seat.known();
        let (number, first, active) = (known.view.number, known.view.first(), known.active);
        if number > self.number {
            let members = known.view.members.clone();
            self.enter(number, fx);
            if first == Some(self.me) {
                self.become_primary(members, fx);
            }
            self.tell_leader(fx);
        }
        if number < self.number {
            return;
        }
        self.follow_copies();
        self.forgot &= !self.seat.is_reliable();
        if self.must_not_lead() {
            if self.has(Flaw::SameView) {
                let members = self.seat.known().view.members.clone();
                self.become_primary(members, fx);
            } else {
                self.seat
                    .report(fx, |report| report.standing = Standing::Restarted);
            }
        }
        if active {
            self.maybe_activate(fx);
            // Whoever keeps no copy is sent no heartbeats.
            if !self.keeps_copy() {
                self.leader = first;
                self.tell_leader(fx);
            }
        }
    }

    /// Says who is primary, if that changed.
    pub(super) fn tell_leader(&mut self, fx: &mut Effects<Self>) {
        let now = (self.number, self.leader);
        if self.told != now {
            self.told = now;
            fx.output(Output::Lead {
                epoch: self.number.0,
                leader: self.leader,
            });
        }
    }

    /// Follower: a message came from the primary of this view. Whether it can be followed.
    pub(super) fn hear(&self, from: NodeId) -> bool {
        match self.role {
            // There is one primary in a view, so a message from another cannot be.
            Role::Follower => from != self.me && self.leader.is_none_or(|leader| leader == from),
            Role::Primary(_) | Role::Lost { .. } => false,
        }
    }
}

impl<M: Replicator> Host<M> for PrimaryBackup<M> {
    fn message(message: views::Message<M::Message>) -> Self::Message {
        message.into()
    }

    fn record(record: views::Record<M::Record>) -> Self::Record {
        Record::Views(record)
    }

    fn timer(timer: views::Timer<M::Timer>) -> Self::Timer {
        timer.into()
    }
}
