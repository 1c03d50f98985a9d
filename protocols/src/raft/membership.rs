//! Changes of who takes part: joint consensus (thesis 4.3, paper 6).
//!
//! An entry that names other voters takes effect where it stands: from there on both sets decide, each by
//! its own majority. Once that entry is committed, the leader appends the same list once more, and from
//! there on the new set decides alone. So no two sets ever decide beside one another, whatever changes:
//! any list may follow any other, also one without the leader. Changes of learners need one entry only.

use alloc::collections::{BTreeMap, BTreeSet};

use quorate_core::{Effects, NodeId};
use quorate_problems::total_order::{Membership, Output};

use crate::log::{Content, Index};

use super::leader::{Leader, Peer};
use super::message::Message;
use super::role::Role;
use super::{Flaw, Raft};

/// Members that a leader was asked for, until it can begin the change to them.
#[derive(Clone, Hash, Debug)]
pub(super) struct Wanted {
    pub(super) members: Membership,
    /// For how many heartbeats their newcomers were waited for.
    heartbeats: u32,
}

impl Wanted {
    /// The same under other names.
    pub(super) fn renamed(&self, names: &dyn Fn(NodeId) -> NodeId) -> Wanted {
        Wanted {
            members: self.members.renamed(names),
            ..*self
        }
    }
}

impl Raft {
    /// The layer above wants these to take part. It asks again until they do.
    pub(super) fn on_reconfigure(&mut self, members: Membership, fx: &mut Effects<Raft>) {
        let newest = self.configurations.latest().1.now().version;
        let Role::Leader(leader) = &mut self.role else {
            return;
        };
        let wanted = leader.wanted.as_ref().map(|wanted| wanted.members.version);
        if members.version <= wanted.unwrap_or(newest) || members.voters.is_empty() {
            return;
        }
        leader.wanted = Some(Wanted {
            members,
            heartbeats: 0,
        });
        self.align_peers();
        self.for_each_peer(|source, to, peer| source.send_entries(to, peer, fx));
        self.maybe_begin_change(fx);
    }

    /// Leader: begins the change that it was asked for, if it can.
    pub(super) fn maybe_begin_change(&mut self, fx: &mut Effects<Raft>) {
        let Role::Leader(leader) = &self.role else {
            return;
        };
        let Some(wanted) = &leader.wanted else {
            return;
        };
        let (since, latest) = self.configurations.latest();
        // One change at a time, and after a commit of its own: a leader that does not know how far its
        // predecessors came may contradict a change of theirs (Ongaro's correction of 2015).
        let own = self.log.epoch_at(self.commit) == Some(self.term) || self.has(Flaw::SingleServer);
        let free = *since <= self.commit && !latest.is_joint();
        if !own || !free || leader.transfer.is_some() || !self.has_caught_up(leader, wanted) {
            return;
        }
        let members = wanted.members.clone();
        if let Role::Leader(leader) = &mut self.role {
            leader.wanted = None;
        }
        self.append(Content::Members(members), fx);
    }

    /// Thesis 4.2.1: new servers are brought up to date before they are counted, since until then nothing
    /// could be decided that needs them. Those that do not answer are not waited for much longer than an
    /// election takes, if the others are enough.
    fn has_caught_up(&self, leader: &Leader, wanted: &Wanted) -> bool {
        let peer = |id| leader.peers.get(&id);
        let ready = |id| peer(id).is_some_and(|peer| peer.acked >= leader.lately);
        let old = &self.configurations.latest().1.now().voters;
        let new = &wanted.members.voters;
        let mut newcomers = new.iter().copied().filter(|id| !old.contains(id));
        let waited = self.config.heartbeat * wanted.heartbeats;
        if waited < self.config.election_timeout {
            return newcomers.all(ready);
        }
        let slow = |id| peer(id).is_some_and(|peer| peer.active) && !ready(id);
        let enough = new.iter().filter(|&&id| ready(id)).count() > new.len() / 2;
        enough && !newcomers.any(slow)
    }

    /// Leader: another heartbeat.
    pub(super) fn await_newcomers(&mut self, fx: &mut Effects<Raft>) {
        let last = self.log.last().index;
        let Role::Leader(leader) = &mut self.role else {
            return;
        };
        if let Some(wanted) = &mut leader.wanted {
            wanted.heartbeats = wanted.heartbeats.saturating_add(1);
            self.maybe_begin_change(fx);
        }
        if let Role::Leader(leader) = &mut self.role {
            leader.lately = last;
        }
    }

    /// Leader: more is committed than `before`, perhaps a step of a change.
    pub(super) fn maybe_proceed(&mut self, before: Index, fx: &mut Effects<Raft>) {
        let (since, latest) = self.configurations.latest();
        if *since > self.commit {
            return;
        }
        if latest.is_joint() {
            // Both sets have it, so the new one can go on alone, and may be ahead of the old one already.
            self.append(Content::Members(latest.now().clone()), fx);
            self.maybe_commit(fx);
            return;
        }
        if *since > before {
            let is_voter = latest.is_voter(self.me);
            self.dismiss(fx);
            if !is_voter {
                self.step_down(fx);
                return;
            }
            // Those who have answered may be enough now, and perhaps there is nobody else to answer.
            self.maybe_answer_reads(fx);
        }
        self.maybe_begin_change(fx);
    }

    /// Leader: whoever no longer takes part is told so, once, and forgotten.
    fn dismiss(&mut self, fx: &mut Effects<Raft>) {
        let staying = self.counterparts();
        self.for_each_peer(|source, to, peer| {
            if !staying.contains(&to) {
                source.send_probe(to, peer, fx);
            }
        });
        self.align_peers();
    }

    /// Thesis 4.2.2: a leader that does not belong to the new members leads until they are in force. Then
    /// whoever has most of its log goes on at once.
    fn step_down(&mut self, fx: &mut Effects<Raft>) {
        if let Some(to) = self.successor(None) {
            // Early: it is no promise, and the next leader is elected like any other.
            fx.send_early(to, Message::TimeoutNow { term: self.term });
        }
        self.become_follower(self.term, fx);
    }

    /// Leader: knows of everybody who is to be told everything, and of nobody else.
    pub(super) fn align_peers(&mut self) {
        let members = self.counterparts();
        let next = self.log.last().index.next();
        if let Role::Leader(leader) = &mut self.role {
            let mut known = core::mem::take(&mut leader.peers);
            let peers: BTreeMap<NodeId, Peer> = members
                .into_iter()
                .map(|id| (id, known.remove(&id).unwrap_or(Peer::new(next))))
                .collect();
            leader.peers = peers;
        }
    }

    /// Everybody in a configuration that may be in effect somewhere, or soon will be.
    fn counterparts(&self) -> BTreeSet<NodeId> {
        let members = self.configurations.from(self.commit);
        let mut members: BTreeSet<NodeId> = members.flat_map(|one| one.iter()).collect();
        members.insert(self.me);
        if let Role::Leader(Leader {
            wanted: Some(wanted),
            ..
        }) = &self.role
        {
            members.extend(wanted.members.iter());
        }
        members
    }

    /// All other voters, as far as this replica knows.
    pub(super) fn other_voters(&self) -> impl Iterator<Item = NodeId> + '_ {
        let voters = self.configurations.latest().1.voters();
        voters.filter(|&id| id != self.me)
    }

    /// Thesis 4.2.2: who is to go may still have to lead, until it is certain that it goes, and does not
    /// count its own vote then. Learners and strangers never campaign.
    pub(super) fn may_campaign(&self) -> bool {
        let mut possible = self.configurations.from(self.commit);
        possible.any(|configuration| configuration.is_voter(self.me))
    }

    /// Whether these votes would elect this replica.
    pub(super) fn would_elect(&self, votes: &BTreeSet<NodeId>) -> bool {
        let latest = &self.configurations.latest().1;
        latest.is_quorum(|id| votes.contains(&id))
    }

    /// Leader: the largest value that a quorum has reached.
    pub(super) fn reached<V: Ord + Copy + Default>(
        &self,
        leader: &Leader,
        value: impl Fn(&Peer) -> V,
    ) -> V {
        let value = |id| leader.peers.get(&id).map(&value).unwrap_or_default();
        let latest = &self.configurations.latest().1;
        if self.has(Flaw::LearnerCounts) {
            return latest.reached_by_anyone(value);
        }
        latest.reached(value)
    }

    /// Tells the layer above who takes part, as far as nothing can take it back.
    pub(super) fn tell_members(&mut self, fx: &mut Effects<Raft>) {
        let members = self.configurations.at(self.commit).in_force();
        if members.version > self.told_members {
            self.told_members = members.version;
            fx.output(Output::Members(members.clone()));
        }
    }
}
