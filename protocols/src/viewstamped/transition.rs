//! From one epoch to the next (paper 7.1.1 to 7.4).
//!
//! Whoever learns that an epoch is over enters the next one, whose first view begins for everybody with
//! the same log: all through the operation that ended the epoch before. A member has status
//! transitioning until it has that much, and takes part in no view, since an empty log must not win a view
//! change. It gets it from anybody, because all of it is committed. A replica that is not a member keeps
//! what it has for the others, until it hears that something is committed in the new epoch: then
//! a quorum of its members has everything, and the old one may go.
//!
//! An epoch is on disk before the operation that ends the one before is delivered. So no state of the
//! application, here or on its way to others, is of an epoch of which its owner does not know who takes part.

use quorate_core::{Effects, NodeId};
use quorate_problems::total_order::Output;

use crate::log::Epoch as View;

use super::message::{Message, Record, Timer};
use super::recovery::Recovery;
use super::replicas::UNKNOWN;
use super::role::Role;
use super::suspicion::Suspicion;
use super::{Epoch, Flaw, Replicas, Viewstamped};

/// What a replica knows in status transitioning.
#[derive(Clone, Default, Hash, Debug)]
pub(super) struct Transition {
    /// Whether it is written down that it is in this epoch.
    pub(super) written: bool,
    /// Whom it asks for what it lacks.
    pub(super) teacher: Option<NodeId>,
}

impl Viewstamped {
    /// Somebody knows that an epoch has begun. Of those who say so, some are to go and ask whether they may.
    pub(super) fn on_start_epoch(
        &mut self,
        from: NodeId,
        epoch: Epoch,
        fx: &mut Effects<Viewstamped>,
    ) {
        let (mine, other) = (self.epoch.number(), epoch.number());
        if other > mine || (other == mine && epoch != self.epoch && self.guesses()) {
            self.enter_epoch(from, epoch, fx);
        } else if from == self.me {
            // It was told twice.
        } else if other < mine {
            self.tell_epoch(from, fx);
        } else if let Role::Transitioning(transition) = &mut self.role {
            transition.teacher = Some(from);
            self.maybe_begin_epoch(fx);
        } else if self.has_started() {
            // Early: what is committed stays so.
            fx.send_early(from, Message::EpochStarted { epoch: mine });
        }
    }

    /// What was said belongs to another epoch. Either its sender is told of this one, or it is asked.
    pub(super) fn on_other_epoch(
        &self,
        from: NodeId,
        epoch: u64,
        message: &Message,
        fx: &mut Effects<Viewstamped>,
    ) {
        if from == self.me || !message.is_repeated() {
            return;
        }
        match epoch < self.epoch.number() {
            true => self.tell_epoch(from, fx),
            false => self.ask_epoch(from, self.epoch.first, fx),
        }
    }

    pub(super) fn ask_epoch(&self, to: NodeId, view: View, fx: &mut Effects<Viewstamped>) {
        let after = self.committed();
        // Early: a question promises nothing.
        fx.send_early(to, Message::GetState { view, after });
    }

    /// Whether this replica does not know who takes part in the first epoch: who joins during that one, or
    /// has forgotten everything, was told the newest voters that were asked for, and they may be of the next.
    fn guesses(&self) -> bool {
        let forgot = matches!(self.role, Role::Recovering(_));
        self.epoch.number() == 0 && (forgot || !self.epoch.members.contains(self.me))
    }

    /// Somebody presides who does not take part, as far as this replica knows: that may be a guess.
    pub(super) fn maybe_ask_epoch(
        &self,
        from: NodeId,
        message: &Message,
        fx: &mut Effects<Viewstamped>,
    ) {
        if message.presides() && self.guesses() {
            self.ask_epoch(from, UNKNOWN, fx);
        }
    }

    pub(super) fn tell_epoch(&self, to: NodeId, fx: &mut Effects<Viewstamped>) {
        let epoch = self.epoch.clone();
        // Early: that the epoch before is over is committed.
        fx.send_early(to, Message::StartEpoch { epoch });
    }

    /// Leaves the epoch before for good. Nothing is delivered before that is written down.
    fn enter_epoch(&mut self, from: NodeId, epoch: Epoch, fx: &mut Effects<Viewstamped>) {
        let written = match self.has(Flaw::ForgottenEpoch) {
            true => Epoch::new(epoch.first, epoch.start, self.epoch.members.clone()),
            false => epoch.clone(),
        };
        self.replicas = Replicas::new(&epoch.members.voters);
        self.epoch = epoch;
        for timer in [
            Timer::Silence,
            Timer::Heartbeat,
            Timer::CheckQuorum,
            Timer::Transfer,
        ] {
            fx.stop_timer(timer);
        }
        self.asked = false;
        self.await_repeat(fx);
        if let Role::Recovering(_) = self.role {
            // It may have been in this epoch before it forgot: whoever is in it must say.
            (self.view, self.normal) = (View(0), View(0));
            self.suspicion = Suspicion::new(self.view);
            self.role = Role::Recovering(Recovery::default());
            self.ask_others(fx);
            return;
        }
        self.persist(Record::Epoch(written), fx);
        // It may have followed a primary of an epoch of which it did not know everybody.
        self.view = self.view.max(self.epoch.first);
        self.suspicion = Suspicion::new(self.view);
        self.role = Role::Transitioning(Transition {
            written: false,
            teacher: Some(from).filter(|&id| id != self.me),
        });
        let epoch = self.epoch.number();
        fx.send(self.me, Message::EpochEntered { epoch });
        self.tell_leader(fx);
    }

    pub(super) fn on_epoch_entered(&mut self, epoch: u64, fx: &mut Effects<Viewstamped>) {
        if let Role::Transitioning(transition) = &mut self.role
            && epoch == self.epoch.number()
        {
            transition.written = true;
            self.maybe_begin_epoch(fx);
        }
    }

    /// Begins the epoch, if all that it begins with is here, and asks for it if not.
    pub(super) fn maybe_begin_epoch(&mut self, fx: &mut Effects<Viewstamped>) {
        if !matches!(&self.role, Role::Transitioning(transition) if transition.written) {
            return;
        }
        let ready = self.has_start();
        if ready {
            self.cut(self.epoch.start.index.max(self.commit));
            self.deliver_through(self.epoch.start.index, fx);
        }
        if !self.epoch.members.contains(self.me) {
            self.leave(ready, fx);
        } else if ready || self.has(Flaw::HastyEpoch) {
            self.begin_epoch(fx);
        } else {
            self.ask_once(fx);
        }
    }

    fn begin_epoch(&mut self, fx: &mut Effects<Viewstamped>) {
        assert_eq!(
            self.view, self.epoch.first,
            "an epoch begins with its first view"
        );
        let last = self.log.last();
        let reached = last.epoch.ordered_in();
        if reached > self.view {
            // A checkpoint brought more than the epoch began with.
            self.catch_up(reached, fx);
            if let Role::Changing(change) = &mut self.role {
                change.begun = true;
            }
            self.ask_once(fx);
        } else if self.replicas.primary(self.view) == self.me {
            self.start_view(fx);
        } else {
            self.become_backup(last.index, fx);
            self.acknowledge(fx);
            self.maybe_offer_epoch(fx);
        }
    }

    /// A voter that misses its primary is heard by the others, and a primary by all. So if voters know of the
    /// epoch, everybody does. One that does not vote any more may be the only one who knows.
    pub(super) fn maybe_offer_epoch(&self, fx: &mut Effects<Viewstamped>) {
        let new = self.epoch.number() > 0 && !self.has_started();
        if new && self.has_begun() && !self.is_voter() {
            self.offer_epoch(fx);
        }
    }

    /// This replica is not a member. If it has what the epoch begins with, it offers that to those who are,
    /// until they do not need it any more (7.1.2).
    pub(super) fn leave(&mut self, offers: bool, fx: &mut Effects<Viewstamped>) {
        let offers = offers && self.epoch.number() > 0;
        self.role = Role::Outside { offers };
        match offers {
            true => self.offer_epoch(fx),
            false => fx.stop_timer(Timer::Repeat),
        }
    }

    /// "If a replica being replaced does not hear from f' + 1 of the new replicas, it sends StartEpoch to
    /// the new replicas" (7.1.2).
    pub(super) fn offer_epoch(&self, fx: &mut Effects<Viewstamped>) {
        for id in self.epoch.members.iter().filter(|&id| id != self.me) {
            self.tell_epoch(id, fx);
        }
        self.await_repeat(fx);
    }

    /// The new members have everything: this replica is not needed any more (7.3).
    pub(super) fn on_epoch_started(&mut self, epoch: u64, fx: &mut Effects<Viewstamped>) {
        let offers = matches!(self.role, Role::Outside { offers: true });
        if offers && epoch == self.epoch.number() {
            self.leave(false, fx);
            self.tell_members(fx);
        }
    }

    /// The first operation of an epoch that is committed says that its members are in force.
    pub(super) fn maybe_tell_members(&mut self, fx: &mut Effects<Viewstamped>) {
        if self.told_members < self.epoch.members.version && self.has_started() {
            self.tell_members(fx);
        }
    }

    /// Who takes part: the operation that said so is committed.
    pub(super) fn tell_members(&mut self, fx: &mut Effects<Viewstamped>) {
        self.told_members = self.epoch.members.version;
        fx.output(Output::Members(self.epoch.members.clone()));
    }
}
