//! Roles, and how a replica changes from one to another.
//!
//! Every replica is an acceptor and a learner at all times, and a proposer when it thinks that it has to
//! be ("Paxos Made Simple", 2.5).

use alloc::collections::BTreeSet;

use quorate_core::{Effects, NodeId, Status};
use quorate_problems::total_order::Output;

use super::ballot::Ballot;
use super::leader::Leader;
use super::message::{Message, Record, Timer};
use super::prepare::Preparation;
use super::recovery::Damage;
use super::{Flaw, MultiPaxos};

/// What a replica is at the moment, with what only that role knows.
#[derive(Clone, Hash, Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "a replica has one role, and changes it rarely"
)]
pub(super) enum Role {
    /// Accepts what others propose, or waits for someone to propose.
    Acceptor,
    /// Asks whether others would follow it.
    Canvasser {
        /// Who would.
        supported: BTreeSet<NodeId>,
    },
    /// In phase 1 of a ballot.
    Proposer(Preparation),
    /// Through with phase 1.
    Leader(Leader),
    /// Lost acknowledged records, so it may have forgotten a promise or an acceptance that others count
    /// on. It takes no part in anything but its recovery: who cannot know what it promised must not
    /// promise.
    Damaged(Damage),
}

impl Role {
    /// The role's name in traces and metrics.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Role::Acceptor => "acceptor",
            Role::Canvasser { .. } => "canvasser",
            Role::Proposer(_) => "proposer",
            Role::Leader(_) => "leader",
            Role::Damaged(_) => "damaged",
        }
    }
}

impl MultiPaxos {
    pub(super) fn summary(&self) -> Status {
        Status {
            role: self
                .ailment()
                .or(self.station())
                .unwrap_or(self.role.name()),
            epoch: self.promised.epoch().0,
            leader: self.leader,
            head: self.slots.last().max(self.chosen).0,
            decided: self.chosen.0,
            whole: self.ailment().is_none(),
            repaired: 0,
        }
    }

    /// Whether a message belongs to the present, once a higher ballot in it has been adopted and a lower
    /// one refused.
    pub(super) fn admit(
        &mut self,
        from: NodeId,
        message: &Message,
        fx: &mut Effects<MultiPaxos>,
    ) -> bool {
        // Whoever takes part may be somebody of whom this replica has not heard: who counts is asked
        // where something is counted.
        let asked = message.answered_incarnation();
        if asked.is_some_and(|asked| asked != self.incarnation) {
            return false;
        }
        if matches!(self.role, Role::Damaged(_)) {
            if matches!(message, Message::Leading { .. }) {
                self.maybe_ask_leader(from, fx);
            }
            return message.recovers();
        }
        if let Some(ballot) = message.answered_ballot() {
            return ballot == self.promised && ballot.node == self.me;
        }
        let Some(ballot) = message.claim() else {
            return true;
        };
        if ballot.node != from {
            return false; // Nobody speaks for another's ballot.
        }
        if ballot < self.promised {
            let promised = self.promised;
            fx.send(from, Message::Refused { promised });
            // P1a: what is below the promise is not accepted.
            return self.has(Flaw::AcceptWithoutPromise)
                && matches!(message, Message::Accept { .. });
        }
        // A question of phase 1 is not a fact: whether it is followed depends on more.
        if ballot > self.promised && !matches!(message, Message::Prepare { .. }) {
            self.enter(ballot, fx);
        }
        true
    }

    /// What comes of a message that belongs to the present.
    pub(super) fn take(&mut self, from: NodeId, message: Message, fx: &mut Effects<MultiPaxos>) {
        match message {
            Message::Canvass { after, chosen } => self.on_canvass(from, after, chosen, fx),
            Message::Support { after } => self.on_support(from, after, fx),
            Message::Prepare {
                ballot,
                first,
                wanted_by,
                incarnation,
            } => self.on_prepare(from, ballot, first, wanted_by, incarnation, fx),
            Message::Promise {
                first,
                through,
                votes,
                complete,
                ..
            } => self.on_promise(from, first, through, votes, complete, fx),
            Message::Refused { promised } => self.on_refused(promised, fx),
            Message::Accept {
                ballot,
                first,
                chosen,
                since,
                entries,
            } => self.on_accept(from, ballot, first, (chosen, since), &entries, fx),
            Message::Accepted {
                first,
                last,
                through,
                ..
            } => self.on_accepted(from, first, last, through, fx),
            Message::Leading {
                round,
                chosen,
                opened,
                ..
            } => self.on_leading(from, round, chosen, opened, fx),
            Message::Heard { round, .. } => self.on_heard(from, round, fx),
            Message::Chosen { through, .. } => self.on_chosen(from, through, fx),
            Message::Snapshot {
                checkpoint,
                tenures,
                ..
            } => self.on_snapshot(from, checkpoint, &tenures, fx),
            Message::Handover { ballot, chosen } => self.on_handover(ballot, chosen, fx),
            Message::Forward { payload } => self.on_forward(payload, fx),
            Message::ReadAsked { incarnation, id } => self.on_read_asked(from, incarnation, id, fx),
            Message::ReadReady { id, slot, .. } => self.on_read_ready(id, slot, fx),
            Message::Recovering { incarnation } => self.on_recovering(from, incarnation, fx),
            Message::Remembered {
                promised, tenures, ..
            } => self.on_remembered(from, promised, &tenures, fx),
            Message::Forgotten { .. } => self.on_forgotten(from, fx),
            Message::Settled { after } if from == self.me => self.on_settled(after, fx),
            Message::Settled { .. } => {} // Nobody speaks for another's disk.
            Message::Outdated { tenure } => self.on_outdated(tenure, fx),
        }
    }

    /// Somebody has promised a higher ballot than what this replica said or asked for.
    pub(super) fn on_refused(&mut self, promised: Ballot, fx: &mut Effects<MultiPaxos>) {
        if promised > self.promised {
            self.enter(promised, fx);
        }
    }

    /// Promises a higher ballot of somebody else, or gives up a role in the present one. Who leads it is
    /// not known yet.
    pub(super) fn enter(&mut self, ballot: Ballot, fx: &mut Effects<MultiPaxos>) {
        assert!(ballot >= self.promised, "promises are kept");
        let waited = self.waits_for_election();
        if ballot > self.promised {
            self.promise(ballot);
            fx.persist(self.promise_record());
        }
        self.role = Role::Acceptor;
        self.leader = None;
        for timer in [
            Timer::Silence,
            Timer::Heartbeat,
            Timer::CheckQuorum,
            Timer::Transfer,
        ] {
            fx.stop_timer(timer);
        }
        // Only promising or hearing from a leader puts off an election that is due.
        if !waited {
            self.await_election(fx);
        }
        self.tell_leader(fx);
    }

    /// From now on this ballot is what counts; nothing is known of it but what is chosen already.
    pub(super) fn promise(&mut self, ballot: Ballot) {
        assert!(ballot > self.promised, "promises are kept");
        self.promised = ballot;
        self.prefix = self.chosen;
        self.told = self.chosen;
        self.tenures.arriving = None;
    }

    /// The promise, to be written down.
    pub(super) fn promise_record(&mut self) -> Record {
        self.recorded = self.recorded.max(self.chosen);
        Record::Promised {
            ballot: self.promised,
            chosen: self.recorded,
        }
    }

    /// A message came from the leader of this ballot. Whether it can be followed.
    pub(super) fn hear(&mut self, from: NodeId, fx: &mut Effects<MultiPaxos>) -> bool {
        match self.role {
            Role::Acceptor => {}
            // Somebody leads the ballot that it had promised before it asked around.
            Role::Canvasser { .. } => self.enter(self.promised, fx),
            // A ballot has one owner, so this message cannot be; nothing must come of it.
            Role::Proposer(_) | Role::Leader(_) | Role::Damaged(_) => return false,
        }
        if self.leader != Some(from) {
            self.leader = Some(from);
            fx.stop_timer(Timer::Election);
            self.tell_leader(fx);
        }
        let timeout = self.config.election_timeout;
        fx.set_timer(Timer::Silence, timeout..timeout);
        true
    }

    /// Whether the election timer runs: always when no leader is known.
    pub(super) fn waits_for_election(&self) -> bool {
        self.leader.is_none() && !matches!(self.role, Role::Damaged(_))
    }

    /// Randomised timeouts keep proposers from duelling for ever ("Paxos Made Simple", 2.4).
    pub(super) fn await_election(&self, fx: &mut Effects<MultiPaxos>) {
        let timeout = self.config.election_timeout;
        fx.set_timer(Timer::Election, timeout..timeout * 2);
    }

    /// Says who leads, if that changed.
    pub(super) fn tell_leader(&mut self, fx: &mut Effects<MultiPaxos>) {
        let now = (self.promised, self.leader);
        if self.announced != now {
            self.announced = now;
            fx.output(Output::Lead {
                epoch: self.promised.epoch().0,
                leader: self.leader,
            });
        }
    }
}
