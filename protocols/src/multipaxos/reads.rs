//! Linearizable reads without slots ("Paxos Made Live", 5.2; Ongaro's thesis 2014, 6.4, for the rounds).
//!
//! A leader that confirms, after a read arrived, that a phase-2 quorum has promised no higher ballot may
//! answer it with what was chosen then: such a quorum meets every phase-1 quorum, so no higher ballot had
//! proposed anything. A phase-1 quorum would not do: two of those need not meet. All reads that arrive
//! while one round is under way share the next. With leases (`lease.rs`) the question has often been
//! answered already.

use quorate_core::{Effects, NodeId};
use quorate_problems::total_order::Output;

use super::ballot::Slot;
use super::message::Message;
use super::reconfigure::Stage;
use super::role::Role;
use super::{Flaw, MultiPaxos};
use crate::reads::Asker;

impl MultiPaxos {
    /// The layer above wants to read. Whoever leads decides when.
    pub(super) fn on_read(&mut self, id: u64, fx: &mut Effects<MultiPaxos>) {
        let incarnation = self.incarnation;
        match self.leader {
            Some(leader) if leader == self.me => self.on_read_asked(leader, incarnation, id, fx),
            // Early: a question promises nothing.
            Some(leader) => fx.send_early(leader, Message::ReadAsked { incarnation, id }),
            None => {} // Lost; the edge asks again.
        }
    }

    pub(super) fn on_read_asked(
        &mut self,
        node: NodeId,
        incarnation: u64,
        id: u64,
        fx: &mut Effects<MultiPaxos>,
    ) {
        if let Role::Leader(leader) = &mut self.role {
            leader.reads.push(Asker {
                node,
                incarnation,
                id,
            });
            self.maybe_ask_round(fx);
        }
    }

    /// Begins a round if someone waits for it and none is under way; with a lease nobody need be asked.
    pub(super) fn maybe_ask_round(&mut self, fx: &mut Effects<MultiPaxos>) {
        let (chosen, leased) = (self.chosen, self.holds_lease());
        let too_soon = self.has(Flaw::ReadTooSoon);
        let Role::Leader(leader) = &mut self.role else {
            return;
        };
        // Until what phase 1 found is chosen again, a leader does not know how much of it others have
        // delivered.
        let asks_who_comes = matches!(leader.stage, Stage::Entering(_));
        if (chosen < leader.opened || asks_who_comes) && !too_soon {
            return;
        }
        let round = match leased {
            true => leader.reads.round(),
            false => self.round + 1,
        };
        if !leader.reads.begin(round, chosen) {
            return;
        }
        match leased {
            true => self.answer_reads(fx),
            false => self.begin_round(fx),
        }
    }

    /// Asks everybody whether this replica still leads.
    pub(super) fn begin_round(&mut self, fx: &mut Effects<MultiPaxos>) {
        self.round += 1;
        let (ballot, round) = (self.promised, self.round);
        // Counted from before anybody is asked, so from before anybody gives a lease.
        self.begin_term(round, fx);
        self.give_lease(fx);
        // Early: as for anybody's answer, it says what did not happen before now.
        fx.send_early(self.me, Message::Heard { ballot, round });
        self.for_each_peer(|source, to, peer| source.send_leading(to, peer, round, fx));
    }

    /// Acceptor: the leader is there.
    pub(super) fn on_leading(
        &mut self,
        from: NodeId,
        round: u64,
        chosen: Slot,
        opened: Option<Slot>,
        fx: &mut Effects<MultiPaxos>,
    ) {
        if !self.hear(from, fx) {
            return;
        }
        self.give_lease(fx);
        let ballot = self.promised;
        // Early: it says what did not happen before now, which no crash can change; after a restart a
        // lease is waited for.
        fx.send_early(from, Message::Heard { ballot, round });
        self.learn_through(chosen, fx);
        self.maybe_rejoined(opened, fx);
    }

    /// Leader: a replica has still promised no higher ballot.
    pub(super) fn on_heard(&mut self, from: NodeId, round: u64, fx: &mut Effects<MultiPaxos>) {
        let unconfirmed = self.has(Flaw::ReadUnconfirmed);
        let Role::Leader(leader) = &mut self.role else {
            return;
        };
        let Some(peer) = leader.peers.get_mut(&from) else {
            return;
        };
        peer.active = true;
        peer.round = peer.round.max(round);
        if self.confirmed() < self.asked_round() && !unconfirmed {
            return;
        }
        self.answer_reads(fx);
        self.maybe_ask_round(fx);
    }

    /// The latest round that a phase-2 quorum has answered.
    pub(super) fn confirmed(&self) -> u64 {
        let Role::Leader(leader) = &self.role else {
            return 0;
        };
        let round = |id| leader.peers.get(&id).map_or(0, |peer| peer.round);
        self.reign().quorums.phase2().reached(round)
    }

    fn asked_round(&self) -> u64 {
        match &self.role {
            Role::Leader(leader) => leader.reads.round(),
            Role::Acceptor | Role::Canvasser { .. } | Role::Proposer(_) | Role::Damaged(_) => 0,
        }
    }

    /// Answers those whose round is confirmed.
    fn answer_reads(&mut self, fx: &mut Effects<MultiPaxos>) {
        let Role::Leader(leader) = &mut self.role else {
            return;
        };
        let (slot, askers) = leader.reads.confirmed();
        for asker in askers {
            let (incarnation, id) = (asker.incarnation, asker.id);
            let ready = Message::ReadReady {
                incarnation,
                id,
                slot,
            };
            // Early: everything through the slot is chosen, which no crash here can undo.
            fx.send_early(asker.node, ready);
        }
    }

    pub(super) fn on_read_ready(&self, id: u64, slot: Slot, fx: &mut Effects<MultiPaxos>) {
        fx.output(Output::ReadReady {
            id,
            position: slot.0,
        });
    }
}
