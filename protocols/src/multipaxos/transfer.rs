//! Leadership transfer (after Ongaro's thesis 2014, 3.10): the leader brings another replica up to date,
//! takes no more requests meanwhile, and tells it to begin a ballot at once.

use quorate_core::{Effects, NodeId};

use super::MultiPaxos;
use super::ballot::Ballot;
use super::message::{Message, Timer};
use super::role::Role;

impl MultiPaxos {
    /// The layer above wants another leader.
    pub(super) fn on_transfer(&mut self, to: Option<NodeId>, fx: &mut Effects<MultiPaxos>) {
        let me = self.me;
        let Some((leader, _)) = self.leading() else {
            return;
        };
        let others = leader.peers.iter().filter(|(id, _)| **id != me);
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

    /// Leader: the transfer took too long, so it goes on leading.
    pub(super) fn abandon_transfer(&mut self) {
        if let Role::Leader(leader) = &mut self.role {
            leader.transfer = None;
        }
    }

    /// Leader: tells the next one to begin once it has everything.
    pub(super) fn maybe_hand_over(&mut self, to: NodeId, fx: &mut Effects<MultiPaxos>) {
        let Some((leader, source)) = self.leading() else {
            return;
        };
        let peer = leader.peers.get(&to);
        let caught_up = peer.is_some_and(|peer| peer.has.through.next() == source.next);
        if leader.transfer == Some(to) && caught_up {
            let ballot = source.ballot;
            // Acceptors will promise although they gave leases, so these count no more, not even if
            // the message is lost: who can tell.
            leader.relinquished = true;
            // Early: it is no promise, and the next leader asks a quorum like any other.
            fx.send_early(to, Message::Handover { ballot });
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
    pub(super) fn on_handover(&mut self, ballot: Ballot, fx: &mut Effects<MultiPaxos>) {
        match self.role {
            Role::Acceptor | Role::Canvasser { .. } if self.is_whole() => {
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
