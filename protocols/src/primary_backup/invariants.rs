//! What must hold of one replica, and of all of them together.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;

use quorate_core::{Frame, NodeId};

use super::primary::Primary;
use super::view::Role;
use super::{Entry, Index, Mode, Number, PrimaryBackup};
use crate::views::Replicator;

impl<M: Replicator> PrimaryBackup<M> {
    /// What must hold between any two steps of one replica.
    pub(super) fn check(&self) {
        let (base, last) = (self.log.base(), self.log.last());
        if matches!(self.role, Role::Lost { .. }) {
            assert_eq!(self.leader, None, "who lost its records follows nobody");
            return;
        }
        assert!(base.index <= self.commit, "what is compacted is delivered");
        assert!(self.commit <= last.index, "what is delivered is here");
        assert!(last.epoch <= self.number, "no entry is from the future");
        let mut before = (base.epoch, Frame(0));
        for (_, entry, frame) in self.log.iter() {
            assert!(before.0 <= entry.epoch, "epochs never decrease");
            assert!(before.1 <= frame, "frames never decrease");
            before = (entry.epoch, frame);
        }
        let leads = self.leader == Some(self.me);
        match &self.role {
            Role::Primary(primary) => self.check_primary(primary),
            Role::Follower => assert!(!leads, "a follower follows someone else"),
            Role::Lost { .. } => {}
        }
    }

    fn check_primary(&self, primary: &Primary) {
        let last = self.log.last();
        assert_eq!(primary.members.first(), Some(&self.me), "it is first");
        if self.config.flaw.is_some() {
            return; // What it knows of others may be wrong, which is to be seen in what comes of it.
        }
        assert!(
            primary.active || last.epoch < self.number,
            "nothing is ordered in a view that is not active"
        );
        for (&id, peer) in &primary.peers {
            assert!(
                peer.matched <= last.index,
                "{id} cannot agree beyond the end"
            );
            if id != self.me {
                assert!(peer.next > peer.matched, "{id} is not sent what it has");
                assert!(peer.next <= last.index.next(), "{id} is sent what is there");
                assert!(peer.told <= self.commit, "{id} is told the truth");
            }
        }
        if self.config.mode == Mode::Synchronous && primary.active {
            let reached = primary.least(|peer| peer.matched);
            assert!(reached <= self.commit, "all members are enough");
        }
    }
}

/// Watches all replicas of a run and says when what views are for is broken.
#[derive(Clone, Default, Hash, Debug)]
pub struct Completeness {
    /// Who served as primary in each view.
    primaries: BTreeMap<Number, NodeId>,
    /// What was delivered at each index, and the earliest view in which anyone had.
    delivered: BTreeMap<Index, (Entry, Number)>,
}

impl Completeness {
    /// Looks at the replicas that are up.
    ///
    /// # Errors
    /// The name of the broken property, and where.
    pub fn observe<'a, M: Replicator + 'a>(
        &mut self,
        replicas: impl Iterator<Item = &'a PrimaryBackup<M>> + Clone,
    ) -> Result<(), String> {
        for replica in replicas.clone() {
            self.same_deliveries(replica)?;
        }
        for replica in replicas {
            if let Role::Primary(primary) = &replica.role
                && primary.active
            {
                self.one_primary(replica)?;
                self.complete(replica)?;
            }
        }
        Ok(())
    }

    /// At most one replica serves as primary in a view.
    fn one_primary<M: Replicator>(&mut self, replica: &PrimaryBackup<M>) -> Result<(), String> {
        let (view, me) = (replica.number, replica.me);
        let first = *self.primaries.entry(view).or_insert(me);
        match first == me {
            true => Ok(()),
            false => Err(format!(
                "one primary: {first} and {me} serve in view {view:?}"
            )),
        }
    }

    /// What was delivered in an earlier view is in the log of every primary that serves.
    fn complete<M: Replicator>(&self, replica: &PrimaryBackup<M>) -> Result<(), String> {
        let behind = replica.log.base().index.next();
        for (&index, (entry, view)) in self.delivered.range(behind..) {
            if *view < replica.number && replica.log.entry(index) != Some(entry) {
                return Err(format!(
                    "completeness: {} is primary of view {:?} without {entry:?} at {index:?}",
                    replica.me, replica.number
                ));
            }
        }
        Ok(())
    }

    /// No two replicas deliver different entries at one index.
    fn same_deliveries<M: Replicator>(&mut self, replica: &PrimaryBackup<M>) -> Result<(), String> {
        for (index, entry, _) in replica.log.iter() {
            if index > replica.commit {
                break;
            }
            let first = (entry.clone(), replica.number);
            let known = self.delivered.entry(index).or_insert(first);
            if known.0 != *entry {
                return Err(format!(
                    "same deliveries: {index:?} is {:?}, but {} has {entry:?}",
                    known.0, replica.me
                ));
            }
            known.1 = known.1.min(replica.number);
        }
        Ok(())
    }
}
