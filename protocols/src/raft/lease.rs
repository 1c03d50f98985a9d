//! Leases (thesis 6.4.1): reads at the leader without asking anybody.
//!
//! Whoever answers a heartbeat helps nobody else to be elected until a timer of its own has run out, unless the
//! leader itself wants it. A leader whose heartbeat a quorum has answered knows that no later term has a
//! leader until then. It counts from before it sent the heartbeat, and stops earlier than anybody's timer runs
//! out, by as much as two clocks can drift apart meanwhile. That is more than the protocol's model grants,
//! so leases are off unless somebody switches them on, for all replicas alike.
//!
//! Quorums are those of the latest configuration at the moment of the read, so a lease that was given under
//! the old members counts for nothing where new ones may elect somebody: whom they elect needs the votes of a
//! majority that meets the one that is counted here.

use core::time::Duration;

use quorate_core::Effects;

use super::Raft;
use super::message::{Message, Timer};
use super::role::Role;
use crate::lease::counted;

impl Raft {
    /// Helps nobody to depose the leader for a while.
    pub(super) fn give_lease(&mut self, fx: &mut Effects<Raft>) {
        let lease = self.config.lease;
        if lease > Duration::ZERO {
            self.leased = true;
            fx.set_timer(Timer::Lease, lease..lease);
        }
    }

    /// The lease that was given last has ended.
    pub(super) fn on_lease_ended(&mut self) {
        self.leased = false;
    }

    /// Whether this replica would rather not have another leader.
    pub(super) fn is_loyal(&self) -> bool {
        self.leader.is_some() || self.leased
    }

    /// For how long a leader counts on a lease.
    fn lease_counts(&self) -> Duration {
        counted(self.config.lease, self.config.drift_ppm)
    }

    /// Leader: the next round of questions whether it still leads.
    pub(super) fn begin_round(&mut self, fx: &mut Effects<Raft>) -> u64 {
        let (me, term, counts) = (self.me, self.term, self.lease_counts());
        let Role::Leader(leader) = &mut self.role else {
            return 0;
        };
        leader.round += 1;
        let round = leader.round;
        if counts > Duration::ZERO {
            // From before anybody is asked, so from before anybody gives a lease.
            fx.set_timer(Timer::Term(round), counts..counts);
        }
        self.give_lease(fx);
        // Early: as for anybody's answer, it says what did not happen before now.
        fx.send_early(me, Message::Heard { term, round });
        round
    }

    /// Leader: the leases of this round do not count any more.
    pub(super) fn on_term_ended(&mut self, round: u64) {
        if let Role::Leader(leader) = &mut self.role {
            leader.leases.lapse(round);
        }
    }

    /// Whether a quorum helps nobody else at this moment.
    pub(super) fn holds_lease(&self) -> bool {
        match &self.role {
            // If clocks may drift so far that nothing can be counted on, no round ever lapses.
            Role::Leader(leader) if self.lease_counts() > Duration::ZERO => {
                leader.leases.count(self.reached(leader, |peer| peer.round))
            }
            Role::Leader(_)
            | Role::Follower
            | Role::PreCandidate { .. }
            | Role::Candidate { .. }
            | Role::Damaged(_) => false,
        }
    }
}
