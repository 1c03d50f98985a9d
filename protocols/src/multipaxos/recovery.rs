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
use super::tenure::Tenure;
use super::{Flaw, MultiPaxos};
use crate::log::Position;

/// What a damaged replica was told.
#[derive(Clone, Default, Hash, Debug)]
pub(super) struct Damage {
    /// What the others have promised.
    promised: BTreeMap<NodeId, Ballot>,
    /// Who else is damaged.
    forgotten: BTreeSet<NodeId>,
}

/// A replica that accepts again, but promises nothing yet.
#[derive(Clone, Hash, Debug)]
pub(super) struct Rejoin {
    /// Those who take part behind this slot have told what they promised.
    asked: Slot,
    /// What those of a later membership have told so far.
    damage: Damage,
}

impl Rejoin {
    /// It has asked those who take part behind this slot.
    pub(super) fn of(asked: Slot) -> Rejoin {
        let damage = Damage::default();
        Rejoin { asked, damage }
    }

    /// What is written down of it.
    pub(super) fn record(&self) -> Record {
        Record::Rejoining { asked: self.asked }
    }
}

impl MultiPaxos {
    /// What can still be read is of no use without the rest. Nothing is written, so that somebody who
    /// can mend the disk finds everything as it was, and no promise is made that a mended disk would
    /// not know of.
    pub(super) fn become_damaged(&mut self, state: Position, fx: &mut Effects<MultiPaxos>) {
        (self.promised, self.rejoining) = (Ballot::default(), None);
        self.slots.reset(state);
        self.tenures.noted = state.index;
        self.recorded = Slot(0);
        self.role = Role::Damaged(Damage::default());
        self.ask_others(fx);
    }

    /// Asks everybody else what this replica may have forgotten.
    pub(super) fn ask_others(&self, fx: &mut Effects<MultiPaxos>) {
        if !matches!(self.role, Role::Damaged(_)) && !self.is_unsure() {
            return;
        }
        for peer in self.witnesses() {
            self.ask(peer, fx);
        }
        let (heartbeat, timeout) = (self.config.heartbeat, self.config.election_timeout);
        fx.set_timer(Timer::Recovery, heartbeat..heartbeat.max(timeout));
    }

    fn ask(&self, peer: NodeId, fx: &mut Effects<MultiPaxos>) {
        let incarnation = self.incarnation;
        // Early: a question promises nothing.
        fx.send_early(peer, Message::Recovering { incarnation });
    }

    /// The members that this replica was configured with may be long gone: here is one who leads, and can
    /// say who takes part.
    pub(super) fn maybe_ask_leader(&self, leader: NodeId, fx: &mut Effects<MultiPaxos>) {
        if !self.witnesses().any(|id| id == leader) {
            self.ask(leader, fx);
        }
    }

    /// Who may know what this replica forgot: the other voters of the last membership that it heard of.
    fn witnesses(&self) -> impl Iterator<Item = NodeId> + '_ {
        let voters = self.tenures.newest().tenure.members.voters.iter().copied();
        voters.filter(|&id| id != self.me)
    }

    /// Whether it accepts again, but has not asked those who take part now: it may have promised
    /// something to one of them.
    fn is_unsure(&self) -> bool {
        let newest = self.tenures.newest().tenure.after;
        let rejoining = self.rejoining.as_ref();
        rejoining.is_some_and(|rejoin| rejoin.asked < newest)
    }

    /// Acceptor: whether it may accept what is not chosen yet in slots of the membership that was chosen
    /// in `since`.
    pub(super) fn may_accept(&self, since: Slot) -> bool {
        self.knows(since) && !self.is_unsure()
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
            return;
        }
        let remembered = Message::Remembered {
            incarnation,
            promised: self.promised,
            tenures: self.tenures.iter().cloned().collect(),
        };
        // Held: the promise must not be forgotten here too.
        fx.send(from, remembered);
    }

    pub(super) fn on_remembered(
        &mut self,
        from: NodeId,
        promised: Ballot,
        tenures: &[Tenure],
        fx: &mut Effects<MultiPaxos>,
    ) {
        if let Role::Damaged(_) = &self.role {
            for tenure in tenures {
                // It is written down with the promise.
                self.tenures.add(tenure);
            }
        } else if self.is_unsure() {
            self.adopt(tenures.iter(), fx);
        }
        if let Some(damage) = self.damage() {
            damage.promised.insert(from, promised);
            self.maybe_rejoin(fx);
        }
    }

    pub(super) fn on_forgotten(&mut self, from: NodeId, fx: &mut Effects<MultiPaxos>) {
        if let Some(damage) = self.damage() {
            damage.forgotten.insert(from);
            self.maybe_rejoin(fx);
        }
    }

    /// What it was told, if it still asks.
    fn damage(&mut self) -> Option<&mut Damage> {
        let is_unsure = self.is_unsure();
        match (&mut self.role, &mut self.rejoining) {
            (Role::Damaged(damage), _) => Some(damage),
            (_, Some(rejoin)) if is_unsure => Some(&mut rejoin.damage),
            (_, Some(_) | None) => None,
        }
    }

    /// Everybody has answered, and those who remember meet every phase-1 quorum: no ballot that this
    /// replica may have promised or voted in is higher than the highest of theirs.
    fn maybe_rejoin(&mut self, fx: &mut Effects<MultiPaxos>) {
        let reign = self.tenures.newest().clone();
        let me = self.me;
        let Some(damage) = self.damage() else {
            return;
        };
        let remembers = |id| damage.promised.contains_key(&id);
        let answered = |id: &NodeId| *id == me || remembers(*id) || damage.forgotten.contains(id);
        let voters = &reign.tenure.members.voters;
        if !voters.iter().all(answered) || !reign.quorums.phase2().is_quorum(remembers) {
            return;
        }
        let beyond = damage.promised.values().max().copied();
        // A ballot of its own that it never leads: whoever leads after it was elected without this
        // replica.
        let beyond = beyond.unwrap_or_default().next(me);
        let rejoin = Rejoin::of(reign.tenure.after);
        let was_damaged = matches!(self.role, Role::Damaged(_));
        if was_damaged {
            self.promise(beyond);
            let promised = self.promise_record();
            let base = Record::Base(self.slots.base());
            let tenures = self.tenures.iter().cloned().map(Record::Governs);
            let records = [promised, base, rejoin.record()];
            fx.compact(fx.frame(), records.into_iter().chain(tenures));
            let after = reign.tenure.after;
            fx.send(me, Message::Settled { after });
            self.role = Role::Acceptor;
            self.await_election(fx);
        } else {
            fx.persist(rejoin.record());
            if beyond > self.promised {
                self.enter(beyond, fx);
            }
        }
        self.rejoining = Some(rejoin);
        fx.stop_timer(Timer::Recovery);
        self.tell_leader(fx);
        self.tell_members(fx);
    }

    /// Whether this replica knows what it promised.
    pub(super) fn is_whole(&self) -> bool {
        self.rejoining.is_none() || self.has(Flaw::HollowPromise)
    }

    /// The leader of this ballot found nothing behind `opened`, and what it found may all be here now.
    pub(super) fn maybe_rejoined(&mut self, opened: Option<Slot>, fx: &mut Effects<MultiPaxos>) {
        if self.is_unsure() {
            self.ask_others(fx);
        } else if self.rejoining.is_some() && opened.is_some_and(|opened| self.prefix >= opened) {
            self.rejoining = None;
            fx.persist(Record::Rejoined);
        }
    }

    /// The role of a replica that is not whole, for people.
    pub(super) fn ailment(&self) -> Option<&'static str> {
        let Role::Damaged(damage) = &self.role else {
            return self.rejoining.as_ref().map(|_| "rejoining");
        };
        let remembers = |id| damage.promised.contains_key(&id);
        let forgot = |id| id == self.me || (damage.forgotten.contains(&id) && !remembers(id));
        let quorums = &self.tenures.newest().quorums;
        match quorums.phase2().is_quorum(|id| !forgot(id)) {
            true => Some("damaged"),
            false => Some("damaged for good"),
        }
    }
}
