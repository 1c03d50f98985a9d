//! Another primary by request: the view service makes it a view, like any other.

use quorate_core::{Effects, NodeId};

use super::view::Role;
use super::{PrimaryBackup, Timer};
use crate::views::Replicator;

impl<M: Replicator> PrimaryBackup<M> {
    /// The layer above wants another primary. At a lone view service it is an operator's command.
    pub(super) fn on_transfer(&mut self, to: Option<NodeId>, fx: &mut Effects<Self>) {
        let Role::Primary(primary) = &mut self.role else {
            if let Some(to) = to {
                self.seat.on_operator(to, fx);
                self.look_at_views(fx);
            }
            return;
        };
        let mut backups = primary.members.iter().skip(1).copied();
        let target = match to {
            Some(to) => backups.find(|&id| id == to),
            // Whoever has most, and of those who answer if anyone does.
            None => backups.max_by_key(|id| {
                let peer = primary.peers.get(id);
                peer.map(|peer| (peer.silent == 0, peer.matched))
            }),
        };
        if target.is_none() || !primary.active {
            return;
        }
        primary.transfer = target;
        let timeout = self.config.election_timeout;
        fx.set_timer(Timer::Transfer, timeout..timeout);
        self.seat.report(fx, |report| report.successor = target);
    }

    /// Primary: the transfer took too long, so it goes on.
    pub(super) fn abandon_transfer(&mut self, fx: &mut Effects<Self>) {
        if let Role::Primary(primary) = &mut self.role {
            primary.transfer = None;
            self.seat.report(fx, |report| report.successor = None);
        }
    }
}
