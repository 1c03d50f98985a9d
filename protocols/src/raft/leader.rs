//! What a leader knows of each replica, and what it sends them because of it (paper 5.3).
//!
//! A peer is first probed: one message at a time until the place is found where both logs agree.
//! Then entries are streamed ahead of the answers, within a window of entries and of bytes. A peer
//! that needs what was compacted away is sent a snapshot.

use alloc::collections::BTreeMap;

use quorate_core::{Effects, NodeId};

use crate::lease::Leases;
use crate::log::{Entries, Epoch as Term, Index, Log, Position};
use crate::reads::Reads;

use super::config::Config;
use super::configurations::Configurations;
use super::membership::Wanted;
use super::{Message, Raft};

/// Figure 2, volatile state on leaders.
#[derive(Clone, Hash, Debug)]
pub(super) struct Leader {
    /// All who are told everything, this replica among them: it counts itself by what it mailed itself.
    pub(super) peers: BTreeMap<NodeId, Peer>,
    pub(super) reads: Reads<Index>,
    /// The round of heartbeats that was begun last.
    pub(super) round: u64,
    /// The leases that others gave it in this term.
    pub(super) leases: Leases,
    /// To whom leadership is being handed.
    pub(super) transfer: Option<NodeId>,
    /// Who is to take part, as soon as a change can begin.
    pub(super) wanted: Option<Wanted>,
    /// Where the log ended at the last heartbeat: who has that much is not far behind.
    pub(super) lately: Index,
}

/// What a leader knows of one replica.
#[derive(Clone, Hash, Debug)]
pub(super) struct Peer {
    /// The log agrees through here, on that replica's disk.
    pub(super) matched: Index,
    /// Through here it promises to keep what it has. This is what counts; only a replica that lost
    /// records has more than it promises.
    pub(super) acked: Index,
    /// Whether its promises are worth anything.
    pub(super) trust: Trust,
    /// The next entry to send.
    pub(super) next: Index,
    /// The commit index it was last told.
    pub(super) told: Index,
    /// The latest round of heartbeats that it answered.
    pub(super) round: u64,
    /// Whether it was heard from since the quorum was last checked.
    pub(super) active: bool,
    pub(super) flow: Flow,
}

/// What a leader knows of a replica's memory.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) enum Trust {
    /// It says nothing of having lost any.
    Full,
    /// It lost records, and has asked for nothing else yet.
    None {
        /// The incarnation that said so.
        incarnation: u64,
    },
    /// It counts again from this entry on, once that is committed without it.
    Until {
        /// The incarnation that asked.
        incarnation: u64,
        /// The entry that was written then.
        index: Index,
    },
}

/// How entries flow to a peer.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) enum Flow {
    /// Looks for the place where the logs agree.
    Probe {
        /// Whether a probe is under way; heartbeats repeat it.
        waiting: bool,
    },
    /// Entries are sent ahead of the answers.
    Replicate,
    /// A snapshot is under way.
    Snapshot {
        /// Where it ends, or before: what the world attached may be newer.
        asked: Index,
        /// For how many heartbeats.
        heartbeats: u32,
    },
}

impl Leader {
    /// A leader whose next entry comes at `next`.
    pub(super) fn new(next: Index) -> Leader {
        Leader {
            peers: BTreeMap::new(),
            reads: Reads::default(),
            round: 0,
            leases: Leases::default(),
            transfer: None,
            wanted: None,
            lately: next,
        }
    }
}

impl Peer {
    /// A replica of which nothing is known.
    pub(super) fn new(next: Index) -> Peer {
        Peer {
            matched: Index(0),
            acked: Index(0),
            trust: Trust::Full,
            next,
            told: Index(0),
            round: 0,
            active: false,
            flow: Flow::Probe { waiting: false },
        }
    }
}

/// What a leader sends from.
pub(super) struct Source<'a> {
    pub(super) term: Term,
    pub(super) commit: Index,
    pub(super) log: &'a Log,
    pub(super) config: &'a Config,
    pub(super) configurations: &'a Configurations,
    /// How far it is known what is committed: a state that survived may be ahead of the log.
    pub(super) known: Index,
}

impl Source<'_> {
    /// The peer has what this log says through `index`; it is sent what follows.
    pub(super) fn agree(
        &self,
        from: NodeId,
        peer: &mut Peer,
        index: Index,
        me: NodeId,
        fx: &mut Effects<Raft>,
    ) {
        peer.active = true;
        peer.matched = peer.matched.max(index);
        peer.next = peer.next.max(peer.matched.next());
        match peer.flow {
            Flow::Replicate => {}
            // An old answer says nothing of the snapshot.
            Flow::Snapshot { asked, .. } if index < asked => {}
            Flow::Probe { .. } | Flow::Snapshot { .. } => {
                peer.flow = Flow::Replicate;
                peer.next = peer.matched.next();
            }
        }
        if from != me {
            self.send_entries(from, peer, fx);
            self.send_committed(from, peer, fx);
        }
    }

    /// Sends what the peer lacks, as far as its flow allows.
    pub(super) fn send_entries(&self, to: NodeId, peer: &mut Peer, fx: &mut Effects<Raft>) {
        loop {
            let entries_max = match peer.flow {
                Flow::Snapshot { .. } | Flow::Probe { waiting: true } => return,
                Flow::Probe { waiting: false } => u64::MAX,
                Flow::Replicate => match self.room(peer) {
                    0 => return,
                    room => room,
                },
            };
            let Some(previous) = self.previous(peer) else {
                self.send_snapshot(to, peer, fx);
                return;
            };
            let bytes_max = self.config.message_bytes_max;
            let entries = self.log.gather(peer.next, entries_max, bytes_max);
            match peer.flow {
                Flow::Replicate => peer.next = peer.next.plus(entries.as_slice().len()),
                _ => peer.flow = Flow::Probe { waiting: true },
            }
            self.send_append(to, peer, previous, entries, fx);
        }
    }

    /// An append without entries: its answer tells whether what was sent before has arrived.
    pub(super) fn send_probe(&self, to: NodeId, peer: &mut Peer, fx: &mut Effects<Raft>) {
        let previous = match peer.flow {
            // Once the snapshot is installed, its end is where the logs agree.
            Flow::Snapshot { .. } => Some(self.log.base()),
            Flow::Probe { .. } | Flow::Replicate => self.previous(peer),
        };
        match previous {
            Some(previous) => self.send_append(to, peer, previous, Entries::NONE, fx),
            None => self.send_snapshot(to, peer, fx),
        }
    }

    /// 7: the world attaches its newest state, which contains at least what is asked for here.
    pub(super) fn send_snapshot(&self, to: NodeId, peer: &mut Peer, fx: &mut Effects<Raft>) {
        if !peer.active {
            // It would be lost on a peer that is away, and missed only much later. The first
            // heartbeat after the peer's first answer comes here again.
            peer.flow = Flow::Probe { waiting: true };
            return;
        }
        let base = self.log.base();
        peer.flow = Flow::Snapshot {
            asked: base.index,
            heartbeats: 0,
        };
        // Early: a snapshot holds what is committed, which is a fact, not a promise.
        fx.send_early(
            to,
            Message::Snapshot {
                term: self.term,
                checkpoint: base.into(),
                through: self.known,
                members: self.configurations.through(self.known),
            },
        );
    }

    /// The heartbeat, which is also the question whether this replica still leads.
    pub(super) fn send_leading(
        &self,
        to: NodeId,
        peer: &mut Peer,
        round: u64,
        fx: &mut Effects<Raft>,
    ) {
        let commit = self.commit.min(peer.matched);
        peer.told = peer.told.max(commit);
        // Early: that this replica was elected is on a quorum's disks; the rest is committed.
        fx.send_early(
            to,
            Message::Leading {
                term: self.term,
                round,
                commit,
            },
        );
    }

    /// Tells a peer what it may deliver, unless it knows.
    pub(super) fn send_committed(&self, to: NodeId, peer: &mut Peer, fx: &mut Effects<Raft>) {
        let commit = self.commit.min(peer.matched);
        if commit > peer.told {
            peer.told = commit;
            // Early: it is committed, whatever happens to this replica.
            fx.send_early(
                to,
                Message::Committed {
                    term: self.term,
                    commit,
                },
            );
        }
    }

    /// Tells a peer that the entry which it waits for is committed, if it came to be so behind `since`.
    pub(super) fn send_restored(
        &self,
        to: NodeId,
        peer: &Peer,
        since: Index,
        fx: &mut Effects<Raft>,
    ) {
        if let Trust::Until { incarnation, index } = peer.trust
            && since < index
            && index <= self.commit
        {
            let epoch = self.term;
            let at = Position { index, epoch };
            // Early: it is committed, and who committed it does not change.
            fx.send_early(to, Message::Restored { incarnation, at });
        }
    }

    fn send_append(
        &self,
        to: NodeId,
        peer: &mut Peer,
        previous: Position,
        entries: Entries,
        fx: &mut Effects<Raft>,
    ) {
        let end = previous.index.plus(entries.as_slice().len());
        peer.told = peer.told.max(self.commit.min(end));
        // Early: entries promise nothing. A leader that forgets them in a crash never leads this
        // term again, so nothing else can ever stand in their place under this term.
        fx.send_early(
            to,
            Message::Append {
                term: self.term,
                previous,
                commit: self.commit,
                entries,
            },
        );
    }

    /// The position before the next entry to send, unless it was compacted away.
    fn previous(&self, peer: &Peer) -> Option<Position> {
        let index = peer.next.before();
        let epoch = self.log.epoch_at(index)?;
        Some(Position { index, epoch })
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
