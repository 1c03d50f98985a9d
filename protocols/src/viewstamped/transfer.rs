//! Handing over: the primary brings another replica up to date, takes no more requests meanwhile, and
//! starts the view change to the next view in which that one is primary.

use quorate_core::{Effects, NodeId};

use super::Viewstamped;
use super::message::Timer;
use super::role::Role;

impl Viewstamped {
    /// The layer above wants another primary.
    pub(super) fn on_transfer(&mut self, to: Option<NodeId>, fx: &mut Effects<Viewstamped>) {
        let me = self.me;
        let Some((primary, _)) = self.presiding() else {
            return;
        };
        let others = primary.peers.iter();
        let others = others.filter(|(id, peer)| **id != me && peer.voter);
        let successor = match to {
            Some(to) => others.map(|(&id, _)| id).find(|&id| id == to),
            // Whoever has most, and of those who answer if anyone does.
            None => others
                .max_by_key(|(_, peer)| (peer.active, peer.matched))
                .map(|(&id, _)| id),
        };
        let Some(successor) = successor else {
            return;
        };
        primary.successor = Some(successor);
        let timeout = self.config.view_timeout;
        fx.set_timer(Timer::Transfer, timeout..timeout);
        self.maybe_hand_over(successor, fx);
    }

    /// Primary: it took too long, so it goes on.
    pub(super) fn abandon_transfer(&mut self) {
        if let Role::Primary(primary) = &mut self.role {
            primary.successor = None;
            if !self.suspicion.suspects {
                self.suspicion.wanted = self.view;
                self.suspicion.support.remove(&self.me);
            }
        }
    }

    /// Primary: wants the view in which the next one is primary, once that one has everything.
    pub(super) fn maybe_hand_over(&mut self, to: NodeId, fx: &mut Effects<Viewstamped>) {
        let view = self.view;
        let Some((primary, source)) = self.presiding() else {
            return;
        };
        let last = source.log.last().index;
        let caught_up = primary
            .peers
            .get(&to)
            .is_some_and(|peer| peer.matched == last);
        if primary.successor == Some(to) && caught_up {
            let turn = self.replicas.turn(view, to);
            let turn = turn.expect("everybody has a turn");
            self.suspicion.wanted = self.suspicion.wanted.max(turn);
            self.say_wanted(fx);
        }
    }

    /// Primary: that may have been lost.
    pub(super) fn repeat_hand_over(&mut self, fx: &mut Effects<Viewstamped>) {
        if let Role::Primary(primary) = &self.role
            && let Some(to) = primary.successor
        {
            self.maybe_hand_over(to, fx);
        }
    }
}
