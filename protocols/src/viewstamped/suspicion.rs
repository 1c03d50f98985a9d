//! When a view change begins (paper 4.2, step 1).
//!
//! A replica that misses its primary says which view it wants, and goes there once a quorum wants the
//! same. In the paper it enters that view at once; here it does so with its DoViewChange, so that a
//! replica that is merely cut off stays where it is, and deposes nobody when it comes back. Who hears
//! from the primary does not join in, unless somebody cannot go back any more, or the primary itself
//! wants to hand over.

use alloc::collections::BTreeMap;

use quorate_core::{Effects, NodeId};

use crate::log::Epoch as View;

use super::Viewstamped;
use super::message::{Message, Timer};
use super::role::Role;

/// Who wants which view.
#[derive(Clone, Hash, Debug)]
pub(super) struct Suspicion {
    /// Whether this replica misses its primary or, if it is primary, a quorum.
    pub(super) suspects: bool,
    /// The view that this replica wants, or is in.
    pub(super) wanted: View,
    /// The latest view that each wants.
    pub(super) support: BTreeMap<NodeId, View>,
}

impl Suspicion {
    pub(super) fn new(view: View) -> Suspicion {
        Suspicion {
            suspects: false,
            wanted: view,
            support: BTreeMap::new(),
        }
    }
}

impl Viewstamped {
    /// Nothing was heard of the primary for too long, or the view change takes too long.
    pub(super) fn on_silence(&mut self, fx: &mut Effects<Viewstamped>) {
        match self.role {
            Role::Backup | Role::Changing(_) => {
                self.suspect(fx);
                let timeout = self.config.view_timeout;
                fx.set_timer(Timer::Silence, timeout..timeout * 2);
            }
            Role::Primary(_)
            | Role::Starting
            | Role::Recovering(_)
            | Role::Transitioning(_)
            | Role::Outside { .. } => {}
        }
    }

    /// Wants the next view. Not the one after it, as long as no quorum wants the same.
    pub(super) fn suspect(&mut self, fx: &mut Effects<Viewstamped>) {
        self.suspicion.suspects = true;
        if self.is_voter() {
            if self.suspicion.wanted == self.view {
                self.suspicion.wanted = self.view.next();
            }
            self.say_wanted(fx);
            self.await_repeat(fx);
        }
        self.tell_leader(fx);
    }

    /// The primary is there, or the quorum.
    pub(super) fn trust(&mut self, fx: &mut Effects<Viewstamped>) {
        let suspicion = &mut self.suspicion;
        let doubted = suspicion.suspects;
        suspicion.suspects = false;
        suspicion.wanted = self.view;
        suspicion.support.clear();
        if doubted {
            fx.stop_timer(Timer::Repeat);
            self.tell_leader(fx);
        }
    }

    pub(super) fn say_wanted(&self, fx: &mut Effects<Viewstamped>) {
        for id in self.replicas.iter() {
            self.tell_wanted(id, fx);
        }
    }

    fn tell_wanted(&self, to: NodeId, fx: &mut Effects<Viewstamped>) {
        // Early: a wish promises nothing. The view that was entered is named only so that others
        // follow; they would find out otherwise too.
        fx.send_early(
            to,
            Message::StartViewChange {
                entered: self.view,
                wanted: self.suspicion.wanted,
            },
        );
    }

    pub(super) fn on_start_view_change(
        &mut self,
        from: NodeId,
        view: View,
        entered: View,
        fx: &mut Effects<Viewstamped>,
    ) {
        if !self.is_voter() {
            return; // The primary will bring it along.
        }
        let known = self.suspicion.support.entry(from).or_insert(view);
        *known = view.max(*known);
        let wanted = self.suspicion.wanted;
        if view > wanted && self.joins(from, entered) {
            self.suspicion.wanted = view;
            self.say_wanted(fx);
        } else if from != self.me && (view < wanted || entered < self.view) && self.doubts() {
            self.tell_wanted(from, fx);
        }
        self.maybe_change_view(fx);
    }

    /// Whether what this replica has is no view that works, as far as it knows.
    fn doubts(&self) -> bool {
        self.suspicion.suspects || matches!(self.role, Role::Changing(_))
    }

    /// Whether this replica wants what that one wants.
    fn joins(&self, from: NodeId, entered: View) -> bool {
        // Whoever has entered a later view is of no use in this one any more.
        let stranded = entered > self.view;
        let handed_over =
            matches!(self.role, Role::Backup) && self.replicas.primary(self.view) == from;
        self.doubts() || stranded || handed_over
    }

    /// 4.2, step 2: "when it receives StartViewChange messages for its view-number from f other
    /// replicas", it goes.
    fn maybe_change_view(&mut self, fx: &mut Effects<Viewstamped>) {
        let wanted = self.suspicion.wanted;
        let support = &self.suspicion.support;
        let wants = |id| support.get(&id).is_some_and(|view| *view >= wanted);
        if wanted > self.view && self.replicas.is_quorum(wants) {
            self.change_view(wanted, fx);
        }
    }

    /// Says again what may have been lost, for as long as something is missing.
    pub(super) fn on_repeat(&mut self, fx: &mut Effects<Viewstamped>) {
        if self.suspicion.suspects && self.is_voter() {
            self.say_wanted(fx);
        }
        match &self.role {
            Role::Changing(change) => {
                if change.begun || change.chosen.is_some() {
                    self.ask_state(fx);
                } else if self.normal < self.view {
                    self.do_view_change(fx);
                }
            }
            Role::Recovering(_) => self.ask_others(fx),
            Role::Transitioning(_) => self.ask_next(fx),
            Role::Outside { offers: true } => self.offer_epoch(fx),
            Role::Outside { offers: false } => return,
            Role::Backup if !self.is_voter() => {
                self.maybe_offer_epoch(fx);
                return;
            }
            Role::Primary(_) | Role::Backup | Role::Starting if !self.suspicion.suspects => return,
            Role::Primary(_) | Role::Backup | Role::Starting => {}
        }
        self.await_repeat(fx);
    }

    pub(super) fn await_repeat(&self, fx: &mut Effects<Viewstamped>) {
        let heartbeat = self.config.heartbeat;
        fx.set_timer(Timer::Repeat, heartbeat..heartbeat);
    }
}
