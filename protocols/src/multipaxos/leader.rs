//! What a leader knows of each replica, and what it sends them because of it.
//!
//! Slots are independent: a peer accepts in any order, and the leader remembers for each which slots it
//! has, a beginning without holes and some ranges behind it. Values are sent ahead of the answers, within
//! a bound on slots and on bytes. A value that a peer lacks is proposed to it in the present ballot,
//! although it may have been chosen in an earlier one: nothing else could be proposed in its slot (P2c).

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use quorate_core::{Checkpoint, Effects, NodeId};
use quorate_problems::total_order::Membership;

use super::ballot::{Ballot, Slot};
use super::config::Config;
use super::prepare::Answer;
use super::reconfigure::{Change, Stage};
use super::slots::Slots;
use super::tenure::Tenures;
use super::{Message, MultiPaxos};
use crate::lease::Leases;
use crate::log::Entries;
use crate::reads::Reads;

/// What only a leader knows.
#[derive(Clone, Hash, Debug)]
pub(super) struct Leader {
    /// Who takes part, comes or goes, and this replica: it counts itself by what it mailed itself.
    pub(super) peers: BTreeMap<NodeId, Peer>,
    /// In phase 1 nothing was found behind this slot. When all through it is chosen, so is everything
    /// that anyone may have delivered in earlier ballots.
    pub(super) opened: Slot,
    /// The next free slot.
    pub(super) next: Slot,
    pub(super) reads: Reads<Slot>,
    /// The leases that others gave it in this ballot.
    pub(super) leases: Leases,
    /// To whom leadership is being handed.
    pub(super) transfer: Option<NodeId>,
    /// Whether it may propose.
    pub(super) stage: Stage,
    /// Who shall take part.
    pub(super) change: Change,
}

/// What a leader knows of one replica.
#[derive(Clone, Hash, Debug)]
pub(super) struct Peer {
    /// Which slots it has on disk.
    pub(super) has: Has,
    /// The next slot to send.
    pub(super) next: Slot,
    /// How much it was last told to be chosen.
    pub(super) told: Slot,
    /// The latest round that it answered.
    pub(super) round: u64,
    /// Whether it was heard from since the quorum was last checked.
    pub(super) active: bool,
    /// The question how far it has come that is under way, by the slot it was asked before.
    pub(super) probe: Option<Slot>,
    pub(super) flow: Flow,
}

/// How values flow to a peer.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) enum Flow {
    /// It is not known how far it has come; heartbeats ask.
    Unknown,
    /// Values are sent ahead of the answers.
    Stream,
    /// A snapshot is under way.
    Snapshot {
        /// Where it ends, or before: what the world attached may be newer.
        asked: Slot,
        /// For how many heartbeats.
        heartbeats: u32,
    },
}

/// A set of slots: all through one, and a few ranges behind it.
#[derive(Clone, Default, Hash, Debug)]
pub(super) struct Has {
    pub(super) through: Slot,
    /// Disjoint, in order, first and last.
    ranges: Vec<(Slot, Slot)>,
}

impl Has {
    pub(super) fn contains(&self, slot: Slot) -> bool {
        let within = |range: &(Slot, Slot)| range.0 <= slot && slot <= range.1;
        slot <= self.through || self.ranges.iter().any(within)
    }

    /// Adds all through `through`, and `first..=last`.
    pub(super) fn insert(&mut self, first: Slot, last: Slot, through: Slot) {
        self.through = self.through.max(through);
        if first <= last {
            let place = self.ranges.partition_point(|range| range.0 < first);
            self.ranges.insert(place, (first, last));
        }
        // Ranges that touch become one, and the first joins the beginning if it touches that.
        let mut joined = 0;
        for place in 0..self.ranges.len() {
            let (first, last) = self.ranges[place];
            if first <= self.through.next() {
                self.through = self.through.max(last);
            } else if joined > 0 && first <= self.ranges[joined - 1].1.next() {
                self.ranges[joined - 1].1 = self.ranges[joined - 1].1.max(last);
            } else {
                self.ranges[joined] = (first, last);
                joined += 1;
            }
        }
        self.ranges.truncate(joined);
    }

    /// The runs of slots that are missing before `end`, each as its first slot and how many.
    fn missing(&self, end: Slot) -> impl Iterator<Item = (Slot, u64)> + '_ {
        let starts = core::iter::once(self.through);
        let starts = starts.chain(self.ranges.iter().map(|range| range.1));
        let ends = self.ranges.iter().map(|range| range.0).chain([end]);
        let runs = starts.zip(ends);
        runs.map(move |(have, next)| (have.next(), next.min(end).since(have.next())))
            .filter(|&(_, count)| count > 0)
    }
}

impl Peer {
    /// Nothing was heard of it.
    pub(super) fn unknown() -> Peer {
        Peer {
            has: Has::default(),
            next: Slot(1),
            told: Slot(0),
            round: 0,
            active: false,
            probe: None,
            flow: Flow::Unknown,
        }
    }
}

impl Leader {
    pub(super) fn new(
        members: &Membership,
        me: NodeId,
        answers: &BTreeMap<NodeId, Answer>,
        opened: Slot,
    ) -> Leader {
        let peer = |id: NodeId| {
            let mut peer = Peer::unknown();
            if let Some(answer) = answers.get(&id) {
                peer.has.through = answer.through.min(opened);
                peer.next = peer.has.through.next();
                (peer.active, peer.flow) = (true, Flow::Stream);
            }
            (id, peer)
        };
        Leader {
            peers: members.iter().chain([me]).map(peer).collect(),
            stage: Stage::Open,
            change: Change::under(members.version),
            opened,
            next: opened.next(),
            reads: Reads::default(),
            leases: Leases::default(),
            transfer: None,
        }
    }
}

/// What a leader sends from.
pub(super) struct Source<'a> {
    pub(super) ballot: Ballot,
    pub(super) chosen: Slot,
    pub(super) since: Slot,
    pub(super) opened: Option<Slot>,
    pub(super) next: Slot,
    pub(super) tenures: &'a Tenures,
    pub(super) slots: &'a Slots,
    pub(super) config: &'a Config,
}

impl Source<'_> {
    /// Sends what the peer lacks, as far as its flow allows.
    pub(super) fn send_values(&self, to: NodeId, peer: &mut Peer, fx: &mut Effects<MultiPaxos>) {
        while peer.flow == Flow::Stream && peer.next < self.next {
            if peer.next <= self.slots.base().index {
                self.send_snapshot(to, peer, fx);
                return;
            }
            let room = self.room(peer).min(self.next.since(peer.next));
            if room == 0 {
                return;
            }
            let entries = self
                .slots
                .gather(peer.next, room, self.config.message_bytes_max);
            let first = peer.next;
            peer.next = first.plus(entries.as_slice().len());
            self.send_accept(to, peer, first, entries, fx);
        }
    }

    /// Asks how far the peer has come: its answer tells what of all that was sent is lost.
    pub(super) fn send_probe(&self, to: NodeId, peer: &mut Peer, fx: &mut Effects<MultiPaxos>) {
        peer.probe = Some(peer.next);
        self.send_accept(to, peer, peer.next, Entries::NONE, fx);
    }

    /// Sends again what did not arrive before `end`.
    pub(super) fn send_again(
        &self,
        to: NodeId,
        peer: &mut Peer,
        end: Slot,
        fx: &mut Effects<MultiPaxos>,
    ) {
        if peer.has.through < self.slots.base().index {
            self.send_snapshot(to, peer, fx);
            return;
        }
        let runs: Vec<_> = peer.has.missing(end.min(self.next)).collect();
        for (mut first, mut count) in runs {
            while count > 0 {
                let bytes_max = self.config.message_bytes_max;
                let entries = self.slots.gather(first, count, bytes_max);
                let sent = entries.as_slice().len();
                self.send_accept(to, peer, first, entries, fx);
                first = first.plus(sent);
                count -= sent as u64;
            }
        }
    }

    /// The world attaches its newest state, which contains at least what is asked for here.
    pub(super) fn send_snapshot(&self, to: NodeId, peer: &mut Peer, fx: &mut Effects<MultiPaxos>) {
        if !peer.active {
            // It would be lost on a peer that is away, and missed only much later. The first
            // heartbeat after the peer's first answer comes here again.
            peer.flow = Flow::Unknown;
            return;
        }
        let base = self.slots.base();
        peer.flow = Flow::Snapshot {
            asked: base.index,
            heartbeats: 0,
        };
        // Early: a snapshot holds what is chosen, which is a fact, not a promise.
        fx.send_early(
            to,
            Message::Snapshot {
                ballot: self.ballot,
                checkpoint: Checkpoint::from(base),
                tenures: self.tenures.iter().cloned().collect(),
            },
        );
    }

    /// The heartbeat, which is also the question whether this replica still leads.
    pub(super) fn send_leading(
        &self,
        to: NodeId,
        peer: &mut Peer,
        round: u64,
        fx: &mut Effects<MultiPaxos>,
    ) {
        peer.told = peer.told.max(self.chosen);
        // Early: that this ballot is led is on a phase-1 quorum's disks; the rest is chosen.
        fx.send_early(
            to,
            Message::Leading {
                ballot: self.ballot,
                round,
                chosen: self.chosen,
                opened: self.opened,
            },
        );
    }

    /// Tells a peer what is chosen, unless it knows.
    pub(super) fn send_chosen(&self, to: NodeId, peer: &mut Peer, fx: &mut Effects<MultiPaxos>) {
        if self.chosen > peer.told {
            peer.told = self.chosen;
            // Early: it is chosen, whatever happens to this replica.
            fx.send_early(
                to,
                Message::Chosen {
                    ballot: self.ballot,
                    through: self.chosen,
                },
            );
        }
    }

    fn send_accept(
        &self,
        to: NodeId,
        peer: &mut Peer,
        first: Slot,
        entries: Entries,
        fx: &mut Effects<MultiPaxos>,
    ) {
        peer.told = peer.told.max(self.chosen);
        // Early: a proposal promises nothing. A leader that forgets it in a crash never leads this
        // ballot again, so nothing else is ever proposed in its slot in this ballot.
        fx.send_early(
            to,
            Message::Accept {
                ballot: self.ballot,
                first,
                chosen: self.chosen,
                since: self.since,
                entries,
            },
        );
    }

    /// How many more slots may be sent ahead of the answers.
    fn room(&self, peer: &Peer) -> u64 {
        let sent = peer.next.before();
        let ahead = sent.since(peer.has.through);
        let bytes = self.slots.bytes_between(peer.has.through, sent);
        match ahead > 0 && bytes >= self.config.flight_bytes_max {
            true => 0,
            false => self.config.flight_entries_max.saturating_sub(ahead),
        }
    }
}
