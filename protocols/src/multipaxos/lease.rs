//! Leases ("Paxos Made Live", 5.2; Gray and Cheriton, "Leases", 1989): reads at the leader without asking.
//!
//! Who answers a heartbeat promises nothing to others until a timer of its own has run out. A leader whose
//! heartbeat a phase-2 quorum has answered knows that no higher ballot begins until then. It counts from
//! before it sent the heartbeat, and stops counting earlier than anybody's timer runs out, by as much as
//! two clocks can drift apart meanwhile: its own may be slow, the acceptor's fast. That clocks drift by no
//! more than so much is all that is assumed of time, and only here; it is more than the protocol's model
//! grants, so leases are off unless somebody switches them on.

use core::time::Duration;

use quorate_core::Effects;

use super::message::Timer;
use super::role::Role;
use super::{Flaw, MultiPaxos};
use crate::lease::counted;

impl MultiPaxos {
    /// Acceptor: promises nothing to others for a while.
    pub(super) fn give_lease(&mut self, fx: &mut Effects<MultiPaxos>) {
        let lease = self.config.lease;
        if lease > Duration::ZERO {
            self.leased = true;
            fx.set_timer(Timer::Lease, lease..lease);
        }
    }

    /// Acceptor: the lease that it gave last has ended.
    pub(super) fn on_lease_ended(&mut self) {
        self.leased = false;
    }

    /// Leader: from now on the leases that this round brings count, if it brings any.
    pub(super) fn begin_term(&self, round: u64, fx: &mut Effects<MultiPaxos>) {
        let term = self.term();
        if term > Duration::ZERO {
            fx.set_timer(Timer::Term(round), term..term);
        }
    }

    /// Leader: the leases of this round do not count any more.
    pub(super) fn on_term_ended(&mut self, round: u64) {
        if let Role::Leader(leader) = &mut self.role {
            leader.leases.lapse(round);
        }
    }

    /// Whether a phase-2 quorum promises nothing to others at this moment.
    pub(super) fn holds_lease(&self) -> bool {
        match &self.role {
            Role::Leader(leader) if self.term() > Duration::ZERO => {
                leader.leases.count(self.confirmed())
            }
            Role::Leader(_)
            | Role::Acceptor
            | Role::Canvasser { .. }
            | Role::Proposer(_)
            | Role::Damaged(_) => false,
        }
    }

    /// How long a leader may count on a lease.
    fn term(&self) -> Duration {
        match self.has(Flaw::LeaseIgnoresDrift) {
            true => self.config.lease,
            false => counted(self.config.lease, self.config.drift_ppm),
        }
    }
}
