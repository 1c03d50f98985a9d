//! Log replication (paper 5.3): how a leader's log becomes everybody's.

use core::time::Duration;

use quorate_core::{Effects, NodeId};

use crate::log::{Content, Entries, Entry, Index, Position};

use super::leader::{Flow, Leader, Peer, Source, Trust};
use super::message::{Message, Record, Timer};
use super::role::Role;
use super::{Flaw, Raft};

impl Raft {
    /// Leader: a new entry at the end of its own log, on its way to all others at once.
    pub(super) fn append(&mut self, content: Content, fx: &mut Effects<Raft>) {
        let entry = Entry {
            epoch: self.term,
            content,
        };
        let index = self.write_entry(entry, fx);
        fx.send(
            self.me,
            Message::Appended {
                term: self.term,
                incarnation: self.incarnation,
                index,
            },
        );
        self.for_each_peer(|source, to, peer| source.send_entries(to, peer, fx));
    }

    /// Leader: does something for every other replica.
    pub(super) fn for_each_peer(&mut self, mut f: impl FnMut(&Source<'_>, NodeId, &mut Peer)) {
        let me = self.me;
        if let Some((leader, source)) = self.leading() {
            for (&to, peer) in &mut leader.peers {
                if to != me {
                    f(&source, to, peer);
                }
            }
        }
    }

    /// The leader's own state beside what it sends from, if this replica leads.
    pub(super) fn leading(&mut self) -> Option<(&mut Leader, Source<'_>)> {
        let source = Source {
            term: self.term,
            commit: self.commit,
            log: &self.log,
            config: &self.config,
            configurations: &self.configurations,
            known: self.commit.max(self.delivered),
        };
        match &mut self.role {
            Role::Leader(leader) => Some((leader, source)),
            Role::Follower
            | Role::PreCandidate { .. }
            | Role::Candidate { .. }
            | Role::Damaged(_) => None,
        }
    }

    /// Follower: figure 2, AppendEntries.
    pub(super) fn on_append(
        &mut self,
        from: NodeId,
        previous: Position,
        commit: Index,
        entries: Entries,
        fx: &mut Effects<Raft>,
    ) {
        if !self.hear(from, fx) {
            return;
        }
        let mut count = entries.as_slice().len();
        let mut previous = previous;
        // What is committed here is in every later leader's log (5.4.3), so only what lies behind it
        // needs comparing. Nothing committed can be truncated, and nothing compacted is missed.
        let known = usize::try_from(self.commit.since(previous.index)).unwrap_or(usize::MAX);
        if known > 0 {
            count = count.saturating_sub(known);
            let index = self.commit;
            let term = self
                .log
                .epoch_at(index)
                .expect("the commit index is in the log");
            previous = Position { index, epoch: term };
        }
        if !self.log.matches(previous) {
            let hint = self.log.latest(previous.index, previous.epoch);
            fx.send(
                from,
                Message::Rejected {
                    term: self.term,
                    previous: previous.index,
                    hint: hint.unwrap_or(self.log.base()),
                },
            );
            return;
        }
        self.take_entries(previous.index, entries.into_iter().skip(known), fx);
        self.maybe_rejoined(fx);
        let index = previous.index.plus(count);
        self.acknowledge(from, index, fx);
        self.leak(Flaw::EarlyAck, fx);
        self.commit_through(commit.min(index), fx);
    }

    /// Follower: its disk agrees with the leader through `index`.
    pub(super) fn acknowledge(&self, to: NodeId, index: Index, fx: &mut Effects<Raft>) {
        let (term, incarnation) = (self.term, self.incarnation);
        let message = match self.may_promise() {
            true => Message::Appended {
                term,
                incarnation,
                index,
            },
            false => Message::Copied {
                term,
                incarnation,
                index,
            },
        };
        fx.send(to, message);
    }

    /// Figure 2, AppendEntries 3 and 4: entries that are here already stay, since a late message may
    /// carry less than what is here; from the first that differs on, the leader's replace them.
    fn take_entries(
        &mut self,
        previous: Index,
        entries: impl Iterator<Item = Entry>,
        fx: &mut Effects<Raft>,
    ) {
        let mut index = previous;
        for entry in entries {
            index = index.next();
            match self.log.epoch_at(index) {
                Some(term) if term == entry.epoch => continue,
                Some(_) => {
                    assert!(index > self.commit, "what is committed never changes");
                    self.truncate(index);
                }
                None => {}
            }
            self.write_entry(entry, fx);
        }
        if self.has(Flaw::StaleCut) && index < self.log.last().index {
            self.truncate(index.next());
        }
    }

    /// Writes an entry at the end of the log; where that is. Who takes part may be others from there on.
    fn write_entry(&mut self, entry: Entry, fx: &mut Effects<Raft>) -> Index {
        let index = self.log.push(entry.clone(), fx.frame());
        if let Content::Members(members) = &entry.content {
            let next = Flaw::after(self.config.flaw, &self.configurations.latest().1, members);
            self.configurations.push(index, next);
        }
        fx.persist(Record::Append { index, entry });
        index
    }

    /// Drops the entry at `index` and all behind it: whoever took part before does so again.
    fn truncate(&mut self, index: Index) {
        self.log.truncate(index);
        self.configurations.truncate(index);
    }

    /// Leader: a replica, perhaps this one, has on its disk what this log says through `index`.
    pub(super) fn on_appended(
        &mut self,
        from: NodeId,
        incarnation: u64,
        index: Index,
        fx: &mut Effects<Raft>,
    ) {
        let me = self.me;
        let Some((leader, source)) = self.leading() else {
            return;
        };
        let Some(peer) = leader.peers.get_mut(&from) else {
            return;
        };
        match peer.trust {
            Trust::None { incarnation: last }
            | Trust::Until {
                incarnation: last, ..
            } if incarnation < last => {
                return; // From before it lost its records.
            }
            // It promises only once it is whole, perhaps by another leader's word.
            Trust::Full | Trust::None { .. } | Trust::Until { .. } => peer.trust = Trust::Full,
        }
        let advanced = index > peer.acked;
        peer.acked = peer.acked.max(index);
        source.agree(from, peer, index, me, fx);
        if advanced {
            // What is committed already cannot be committed by one more.
            if index > self.commit {
                self.maybe_commit(fx);
            }
            self.maybe_hand_over(from, fx);
            self.maybe_begin_change(fx);
        }
    }

    /// Leader: a replica has this on its disk, and promises nothing.
    pub(super) fn on_copied(
        &mut self,
        from: NodeId,
        incarnation: u64,
        index: Index,
        fx: &mut Effects<Raft>,
    ) {
        let me = self.me;
        let Some((leader, source)) = self.leading() else {
            return;
        };
        let Some(peer) = leader.peers.get_mut(&from) else {
            return;
        };
        let (Trust::None { incarnation: last }
        | Trust::Until {
            incarnation: last, ..
        }) = peer.trust
        else {
            return; // It will ask, and be trusted less.
        };
        // What an earlier incarnation had may be lost since.
        if incarnation == last {
            source.agree(from, peer, index, me, fx);
        }
    }

    /// Leader: the logs do not agree where it was hoped. Goes back past everything that cannot agree
    /// either (5.3, last part): one exchange for each conflicting term, not for each entry.
    pub(super) fn on_rejected(
        &mut self,
        from: NodeId,
        previous: Index,
        hint: Position,
        fx: &mut Effects<Raft>,
    ) {
        let Some((leader, source)) = self.leading() else {
            return;
        };
        let Some(peer) = leader.peers.get_mut(&from) else {
            return;
        };
        peer.active = true;
        let probed = previous == peer.next.before();
        match peer.flow {
            // Older than an answer that came before it.
            _ if previous <= peer.matched => {}
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

    /// Leader: lets all others hear of it, and finds out what was lost on the way to them.
    pub(super) fn on_heartbeat(&mut self, fx: &mut Effects<Raft>) {
        let last = self.log.last().index;
        let Role::Leader(leader) = &self.role else {
            return;
        };
        // With leases each heartbeat is a question, whether anybody wants to read or not.
        let round = match self.config.lease > Duration::ZERO {
            true => self.begin_round(fx),
            false => leader.round,
        };
        self.for_each_peer(|source, to, peer| {
            source.send_leading(to, peer, round, fx);
            if let Flow::Snapshot { heartbeats, .. } = &mut peer.flow {
                *heartbeats = heartbeats.saturating_add(1);
            }
            if peer.acked < last {
                source.send_probe(to, peer, fx);
            }
        });
        let heartbeat = self.config.heartbeat;
        fx.set_timer(Timer::Heartbeat, heartbeat..heartbeat);
        self.maybe_repeat_timeout_now(fx);
        self.await_newcomers(fx);
    }

    /// Follower: the leader is there.
    pub(super) fn on_leading(
        &mut self,
        from: NodeId,
        round: u64,
        commit: Index,
        fx: &mut Effects<Raft>,
    ) {
        if self.hear(from, fx) {
            if self.may_promise() {
                self.give_lease(fx);
                // Early: it says what did not happen before now, which no crash can change; after a
                // restart a lease is waited for.
                fx.send_early(
                    from,
                    Message::Heard {
                        term: self.term,
                        round,
                    },
                );
            }
            self.commit_through(commit, fx);
        }
    }

    /// Follower: more is committed.
    pub(super) fn on_committed(&mut self, from: NodeId, commit: Index, fx: &mut Effects<Raft>) {
        if self.hear(from, fx) {
            self.commit_through(commit, fx);
        }
    }

    /// Leader: a replica still knows of no later term.
    pub(super) fn on_heard(&mut self, from: NodeId, round: u64, fx: &mut Effects<Raft>) {
        if let Some((leader, _)) = self.leading()
            && let Some(peer) = leader.peers.get_mut(&from)
        {
            peer.active = true;
            peer.round = peer.round.max(round);
            self.maybe_answer_reads(fx);
        }
    }
}
