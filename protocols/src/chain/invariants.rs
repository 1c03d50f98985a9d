//! What must hold: what one replica can tell of itself, and the paper's invariants, which only someone
//! who sees the whole chain can tell (van Renesse and Schneider, section 3).

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;

use quorate_core::{Frame, NodeId};

use super::{Chain, ViewNumber};
use crate::log::{Entry, Epoch, Index};

impl Chain {
    /// What must hold between any two steps of one replica.
    pub(super) fn check(&self) {
        let (base, last) = (self.log.base(), self.log.last());
        if self.loss.is_some() {
            assert!(self.view.members.is_empty(), "who lost records is nowhere");
            return;
        }
        assert!(base.index <= self.commit, "what is compacted is committed");
        assert!(self.commit <= last.index, "what is committed is here");
        assert!(
            last.epoch <= self.view.number,
            "no entry is from the future"
        );
        assert!(self.stored <= last.index, "what is acknowledged is here");
        assert!(self.agreed <= Some(last.index), "what is agreed is here");
        let mut before = (base.epoch, Frame(0));
        for (_, entry, frame) in self.log.iter() {
            assert!(before.0 <= entry.epoch, "epochs never decrease");
            assert!(before.1 <= frame, "frames never decrease");
            before = (entry.epoch, frame);
        }
        assert!(
            !self.is_head() || last.epoch == self.view.number,
            "a head begins with an entry"
        );
        let known = self.agreed.filter(|_| !self.is_head());
        let passable = known.unwrap_or(last.index);
        for (id, link) in &self.links {
            assert!(link.stored <= last.index, "{id} has what was passed on");
            assert!(link.next <= passable.next(), "{id} is sent what is agreed");
        }
        assert!(
            !(self.established && self.is_member()) || self.stored <= self.commit,
            "what the tail has is committed"
        );
    }
}

/// Watches all replicas of a run and says when an invariant of the paper is broken.
#[derive(Clone, Default, Hash, Debug)]
pub struct Chains {
    /// The members of each view that was active.
    views: BTreeMap<ViewNumber, Arc<[NodeId]>>,
    /// What is committed, and the first view that somebody knew it in.
    committed: BTreeMap<Index, (Entry, ViewNumber)>,
}

impl Chains {
    /// Looks at all replicas that are up.
    ///
    /// # Errors
    /// The name of the broken property, and where.
    pub fn observe<'a>(
        &mut self,
        replicas: impl Iterator<Item = &'a Chain> + Clone,
    ) -> Result<(), String> {
        for replica in replicas.clone() {
            self.one_chain(replica)?;
            self.one_history(replica)?;
        }
        for replica in replicas.clone() {
            self.complete(replica)?;
            let mut others = replicas.clone();
            let successor = others.find(|other| {
                other.view.number == replica.view.number && replica.successor() == Some(other.me)
            });
            if let Some(successor) = successor {
                update_propagation(replica, successor)?;
                inprocess_requests(replica, successor)?;
            }
        }
        Ok(())
    }

    /// There is one chain in a view that was active. One that was not may be forgotten in a crash by who
    /// decided on it, before anybody else hears of it.
    fn one_chain(&mut self, replica: &Chain) -> Result<(), String> {
        let (number, members) = (replica.view.number, &replica.view.members);
        if replica.loss.is_some() {
            return Ok(());
        }
        let known = match replica.established {
            true => Some(&*self.views.entry(number).or_insert(members.clone())),
            false => self.views.get(&number),
        };
        match known {
            Some(known) if known != members => Err(format!(
                "one chain: view {number:?} is {known:?}, but {} is in {members:?}",
                replica.me
            )),
            Some(_) | None => Ok(()),
        }
    }

    /// What is committed at an index is the same everywhere and for ever.
    fn one_history(&mut self, replica: &Chain) -> Result<(), String> {
        for (index, entry, _) in replica.log.iter() {
            if index > replica.commit {
                break;
            }
            let first = (entry.clone(), replica.view.number);
            let known = self.committed.entry(index).or_insert(first);
            if known.0 != *entry {
                return Err(format!(
                    "one history: {index:?} is {:?}, but {} has {entry:?}",
                    known.0, replica.me
                ));
            }
            known.1 = known.1.min(replica.view.number);
        }
        Ok(())
    }

    /// Every member of a view that is active has what was committed in earlier ones (section 3.3).
    fn complete(&self, replica: &Chain) -> Result<(), String> {
        if !(replica.established && replica.is_member()) {
            return Ok(());
        }
        let behind = replica.log.base().index.next();
        for (&index, (entry, view)) in self.committed.range(behind..) {
            if *view < replica.view.number && replica.log.entry(index) != Some(entry) {
                return Err(format!(
                    "complete chains: {} is in view {:?} without {entry:?} at {index:?}",
                    replica.me, replica.view.number
                ));
            }
        }
        Ok(())
    }
}

/// The part of the log that is known to be the head's: the paper's history of a server.
fn history(replica: &Chain) -> Index {
    match replica.is_head() {
        true => replica.log.last().index,
        false => replica.agreed.unwrap_or(Index(0)),
    }
}

/// The Update Propagation Invariant: the history of a server is a prefix of its predecessor's.
fn update_propagation(replica: &Chain, successor: &Chain) -> Result<(), String> {
    let error = |what: String| {
        let (one, two) = (replica.me, successor.me);
        Err(format!(
            "update propagation: {two} {what}, but {one} before it does not"
        ))
    };
    let (longer, shorter) = (replica.log.last().index, history(successor));
    if shorter > longer {
        return error(format!("has {shorter:?}"));
    }
    let epoch = |chain: &Chain, index| -> Option<Epoch> { chain.log.epoch_at(index) };
    let from = replica.log.base().index.max(successor.log.base().index);
    let mut index = from;
    while index <= shorter {
        if epoch(replica, index) != epoch(successor, index) {
            let entry = successor.log.entry(index);
            return error(format!("has {entry:?} at {index:?}"));
        }
        index = index.next();
    }
    Ok(())
}

/// The Inprocess Requests Invariant: what a server has and its successor lacks it keeps, as sent and
/// not acknowledged.
fn inprocess_requests(replica: &Chain, successor: &Chain) -> Result<(), String> {
    if replica.stored > successor.log.last().index {
        return Err(format!(
            "inprocess requests: {} counts {:?} as acknowledged, but {} behind it lacks it",
            replica.me, replica.stored, successor.me
        ));
    }
    Ok(())
}
