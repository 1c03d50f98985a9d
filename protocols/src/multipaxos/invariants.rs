//! The properties that "Paxos Made Simple" proves Paxos from (2.2): what one replica can tell of itself,
//! and what only someone who sees all of them can.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;

use super::ballot::{Ballot, Slot};
use super::leader::Leader;
use super::reconfigure::Stage;
use super::role::Role;
use super::{Flaw, MultiPaxos};
use crate::log::Entry;

impl MultiPaxos {
    /// What must hold between any two steps of one replica.
    pub(super) fn check(&self) {
        if matches!(self.role, Role::Damaged(_)) {
            return;
        }
        let base = self.slots.base();
        assert!(base.index <= self.chosen, "what is dropped is chosen");
        assert!(
            self.recorded <= self.chosen.max(self.tenures.noted),
            "what is recorded is chosen"
        );
        assert_eq!(
            self.chosen,
            self.deliverable().max(self.chosen),
            "what is known to be chosen is delivered, but for members who are not on disk"
        );
        assert!(
            self.told >= self.chosen && self.prefix >= self.chosen,
            "what is delivered was known to be chosen"
        );
        let mut slot = base.index;
        for (next, vote) in self.slots.votes(base.index.next()) {
            assert!(vote.ballot <= self.promised, "no vote is from the future");
            assert!(
                slot.next() == next || next > self.prefix,
                "no hole is before {:?}",
                self.prefix
            );
            slot = next;
        }
        assert!(slot >= self.prefix, "what is counted is here");
        assert_eq!(
            self.slots.epoch_through(self.chosen),
            self.epoch,
            "epochs follow from what was delivered"
        );
        let leads = self.leader == Some(self.me);
        match &self.role {
            Role::Acceptor => assert!(!leads, "an acceptor follows someone else"),
            Role::Canvasser { .. } => {
                assert_eq!(self.leader, None, "who canvasses misses a leader");
            }
            Role::Proposer(_) => {
                assert_eq!(self.leader, None, "who prepares misses a leader");
                assert_eq!(self.promised.node, self.me, "its ballot is its own");
            }
            Role::Leader(leader) => {
                assert!(leads, "a leader knows that it leads");
                assert_eq!(self.promised.node, self.me, "its ballot is its own");
                self.check_leader(leader);
            }
            Role::Damaged(_) => {}
        }
    }

    fn check_leader(&self, leader: &Leader) {
        let filled = self.slots.last().next();
        match leader.stage {
            Stage::Open => assert_eq!(
                filled, leader.next,
                "every slot before the next is proposed"
            ),
            // Behind it may be what it accepted in earlier ballots.
            Stage::Deciding | Stage::Entering(_) => assert!(filled >= leader.next),
        }
        assert!(leader.opened < leader.next, "holes are filled first");
        for (&id, peer) in &leader.peers {
            assert!(peer.told <= self.chosen, "{id} is told the truth");
        }
        let next = self.chosen.next();
        let has = |id| {
            leader
                .peers
                .get(&id)
                .is_some_and(|peer| peer.has.contains(next))
        };
        let waits = self.tenures.unsettled() == Some(next);
        let enough = next < leader.next && !waits && self.reign().quorums.phase2().is_quorum(has);
        // Who overruns a membership counts those who are replaced by it.
        assert!(!enough || self.has(Flaw::Overrun), "a quorum is enough");
    }
}

/// Watches all replicas of a run and says when one of the conditions from which safety follows is
/// broken.
#[derive(Clone, Default, Hash, Debug)]
pub struct Choices {
    /// Every value that anyone knew to be chosen, and the lowest ballot in which anyone did.
    chosen: BTreeMap<Slot, (Entry, Ballot)>,
}

impl Choices {
    /// Looks at the replicas that are up.
    ///
    /// # Errors
    /// The name of the broken property, and where.
    pub fn observe<'a>(
        &mut self,
        replicas: impl Iterator<Item = &'a MultiPaxos> + Clone,
    ) -> Result<(), String> {
        for replica in replicas.clone() {
            self.one_choice(replica)?;
        }
        for (place, replica) in replicas.clone().enumerate() {
            self.kept_by_later_ballots(replica)?;
            for other in replicas.clone().skip(place + 1) {
                one_proposal(replica, other)?;
            }
        }
        Ok(())
    }

    /// In one slot one value is chosen.
    fn one_choice(&mut self, replica: &MultiPaxos) -> Result<(), String> {
        let first = replica.slots.base().index.next();
        for (slot, vote) in replica.slots.votes(first) {
            if slot > replica.chosen {
                break;
            }
            let now = (vote.entry.clone(), replica.promised);
            let known = self.chosen.entry(slot).or_insert(now);
            if known.0 != vote.entry {
                return Err(format!(
                    "one choice: slot {slot:?} is {:?}, but {} has {:?}",
                    known.0, replica.me, vote.entry
                ));
            }
            known.1 = known.1.min(replica.promised);
        }
        Ok(())
    }

    /// P2b: if a value is chosen, every proposal of a higher ballot has that value.
    fn kept_by_later_ballots(&self, replica: &MultiPaxos) -> Result<(), String> {
        let first = replica.slots.base().index.next();
        for (slot, vote) in replica.slots.votes(first) {
            if let Some((entry, ballot)) = self.chosen.get(&slot)
                && vote.ballot >= *ballot
                && vote.entry != *entry
            {
                return Err(format!(
                    "P2b: {} accepted {vote:?} in slot {slot:?}, where {entry:?} was chosen before",
                    replica.me
                ));
            }
        }
        Ok(())
    }
}

/// In one ballot one value is proposed for a slot.
fn one_proposal(one: &MultiPaxos, two: &MultiPaxos) -> Result<(), String> {
    let first = one.slots.base().index.max(two.slots.base().index).next();
    for (slot, vote) in one.slots.votes(first) {
        if let Some(other) = two.slots.vote(slot)
            && other.ballot == vote.ballot
            && other.entry != vote.entry
        {
            return Err(format!(
                "one proposal: in slot {slot:?} {} accepted {vote:?} and {} accepted {other:?}",
                one.me, two.me
            ));
        }
    }
    Ok(())
}
