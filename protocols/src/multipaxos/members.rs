//! Following who takes part: what is noted, when it is told, and who may lead.
//!
//! A membership counts for whoever knows that it is chosen. That must not be forgotten, since the
//! application's state, which may survive alone, does not contain it: it is delivered only once it is on
//! disk. It is in force when the first slot that it governs is chosen. Then a quorum of it has everything
//! before, on disk, so whoever it leaves out is needed by nobody any more.

use alloc::sync::Arc;

use quorate_core::{Effects, NodeId};
use quorate_problems::total_order::{Membership, Output};

use super::MultiPaxos;
use super::ballot::Slot;
use super::message::{Message, Record};
use super::role::Role;
use super::tenure::{Reign, Tenure};
use crate::log::{Content, Entry};

impl MultiPaxos {
    /// Who governs the first slot that is not known to be chosen.
    pub(super) fn reign(&self) -> &Reign {
        self.tenures.governing(self.chosen.next())
    }

    /// All other voters among them.
    pub(super) fn others(&self) -> impl Iterator<Item = NodeId> + '_ {
        let voters = self.reign().tenure.members.voters.iter().copied();
        voters.filter(|&id| id != self.me)
    }

    /// The tenure that begins if this is chosen here, if one does.
    pub(super) fn tenure_in(&self, slot: Slot, entry: &Entry) -> Option<Tenure> {
        let Content::Members(members) = &entry.content else {
            return None;
        };
        let tenure = Tenure {
            after: slot,
            members: Arc::new(members.clone()),
        };
        let governing = self.tenures.governing(slot);
        governing.admits(&tenure).then_some(tenure)
    }

    /// Writes down who takes part from the slots on that are now known to be chosen.
    pub(super) fn note_tenures(&mut self, fx: &mut Effects<MultiPaxos>) {
        let end = self.told.min(self.prefix);
        let mut last = None;
        while self.tenures.noted < end {
            let slot = self.tenures.noted.next();
            self.tenures.noted = slot;
            let vote = self.slots.vote(slot);
            let tenure = vote.and_then(|vote| self.tenure_in(slot, &vote.entry));
            if let Some(tenure) = tenure
                && self.tenures.add(&tenure)
            {
                fx.persist(Record::Governs(tenure));
                last = Some(slot);
            }
        }
        if let Some(after) = last {
            // Who knows it must find the way to it again.
            self.recorded = self.recorded.max(end);
            let record = self.promise_record();
            fx.persist(record);
            fx.send(self.me, Message::Settled { after });
        }
    }

    /// Learns of tenures from somebody who knows them to be chosen. Answers whether some are not on disk.
    pub(super) fn adopt<'a>(
        &mut self,
        tenures: impl Iterator<Item = &'a Tenure>,
        fx: &mut Effects<MultiPaxos>,
    ) -> bool {
        let mut last = None;
        for tenure in tenures {
            if self.tenures.add(tenure) {
                fx.persist(Record::Governs(tenure.clone()));
                last = last.max(Some(tenure.after));
            }
        }
        if let Some(after) = last {
            fx.send(self.me, Message::Settled { after });
        }
        self.tenures.unsettled().is_some()
    }

    /// Those memberships are on disk: what waited for it goes on.
    pub(super) fn on_settled(&mut self, after: Slot, fx: &mut Effects<MultiPaxos>) {
        self.tenures.settled = self.tenures.settled.max(after);
        if let Some((from, checkpoint)) = self.tenures.arriving.take() {
            self.install(from, checkpoint, fx);
        }
        let before = self.chosen;
        self.deliver(fx);
        self.lead_on(before, fx);
    }

    /// The last slot that may be delivered now.
    pub(super) fn deliverable(&self) -> Slot {
        let end = self.told.min(self.prefix);
        let unsettled = self.tenures.unsettled();
        unsettled.map_or(end, |after| end.min(after.before()))
    }

    /// Acceptor: whether everything through the slot in which a membership was chosen is here, so that it
    /// may accept what is proposed behind it.
    pub(super) fn knows(&self, since: Slot) -> bool {
        let through = self.chosen.max(self.told.min(self.prefix));
        since <= through && self.tenures.begins(since)
    }

    /// Whether this replica may lead: it knows of no membership that it has not delivered, and is a voter
    /// of the last one, or of the one before while it is for those to hand over.
    pub(super) fn may_lead(&self) -> bool {
        let reign = self.reign();
        let hands_over =
            reign.tenure.after == self.chosen && self.tenures.before(reign).has_voter(self.me);
        let informed = self.tenures.newest().tenure.after <= self.chosen;
        (reign.has_voter(self.me) || hands_over) && informed && !self.is_outdated()
    }

    /// Whether others are known to be in force than those whom this replica would ask.
    fn is_outdated(&self) -> bool {
        let missed = self.tenures.missed.as_ref();
        missed.is_some_and(|missed| missed.after > self.chosen)
    }

    /// A canvasser learns that others take part now.
    pub(super) fn on_outdated(&mut self, tenure: Tenure, fx: &mut Effects<MultiPaxos>) {
        let known = self.tenures.missed.as_ref().map(|missed| missed.after);
        if tenure.after > self.chosen && Some(tenure.after) > known {
            self.tenures.missed = Some(tenure);
            if matches!(self.role, Role::Canvasser { .. }) {
                self.enter(self.promised, fx);
            }
            self.tell_members(fx);
        }
    }

    /// Says who takes part, if that changed.
    pub(super) fn tell_members(&mut self, fx: &mut Effects<MultiPaxos>) {
        let here = self.tenures.in_force(self.chosen);
        let missed = self.tenures.missed.as_ref();
        let newest = missed.filter(|missed| missed.after >= here.after);
        let members = &newest.unwrap_or(here).members;
        if self.tenures.announced < Some(members.version) {
            let members = Membership::clone(members);
            self.tenures.announced = Some(members.version);
            fx.output(Output::Members(members));
        }
    }

    /// The role of a replica that has none to play, for people.
    pub(super) fn station(&self) -> Option<&'static str> {
        let missed = self.tenures.missed.as_ref().filter(|_| self.is_outdated());
        let members = &missed.unwrap_or(&self.reign().tenure).members;
        match self.role {
            Role::Acceptor if members.learners.contains(&self.me) => Some("learner"),
            Role::Acceptor if !members.contains(self.me) => Some("outsider"),
            Role::Acceptor
            | Role::Canvasser { .. }
            | Role::Proposer(_)
            | Role::Leader(_)
            | Role::Damaged(_) => None,
        }
    }
}
