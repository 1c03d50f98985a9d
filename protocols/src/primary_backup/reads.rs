//! Reads without entries. A primary that was cut off must not answer them: what it has may be old.
//!
//! The next view's primary is a member of this view. So if every member confirms, after a read arrived,
//! that it knows of no later view, none was active when the read arrived, and the primary may answer with
//! how far it had delivered then. All reads that arrive while one round is under way share the next.

use quorate_core::{Effects, NodeId};
use quorate_problems::total_order::Output;

use super::config::ReadsBy;
use super::view::Role;
use super::{Flaw, Index, Message, PrimaryBackup, Timer};
use crate::reads::Asker;
use crate::views::Replicator;

impl<M: Replicator> PrimaryBackup<M> {
    /// The layer above wants to read. Whoever is primary decides when.
    pub(super) fn on_read(&mut self, id: u64, fx: &mut Effects<Self>) {
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
        fx: &mut Effects<Self>,
    ) {
        if let Some((primary, _)) = self.leading()
            && primary.active
            && !primary.lapsed
        {
            primary.reads.push(Asker {
                node,
                incarnation,
                id,
            });
            self.maybe_ask_round(fx);
        }
    }

    /// Begins a round if someone waits for it and none is under way.
    pub(super) fn maybe_ask_round(&mut self, fx: &mut Effects<Self>) {
        let (me, view, commit) = (self.me, self.number, self.commit);
        let alone = self.config.reads == ReadsBy::Lease || self.has(Flaw::StaleRead);
        let Role::Primary(primary) = &mut self.role else {
            return;
        };
        // Who need not ask answers in the round that was asked last.
        let round = primary.reads.round() + u64::from(!alone);
        if !primary.reads.begin(round, commit) {
            return;
        }
        if alone {
            self.answer_reads(fx);
            return;
        }
        // Early: as for anybody's answer, it says what did not happen before now.
        fx.send_early(me, Message::Heard { view, round });
        self.for_each_peer(|source, to, peer| source.send_leading(to, peer, round, fx));
    }

    /// Answers the reads of the round that all members have confirmed.
    pub(super) fn maybe_answer_reads(&mut self, fx: &mut Effects<Self>) {
        let Role::Primary(primary) = &self.role else {
            return;
        };
        if primary.least(|peer| peer.round) >= primary.reads.round() {
            self.answer_reads(fx);
            self.maybe_ask_round(fx);
        }
    }

    fn answer_reads(&mut self, fx: &mut Effects<Self>) {
        let Role::Primary(primary) = &mut self.role else {
            return;
        };
        let (index, askers) = primary.reads.confirmed();
        for asker in askers {
            let (incarnation, id) = (asker.incarnation, asker.id);
            let ready = Message::ReadReady {
                incarnation,
                id,
                index,
            };
            // Early: everything through the index is delivered, which no crash here can undo.
            fx.send_early(asker.node, ready);
        }
    }

    pub(super) fn on_read_ready(&self, id: u64, index: Index, fx: &mut Effects<Self>) {
        fx.output(Output::ReadReady {
            id,
            position: index.0,
        });
    }

    /// The view service has answered: a primary that reads by lease may go on for a while. The service
    /// waits twice as long before it takes it for dead, so all is well if messages and timers are never
    /// later than that. Nothing here can enforce it.
    pub(super) fn renew_lease(&mut self, fx: &mut Effects<Self>) {
        let current = self.seat.known().view.number == self.number;
        if let Role::Primary(primary) = &mut self.role
            && self.config.reads == ReadsBy::Lease
            && current
        {
            primary.lapsed = false;
            let lease = self.config.election_timeout / 2;
            fx.set_timer(Timer::Lease, lease..lease);
        }
    }

    /// The view service has not answered for too long, so there may be another primary: this one stops.
    pub(super) fn on_lease_over(&mut self, fx: &mut Effects<Self>) {
        if let Role::Primary(primary) = &mut self.role {
            primary.lapsed = true;
            self.leader = None;
            self.tell_leader(fx);
        }
    }
}
