//! How a replica comes back that lost what it had acknowledged (after "Protocol-aware recovery for
//! consensus-based storage", Alagappan et al., 2018; `README.md` has the argument why it is sound, and
//! "Paxos Made Live", 5.1, a cruder way).
//!
//! It may have forgotten promises and votes that others count on, so it starts over: it asks all others
//! what they have promised, promises more than any of them, and accepts what later leaders propose. It
//! takes no part in phase 1 until it has, from a leader that was elected without it, whatever was found
//! in that leader's phase 1: what it may have forgotten beyond that was never chosen and never will be.

use alloc::collections::{BTreeMap, BTreeSet};

use quorate_core::{Effects, NodeId};

use super::ballot::{Ballot, Slot};
use super::message::{Message, Record, Timer};
use super::role::Role;
use super::{Flaw, MultiPaxos};
use crate::log::Position;

/// What a damaged replica knows.
#[derive(Clone, Default, Hash, Debug)]
pub(super) struct Damage {
    /// What the others have promised.
    promised: BTreeMap<NodeId, Ballot>,
    /// Who else is damaged.
    forgotten: BTreeSet<NodeId>,
}

impl MultiPaxos {
    /// What can still be read is of no use without the rest. Nothing is written, so that somebody who
    /// can mend the disk finds everything as it was, and no promise is made that a mended disk would
    /// not know of.
    pub(super) fn become_damaged(&mut self, state: Position, fx: &mut Effects<MultiPaxos>) {
        (self.promised, self.rejoining) = (Ballot::default(), false);
        self.slots.reset(state);
        self.recorded = Slot(0);
        self.role = Role::Damaged(Damage::default());
        self.ask_others(fx);
    }

    /// Asks everybody else what this replica may have forgotten.
    pub(super) fn ask_others(&self, fx: &mut Effects<MultiPaxos>) {
        let incarnation = self.incarnation;
        for peer in self.others() {
            // Early: a question promises nothing.
            fx.send_early(peer, Message::Recovering { incarnation });
        }
        let (heartbeat, timeout) = (self.config.heartbeat, self.config.election_timeout);
        fx.set_timer(Timer::Recovery, heartbeat..heartbeat.max(timeout));
    }

    pub(super) fn on_recovering(
        &self,
        from: NodeId,
        incarnation: u64,
        fx: &mut Effects<MultiPaxos>,
    ) {
        if matches!(self.role, Role::Damaged(_)) {
            // Early: it says what happened before now.
            fx.send_early(from, Message::Forgotten { incarnation });
        } else {
            let promised = self.promised;
            // Held: the promise must not be forgotten here too.
            fx.send(
                from,
                Message::Remembered {
                    incarnation,
                    promised,
                },
            );
        }
    }

    pub(super) fn on_remembered(
        &mut self,
        from: NodeId,
        promised: Ballot,
        fx: &mut Effects<MultiPaxos>,
    ) {
        if let Role::Damaged(damage) = &mut self.role {
            damage.promised.insert(from, promised);
            self.maybe_rejoin(fx);
        }
    }

    pub(super) fn on_forgotten(&mut self, from: NodeId, fx: &mut Effects<MultiPaxos>) {
        if let Role::Damaged(damage) = &mut self.role {
            damage.forgotten.insert(from);
            self.maybe_rejoin(fx);
        }
    }

    /// Everybody has answered, and those who remember meet every phase-1 quorum: no ballot that this
    /// replica may have promised or voted in is higher than the highest of theirs.
    fn maybe_rejoin(&mut self, fx: &mut Effects<MultiPaxos>) {
        let Role::Damaged(damage) = &self.role else {
            return;
        };
        let quorums = &self.config.quorums;
        let remembers = |id| damage.promised.contains_key(&id);
        let answered = |id| remembers(id) || damage.forgotten.contains(&id);
        if !self.others().all(answered) || !quorums.phase2().is_quorum(remembers) {
            return;
        }
        let beyond = damage.promised.values().max().copied();
        let beyond = beyond.unwrap_or_default();
        self.rejoining = true;
        self.role = Role::Acceptor;
        // A ballot of its own that it never leads: whoever leads after it was elected without this
        // replica.
        self.promise(beyond.next(self.me));
        let promised = self.promise_record();
        let base = Record::Base(self.slots.base());
        fx.compact(fx.frame(), [promised, base, Record::Rejoining]);
        fx.stop_timer(Timer::Recovery);
        self.await_election(fx);
        self.tell_leader(fx);
    }

    /// Whether this replica knows what it promised.
    pub(super) fn is_whole(&self) -> bool {
        !self.rejoining || self.has(Flaw::HollowPromise)
    }

    /// The leader of this ballot found nothing behind `opened`, and what it found may all be here now.
    pub(super) fn maybe_rejoined(&mut self, opened: Slot, fx: &mut Effects<MultiPaxos>) {
        if self.rejoining && self.prefix >= opened {
            self.rejoining = false;
            fx.persist(Record::Rejoined);
        }
    }

    /// The role of a replica that is not whole, for people.
    pub(super) fn ailment(&self) -> Option<&'static str> {
        let Role::Damaged(damage) = &self.role else {
            return self.rejoining.then_some("rejoining");
        };
        let remembers = |id| damage.promised.contains_key(&id);
        let forgot = |id| id == self.me || (damage.forgotten.contains(&id) && !remembers(id));
        match self.config.quorums.phase2().is_quorum(|id| !forgot(id)) {
            true => Some("damaged"),
            false => Some("damaged for good"),
        }
    }
}
