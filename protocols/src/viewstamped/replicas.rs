//! The configuration (paper 4): who is primary of a view.

use quorate_core::NodeId;

use crate::log::Epoch as View;
use crate::members::Members;

/// The view that everybody begins in. Views count from 1, so that 0 can mean "before any".
pub(super) const FIRST: View = View(1);

impl Members {
    /// "The primary is chosen round-robin": replica 1 in view 1, and so on (4).
    pub(super) fn primary(&self, view: View) -> NodeId {
        let turn = view.0.saturating_sub(FIRST.0) % self.ids.len() as u64;
        self.ids[usize::try_from(turn).expect("groups are small")]
    }

    /// The first view after `view` in which this replica is primary.
    pub(super) fn turn(&self, view: View, id: NodeId) -> Option<View> {
        let mut later = (1..=self.ids.len() as u64).map(|count| View(view.0 + count));
        later.find(|&later| self.primary(later) == id)
    }
}
