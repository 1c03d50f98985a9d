//! Other members: the view service keeps the list, and views and copies follow it.
//!
//! Nothing is decided here. The primary passes the list on to the view service with its pings; the service
//! writes it down, and makes views of those who are to stay and to come as soon as they can do without
//! those who are to go; then they keep the service, too. `../views/README.md` says why nothing is lost
//! on the way.

use alloc::vec::Vec;

use quorate_core::{Effects, NodeId};
use quorate_problems::total_order::Membership;

use super::PrimaryBackup;
use super::primary::Peer;
use super::view::Role;
use crate::views::Replicator;

impl<M: Replicator> PrimaryBackup<M> {
    /// The layer above wants other members.
    pub(super) fn on_reconfigure(&mut self, members: Membership, fx: &mut Effects<Self>) {
        if let Role::Primary(primary) = &self.role
            && primary.active
        {
            self.seat.reconfigure(members, fx);
        }
    }

    /// Primary: sends what it has to whoever keeps a copy now, and to nobody else. With the next
    /// heartbeat it finds out what they lack.
    pub(super) fn follow_copies(&mut self) {
        let changes = self.seat.known().changes;
        let next = self.log.last().index.next();
        if let Role::Primary(primary) = &mut self.role
            && primary.changes != changes
        {
            primary.changes = changes;
            let copies: Vec<NodeId> = self.seat.copies().collect();
            primary.peers.retain(|id, _| copies.contains(id));
            for id in copies {
                let peers = &mut primary.peers;
                peers.entry(id).or_insert_with(|| Peer::new(next));
            }
        }
    }
}
