//! The properties of the paper's figure 3: what one replica can tell of itself, and what only
//! someone who sees all of them can.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;

use quorate_core::NodeId;

use crate::log::{Content, Entry, Epoch as Term, Index};

use super::Raft;
use super::leader::Leader;
use super::role::Role;

impl Raft {
    /// What must hold between any two steps of one replica.
    pub(super) fn check(&self) {
        let (base, last) = (self.log.base(), self.log.last());
        if matches!(self.role, Role::Damaged(_)) {
            return;
        }
        assert!(base.index <= self.commit, "what is compacted is committed");
        assert!(self.commit <= last.index, "what is committed is here");
        assert!(last.epoch <= self.term, "no entry is from the future");
        let mut before = (base.epoch, quorate_core::Frame(0));
        for (_, entry, frame) in self.log.iter() {
            assert!(before.0 <= entry.epoch, "terms never decrease");
            assert!(before.1 <= frame, "frames never decrease");
            before = (entry.epoch, frame);
        }
        let changes = self.log.iter();
        let changes = changes.filter(|(_, entry, _)| matches!(entry.content, Content::Members(_)));
        let configurations = self.configurations.iter().map(|(from, _)| *from);
        assert!(
            changes
                .map(|(index, ..)| index)
                .eq(configurations.filter(|from| *from > base.index)),
            "each change of members in the log counts, and no other"
        );
        let leads = self.leader == Some(self.me);
        match &self.role {
            Role::Follower => assert!(!leads, "a follower follows someone else"),
            Role::PreCandidate { .. } => {
                assert_eq!(self.leader, None, "who canvasses misses a leader");
            }
            Role::Candidate { .. } => {
                assert_eq!(self.leader, None, "who campaigns misses a leader");
                assert_eq!(self.vote, Some(self.me), "a candidate votes for itself");
            }
            Role::Leader(leader) => {
                assert!(leads, "a leader knows that it leads");
                assert_eq!(self.vote, Some(self.me), "a leader voted for itself");
                assert_eq!(last.epoch, self.term, "a leader begins with an entry");
                self.check_leader(leader);
            }
            Role::Damaged(_) => {}
        }
    }

    fn check_leader(&self, leader: &Leader) {
        let last = self.log.last().index;
        for (&id, peer) in &leader.peers {
            assert!(peer.matched <= last, "{id} cannot agree beyond the end");
            assert!(
                peer.acked <= peer.matched,
                "{id} counts for no more than it has"
            );
            if id != self.me {
                assert!(peer.next > peer.matched, "{id} is not sent what it has");
                assert!(peer.next <= last.next(), "{id} is sent what is there");
                assert!(peer.told <= self.commit, "{id} is told the truth");
            }
        }
        let reached = self.reached(leader, |peer| peer.acked);
        let own = self.log.epoch_at(reached) == Some(self.term);
        assert!(!own || reached <= self.commit, "a quorum is enough");
    }
}

/// Watches all replicas of a run and says when a property of figure 3 is broken.
#[derive(Clone, Default, Hash, Debug)]
pub struct Figure3 {
    /// Who led each term, and how long its log was.
    leaders: BTreeMap<Term, (NodeId, Index)>,
    /// Every entry that anyone knew to be committed, and the earliest term in which anyone did.
    committed: BTreeMap<Index, (Entry, Term)>,
}

impl Figure3 {
    /// Looks at the replicas that are up.
    ///
    /// # Errors
    /// The name of the broken property, and where.
    pub fn observe<'a>(
        &mut self,
        replicas: impl Iterator<Item = &'a Raft> + Clone,
    ) -> Result<(), String> {
        for replica in replicas.clone() {
            self.state_machine_safety(replica)?;
        }
        for (place, replica) in replicas.clone().enumerate() {
            if let Role::Leader(_) = replica.role {
                self.election_safety(replica)?;
                self.leader_completeness(replica)?;
            }
            for other in replicas.clone().skip(place + 1) {
                log_matching(replica, other)?;
            }
        }
        Ok(())
    }

    /// What it would remember of the same run if every replica had the name that `name` gives it.
    #[must_use]
    pub fn renamed(&self, name: impl Fn(NodeId) -> NodeId) -> Figure3 {
        let leaders = self.leaders.iter();
        Figure3 {
            leaders: leaders
                .map(|(&term, &(id, last))| (term, (name(id), last)))
                .collect(),
            committed: self.committed.clone(),
        }
    }

    /// At most one leader can be elected in a given term; and it only appends to its log.
    fn election_safety(&mut self, replica: &Raft) -> Result<(), String> {
        let (term, me, last) = (replica.term, replica.me, replica.log.last().index);
        let known = self.leaders.entry(term).or_insert((me, last));
        if known.0 != me {
            return Err(format!(
                "election safety: {} and {me} lead term {term:?}",
                known.0
            ));
        }
        if known.1 > last {
            return Err(format!(
                "leader append-only: {me} shortened its log in term {term:?}"
            ));
        }
        known.1 = last;
        Ok(())
    }

    /// If an entry is committed in a given term, it is in the logs of the leaders of all later terms.
    fn leader_completeness(&self, replica: &Raft) -> Result<(), String> {
        let behind = replica.log.base().index.next();
        for (&index, (entry, term)) in self.committed.range(behind..) {
            if *term < replica.term && replica.log.entry(index) != Some(entry) {
                return Err(format!(
                    "leader completeness: {} leads term {:?} without {entry:?} at {index:?}",
                    replica.me, replica.term
                ));
            }
        }
        Ok(())
    }

    /// If a replica has applied an entry at an index, no other applies a different one there.
    fn state_machine_safety(&mut self, replica: &Raft) -> Result<(), String> {
        for (index, entry, _) in replica.log.iter() {
            if index > replica.commit {
                break;
            }
            let first = (entry.clone(), replica.term);
            let known = self.committed.entry(index).or_insert(first);
            if known.0 != *entry {
                return Err(format!(
                    "state machine safety: {index:?} is {:?}, but {} has {entry:?}",
                    known.0, replica.me
                ));
            }
            known.1 = known.1.min(replica.term);
        }
        Ok(())
    }
}

/// If two logs have an entry with the same index and term, they are the same through that index.
fn log_matching(one: &Raft, two: &Raft) -> Result<(), String> {
    let content = |replica: &Raft, index| -> Option<(Term, Content)> {
        let entry = replica.log.entry(index)?;
        Some((entry.epoch, entry.content.clone()))
    };
    let from = one.log.base().index.max(two.log.base().index).next();
    let mut differs = None;
    for (index, entry, _) in one.log.iter() {
        let Some(other) = content(two, index).filter(|_| index >= from) else {
            continue;
        };
        let same = other == (entry.epoch, entry.content.clone());
        if let (Some(earlier), true) = (differs, other.0 == entry.epoch) {
            return Err(format!(
                "log matching: {} and {} agree at {index:?} but not at {earlier:?}",
                one.me, two.me
            ));
        }
        if !same {
            differs = differs.or(Some(index));
            if other.0 == entry.epoch {
                return Err(format!(
                    "log matching: {} and {} differ at {index:?} in one term",
                    one.me, two.me
                ));
            }
        }
    }
    Ok(())
}
