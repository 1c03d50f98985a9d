//! Leadership transfer (thesis 3.10): the leader brings another replica up to date, takes no more
//! requests meanwhile, and tells it to campaign at once.

use quorate_core::{Effects, NodeId};

use super::Raft;
use super::message::{Message, Timer};
use super::role::Role;

impl Raft {
    /// The layer above wants another leader.
    pub(super) fn on_transfer(&mut self, to: Option<NodeId>, fx: &mut Effects<Raft>) {
        let Some(target) = self.successor(to) else {
            return;
        };
        let Some((leader, _)) = self.leading() else {
            return;
        };
        leader.transfer = Some(target);
        let timeout = self.config.election_timeout;
        fx.set_timer(Timer::Transfer, timeout..timeout);
        self.maybe_hand_over(target, fx);
    }

    /// Leader: who is to lead next, of those who may: `to`, if it is said. Otherwise whoever has most, and
    /// of those who answer if anyone does.
    pub(super) fn successor(&self, to: Option<NodeId>) -> Option<NodeId> {
        let Role::Leader(leader) = &self.role else {
            return None;
        };
        let voters = &self.configurations.latest().1.now().voters;
        let mut others = leader
            .peers
            .iter()
            .filter(|(id, _)| **id != self.me && voters.contains(id));
        match to {
            Some(to) => others.find(|(id, _)| **id == to),
            None => others.max_by_key(|(_, peer)| (peer.active, peer.acked)),
        }
        .map(|(&id, _)| id)
    }

    /// Leader: the transfer took too long, so it goes on leading.
    pub(super) fn abandon_transfer(&mut self) {
        if let Role::Leader(leader) = &mut self.role {
            leader.transfer = None;
        }
    }

    /// Leader: tells the next one to campaign once it has everything.
    pub(super) fn maybe_hand_over(&mut self, to: NodeId, fx: &mut Effects<Raft>) {
        let Some((leader, source)) = self.leading() else {
            return;
        };
        let caught_up = leader
            .peers
            .get(&to)
            .is_some_and(|peer| peer.acked == source.log.last().index);
        if leader.transfer == Some(to) && caught_up {
            // Others will vote although they gave leases, so these count no more in this term, not even
            // if the message is lost: who can tell.
            leader.leases.relinquish();
            // Early: it is no promise, and the next leader is elected like any other.
            fx.send_early(to, Message::TimeoutNow { term: source.term });
        }
    }

    /// Leader: the message may have been lost.
    pub(super) fn maybe_repeat_timeout_now(&mut self, fx: &mut Effects<Raft>) {
        if let Role::Leader(leader) = &self.role
            && let Some(to) = leader.transfer
        {
            self.maybe_hand_over(to, fx);
        }
    }

    /// Follower: the leader wants this replica to lead. No canvass: the others still hear from the
    /// leader, and would refuse.
    pub(super) fn on_timeout_now(&mut self, fx: &mut Effects<Raft>) {
        match self.role {
            Role::Follower | Role::PreCandidate { .. }
                if self.may_promise() && self.may_campaign() =>
            {
                self.campaign(true, fx);
            }
            Role::Follower
            | Role::PreCandidate { .. }
            | Role::Candidate { .. }
            | Role::Leader(_)
            | Role::Damaged(_) => {}
        }
    }
}
