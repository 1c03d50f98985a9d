//! How a chain grows and shrinks (van Renesse and Schneider, sections 3.2 and 3.3).
//!
//! Who wants to join is fed by the tail until it has nearly everything; then the tail asks for a view in
//! which it is the new tail. Who passes on and is not answered asks for a view without its successor:
//! the view service hears from both, and would not notice that they do not hear from each other.

use core::time::Duration;

use quorate_core::{Effects, NodeId};
use quorate_problems::total_order::Membership;

use super::Chain;
use super::link::{Flow, Link};
use super::message::Timer;
use crate::log::{Index, Position};

/// For how many heartbeats a replica waits to be fed before it says again where its log ends.
const UNFED_MAX: u32 = 2;

impl Chain {
    /// The successor, or somebody who wants to join, has entered this view.
    pub(super) fn on_entered(&mut self, from: NodeId, last: Position, fx: &mut Effects<Chain>) {
        // Who is a server no more may not know that yet.
        let joins = self.is_tail() && !self.view.contains(from) && self.keeps_copy(from);
        if joins {
            let next = self.log.last().index.next();
            let link = || Link::new(next);
            self.links.entry(from).or_insert_with(link).heard = true;
        }
        let Some((link, source)) = self.link(from) else {
            return;
        };
        link.heard = true;
        // It may have been stopped, and what it said before does not tell where it is now.
        link.stored = Index(0);
        if last.index <= source.agreed && source.log.matches(last) {
            link.stream_behind(last.index);
            source.send_probe(from, link, fx);
            source.pass_on(from, link, fx);
        } else {
            let index = last.index.min(source.agreed);
            source.go_back(from, link, Position { index, ..last }, fx);
        }
    }

    /// Tail: somebody who wants to join has nearly everything.
    pub(super) fn maybe_invite(&mut self, from: NodeId, fx: &mut Effects<Chain>) {
        let Some(link) = self.links.get(&from) else {
            return;
        };
        let lacks = self.log.last().index.since(link.stored);
        let streams = link.flow == Flow::Stream;
        if self.established && streams && lacks <= self.config.window as u64 {
            self.seat.report(fx, |report| {
                if !report.ready.contains(&from) {
                    report.ready.push(from);
                }
            });
        }
    }

    /// Whatever was lost on the way is said again.
    pub(super) fn on_heartbeat(&mut self, fx: &mut Effects<Chain>) {
        let heartbeat = self.config.heartbeat;
        fx.set_timer(Timer::Heartbeat, heartbeat..heartbeat);
        if self.loss.is_some() {
            return;
        }
        self.for_each_link(|source, to, link| {
            if let Flow::Snapshot { heartbeats, .. } = &mut link.flow {
                *heartbeats = heartbeats.saturating_add(1);
            }
            source.send_probe(to, link, fx);
        });
        self.unfed = match self.is_unfed() {
            true => self.unfed,
            false => self.unfed + 1,
        };
        if self.unfed > UNFED_MAX {
            self.say_entered(fx);
        }
        self.repeat_versions_asked(fx);
    }

    /// Looks for those who did not answer for a timeout.
    pub(super) fn on_silence(&mut self, fx: &mut Effects<Chain>) {
        let timeout = self.detection_time();
        fx.set_timer(Timer::Silence, timeout..timeout);
        let successor = self.successor();
        // Whoever wanted to join and went away will say so again.
        let seat = &self.seat;
        let keeps_copy = |id: NodeId| seat.copies().any(|copy| copy == id);
        self.links
            .retain(|&id, link| Some(id) == successor || (link.heard && keeps_copy(id)));
        let begun = self.is_head() || self.agreed.is_some();
        let silent = successor.filter(|id| begun && self.links.get(id).is_some_and(|l| !l.heard));
        self.seat.report(fx, |report| {
            report.missing.clear();
            report.missing.extend(silent);
        });
        for link in self.links.values_mut() {
            if !link.heard && matches!(link.flow, Flow::Snapshot { .. }) {
                // What was on its way is lost: once it is back it need not wait for the retry.
                link.flow = Flow::Probe;
            }
            link.heard = false;
        }
        self.tell_head(fx);
    }

    /// Whether nothing was passed on to this replica for a timeout.
    pub(super) fn is_unfed(&self) -> bool {
        self.unfed > UNFED_MAX && self.config.heartbeat * self.unfed >= self.detection_time()
    }

    /// After how long a silence a neighbour is taken for dead, now that so much was late.
    pub(super) fn detection_time(&self) -> Duration {
        self.config.election_timeout * self.seat.slack()
    }

    /// The layer above wants other members. The head passes that on to the view service, and views
    /// follow: who is to come joins behind the tail, and who is to go is left out once the others can do
    /// without it.
    pub(super) fn on_reconfigure(&mut self, members: Membership, fx: &mut Effects<Chain>) {
        if self.is_head() && self.established {
            self.seat.reconfigure(members, fx);
        }
    }
}
