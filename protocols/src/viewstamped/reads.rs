//! Linearizable reads without log entries (paper 6.3 has them at the primary with leases; here the primary
//! asks instead of counting on clocks).
//!
//! A primary that learns from a quorum, after a read arrived, that they are still in its view, may answer
//! it with its commit-number of that time: nothing that was committed before can lie behind it. All
//! reads that arrive while one round of questions is under way share the next.

use quorate_core::{Effects, NodeId};
use quorate_problems::total_order::Output;

use crate::log::Index;
use crate::reads::Asker;

use super::message::Message;
use super::role::Role;
use super::{Flaw, Viewstamped};

impl Viewstamped {
    /// The layer above wants to read. The primary decides when.
    pub(super) fn on_read(&mut self, id: u64, fx: &mut Effects<Viewstamped>) {
        let incarnation = self.incarnation;
        match self.leader() {
            Some(primary) if primary == self.me => self.on_read_asked(primary, incarnation, id, fx),
            // Early: a question promises nothing.
            Some(primary) => fx.send_early(primary, Message::ReadAsked { incarnation, id }),
            None => {} // Lost; the edge asks again.
        }
    }

    pub(super) fn on_read_asked(
        &mut self,
        node: NodeId,
        incarnation: u64,
        id: u64,
        fx: &mut Effects<Viewstamped>,
    ) {
        if let Some((primary, _)) = self.presiding() {
            primary.reads.push(Asker {
                node,
                incarnation,
                id,
            });
            self.maybe_ask_round(fx);
        }
    }

    /// Begins a round if someone waits for it and none is under way.
    pub(super) fn maybe_ask_round(&mut self, fx: &mut Effects<Viewstamped>) {
        let commit = self.commit;
        let too_soon = self.has(Flaw::ReadTooSoon);
        let Role::Primary(primary) = &mut self.role else {
            return;
        };
        // Until all that the view began with is committed, a primary does not know how far its
        // predecessors had committed.
        if commit < primary.start && !too_soon {
            return;
        }
        let round = primary.round + 1;
        if primary.reads.begin(round, commit) {
            self.begin_round(fx);
        }
    }

    /// Asks everybody whether this replica is still primary.
    pub(super) fn begin_round(&mut self, fx: &mut Effects<Viewstamped>) {
        let (me, view) = (self.me, self.view);
        let Role::Primary(primary) = &mut self.role else {
            return;
        };
        primary.round += 1;
        let round = primary.round;
        // Early: as for anybody's answer, it says what did not happen before now.
        fx.send_early(me, Message::Heard { view, round });
        self.for_each_peer(|source, to, peer| source.send_presiding(to, peer, round, fx));
    }

    /// Answers the reads of the round that a quorum has confirmed.
    pub(super) fn maybe_answer_reads(&mut self, fx: &mut Effects<Viewstamped>) {
        let unconfirmed = self.has(Flaw::ReadUnconfirmed);
        let Role::Primary(primary) = &mut self.role else {
            return;
        };
        let confirmed = self.replicas.reached(primary.of_voters(|peer| peer.round));
        let reads = &mut primary.reads;
        if (confirmed < reads.round() && !unconfirmed) || !reads.is_asked() {
            return;
        }
        let (index, askers) = reads.confirmed();
        for asker in askers {
            let (incarnation, id) = (asker.incarnation, asker.id);
            let ready = Message::ReadReady {
                incarnation,
                id,
                op: index,
            };
            // Early: everything through the index is committed, which no crash here can undo.
            fx.send_early(asker.node, ready);
        }
        self.maybe_ask_round(fx);
    }

    pub(super) fn on_read_ready(&self, id: u64, op: Index, fx: &mut Effects<Viewstamped>) {
        fx.output(Output::ReadReady { id, position: op.0 });
    }
}
