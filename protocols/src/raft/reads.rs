//! Linearizable reads without log entries (ReadIndex, thesis 6.4).
//!
//! A leader that confirms with a quorum that it still leads, after a read arrived, may answer it with
//! its commit index of that time: nothing that was committed before can lie behind it. All reads that
//! arrive while one round of confirmation is under way share the next. With leases (`lease.rs`) the
//! question has often been answered already.

use quorate_core::{Effects, NodeId};
use quorate_problems::total_order::Output;

use crate::log::Index;
use crate::reads::Asker;

use super::message::Message;
use super::role::Role;
use super::{Flaw, Raft};

impl Raft {
    /// The layer above wants to read. Whoever leads decides when.
    pub(super) fn on_read(&mut self, id: u64, fx: &mut Effects<Raft>) {
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
        fx: &mut Effects<Raft>,
    ) {
        if let Some((leader, _)) = self.leading() {
            leader.reads.push(Asker {
                node,
                incarnation,
                id,
            });
            self.maybe_ask_round(fx);
        }
    }

    /// Begins a round if someone waits for it and none is under way; with a lease nobody need be asked.
    pub(super) fn maybe_ask_round(&mut self, fx: &mut Effects<Raft>) {
        let (term, commit, leased) = (self.term, self.commit, self.holds_lease());
        // Thesis 6.4, step 1: until an entry of its own term is committed, a leader does not know how
        // far its predecessors had committed.
        if self.log.epoch_at(commit) != Some(term) && !self.has(Flaw::ReadTooSoon) {
            return;
        }
        let Role::Leader(leader) = &mut self.role else {
            return;
        };
        let round = match leased {
            true => leader.reads.round(),
            false => leader.round + 1,
        };
        if !leader.reads.begin(round, commit) {
            return;
        }
        if leased {
            self.answer_reads(fx);
            return;
        }
        let round = self.begin_round(fx);
        self.for_each_peer(|source, to, peer| source.send_leading(to, peer, round, fx));
    }

    /// Answers the reads of the round that a quorum has confirmed.
    pub(super) fn maybe_answer_reads(&mut self, fx: &mut Effects<Raft>) {
        let unconfirmed = self.has(Flaw::ReadUnconfirmed);
        let Role::Leader(leader) = &self.role else {
            return;
        };
        let confirmed = self.reached(leader, |peer| peer.round);
        let reads = &leader.reads;
        if (confirmed < reads.round() && !unconfirmed) || !reads.is_asked() {
            return;
        }
        self.answer_reads(fx);
        self.maybe_ask_round(fx);
    }

    /// Answers those for whom it is confirmed.
    fn answer_reads(&mut self, fx: &mut Effects<Raft>) {
        let Role::Leader(leader) = &mut self.role else {
            return;
        };
        let (index, askers) = leader.reads.confirmed();
        for asker in askers {
            let (incarnation, id) = (asker.incarnation, asker.id);
            let ready = Message::ReadReady {
                incarnation,
                id,
                index,
            };
            // Early: everything through the index is committed, which no crash here can undo.
            fx.send_early(asker.node, ready);
        }
    }

    pub(super) fn on_read_ready(&self, id: u64, index: Index, fx: &mut Effects<Raft>) {
        fx.output(Output::ReadReady {
            id,
            position: index.0,
        });
    }
}
