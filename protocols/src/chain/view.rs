//! Places in the chain, and how a replica changes from one view to the next (van Renesse and
//! Schneider, section 3.2: the master tells each server its new predecessor or successor).
//!
//! A replica enters a view for good: it writes that down, and from then on nothing of earlier views
//! counts here. The head begins the view with an entry of its own. Once the tail has that on disk,
//! everybody has everything, and the head says so to the view service; only what the view service then
//! calls active may commit.

use quorate_core::{Effects, NodeId, Status};
use quorate_problems::total_order::Output;

use super::link::Link;
use super::message::{Message, Record, Timer};
use super::{Chain, Flaw, View};
use crate::log::Content;

impl Chain {
    pub(super) fn summary(&self) -> Status {
        Status {
            role: self.role(),
            epoch: self.view.number.0,
            leader: self.told.1,
            head: self.log.last().index.0,
            decided: self.commit.0,
            whole: !self.forgot && self.seat.is_whole(),
            repaired: 0,
        }
    }

    fn role(&self) -> &'static str {
        if self.loss.is_some() {
            "damaged"
        } else if !self.is_server() {
            self.seat.role_name()
        } else if self.is_head() {
            "head"
        } else if self.is_tail() {
            "tail"
        } else if self.is_member() {
            "middle"
        } else if self.seat.is_learner() {
            "learner"
        } else {
            "spare"
        }
    }

    /// Whether a message may count: if it is part of a view, of this one.
    pub(super) fn admits(&self, message: &Message) -> bool {
        if message.is_about_views() {
            return true;
        }
        let present = match self.has(Flaw::Unfenced) {
            true => message.view() <= Some(self.view.number),
            false => message.view().is_none_or(|view| view == self.view.number),
        };
        present && self.loss.is_none()
    }

    pub(super) fn on_views_message(
        &mut self,
        from: NodeId,
        message: Message,
        fx: &mut Effects<Chain>,
    ) {
        if let Some(message) = message.about_views() {
            self.seat.on_message(from, message, fx);
            self.follow_service(fx);
        }
    }

    pub(super) fn on_views_timer(&mut self, timer: Timer, fx: &mut Effects<Chain>) {
        if let Some(timer) = timer.about_views() {
            self.seat.on_timer(timer, fx);
            self.follow_service(fx);
        }
    }

    /// The view service may have said something new.
    pub(super) fn follow_service(&mut self, fx: &mut Effects<Chain>) {
        self.maybe_excused(fx);
        if self.loss.is_some() {
            return;
        }
        self.forgot &= !self.seat.is_reliable();
        if !self.is_server() {
            self.tell_head(fx);
            return;
        }
        let known = self.seat.known();
        if known.view.number > self.view.number {
            let view = known.view.clone();
            self.enter(view, fx);
        }
        let known = self.seat.known();
        if known.active && known.view.number == self.view.number && !self.established {
            self.established = true;
            self.maybe_commit(fx);
            self.maybe_ask_versions(fx);
        }
        self.tell_head(fx);
    }

    /// Leaves the present view for a later one.
    fn enter(&mut self, view: View, fx: &mut Effects<Chain>) {
        assert!(
            view.number > self.view.number,
            "views are entered in their order"
        );
        fx.persist(Record::Entered(view.clone()));
        self.view = view;
        self.established = false;
        (self.agreed, self.stored) = (None, crate::log::Index(0));
        self.transfer = None;
        fx.stop_timer(Timer::Transfer);
        self.restart_reads();
        let number = self.view.number;
        self.seat.report(fx, |report| {
            report.view = number;
            report.missing.clear();
            report.ready.clear();
            report.successor = None;
        });
        self.take_place(fx);
    }

    /// Does what this replica's place in the view demands.
    pub(super) fn take_place(&mut self, fx: &mut Effects<Chain>) {
        let (last, number) = (self.log.last(), self.view.number);
        self.links.clear();
        self.unfed = 0;
        if let Some(successor) = self.successor() {
            self.links.insert(successor, Link::new(last.index.next()));
        }
        let timeout = self.detection_time();
        fx.set_timer(Timer::Silence, timeout..timeout);
        if self.is_head() {
            self.begin_links(fx);
            match last.epoch == number {
                // It was stopped and is back: what it had passed on is on its disk.
                true => self.after_writing(last.index, fx),
                false => self.append(Content::Noop, fx),
            }
            if self.has(Flaw::HastyJoin) {
                self.acknowledge_view(fx);
            }
        } else if last.epoch == number && self.is_member() {
            // It was stopped and is back: an entry of this very view is the head's.
            self.agreed = Some(last.index);
            self.begin_links(fx);
            self.after_writing(last.index, fx);
        }
        self.say_entered(fx);
    }

    /// Lets whoever this replica is fed by know where to begin. Held: a view must not be forgotten by
    /// whoever was heard to have entered it.
    pub(super) fn say_entered(&self, fx: &mut Effects<Chain>) {
        if let Some(feeder) = self.feeder() {
            let (view, last) = (self.view.number, self.log.last());
            fx.send(feeder, Message::Entered { view, last });
        }
    }

    /// Head: once the tail has the entry that the view began with, everybody has everything.
    pub(super) fn maybe_acknowledge_view(&mut self, fx: &mut Effects<Chain>) {
        let complete = self.log.epoch_at(self.stored) == Some(self.view.number);
        if complete && !self.established && self.is_head() {
            self.acknowledge_view(fx);
        }
    }

    fn acknowledge_view(&mut self, fx: &mut Effects<Chain>) {
        let number = self.view.number;
        self.seat.report(fx, |report| report.acknowledged = number);
    }

    /// Says who is the head, if that changed. Where the chain is broken nobody can finish anything, so
    /// nobody is said to be.
    pub(super) fn tell_head(&mut self, fx: &mut Effects<Chain>) {
        let now = (self.view.number, self.head().filter(|_| !self.is_cut_off()));
        if self.told != now {
            self.told = now;
            fx.output(Output::Lead {
                epoch: now.0.0,
                leader: now.1,
            });
        }
    }

    /// Whether a neighbour in the chain was not heard of for a timeout.
    fn is_cut_off(&self) -> bool {
        let missing = &self.seat.reported().missing;
        let silent = self.successor().is_some_and(|id| missing.contains(&id));
        silent || (self.is_member() && !self.is_head() && self.is_unfed())
    }

    /// The head, unless this replica was stopped and does not know yet whether its view is over.
    pub(super) fn head(&self) -> Option<NodeId> {
        let present = self.seat.known().view.number == self.view.number;
        self.view.first().filter(|_| present)
    }

    pub(super) fn is_head(&self) -> bool {
        self.view.first() == Some(self.me)
    }

    pub(super) fn is_tail(&self) -> bool {
        self.view.last() == Some(self.me)
    }

    pub(super) fn is_member(&self) -> bool {
        self.view.contains(self.me)
    }

    /// Whether this replica keeps a copy at all, as far as it knows, rather than being the view service
    /// alone, or being needed no more.
    pub(super) fn is_server(&self) -> bool {
        self.keeps_copy(self.me)
    }

    /// Whether a replica keeps a copy, as far as this one knows.
    pub(super) fn keeps_copy(&self, id: NodeId) -> bool {
        self.seat.copies().any(|copy| copy == id)
    }

    /// Whether this replica puts requests into their order.
    pub(super) fn orders(&self) -> bool {
        self.is_head() && self.transfer.is_none()
    }

    pub(super) fn successor(&self) -> Option<NodeId> {
        self.neighbour(|place| place.checked_add(1))
    }

    pub(super) fn predecessor(&self) -> Option<NodeId> {
        self.neighbour(|place| place.checked_sub(1))
    }

    /// Who passes updates on to this replica: its predecessor, or the tail if it wants to join.
    pub(super) fn feeder(&self) -> Option<NodeId> {
        match self.is_member() {
            true => self.predecessor(),
            false => self.view.last().filter(|_| self.is_server()),
        }
    }

    /// How many links there are from here to the tail.
    pub(super) fn hops(&self) -> u64 {
        let members = self.view.members.iter();
        let behind = members.skip_while(|&&id| id != self.me).skip(1);
        (behind.count() as u64).max(1)
    }

    fn neighbour(&self, other: impl Fn(usize) -> Option<usize>) -> Option<NodeId> {
        let members = &self.view.members;
        let place = members.iter().position(|&id| id == self.me)?;
        members.get(other(place)?).copied()
    }
}
