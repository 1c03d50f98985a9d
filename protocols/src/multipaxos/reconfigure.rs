//! Reconfiguration: a membership is proposed in a slot like any other value ("Paxos Made Simple", 3, with
//! alpha = 1 for it alone; Lamport, Malkhi and Zhou, "Reconfiguring a State Machine", 2010, 3).
//!
//! The leader proposes nothing behind it until it is chosen, by those whom it replaces. Then it goes through
//! phase 1 once more, in the same ballot, with those who come, for all slots behind; what that finds is
//! proposed first, as at any beginning. Before any of this, those who come are brought up to date.

use alloc::collections::VecDeque;

use quorate_core::{Effects, Payload};
use quorate_problems::total_order::Membership;

use super::ballot::Slot;
use super::leader::{Flow, Peer};
use super::message::Message;
use super::prepare::Preparation;
use super::role::Role;
use super::{Flaw, MultiPaxos};
use crate::log::Content;

/// Whether a leader may propose.
#[derive(Clone, Hash, Debug)]
pub(super) enum Stage {
    /// Whatever it likes, in all slots from the next on.
    Open,
    /// Nothing: in the slot before the next is a membership that is not chosen yet.
    Deciding,
    /// Nothing: it asks those who govern the slots from the next on.
    Entering(Preparation),
}

/// What waits for a change of members.
#[derive(Clone, Default, Hash, Debug)]
pub(super) struct Change {
    /// The newest version that was proposed, or is in force.
    pub(super) version: u64,
    /// What was asked for and is not proposed yet.
    wanted: Option<Membership>,
    /// Those who come must have everything through here first.
    mark: Slot,
    /// What arrived while nothing could be proposed.
    waiting: VecDeque<Payload>,
    /// The size of that.
    waiting_bytes: u64,
}

impl Change {
    /// A leader under a membership of this version.
    pub(super) fn under(version: u64) -> Change {
        Change {
            version,
            ..Change::default()
        }
    }

    pub(super) fn waiting_slots(&self) -> u64 {
        self.waiting.len() as u64
    }

    pub(super) fn waiting_bytes(&self) -> u64 {
        self.waiting_bytes
    }
}

impl MultiPaxos {
    /// The layer above wants others to take part.
    pub(super) fn on_reconfigure(&mut self, members: Membership, fx: &mut Effects<MultiPaxos>) {
        let fits = self.reign().quorums.fits(&members.voters);
        let Role::Leader(leader) = &mut self.role else {
            return;
        };
        let change = &mut leader.change;
        let wanted = change.wanted.as_ref().map(|wanted| wanted.version);
        if !fits || members.version <= change.version || Some(members.version) <= wanted {
            return;
        }
        change.wanted = Some(members);
        change.mark = leader.next.before();
        self.enlist(fx);
        self.maybe_reconfigure(fx);
    }

    /// Leader: those who govern the next slots, and those who may, are told everything.
    fn enlist(&mut self, fx: &mut Effects<MultiPaxos>) {
        let reign = self.tenures.governing(self.chosen.next());
        let Role::Leader(leader) = &mut self.role else {
            return;
        };
        let wanted = leader.change.wanted.iter().flat_map(Membership::iter);
        for id in reign.tenure.members.iter().chain(wanted) {
            leader.peers.entry(id).or_insert_with(Peer::unknown);
        }
        self.for_each_peer(|source, to, peer| {
            if peer.flow == Flow::Unknown && peer.probe.is_none() {
                source.send_probe(to, peer, fx);
            }
        });
    }

    /// Leader: whoever takes part no more has been told so, or does not answer.
    pub(super) fn dismiss(&mut self) {
        let reign = self.tenures.governing(self.chosen.next());
        let Role::Leader(leader) = &mut self.role else {
            return;
        };
        let (members, after) = (&reign.tenure.members, reign.tenure.after);
        if !matches!(leader.stage, Stage::Open) || self.chosen <= after {
            return;
        }
        let (wanted, me) = (&leader.change.wanted, self.me);
        leader.peers.retain(|&id, peer| {
            let comes = wanted.as_ref().is_some_and(|wanted| wanted.contains(id));
            let is_told = peer.told > after && peer.has.through > after;
            id == me || members.contains(id) || comes || (peer.active && !is_told)
        });
    }

    /// Leader: proposes the membership that is wanted once enough of its voters have what was there when
    /// it was asked for, so that nobody waits for them to catch up.
    pub(super) fn maybe_reconfigure(&mut self, fx: &mut Effects<MultiPaxos>) {
        let Role::Leader(leader) = &self.role else {
            return;
        };
        let Some(members) = &leader.change.wanted else {
            return;
        };
        if !matches!(leader.stage, Stage::Open) || leader.transfer.is_some() {
            return;
        }
        let quorums = &self.tenures.governing(leader.next).quorums;
        let ready = quorums.of(&members.voters).is_ok_and(|quorums| {
            let mark = leader.change.mark;
            let has = |id| {
                let peer = leader.peers.get(&id);
                peer.is_some_and(|peer| peer.has.through >= mark)
            };
            quorums.phase1().is_quorum(has) && quorums.phase2().is_quorum(has)
        });
        if ready {
            self.propose_members(fx);
        }
    }

    fn propose_members(&mut self, fx: &mut Effects<MultiPaxos>) {
        let overruns = self.has(Flaw::Overrun);
        let Role::Leader(leader) = &mut self.role else {
            return;
        };
        let quorums = &self.tenures.governing(leader.next).quorums;
        let Some(members) = leader.change.wanted.take() else {
            return;
        };
        if members.version > leader.change.version && quorums.fits(&members.voters) {
            leader.change.version = members.version;
            if !overruns {
                leader.stage = Stage::Deciding;
            }
            self.propose(Content::Members(members), fx);
        }
    }

    /// Leader: everything behind `before` has just been delivered.
    pub(super) fn lead_on(&mut self, before: Slot, fx: &mut Effects<MultiPaxos>) {
        if self.chosen > before && matches!(self.role, Role::Leader(_)) {
            self.for_each_peer(|source, to, peer| source.send_chosen(to, peer, fx));
            self.maybe_enter(fx);
            self.maybe_retire(fx);
            self.maybe_ask_round(fx);
        }
    }

    /// Leader: the membership is chosen, so those whom it names are asked what they accepted behind it.
    fn maybe_enter(&mut self, fx: &mut Effects<MultiPaxos>) {
        let chosen = self.chosen;
        let Role::Leader(leader) = &mut self.role else {
            return;
        };
        if !matches!(leader.stage, Stage::Deciding) || chosen.next() < leader.next {
            return;
        }
        let version = self.tenures.governing(chosen.next()).tenure.members.version;
        leader.change.version = leader.change.version.max(version);
        // Whoever confirmed a round so far was asked of slots that are behind us.
        leader.reads.again();
        leader.stage = Stage::Entering(Preparation::new(None));
        self.enlist(fx);
        if self.has(Flaw::OldMembers) {
            self.open_tenure(Preparation::new(None), fx);
            return;
        }
        self.promise_here(fx);
        self.ask_on(fx);
    }

    /// Leader: those who govern the slots from the next on have answered.
    pub(super) fn open_tenure(&mut self, preparation: Preparation, fx: &mut Effects<MultiPaxos>) {
        let begun = self.chosen.next();
        let (opened, stage) = self.fill(preparation, fx);
        let Role::Leader(leader) = &mut self.role else {
            return;
        };
        (leader.opened, leader.next, leader.stage) = (opened, opened.next(), stage);
        self.count_here(begun, opened, fx);
        self.for_each_peer(|source, to, peer| source.send_values(to, peer, fx));
        self.maybe_choose(fx);
        self.resume(fx);
    }

    /// Leader: may propose again, if it may.
    pub(super) fn resume(&mut self, fx: &mut Effects<MultiPaxos>) {
        let Role::Leader(leader) = &self.role else {
            return;
        };
        if !matches!(leader.stage, Stage::Open) {
            return;
        }
        let after = self.tenures.governing(leader.next).tenure.after;
        if after > Slot(0) && after.next() == leader.next {
            // Nobody waits for a command to bring it into force.
            self.propose(Content::Noop, fx);
        }
        while let Role::Leader(leader) = &mut self.role
            && let Some(payload) = leader.change.waiting.pop_front()
        {
            leader.change.waiting_bytes -= payload.len() as u64;
            self.propose(Content::Command(payload), fx);
        }
        self.maybe_reconfigure(fx);
        self.maybe_ask_round(fx);
    }

    /// Leader: proposes a command, or keeps it until it may.
    pub(super) fn propose_or_wait(&mut self, payload: Payload, fx: &mut Effects<MultiPaxos>) {
        let Role::Leader(leader) = &mut self.role else {
            return;
        };
        if matches!(leader.stage, Stage::Open) {
            self.propose(Content::Command(payload), fx);
        } else {
            leader.change.waiting_bytes += payload.len() as u64;
            leader.change.waiting.push_back(payload);
        }
    }

    /// Leader: who is no voter any more leads until that is in force, and lets one of those lead.
    fn maybe_retire(&mut self, fx: &mut Effects<MultiPaxos>) {
        let reign = self.reign();
        if !reign.has_voter(self.me)
            && self.chosen > reign.tenure.after
            && let Role::Leader(leader) = &self.role
            && leader.transfer.is_none()
        {
            self.on_transfer(None, fx);
        }
    }

    /// The promise of a proposer to itself, like anybody's by mail.
    pub(super) fn promise_here(&self, fx: &mut Effects<MultiPaxos>) {
        let promise = Message::Promise {
            ballot: self.promised,
            incarnation: self.incarnation,
            first: self.chosen.next(),
            through: self.chosen,
            // It looks at its own when it needs them.
            votes: alloc::vec::Vec::new(),
            complete: true,
        };
        fx.send(self.me, promise);
    }
}
