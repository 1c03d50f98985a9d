//! Reconfiguration (paper 7.1): how an epoch ends.
//!
//! The members of the next epoch are an operation, the last of this one: once it is in its log, a primary
//! takes no more requests, and no later primary of the epoch does either. When it is committed the epoch is
//! over, and `transition.rs` begins the next.
//!
//! From then on until a quorum of the new members has the state, nobody is served. So a primary first brings
//! those who are new up to date, as if they were members, and ends the epoch when a quorum of the
//! new voters has what was there when it was asked. Until then a newer request takes the place of an older one.

use quorate_core::Effects;
use quorate_problems::total_order::Membership;

use crate::log::{Content, Entry, Epoch as View, Index, Position};

use super::primary::Peer;
use super::role::Role;
use super::{Epoch, Flaw, Message, Replicas, Viewstamped};

/// The members that are to be, while they catch up.
#[derive(Clone, Hash, Debug)]
pub(super) struct Wanted {
    members: Membership,
    voters: Replicas,
    /// How much of the log they must have.
    goal: Index,
    /// The round of heartbeats that they must have answered. A replica that has forgotten everything may
    /// have acknowledged all of the log before, and does not answer.
    round: u64,
}

impl Viewstamped {
    /// The layer above wants others to take part.
    pub(super) fn on_reconfigure(&mut self, members: Membership, fx: &mut Effects<Viewstamped>) {
        let in_force = self.epoch.members.version;
        let ending = self.is_ending();
        let Some((primary, source)) = self.presiding() else {
            return;
        };
        let on_its_way = primary.wanted.as_ref().map(|wanted| wanted.members.version);
        let newest = on_its_way.unwrap_or(in_force);
        if ending || members.version <= newest || members.voters.is_empty() {
            return;
        }
        let last = source.log.last().index;
        let now = self.epoch.members.iter().chain(members.iter());
        let now = now.collect::<alloc::vec::Vec<_>>();
        let Role::Primary(primary) = &mut self.role else {
            return;
        };
        primary.peers.retain(|id, _| now.contains(id));
        for id in members.iter() {
            let peers = primary.peers.entry(id);
            peers.or_insert_with(|| Peer::new(false, last.next()));
        }
        primary.wanted = Some(Wanted {
            voters: Replicas::new(&members.voters),
            members,
            goal: last,
            round: primary.round + 1,
        });
        self.begin_round(fx);
    }

    /// Primary: ends the epoch, once a quorum of the next one's voters has caught up.
    pub(super) fn maybe_reconfigure(&mut self, fx: &mut Effects<Viewstamped>) {
        let Role::Primary(primary) = &mut self.role else {
            return;
        };
        let Some(wanted) = &primary.wanted else {
            return;
        };
        let caught_up = |id| {
            let peer = primary.peers.get(&id);
            peer.is_some_and(|peer| peer.matched >= wanted.goal && peer.round >= wanted.round)
        };
        // Who is about to hand over writes nothing more; its successor will be asked again.
        if primary.successor.is_none() && wanted.voters.is_quorum(caught_up) {
            let wanted = primary.wanted.take().expect("it was just looked at");
            self.append(Content::Members(wanted.members), fx);
        }
    }

    /// Whether this entry ends the epoch that this replica is in.
    pub(super) fn ends(&self, entry: &Entry) -> bool {
        let Content::Members(members) = &entry.content else {
            return false;
        };
        let goes_on = self.has(Flaw::EndlessEpoch) && !members.contains(self.me);
        entry.epoch.epoch() >= self.epoch.number() && !goes_on
    }

    /// The operation at `op` ends the epoch, and is committed: what everybody can tell from it of the next
    /// one. It is mailed to everybody, this replica among them, so that the step in which the epoch
    /// changes is one of its own.
    pub(super) fn end_epoch(
        &mut self,
        op: Index,
        stamp: View,
        members: Membership,
        fx: &mut Effects<Viewstamped>,
    ) {
        // Its primary goes on, if it still takes part, and otherwise it is the first one's turn.
        let primary = self.replicas.primary(stamp.ordered_in());
        let voters = members.voters.iter();
        let place = voters.take_while(|&&id| id != primary).count();
        let place = place % members.voters.len();
        let first = View::of_epoch(stamp.epoch() + 1, 1 + place as u64);
        let start = Position {
            index: op,
            epoch: stamp,
        };
        let epoch = Epoch::new(first, start, members);
        if let Role::Primary(primary) = &self.role {
            for &to in primary.peers.keys().filter(|&&id| id != self.me) {
                let epoch = epoch.clone();
                // Early: it is committed, whatever happens to this replica.
                fx.send_early(to, Message::StartEpoch { epoch });
            }
        }
        // Early: as above.
        fx.send_early(self.me, Message::StartEpoch { epoch });
    }
}
