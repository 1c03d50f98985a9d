//! Recovery (paper 4.3, 5.1): how a replica comes back that has forgotten everything.
//!
//! It asks all others, with a nonce that it never used before, and waits for a quorum whose status is
//! normal, among them the primary of the latest view that they name; then it takes that primary's log.
//! Until then it takes part in nothing. If it hears of a later epoch it asks those who are in that one, since
//! it may have been in it too (7.2). A volatile replica recovers whenever it restarts; a durable
//! one if its disk has lost what it had acknowledged.

use alloc::collections::BTreeMap;

use quorate_core::{Effects, NodeId};

use crate::log::{Epoch as View, Index, Position};

use super::config::Memory;
use super::message::{Message, Record};
use super::role::Role;
use super::suspicion::Suspicion;
use super::{Crashes, Flaw, Viewstamped};

/// What a recovering replica knows.
#[derive(Clone, Default, Hash, Debug)]
pub(super) struct Recovery {
    responses: BTreeMap<NodeId, Response>,
    /// How much of the primary's log it must have, once it knows whose.
    pub(super) needed: Option<Index>,
}

#[derive(Clone, Copy, Hash, Debug)]
struct Response {
    view: View,
    last: Position,
    /// In which incarnation the sender had recovered last.
    recovered: u64,
}

impl Viewstamped {
    /// Nothing is left but the application's state, all of which is committed (5.1).
    pub(super) fn become_recovering(&mut self, state: Position, fx: &mut Effects<Viewstamped>) {
        (self.view, self.normal) = (View(0), View(0));
        self.suspicion = Suspicion::new(self.view);
        self.log.reset(state);
        self.commit = state.index;
        self.crashes = Crashes::default();
        self.crashes.learn(self.me, self.incarnation);
        self.role = Role::Recovering(Recovery::default());
        self.ask_others(fx);
        self.await_repeat(fx);
    }

    /// Step 1, and whatever is still missing.
    pub(super) fn ask_others(&mut self, fx: &mut Effects<Viewstamped>) {
        let (nonce, epoch) = (self.incarnation, self.epoch.number());
        for id in self.replicas.iter().filter(|&id| id != self.me) {
            // Early: a question promises nothing, and no later incarnation has this nonce.
            fx.send_early(id, Message::Recovery { nonce, epoch });
        }
        self.ask_state(fx);
    }

    /// Step 2: "a replica replies only when its status is normal". It remembers that the other has
    /// forgotten what it promised before.
    pub(super) fn on_recovery(&mut self, from: NodeId, nonce: u64, fx: &mut Effects<Viewstamped>) {
        let voter = self.is_voter();
        match &mut self.role {
            Role::Primary(primary) => {
                if let Some(peer) = primary.peers.get_mut(&from) {
                    peer.offered = None;
                }
            }
            Role::Backup if voter => {}
            Role::Backup
            | Role::Starting
            | Role::Changing(_)
            | Role::Recovering(_)
            | Role::Transitioning(_)
            | Role::Outside { .. } => return,
        }
        if self.crashes.learn(from, nonce) {
            let (node, incarnation) = (from, nonce);
            self.persist(Record::Recovered { node, incarnation }, fx);
        }
        // Held: neither the view nor that the other recovered must be forgotten here too.
        fx.send(
            from,
            Message::RecoveryResponse {
                nonce,
                view: self.view,
                last: self.log.last(),
                crashes: self.crashes.clone(),
            },
        );
    }

    pub(super) fn on_recovery_response(
        &mut self,
        from: NodeId,
        view: View,
        last: Position,
        crashes: &Crashes,
        fx: &mut Effects<Viewstamped>,
    ) {
        let Role::Recovering(recovery) = &mut self.role else {
            return;
        };
        let response = Response {
            view,
            last,
            recovered: crashes.of(from),
        };
        let known = recovery.responses.get(&from);
        if known.is_none_or(|known| known.view <= view) {
            recovery.responses.insert(from, response);
        }
        self.learn(crashes, fx);
        self.maybe_fetch(fx);
    }

    /// Step 3: "the replica waits to receive at least f + 1 RecoveryResponse messages from different
    /// replicas, all containing its nonce, including one from the primary of the latest view it
    /// learns of in these messages".
    fn maybe_fetch(&mut self, fx: &mut Effects<Viewstamped>) {
        let hasty = self.has(Flaw::HastyRecovery);
        let Role::Recovering(recovery) = &mut self.role else {
            return;
        };
        let crashes = &self.crashes;
        let counts = |id: NodeId, one: &Response| one.recovered >= crashes.of(id);
        let responded = |id| {
            recovery
                .responses
                .get(&id)
                .is_some_and(|one| counts(id, one))
        };
        if !self.replicas.is_quorum(responded) {
            return;
        }
        let valid = recovery
            .responses
            .iter()
            .filter(|(id, one)| counts(**id, one));
        let latest = valid.map(|(_, one)| one.view).max();
        let latest = latest.expect("a quorum is not empty");
        let primary = recovery.responses.get(&self.replicas.primary(latest));
        let Some(primary) = primary.filter(|one| one.view == latest || hasty) else {
            return; // It is down, or this replica itself: the others will change the view.
        };
        if latest > self.view {
            self.view = latest;
            self.suspicion = Suspicion::new(latest);
            recovery.needed = Some(primary.last.index);
            self.asked = false;
        }
        if hasty {
            let end = self.log.last().index;
            self.recovered(end, fx);
        } else {
            self.ask_once(fx);
        }
    }

    /// "Then it changes its status to normal and the recovery protocol is complete."
    pub(super) fn recovered(&mut self, end: Index, fx: &mut Effects<Viewstamped>) {
        self.cut(end);
        self.become_backup(end, fx);
        if self.config.memory == Memory::Durable {
            // Whatever is left of the old frames goes, now that all is there that they said.
            let base = Record::Reset(self.log.base());
            let entries = self.log.iter().map(|(op, entry, _)| Record::Append {
                op,
                entry: entry.clone(),
            });
            let records = [base].into_iter().chain(entries).chain(self.restated());
            fx.compact(fx.frame(), records);
        }
        self.acknowledge(fx);
        self.maybe_tell_members(fx);
    }
}
