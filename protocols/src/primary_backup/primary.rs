//! What a primary knows of each copy, and what it sends because of it.
//!
//! A peer is first probed: one message at a time until the place is found where both logs agree. Then
//! entries are streamed ahead of the answers, within a window of entries and of bytes. A peer that needs
//! what was compacted away is sent a snapshot. Members of the view and spares are treated alike, but only
//! members count.

use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;

use quorate_core::{Checkpoint, Effects, NodeId};

use super::view::Role;
use super::{Config, Entries, Flaw, Index, Log, Message, Number, Position, PrimaryBackup, Timer};
use crate::reads::Reads;
use crate::views::Replicator;

/// A primary's state.
#[derive(Clone, Hash, Debug)]
pub(super) struct Primary {
    /// Whether the view service has written down that it acknowledged the view. Until then nothing is
    /// ordered, and everything it sends waits for its own disk: stopped now, it would start over with less.
    pub(super) active: bool,
    /// Whether it stopped itself, since the view service does not answer.
    pub(super) lapsed: bool,
    /// The members of its view, itself first.
    pub(super) members: Arc<[NodeId]>,
    /// How often the view service's state had changed when it last looked who keeps copies.
    pub(super) changes: u64,
    /// All that keep copies, itself among them: it counts itself by what it mailed itself.
    pub(super) peers: BTreeMap<NodeId, Peer>,
    /// How far it had delivered at the last heartbeat.
    pub(super) goal: Index,
    pub(super) reads: Reads<Index>,
    /// Who should be primary instead.
    pub(super) transfer: Option<NodeId>,
}

/// What a primary knows of one replica.
#[derive(Clone, Hash, Debug)]
pub(super) struct Peer {
    /// The log agrees through here, on that replica's disk.
    pub(super) matched: Index,
    /// The next entry to send.
    pub(super) next: Index,
    /// How far it was last told to deliver.
    pub(super) told: Index,
    /// The latest round of heartbeats that it answered.
    pub(super) round: u64,
    /// Whether it was heard of in this view.
    pub(super) heard: bool,
    /// For how many heartbeats nothing was heard of it.
    pub(super) silent: u32,
    /// For how many heartbeats it has not come any further although it could have.
    pub(super) stuck: u32,
    pub(super) flow: Flow,
}

impl Peer {
    /// Nothing is known of it.
    pub(super) fn new(next: Index) -> Peer {
        Peer {
            matched: Index(0),
            next,
            told: Index(0),
            round: 0,
            heard: false,
            silent: 0,
            stuck: 0,
            flow: Flow::Probe { waiting: false },
        }
    }

    /// It is there.
    pub(super) fn answered(&mut self) {
        self.heard = true;
        self.silent = 0;
    }
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

impl Primary {
    /// The least that all members have, by some measure.
    pub(super) fn least<T: Ord + Copy + Default>(&self, measure: impl Fn(&Peer) -> T) -> T {
        let peers = self.members.iter().map(|id| self.peers.get(id));
        let least = peers.map(|peer| peer.map_or(T::default(), &measure));
        least.min().unwrap_or_default()
    }

    /// The members that have not answered for `patience` heartbeats, or do not come any further: that may
    /// be the primary itself, if its disk has stopped.
    pub(super) fn missing(&self, patience: u32) -> impl Iterator<Item = NodeId> + '_ {
        let gone = move |&(place, id): &(usize, &NodeId)| {
            let peer = self.peers.get(id);
            peer.is_some_and(|peer| {
                (place > 0 && peer.silent > patience) || peer.stuck > 2 * patience
            })
        };
        let members = self.members.iter().enumerate().filter(gone);
        members.map(|(_, id)| *id)
    }

    /// The spares that have all that was delivered a heartbeat ago; with a flaw, all that are there.
    pub(super) fn ready(&self, hollow: bool) -> impl Iterator<Item = NodeId> + '_ {
        let spares = self
            .peers
            .iter()
            .filter(|(id, _)| !self.members.contains(id));
        let ready = spares.filter(move |(_, peer)| {
            let complete = peer.flow == Flow::Replicate && peer.matched >= self.goal;
            peer.heard && peer.silent < 2 && (complete || hollow)
        });
        ready.map(|(id, _)| *id)
    }
}

/// What a primary sends from.
pub(super) struct Source<'a, S> {
    pub(super) view: Number,
    pub(super) commit: Index,
    pub(super) active: bool,
    pub(super) log: &'a Log,
    pub(super) config: &'a Config<S>,
}

impl<S> Source<'_, S> {
    /// Sends what the peer lacks, as far as its flow allows.
    pub(super) fn send_entries<M>(
        &self,
        to: NodeId,
        peer: &mut Peer,
        fx: &mut Effects<PrimaryBackup<M>>,
    ) where
        M: Replicator<Config = S>,
    {
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
            self.send_update(to, peer, previous, entries, fx);
        }
    }

    /// An update without entries: its answer tells whether what was sent before has arrived.
    pub(super) fn send_probe<M>(
        &self,
        to: NodeId,
        peer: &mut Peer,
        fx: &mut Effects<PrimaryBackup<M>>,
    ) where
        M: Replicator<Config = S>,
    {
        let previous = match peer.flow {
            // Once the snapshot is installed, its end is where the logs agree.
            Flow::Snapshot { .. } => Some(self.log.base()),
            Flow::Probe { .. } | Flow::Replicate => self.previous(peer),
        };
        match previous {
            Some(previous) => self.send_update(to, peer, previous, Entries::NONE, fx),
            None => self.send_snapshot(to, peer, fx),
        }
    }

    /// The world attaches its newest state, which contains at least what is asked for here.
    pub(super) fn send_snapshot<M>(
        &self,
        to: NodeId,
        peer: &mut Peer,
        fx: &mut Effects<PrimaryBackup<M>>,
    ) where
        M: Replicator<Config = S>,
    {
        if !peer.heard || peer.silent > 1 {
            // It would be lost on a peer that is away, and missed only much later. The first
            // heartbeat after the peer's next answer comes here again.
            peer.flow = Flow::Probe { waiting: true };
            return;
        }
        let base = self.log.base();
        peer.flow = Flow::Snapshot {
            asked: base.index,
            heartbeats: 0,
        };
        let snapshot = Message::Snapshot {
            view: self.view,
            checkpoint: Checkpoint::from(base),
        };
        self.send(to, snapshot, fx);
    }

    /// The heartbeat, which is also the question whether there is a later view.
    pub(super) fn send_leading<M>(
        &self,
        to: NodeId,
        peer: &mut Peer,
        round: u64,
        fx: &mut Effects<PrimaryBackup<M>>,
    ) where
        M: Replicator<Config = S>,
    {
        let commit = self.commit.min(peer.matched);
        peer.told = peer.told.max(commit);
        let leading = Message::Leading {
            view: self.view,
            round,
            commit,
        };
        self.send(to, leading, fx);
    }

    /// Tells a peer what it may deliver, unless it knows.
    pub(super) fn send_committed<M>(
        &self,
        to: NodeId,
        peer: &mut Peer,
        fx: &mut Effects<PrimaryBackup<M>>,
    ) where
        M: Replicator<Config = S>,
    {
        let commit = self.commit.min(peer.matched);
        if commit > peer.told {
            peer.told = commit;
            let view = self.view;
            self.send(to, Message::Committed { view, commit }, fx);
        }
    }

    fn send_update<M>(
        &self,
        to: NodeId,
        peer: &mut Peer,
        previous: Position,
        entries: Entries,
        fx: &mut Effects<PrimaryBackup<M>>,
    ) where
        M: Replicator<Config = S>,
    {
        let end = previous.index.plus(entries.as_slice().len());
        peer.told = peer.told.max(self.commit.min(end));
        let update = Message::Update {
            view: self.view,
            previous,
            commit: self.commit,
            entries,
        };
        self.send(to, update, fx);
    }

    fn send<M>(&self, to: NodeId, message: Message<M::Message>, fx: &mut Effects<PrimaryBackup<M>>)
    where
        M: Replicator<Config = S>,
    {
        match self.active {
            // Early: that this replica is primary is on every member's disk and on the view service's. If
            // it forgets what it ordered in this view, it is not primary of this view any more, so
            // nothing else can ever stand in its place under this view.
            true => fx.send_early(to, message),
            // Held: stopped now, it would be asked to begin this view again, with the same log as before.
            false => fx.send(to, message),
        }
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

impl<M: Replicator> PrimaryBackup<M> {
    /// The view service made this replica the primary of its view. It has everything that was ever
    /// acknowledged; now it brings all other members to what it has.
    pub(super) fn become_primary(&mut self, members: Arc<[NodeId]>, fx: &mut Effects<Self>) {
        assert_eq!(members.first(), Some(&self.me), "the first member is it");
        let last = self.log.last().index;
        let peer = |id: NodeId| (id, Peer::new(last.next()));
        let copies = self.seat.copies();
        self.role = Role::Primary(Primary {
            active: false,
            lapsed: false,
            members,
            changes: self.seat.known().changes,
            peers: copies.map(peer).collect(),
            goal: last,
            reads: Reads::default(),
            transfer: None,
        });
        let view = self.number;
        fx.send(self.me, Message::Updated { view, index: last });
        self.for_each_peer(|source, to, peer| source.send_entries(to, peer, fx));
        let heartbeat = self.config.heartbeat;
        fx.set_timer(Timer::Heartbeat, heartbeat..heartbeat);
        self.renew_lease(fx);
    }

    /// Primary: all members have what it has, so it acknowledges the view.
    pub(super) fn maybe_acknowledge(&mut self, fx: &mut Effects<Self>) {
        let (me, last, view) = (self.me, self.log.last().index, self.number);
        let hollow = self.has(Flaw::SpareWithoutTransfer);
        let Role::Primary(primary) = &self.role else {
            return;
        };
        let reached = match hollow {
            true => primary.peers.get(&me).map_or(Index(0), |own| own.matched),
            false => primary.least(|peer| peer.matched),
        };
        // An empty log is reached before anybody has answered.
        let answered = |peer: &Peer| u64::from(peer.flow == Flow::Replicate);
        let answered = match hollow {
            true => primary.peers.get(&me).map_or(0, answered),
            false => primary.least(answered),
        };
        if !primary.active && reached >= last && answered > 0 {
            self.seat.report(fx, |report| report.acknowledged = view);
        }
    }

    /// Primary: the view service knows that it acknowledged the view, so it begins to serve.
    pub(super) fn maybe_activate(&mut self, fx: &mut Effects<Self>) {
        let Role::Primary(primary) = &mut self.role else {
            return;
        };
        if primary.active {
            return;
        }
        primary.active = true;
        self.leader = Some(self.me);
        self.tell_leader(fx);
        self.maybe_commit(fx);
        self.send_heartbeats(fx);
    }

    /// Primary: does something for every other copy.
    pub(super) fn for_each_peer(
        &mut self,
        mut f: impl FnMut(&Source<'_, M::Config>, NodeId, &mut Peer),
    ) {
        let me = self.me;
        if let Some((primary, source)) = self.leading() {
            for (&to, peer) in &mut primary.peers {
                if to != me {
                    f(&source, to, peer);
                }
            }
        }
    }

    /// The primary's own state beside what it sends from, if this replica is one.
    pub(super) fn leading(&mut self) -> Option<(&mut Primary, Source<'_, M::Config>)> {
        match &mut self.role {
            Role::Primary(primary) => {
                let source = Source {
                    view: self.number,
                    commit: self.commit,
                    active: primary.active,
                    log: &self.log,
                    config: &self.config,
                };
                Some((primary, source))
            }
            Role::Follower | Role::Lost { .. } => None,
        }
    }

    /// Primary: lets all others hear of it, finds out what was lost on the way to them, and tells the view
    /// service how they are.
    pub(super) fn on_heartbeat(&mut self, fx: &mut Effects<Self>) {
        let patience = self.config.patience().saturating_mul(self.seat.slack());
        let (last, commit) = (self.log.last().index, self.commit);
        let hollow = self.has(Flaw::SpareWithoutTransfer);
        let Role::Primary(primary) = &mut self.role else {
            return;
        };
        let ready: Vec<NodeId> = primary.ready(hollow).collect();
        let missing: Vec<NodeId> = primary.missing(patience).collect();
        let active = primary.active;
        primary.goal = commit;
        for peer in primary.peers.values_mut() {
            peer.silent = peer.silent.saturating_add(1);
            let waits = peer.matched < last && !matches!(peer.flow, Flow::Snapshot { .. });
            peer.stuck = if waits {
                peer.stuck.saturating_add(1)
            } else {
                0
            };
            if let Flow::Snapshot { heartbeats, .. } = &mut peer.flow {
                *heartbeats = heartbeats.saturating_add(1);
            }
        }
        self.send_heartbeats(fx);
        self.for_each_peer(|source, to, peer| {
            if !active || peer.matched < last || !matches!(peer.flow, Flow::Replicate) {
                source.send_probe(to, peer, fx);
            }
        });
        let heartbeat = self.config.heartbeat;
        fx.set_timer(Timer::Heartbeat, heartbeat..heartbeat);
        self.doubt(missing.is_empty(), fx);
        self.seat.report(fx, |report| {
            report.ready = ready;
            report.missing = missing;
        });
    }

    /// A primary that cannot reach its backups can finish nothing, and does not pretend to lead.
    fn doubt(&mut self, all_there: bool, fx: &mut Effects<Self>) {
        if let Role::Primary(primary) = &self.role {
            let leads = primary.active && !primary.lapsed && all_there;
            self.leader = leads.then_some(self.me);
            self.tell_leader(fx);
        }
    }

    fn send_heartbeats(&mut self, fx: &mut Effects<Self>) {
        let Role::Primary(primary) = &self.role else {
            return;
        };
        let round = primary.reads.round();
        if primary.active {
            self.for_each_peer(|source, to, peer| source.send_leading(to, peer, round, fx));
        }
    }
}
