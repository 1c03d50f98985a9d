//! What must hold: what one replica can tell of itself, and what only someone who sees all of them can
//! (paper 8).

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;

use quorate_core::Frame;

use crate::log::{Content, Entry, Epoch as View, Index, Position};

use super::Viewstamped;
use super::primary::Primary;
use super::role::Role;

impl Viewstamped {
    /// What must hold between any two steps of one replica.
    pub(super) fn check(&self) {
        let (base, last) = (self.log.base(), self.log.last());
        assert!(base.index <= self.commit, "what is compacted is committed");
        assert!(self.commit <= last.index, "what is committed is here");
        assert!(self.suspicion.wanted >= self.view, "views never decrease");
        let mut before = (base.epoch, Frame(0));
        for (_, entry, frame) in self.log.iter() {
            assert!(before.0 <= entry.epoch, "views never decrease in the log");
            assert!(before.1 <= frame, "frames never decrease");
            before = (entry.epoch, frame);
        }
        let mine = self.replicas.primary(self.view) == self.me;
        match &self.role {
            Role::Recovering(_) => return,
            Role::Changing(_) => {}
            Role::Outside { .. } => assert!(!self.is_voter(), "a voter takes part"),
            Role::Transitioning(_) => assert!(
                !self.has_started(),
                "nothing of an epoch is known before its beginning"
            ),
            Role::Backup => assert!(!mine, "a backup follows someone else"),
            Role::Starting => assert!(mine, "views begin with their primary"),
            Role::Primary(primary) => {
                assert!(mine, "views have one primary");
                self.check_primary(primary);
            }
        }
        if matches!(self.role, Role::Backup | Role::Starting | Role::Primary(_)) {
            assert_eq!(self.normal, self.view, "status normal is in a view");
        }
        assert!(self.normal <= self.view, "the log is of no later view");
        assert!(
            last.epoch.ordered_in() <= self.view,
            "no entry is from the future"
        );
    }

    fn check_primary(&self, primary: &Primary) {
        let last = self.log.last().index;
        assert!(primary.start <= last, "a primary only adds to its log");
        for (&id, peer) in &primary.peers {
            assert!(peer.matched <= last, "{id} has no more than the primary");
            assert!(
                peer.next <= last.next() || id == self.me,
                "{id} is sent what is there"
            );
            assert!(peer.told <= self.commit, "{id} is told the truth");
        }
        let reached = self
            .replicas
            .reached(primary.of_voters(|peer| peer.matched));
        let ends = matches!(self.log.entry(reached), Some(entry) if self.ends(entry));
        assert!(reached <= self.commit || ends, "a quorum is enough");
    }
}

/// Watches all replicas of a run and says when a promise of the paper's section 8 is broken.
#[derive(Clone, Default, Hash, Debug)]
pub struct Section8 {
    /// How long the log of each view's primary was.
    primaries: BTreeMap<View, Index>,
    /// Every operation that anyone knew to be committed, and the earliest view in which anyone did.
    committed: BTreeMap<Index, (Entry, View)>,
    /// In which view each epoch begins, and with which log.
    epochs: BTreeMap<u64, (View, Position)>,
}

impl Section8 {
    /// Looks at the replicas that are up.
    ///
    /// # Errors
    /// The broken promise, and where.
    pub fn observe<'a>(
        &mut self,
        replicas: impl Iterator<Item = &'a Viewstamped> + Clone,
    ) -> Result<(), String> {
        for replica in replicas.clone() {
            self.one_order(replica)?;
            self.one_epoch(replica)?;
        }
        for (place, replica) in replicas.clone().enumerate() {
            if let Role::Primary(_) = replica.role {
                self.append_only(replica)?;
                self.survival(replica)?;
            }
            for other in replicas.clone().skip(place + 1) {
                viewstamps(replica, other)?;
            }
        }
        Ok(())
    }

    /// 7.1: an epoch begins in one place, and nothing follows the operation that ended the one before.
    fn one_epoch(&mut self, replica: &Viewstamped) -> Result<(), String> {
        let (me, epoch) = (replica.me, &replica.epoch);
        let begins = (epoch.first, epoch.start);
        let known = *self.epochs.entry(epoch.number()).or_insert(begins);
        if known != begins {
            return Err(format!(
                "epochs: one begins with {known:?}, but for {me} with {begins:?}"
            ));
        }
        let mut before = replica.log.base().epoch;
        for (op, entry, _) in replica.log.iter() {
            if before.is_last() && entry.epoch.epoch() == before.epoch() {
                return Err(format!(
                    "epochs: {me} has {entry:?} at {op:?}, behind the end of one"
                ));
            }
            before = entry.epoch;
        }
        Ok(())
    }

    /// In one view, a primary only adds to its log.
    fn append_only(&mut self, replica: &Viewstamped) -> Result<(), String> {
        let (view, me, last) = (replica.view, replica.me, replica.log.last().index);
        let known = self.primaries.entry(view).or_insert(last);
        if *known > last {
            return Err(format!(
                "append-only: {me} shortened the log of view {view:?}"
            ));
        }
        *known = last;
        Ok(())
    }

    /// 8.1: "every committed operation survives into all subsequent views in the same position".
    fn survival(&self, replica: &Viewstamped) -> Result<(), String> {
        let behind = replica.log.base().index.next();
        for (&op, (entry, view)) in self.committed.range(behind..) {
            if *view < replica.view && replica.log.entry(op) != Some(entry) {
                return Err(format!(
                    "survival: {} is primary of view {:?} without {entry:?} at {op:?}",
                    replica.me, replica.view
                ));
            }
        }
        Ok(())
    }

    /// No two replicas execute different operations at one op-number.
    fn one_order(&mut self, replica: &Viewstamped) -> Result<(), String> {
        for (op, entry, _) in replica.log.iter() {
            if op > replica.commit {
                break;
            }
            let first = (entry.clone(), replica.view);
            let known = self.committed.entry(op).or_insert(first);
            if known.0 != *entry {
                return Err(format!(
                    "one order: {op:?} is {:?}, but {} has {entry:?}",
                    known.0, replica.me
                ));
            }
            if !matches!(replica.role, Role::Recovering(_)) {
                known.1 = known.1.min(replica.view);
            }
        }
        Ok(())
    }
}

/// A viewstamp, which is a view and an op-number, names one operation and all before it.
fn viewstamps(one: &Viewstamped, two: &Viewstamped) -> Result<(), String> {
    let content = |replica: &Viewstamped, op| -> Option<(View, Content)> {
        let entry = replica.log.entry(op)?;
        Some((entry.epoch, entry.content.clone()))
    };
    let from = one.log.base().index.max(two.log.base().index).next();
    let mut differs = None;
    for (op, entry, _) in one.log.iter() {
        let Some(other) = content(two, op).filter(|_| op >= from) else {
            continue;
        };
        let same = other == (entry.epoch, entry.content.clone());
        if other.0 == entry.epoch && (!same || differs.is_some()) {
            let earlier = differs.unwrap_or(op);
            return Err(format!(
                "viewstamps: {} and {} share one at {op:?}, but differ at {earlier:?}",
                one.me, two.me
            ));
        }
        if !same {
            differs = differs.or(Some(op));
        }
    }
    Ok(())
}
