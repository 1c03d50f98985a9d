//! An epoch (paper 7): who takes part, from one operation of the log on until another one ends it.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::ops::Deref;

use quorate_core::{Malformed, Reader, Wire, wire};
use quorate_problems::total_order::Membership;

use crate::log::{Epoch as View, Position};

use super::replicas::FIRST;
use super::{Config, Viewstamped};

/// An epoch. It is written down again whenever the log is cut, so copies share what they say.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Epoch(Arc<Terms>);

/// What an epoch is. Everybody who knows of it knows the same, since it follows from what is committed.
#[derive(PartialEq, Eq, Hash)]
pub struct Terms {
    /// Its first view, which also says its number.
    pub first: View,
    /// The operation that ended the epoch before: the log through here is what this one begins with.
    pub start: Position,
    /// Who takes part.
    pub members: Membership,
}

wire!(struct Terms { first, start, members });

impl Deref for Epoch {
    type Target = Terms;

    fn deref(&self) -> &Terms {
        &self.0
    }
}

impl Wire for Epoch {
    fn encode(&self, out: &mut Vec<u8>) {
        self.0.encode(out);
    }

    fn decode(input: &mut Reader<'_>) -> Result<Epoch, Malformed> {
        let terms = Terms::decode(input)?;
        Ok(Epoch(Arc::new(terms)))
    }
}

impl Epoch {
    /// The one that a cluster starts with.
    pub(super) fn initial(config: &Config) -> Epoch {
        let members = Membership::new(0, config.members.iter().copied(), []);
        Epoch::new(FIRST, Position::default(), members)
    }

    /// The one that begins with this view and this log, with these members.
    pub(super) fn new(first: View, start: Position, members: Membership) -> Epoch {
        Epoch(Arc::new(Terms {
            first,
            start,
            members,
        }))
    }

    /// The epoch-number.
    pub(super) fn number(&self) -> u64 {
        self.first.epoch()
    }
}

impl fmt::Debug for Epoch {
    /// `1000000002 behind 7@500000001 of 9 n1 n2 n4`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (first, start, members) = (self.first, self.start, &self.members);
        write!(f, "{first:?} behind {start:?} of {members}")
    }
}

impl Viewstamped {
    /// Whether this replica votes. One that does not promises nothing, wants no view, and counts for nothing.
    pub(super) fn is_voter(&self) -> bool {
        self.replicas.contains(self.me)
    }

    /// Whether the log is that with which the epoch begins, or more.
    pub(super) fn has_start(&self) -> bool {
        let start = self.epoch.start;
        self.commit >= start.index || self.log.matches(start)
    }

    /// Whether all that the epoch begins with has been delivered here.
    pub(super) fn has_begun(&self) -> bool {
        self.commit >= self.epoch.start.index
    }

    /// Whether an operation of this epoch is known to be committed: then a quorum of its members has
    /// everything that was committed in all epochs before.
    pub(super) fn has_started(&self) -> bool {
        self.commit > self.epoch.start.index
    }

    /// Whether the log ends with the operation that is the last of this epoch, or is of a later one.
    /// Nothing may follow it here.
    pub(super) fn is_ending(&self) -> bool {
        let last = self.log.last().epoch;
        let (of, epoch) = (last.epoch(), self.epoch.number());
        of > epoch || (of == epoch && last.is_last())
    }
}
