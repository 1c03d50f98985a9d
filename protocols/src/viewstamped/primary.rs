//! What a primary knows of each replica, and what it sends them because of it (paper 4.1).
//!
//! New entries are streamed ahead of the answers, within a window of entries and of bytes. Whoever
//! misses some notices by itself and asks (`state_transfer.rs`), so a primary never probes.

use alloc::collections::BTreeMap;

use quorate_core::{Effects, NodeId};
use quorate_problems::total_order::Membership;

use crate::log::{Epoch as View, Index, Log, Position};
use crate::reads::Reads;

use super::reconfiguration::Wanted;
use super::role::Role;
use super::{Config, Message, Viewstamped};

/// What only a primary knows.
#[derive(Clone, Hash, Debug)]
pub(super) struct Primary {
    /// All replicas of the epoch, this one among them: it counts itself by what it mailed itself. And those
    /// who are to be of the next one.
    pub(super) peers: BTreeMap<NodeId, Peer>,
    /// Where its log ended when the view began: until that is committed, it does not know how far
    /// earlier primaries had committed.
    pub(super) start: Index,
    /// The latest round of questions whether it is still primary.
    pub(super) round: u64,
    pub(super) reads: Reads<Index>,
    /// The members that are to take part in the next epoch, once enough of them have caught up.
    pub(super) wanted: Option<Wanted>,
    /// Who is to be primary next.
    pub(super) successor: Option<NodeId>,
}

/// What a primary knows of one replica.
#[derive(Clone, Hash, Debug)]
pub(super) struct Peer {
    /// Whether what it has counts.
    pub(super) voter: bool,
    /// It has the log through here.
    pub(super) matched: Index,
    /// The next entry to send.
    pub(super) next: Index,
    /// The commit-number that it was last told.
    pub(super) told: Index,
    /// The latest round of heartbeats that it answered.
    pub(super) round: u64,
    /// Whether it was heard from since the quorum was last checked.
    pub(super) active: bool,
    /// If a checkpoint is under way: for how many heartbeats.
    pub(super) offered: Option<u32>,
}

impl Primary {
    pub(super) fn new(members: &Membership, start: Index) -> Primary {
        let peers = members.iter().map(|id| {
            let voter = members.voters.contains(&id);
            (id, Peer::new(voter, start.next()))
        });
        Primary {
            peers: peers.collect(),
            start,
            round: 0,
            reads: Reads::default(),
            wanted: None,
            successor: None,
        }
    }

    /// Something of each replica that counts.
    pub(super) fn of_voters<V>(
        &self,
        value: impl Fn(&Peer) -> V + Clone,
    ) -> impl Iterator<Item = V> + Clone {
        let voters = self.peers.values().filter(|peer| peer.voter);
        voters.map(value)
    }
}

impl Peer {
    /// One of whom nothing is known, and who is sent what comes from `next` on.
    pub(super) fn new(voter: bool, next: Index) -> Peer {
        Peer {
            voter,
            matched: Index(0),
            next,
            told: Index(0),
            round: 0,
            active: false,
            offered: None,
        }
    }
}

/// What a primary sends from.
pub(super) struct Source<'a> {
    pub(super) view: View,
    pub(super) commit: Index,
    pub(super) log: &'a Log,
    pub(super) config: &'a Config,
}

impl Source<'_> {
    /// Sends what is new, as far as the window allows.
    pub(super) fn send_prepares(&self, to: NodeId, peer: &mut Peer, fx: &mut Effects<Viewstamped>) {
        loop {
            let room = self.room(peer);
            let index = peer.next.before();
            let Some(epoch) = self.log.epoch_at(index).filter(|_| room > 0) else {
                // Without room, or compacted away: then the replica will ask for it.
                return;
            };
            let bytes_max = self.config.message_bytes_max;
            let entries = self.log.gather(peer.next, room, bytes_max);
            peer.next = peer.next.plus(entries.as_slice().len());
            peer.told = peer.told.max(self.commit.min(peer.next.before()));
            // Early: entries promise nothing. A primary that forgets them in a crash never presides
            // over this view again, so nothing else can ever stand in their place in it.
            fx.send_early(
                to,
                Message::Prepare {
                    view: self.view,
                    previous: Position { index, epoch },
                    commit: self.commit,
                    entries,
                },
            );
        }
    }

    /// The heartbeat, which is also the question whether this replica is still primary.
    pub(super) fn send_presiding(
        &self,
        to: NodeId,
        peer: &mut Peer,
        round: u64,
        fx: &mut Effects<Viewstamped>,
    ) {
        peer.told = peer.told.max(self.commit.min(peer.matched));
        // Early: that the view has begun is on disk, and the rest is committed.
        fx.send_early(
            to,
            Message::Presiding {
                view: self.view,
                round,
                commit: self.commit,
                matched: peer.matched,
                // Whatever is compacted away counts as sent: it has to be asked for.
                sent: peer.next.before().max(self.log.base().index),
            },
        );
    }

    /// Tells a replica what it may deliver, unless it knows.
    pub(super) fn send_commit(&self, to: NodeId, peer: &mut Peer, fx: &mut Effects<Viewstamped>) {
        // Who does not have it yet could do nothing with it, and is told once it answers.
        let commit = self.commit.min(peer.matched);
        if commit > peer.told {
            peer.told = commit;
            // Early: it is committed, whatever happens to this replica.
            fx.send_early(
                to,
                Message::Commit {
                    view: self.view,
                    commit,
                },
            );
        }
    }

    /// How many more entries may be sent ahead of the answers.
    fn room(&self, peer: &Peer) -> u64 {
        let sent = peer.next.before();
        let available = self.log.last().index.since(sent);
        let entries = sent.since(peer.matched);
        let bytes = self.log.bytes_between(peer.matched, sent);
        if bytes >= self.config.flight_bytes_max {
            return 0;
        }
        available.min(self.config.flight_entries_max.saturating_sub(entries))
    }
}

impl Viewstamped {
    /// The primary's own state beside what it sends from, if this replica is primary.
    pub(super) fn presiding(&mut self) -> Option<(&mut Primary, Source<'_>)> {
        let source = Source {
            view: self.view,
            commit: self.commit,
            log: &self.log,
            config: &self.config,
        };
        match &mut self.role {
            Role::Primary(primary) => Some((primary, source)),
            Role::Starting
            | Role::Backup
            | Role::Changing(_)
            | Role::Recovering(_)
            | Role::Transitioning(_)
            | Role::Outside { .. } => None,
        }
    }

    /// Primary: does something for every other replica.
    pub(super) fn for_each_peer(&mut self, mut f: impl FnMut(&Source<'_>, NodeId, &mut Peer)) {
        let me = self.me;
        if let Some((primary, source)) = self.presiding() {
            for (&to, peer) in &mut primary.peers {
                if to != me {
                    f(&source, to, peer);
                }
            }
        }
    }
}
