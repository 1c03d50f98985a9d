//! Whose turn it is (paper 4), and how views are numbered across epochs (7).
//!
//! In the paper a view-number starts over with each epoch, so that views are compared by epoch first. Here
//! the number of a view says both: the epoch stands in front, as in 2000000003 for view 3 of epoch 2. So views
//! only grow, a log that has more epochs needs no other comparison, and an entry's stamp says which epoch
//! it is of. Views of epoch 0 count from 1, so that 0 can mean "before any".

use quorate_core::NodeId;

use crate::log::Epoch as View;
use crate::members::Members;

/// The view that everybody begins in.
pub(super) const FIRST: View = View(1);

/// The view of who does not know who takes part.
pub(super) const UNKNOWN: View = View(0);

/// No epoch has so many views: with one view change a second it would last for fifteen years.
const VIEWS: u64 = 1_000_000_000;

/// How much larger than its view the stamp of an epoch's last operation is. Nothing follows it, so stamps
/// still grow along the log, and one view's primary writes one such operation, so it still names a log.
const LAST: u64 = VIEWS / 2;

impl View {
    /// A view of an epoch.
    pub(super) fn of_epoch(epoch: u64, number: u64) -> View {
        View(epoch * VIEWS + number)
    }

    /// The epoch-number.
    pub(super) fn epoch(self) -> u64 {
        self.0 / VIEWS
    }

    /// The view-number within the epoch.
    pub(super) fn number(self) -> u64 {
        self.0 % LAST
    }

    /// The stamp of an operation that ends its epoch in this view.
    pub(super) fn last_stamp(self) -> View {
        View(self.0 + LAST)
    }

    /// Whether an operation with this stamp ends its epoch.
    pub(super) fn is_last(self) -> bool {
        self.0 % VIEWS >= LAST
    }

    /// The view in which an operation with this stamp was ordered.
    pub(super) fn ordered_in(self) -> View {
        View::of_epoch(self.epoch(), self.number())
    }
}

impl Members {
    /// "The primary is chosen round-robin": replica 1 in view 1, and so on (4).
    pub(super) fn primary(&self, view: View) -> NodeId {
        let turn = view.number().saturating_sub(FIRST.0) % self.ids.len() as u64;
        self.ids[usize::try_from(turn).expect("groups are small")]
    }

    /// The first view after `view` in which this replica is primary.
    pub(super) fn turn(&self, view: View, id: NodeId) -> Option<View> {
        let mut later = (1..=self.ids.len() as u64).map(|count| View(view.0 + count));
        later.find(|&later| self.primary(later) == id)
    }
}
