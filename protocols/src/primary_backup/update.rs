//! Updates: how the primary's log becomes everybody's, and what is delivered.

use quorate_core::{Effects, NodeId};
use quorate_problems::total_order::Output;

use super::config::Mode;
use super::primary::Flow;
use super::view::Role;
use super::{
    Content, Entries, Entry, Flaw, Index, Message, Number, Position, PrimaryBackup, Record, Timer,
};
use crate::views::Replicator;

impl<M: Replicator> PrimaryBackup<M> {
    /// Primary: a new entry at the end of its own log, on its way to all others at once.
    pub(super) fn append(&mut self, content: Content, fx: &mut Effects<Self>) {
        let view = self.number;
        let entry = Entry {
            epoch: view,
            content,
        };
        let index = self.log.push(entry.clone(), fx.frame());
        fx.persist(Record::Append { index, entry });
        fx.send(self.me, Message::Updated { view, index });
        self.for_each_peer(|source, to, peer| source.send_entries(to, peer, fx));
    }

    /// Follower: the primary's log goes on.
    pub(super) fn on_update(
        &mut self,
        from: NodeId,
        view: Number,
        previous: Position,
        commit: Index,
        entries: &Entries,
        fx: &mut Effects<Self>,
    ) {
        if !self.hear(from) {
            return;
        }
        let mut entries = entries.as_slice();
        let mut previous = previous;
        // What is delivered here is in every later primary's log, so only what lies behind it needs
        // comparing. Nothing delivered can be truncated, and nothing compacted is missed.
        let known = usize::try_from(self.commit.since(previous.index)).unwrap_or(usize::MAX);
        if known > 0 {
            entries = entries.get(known..).unwrap_or_default();
            let index = self.commit;
            let epoch = self.log.epoch_at(index);
            let epoch = epoch.expect("what is delivered is in the log");
            previous = Position { index, epoch };
        }
        if !self.log.matches(previous) {
            let hint = self.log.latest(previous.index, previous.epoch);
            let differs = Message::Differs {
                view,
                previous: previous.index,
                hint: hint.unwrap_or(self.log.base()),
            };
            fx.send(from, differs);
            return;
        }
        self.take_entries(previous.index, entries, fx);
        let index = previous.index.plus(entries.len());
        fx.send(from, Message::Updated { view, index });
        self.leak(Flaw::EarlyAck, fx);
        self.commit_through(commit.min(index), fx);
    }

    /// Entries that are here already stay, since a late message may carry less than what is here; from
    /// the first that differs on, the primary's replace them: those were never acknowledged, since the
    /// primary does not have them.
    fn take_entries(&mut self, previous: Index, entries: &[Entry], fx: &mut Effects<Self>) {
        let mut index = previous;
        for entry in entries {
            index = index.next();
            match self.log.epoch_at(index) {
                Some(epoch) if epoch == entry.epoch => continue,
                Some(_) => {
                    assert!(index > self.commit, "what is delivered never changes");
                    self.log.truncate(index);
                }
                None => {}
            }
            self.log.push(entry.clone(), fx.frame());
            fx.persist(Record::Append {
                index,
                entry: entry.clone(),
            });
        }
    }

    /// Primary: a replica, perhaps this one, has on its disk what this log says through `index`.
    pub(super) fn on_updated(&mut self, from: NodeId, index: Index, fx: &mut Effects<Self>) {
        let me = self.me;
        let Some((primary, source)) = self.leading() else {
            return;
        };
        let Some(peer) = primary.peers.get_mut(&from) else {
            return;
        };
        peer.answered();
        let mut advanced = index > peer.matched;
        if advanced {
            peer.stuck = 0;
        }
        peer.matched = peer.matched.max(index);
        peer.next = peer.next.max(peer.matched.next());
        match peer.flow {
            Flow::Replicate => {}
            // An old answer says nothing of the snapshot.
            Flow::Snapshot { asked, .. } if index < asked => {}
            Flow::Probe { .. } | Flow::Snapshot { .. } => {
                peer.flow = Flow::Replicate;
                peer.next = peer.matched.next();
                advanced = true;
            }
        }
        if from != me {
            source.send_entries(from, peer, fx);
            source.send_committed(from, peer, fx);
        }
        if advanced {
            self.maybe_acknowledge(fx);
            self.maybe_commit(fx);
        }
    }

    /// Primary: the logs do not agree where it was hoped. Goes back past everything that cannot agree
    /// either: one exchange for each conflicting view, not for each entry.
    pub(super) fn on_differs(
        &mut self,
        from: NodeId,
        previous: Index,
        hint: Position,
        fx: &mut Effects<Self>,
    ) {
        let Some((primary, source)) = self.leading() else {
            return;
        };
        let spare = !primary.members.contains(&from);
        let Some(peer) = primary.peers.get_mut(&from) else {
            return;
        };
        peer.answered();
        // A spare that lost its records starts over. With a member in that state there is another view.
        let forgot = spare && hint.index < peer.matched;
        if forgot {
            peer.matched = Index(0);
        }
        let probed = previous == peer.next.before() || forgot;
        match peer.flow {
            // Older than an answer that came before it.
            _ if previous <= peer.matched && !forgot => {}
            Flow::Probe { .. } if !probed => {}
            Flow::Probe { .. } | Flow::Replicate => {
                let limit = hint.index.min(previous.before());
                // Where nothing of that age is left, the base itself is asked for: a snapshot.
                let agreed = source.log.latest(limit, hint.epoch);
                let next = agreed.map_or(source.log.base().index, |found| found.index.next());
                peer.next = next.max(peer.matched.next());
                peer.flow = Flow::Probe { waiting: false };
                source.send_entries(from, peer, fx);
            }
            // It answers, but does not have the snapshot: that may have been lost.
            Flow::Snapshot { heartbeats, .. } => {
                let config = source.config;
                if config.heartbeat * heartbeats >= config.snapshot_retry {
                    source.send_snapshot(from, peer, fx);
                }
            }
        }
    }

    /// Primary: delivers what all members of the view have on disk.
    pub(super) fn maybe_commit(&mut self, fx: &mut Effects<Self>) {
        let Role::Primary(primary) = &self.role else {
            return;
        };
        let reached = match self.config.mode {
            Mode::Synchronous => primary.least(|peer| peer.matched),
            Mode::Asynchronous => {
                let own = primary.peers.get(&self.me);
                own.map_or(Index(0), |own| own.matched)
            }
        };
        if primary.active && reached > self.commit {
            self.commit_through(reached, fx);
            self.for_each_peer(|source, to, peer| source.send_committed(to, peer, fx));
            self.maybe_ask_round(fx);
        }
    }

    /// Delivers everything through `index` that is not delivered yet.
    pub(super) fn commit_through(&mut self, index: Index, fx: &mut Effects<Self>) {
        // A primary never names more than what this replica acknowledged, but a replica that lost its
        // disk unnoticed may be told of it all the same: then there is nothing to deliver.
        let end = index.min(self.log.last().index);
        while self.commit < end {
            self.commit = self.commit.next();
            let entry = self.log.entry(self.commit);
            let entry = entry.expect("what is to be delivered is in the log");
            fx.output(Output::Deliver {
                position: self.commit.0,
                epoch: entry.epoch.0,
                payload: entry.payload(),
            });
        }
    }

    /// Follower: the primary is there.
    pub(super) fn on_leading(
        &mut self,
        from: NodeId,
        round: u64,
        commit: Index,
        fx: &mut Effects<Self>,
    ) {
        if self.hear(from) {
            self.leader = Some(from);
            self.tell_leader(fx);
            let silence = self.config.election_timeout * self.seat.slack();
            fx.set_timer(Timer::Silence, silence..silence);
            let view = self.number;
            // Early: it says what did not happen before now. Only whoever is first in a later view must
            // not forget that it entered it, and that one waits for its disk before anybody hears of it.
            fx.send_early(from, Message::Heard { view, round });
            self.commit_through(commit, fx);
        }
    }

    /// Follower: the primary is not heard of. What comes of it is for the view service to say; until then
    /// nothing is passed on to it.
    pub(super) fn on_silence(&mut self, fx: &mut Effects<Self>) {
        self.leader = None;
        self.tell_leader(fx);
    }

    /// Follower: more may be delivered.
    pub(super) fn on_committed(&mut self, from: NodeId, commit: Index, fx: &mut Effects<Self>) {
        if self.hear(from) {
            self.commit_through(commit, fx);
        }
    }

    /// Primary: a replica knows of no later view.
    pub(super) fn on_heard(&mut self, from: NodeId, round: u64, fx: &mut Effects<Self>) {
        if let Some((primary, _)) = self.leading()
            && let Some(peer) = primary.peers.get_mut(&from)
        {
            peer.answered();
            peer.round = peer.round.max(round);
            self.maybe_answer_reads(fx);
        }
    }
}
