//! Who becomes a proposer, and when a leader gives up.
//!
//! Paxos leaves this to the reader ("Paxos Made Simple", 2.4: a distinguished proposer). Two proposers
//! with ever higher ballots could keep each other from anything for ever, and a replica that was cut
//! off would come back with a high ballot and depose a leader that everybody else hears. So before
//! phase 1 there is a canvass that promises nothing: only who misses a leader supports another, and a
//! phase-1 quorum of supporters cannot be found while a phase-2 quorum hears a leader, as they meet.

use alloc::collections::BTreeSet;
use core::time::Duration;

use quorate_core::{Effects, NodeId};

use super::MultiPaxos;
use super::ballot::{Ballot, Slot};
use super::leader::Flow;
use super::message::{Message, Timer};
use super::role::Role;

impl MultiPaxos {
    /// The leader was silent for an election timeout: from now on others are welcome to lead, and this
    /// replica tries to after a random time.
    pub(super) fn on_silence(&mut self, fx: &mut Effects<MultiPaxos>) {
        self.leader = None;
        self.tell_leader(fx);
        fx.set_timer(
            Timer::Election,
            Duration::ZERO..self.config.election_timeout,
        );
    }

    /// Asks who would follow, before a ballot is spent on it.
    pub(super) fn canvass(&mut self, fx: &mut Effects<MultiPaxos>) {
        if matches!(self.role, Role::Leader(_) | Role::Damaged(_)) {
            return;
        }
        if matches!(self.role, Role::Proposer(_)) {
            // Phase 1 took too long: somebody else may have more luck.
            self.enter(self.promised, fx);
        }
        self.leader = None;
        self.await_election(fx);
        self.tell_leader(fx);
        if !self.may_promise() || !self.may_lead() {
            return;
        }
        self.role = Role::Canvasser {
            supported: BTreeSet::new(),
        };
        let (after, chosen) = (self.promised, self.chosen);
        // Early: a canvass changes nothing anywhere, and neither does its answer.
        fx.send_early(self.me, Message::Support { after });
        for peer in self.others() {
            // Early: as above.
            fx.send_early(peer, Message::Canvass { after, chosen });
        }
    }

    pub(super) fn on_canvass(
        &self,
        from: NodeId,
        after: Ballot,
        chosen: Slot,
        fx: &mut Effects<MultiPaxos>,
    ) {
        let tenure = self.tenures.in_force(self.chosen);
        if chosen < self.reign().tenure.after {
            // It would ask others than those who govern the next slots.
            if chosen < tenure.after {
                let tenure = tenure.clone();
                // Early: it is chosen, whatever happens to this replica.
                fx.send_early(from, Message::Outdated { tenure });
            }
        } else if after.next(from) <= self.promised {
            // With this ballot it would be refused; with a higher one it would not.
            let promised = self.promised;
            fx.send(from, Message::Refused { promised });
        } else if self.leader.is_none() && self.may_promise() && self.can_tell(chosen.next()) {
            // Early: nothing follows from it here.
            fx.send_early(from, Message::Support { after });
        }
    }

    pub(super) fn on_support(&mut self, from: NodeId, after: Ballot, fx: &mut Effects<MultiPaxos>) {
        if after != self.promised {
            return; // Of an earlier canvass.
        }
        if let Role::Canvasser { supported } = &mut self.role {
            supported.insert(from);
            let reign = self.tenures.governing(self.chosen.next());
            let phase1 = reign.quorums.phase1();
            if phase1.is_quorum(|id| supported.contains(&id)) {
                self.begin_ballot(None, fx);
            }
        }
    }

    /// A leader that no phase-2 quorum has answered for an election timeout steps down: nothing it
    /// proposes could be chosen, and its clients should look for another.
    pub(super) fn on_check_quorum(&mut self, fx: &mut Effects<MultiPaxos>) {
        let Role::Leader(leader) = &mut self.role else {
            return;
        };
        let me = self.me;
        let heard = |id| id == me || leader.peers.get(&id).is_some_and(|peer| peer.active);
        let reign = self.tenures.governing(self.chosen.next());
        if !reign.quorums.phase2().is_quorum(heard) {
            self.enter(self.promised, fx);
            return;
        }
        self.dismiss();
        let Role::Leader(leader) = &mut self.role else {
            return;
        };
        for peer in leader.peers.values_mut() {
            if !peer.active && matches!(peer.flow, Flow::Snapshot { .. }) {
                // It went away, and what was on its way to it is lost: once it is back it need not
                // wait for the retry.
                peer.flow = Flow::Unknown;
            }
            peer.active = false;
        }
        let timeout = self.config.election_timeout;
        fx.set_timer(Timer::CheckQuorum, timeout..timeout);
    }

    /// Whether this replica may promise a ballot that no leader wants: it knows what it promised, and no
    /// leader counts on its lease.
    pub(super) fn may_promise(&self) -> bool {
        self.is_whole() && !self.leased
    }

    /// Whether what was accepted from `first` on is still here to be told.
    pub(super) fn can_tell(&self, first: Slot) -> bool {
        first > self.slots.base().index
    }
}
