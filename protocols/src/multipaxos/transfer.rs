//! Leadership transfer (after Ongaro's thesis 2014, 3.10): the leader brings another replica up to date,
//! takes no more requests meanwhile, and tells it to begin a ballot at once.

use quorate_core::{Effects, NodeId};

use super::MultiPaxos;
use super::ballot::{Ballot, Slot};
use super::message::{Message, Timer};
use super::role::Role;

impl MultiPaxos {
    /// The layer above wants another leader.
    pub(super) fn on_transfer(&mut self, to: Option<NodeId>, fx: &mut Effects<MultiPaxos>) {
        let (me, reign) = (self.me, self.tenures.governing(self.chosen.next()));
        let Role::Leader(leader) = &mut self.role else {
            return;
        };
        let others = leader.peers.iter();
        let others = others.filter(|(id, _)| **id != me && reign.has_voter(**id));
        let target = match to {
            Some(to) => others.map(|(&id, _)| id).find(|&id| id == to),
            // Whoever has most, and of those who answer if anyone does.
            None => others
                .max_by_key(|(_, peer)| (peer.active, peer.has.through))
                .map(|(&id, _)| id),
        };
        let Some(target) = target else {
            return;
        };
        leader.transfer = Some(target);
        let timeout = self.config.election_timeout;
        fx.set_timer(Timer::Transfer, timeout..timeout);
        self.maybe_hand_over(target, fx);
    }

    /// Leader: the transfer took too long, so it goes on leading, unless it must not.
    pub(super) fn abandon_transfer(&mut self, fx: &mut Effects<MultiPaxos>) {
        let reign = self.tenures.governing(self.chosen.next());
        if let Role::Leader(leader) = &mut self.role {
            leader.transfer = None;
            if self.chosen > reign.tenure.after && !reign.has_voter(self.me) {
                self.enter(self.promised, fx);
            } else {
                self.maybe_reconfigure(fx);
            }
        }
    }

    /// Leader: tells the next one to begin once it has everything.
    pub(super) fn maybe_hand_over(&mut self, to: NodeId, fx: &mut Effects<MultiPaxos>) {
        let Some((leader, source)) = self.leading() else {
            return;
        };
        let peer = leader.peers.get(&to);
        let caught_up = peer.is_some_and(|peer| peer.has.through.next() == source.next);
        if leader.transfer == Some(to) && caught_up && source.opened.is_some() {
            let (ballot, chosen) = (source.ballot, source.chosen);
            // Acceptors will promise although they gave leases, so these count no more, not even if
            // the message is lost: who can tell.
            leader.leases.relinquish();
            // Early: it is no promise, and the next leader asks a quorum like any other.
            fx.send_early(to, Message::Handover { ballot, chosen });
        }
    }

    /// Leader: the message may have been lost.
    pub(super) fn maybe_repeat_handover(&mut self, fx: &mut Effects<MultiPaxos>) {
        if let Role::Leader(leader) = &self.role
            && let Some(to) = leader.transfer
        {
            self.maybe_hand_over(to, fx);
        }
    }

    /// Acceptor: the leader wants this replica to lead. No canvass: the others still hear from the
    /// leader, and would refuse.
    pub(super) fn on_handover(
        &mut self,
        ballot: Ballot,
        chosen: Slot,
        fx: &mut Effects<MultiPaxos>,
    ) {
        // Who leads must know for whom.
        self.learn_through(chosen, fx);
        match self.role {
            Role::Acceptor | Role::Canvasser { .. } if self.is_whole() && self.may_lead() => {
                self.begin_ballot(Some(ballot), fx);
            }
            Role::Acceptor
            | Role::Canvasser { .. }
            | Role::Proposer(_)
            | Role::Leader(_)
            | Role::Damaged(_) => {}
        }
    }
}
