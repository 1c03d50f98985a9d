//! How a replica comes back that lost what it had acknowledged (after "Protocol-aware recovery for
//! consensus-based storage", Alagappan et al., 2018; `README.md` has the argument why it is sound).
//!
//! It may have forgotten terms, votes and entries that others count on, so it starts over: it asks all
//! others for their terms, enters a later one, and follows. It neither votes nor campaigns until its
//! log holds an entry of such a term: whoever led that term was elected without it, so that log has
//! everything committed that it may have forgotten.

use alloc::collections::{BTreeMap, BTreeSet};

use quorate_core::{Effects, NodeId};

use crate::log::{Epoch as Term, Position};

use super::message::{Message, Record, Timer};
use super::role::Role;
use super::{Flaw, Raft};

/// What a damaged replica knows.
#[derive(Clone, Default, Hash, Debug)]
pub(super) struct Damage {
    /// The application's state, which is not part of the damage.
    state: Position,
    /// The terms of the others.
    terms: BTreeMap<NodeId, Term>,
    /// Who else is damaged.
    forgotten: BTreeSet<NodeId>,
}

impl Damage {
    /// The same damage where replicas have other names.
    pub(super) fn renamed(&self, name: impl Fn(NodeId) -> NodeId) -> Damage {
        Damage {
            state: self.state,
            terms: self
                .terms
                .iter()
                .map(|(&id, &term)| (name(id), term))
                .collect(),
            forgotten: self.forgotten.iter().map(|&id| name(id)).collect(),
        }
    }
}

impl Raft {
    /// What can still be read is of no use without the rest. Nothing is written, so that somebody who
    /// can mend the disk finds everything as it was, and no promise is made that a mended disk would
    /// not know of.
    pub(super) fn become_damaged(&mut self, state: Position, fx: &mut Effects<Raft>) {
        (self.term, self.vote, self.rejoining) = (Term(0), None, None);
        self.log.reset(state);
        self.commit = state.index;
        self.delivered = state.index;
        self.role = Role::Damaged(Damage {
            state,
            ..Damage::default()
        });
        self.ask_others(fx);
    }

    /// Asks everybody else what this replica may have forgotten.
    pub(super) fn ask_others(&self, fx: &mut Effects<Raft>) {
        let incarnation = self.incarnation;
        for peer in self.other_voters() {
            // Early: a question promises nothing.
            fx.send_early(peer, Message::Recovering { incarnation });
        }
        let (heartbeat, timeout) = (self.config.heartbeat, self.config.election_timeout);
        fx.set_timer(Timer::Recovery, heartbeat..heartbeat.max(timeout));
    }

    pub(super) fn on_recovering(&self, from: NodeId, incarnation: u64, fx: &mut Effects<Raft>) {
        if matches!(self.role, Role::Damaged(_)) {
            // Early: it says what happened before now.
            fx.send_early(from, Message::Forgotten { incarnation });
        } else {
            // Held: the term must not be forgotten here too.
            let term = self.term;
            fx.send(from, Message::Remembered { incarnation, term });
        }
    }

    pub(super) fn on_remembered(&mut self, from: NodeId, term: Term, fx: &mut Effects<Raft>) {
        if let Role::Damaged(damage) = &mut self.role {
            damage.terms.insert(from, term);
            self.maybe_rejoin(fx);
        }
    }

    pub(super) fn on_forgotten(&mut self, from: NodeId, fx: &mut Effects<Raft>) {
        if let Role::Damaged(damage) = &mut self.role {
            damage.forgotten.insert(from);
            self.maybe_rejoin(fx);
        }
    }

    /// Everybody has answered, and a quorum remembers: no term that this replica may have voted or
    /// acknowledged in is later than the latest of theirs.
    fn maybe_rejoin(&mut self, fx: &mut Effects<Raft>) {
        let Role::Damaged(damage) = &self.role else {
            return;
        };
        let remembers = |id| damage.terms.contains_key(&id);
        let answered = |id| id == self.me || remembers(id) || damage.forgotten.contains(&id);
        let configuration = &self.configurations.latest().1;
        if !configuration.voters().all(answered) || !configuration.is_quorum(remembers) {
            return;
        }
        let beyond = damage.terms.values().max().copied().unwrap_or_default();
        let beyond = beyond.max(damage.state.epoch);
        self.term = beyond.next();
        self.rejoining = Some(beyond);
        self.role = Role::Follower;
        let (vote, beginning) = (self.vote_record(), self.reset_record());
        fx.compact(fx.frame(), [vote, beginning, Record::Rejoining { beyond }]);
        fx.stop_timer(Timer::Recovery);
        self.await_election(fx);
        self.tell_leader(fx);
    }

    /// Whether this replica knows what it promised.
    pub(super) fn may_vote(&self) -> bool {
        self.rejoining.is_none() || self.has(Flaw::HollowVote)
    }

    /// The log may have reached a term whose leader was elected without this replica.
    pub(super) fn maybe_rejoined(&mut self, fx: &mut Effects<Raft>) {
        if self
            .rejoining
            .is_some_and(|beyond| self.log.last().epoch > beyond)
        {
            self.rejoining = None;
            fx.persist(Record::Rejoined);
        }
    }

    /// The role of a replica that is not whole, for people.
    pub(super) fn ailment(&self) -> Option<&'static str> {
        let Role::Damaged(damage) = &self.role else {
            return self.rejoining.map(|_| "rejoining");
        };
        let remembers = |id| damage.terms.contains_key(&id);
        let forgot = |id| id == self.me || (damage.forgotten.contains(&id) && !remembers(id));
        match self.configurations.latest().1.is_quorum(|id| !forgot(id)) {
            true => Some("damaged"),
            false => Some("damaged for good"),
        }
    }
}
