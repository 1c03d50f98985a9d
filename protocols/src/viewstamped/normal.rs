//! Normal operation (paper 4.1): how a primary's log becomes everybody's, and what is committed.

use quorate_core::{Effects, NodeId};
use quorate_problems::total_order::Output;

use crate::log::{Content, Entries, Entry, Index, Position};

use super::message::{Message, Record, Timer};
use super::role::Role;
use super::{Flaw, Viewstamped};

impl Viewstamped {
    /// Primary, step 2: "advances op-number, adds the request to the end of the log", and sends it to
    /// all others at once.
    pub(super) fn append(&mut self, content: Content, fx: &mut Effects<Viewstamped>) {
        let epoch = match content {
            Content::Members(_) if !self.has(Flaw::EndlessEpoch) => self.view.last_stamp(),
            Content::Members(_) | Content::Command(_) | Content::Noop => self.view,
        };
        let entry = Entry { epoch, content };
        let op = self.push(entry, fx);
        let view = self.view;
        fx.send(self.me, Message::PrepareOk { view, op });
        self.for_each_peer(|source, to, peer| source.send_prepares(to, peer, fx));
    }

    /// An entry at the end of the log, here and on disk.
    fn push(&mut self, entry: Entry, fx: &mut Effects<Viewstamped>) -> Index {
        if !self.writes() {
            return self.log.push(entry, fx.frame());
        }
        let op = self.log.push(entry.clone(), fx.frame());
        fx.persist(Record::Append { op, entry });
        op
    }

    /// Backup, step 4: "a backup does not accept the Prepare until it has entries for all earlier
    /// requests in its log".
    pub(super) fn on_prepare(
        &mut self,
        from: NodeId,
        previous: Position,
        commit: Index,
        entries: &Entries,
        fx: &mut Effects<Viewstamped>,
    ) {
        if !self.hear(from, fx) {
            return;
        }
        let (previous, entries) = self.behind_commit(previous, entries.as_slice());
        if self.log.matches(previous) {
            self.adopt(previous.index, entries, fx);
        } else if self.has(Flaw::BlindResume) {
            for entry in entries {
                self.push(entry.clone(), fx);
            }
        } else {
            self.ask_once(fx);
            return;
        }
        self.acknowledge(fx);
        self.leak(Flaw::EarlyOk, fx);
        self.deliver_through(commit, fx);
    }

    /// What is committed here is in the log of every later view, so only what lies behind it needs
    /// comparing: nothing committed is ever replaced, and nothing compacted is missed.
    pub(super) fn behind_commit<'a>(
        &self,
        previous: Position,
        entries: &'a [Entry],
    ) -> (Position, &'a [Entry]) {
        let known = usize::try_from(self.commit.since(previous.index)).unwrap_or(usize::MAX);
        match known {
            0 => (previous, entries),
            known => (self.committed(), entries.get(known..).unwrap_or_default()),
        }
    }

    /// The last position that is committed.
    pub(super) fn committed(&self) -> Position {
        let epoch = self.log.epoch_at(self.commit);
        Position {
            index: self.commit,
            epoch: epoch.expect("the commit-number is in the log"),
        }
    }

    /// Takes over what another log says behind `previous`, where both agree. Entries that are here
    /// already stay; from the first that differs on, the others replace them.
    pub(super) fn adopt(
        &mut self,
        previous: Index,
        entries: &[Entry],
        fx: &mut Effects<Viewstamped>,
    ) {
        let mut op = previous;
        for entry in entries {
            op = op.next();
            match self.log.epoch_at(op) {
                Some(view) if view == entry.epoch => continue,
                Some(_) => {
                    assert!(op > self.commit, "what is committed never changes");
                    self.log.truncate(op);
                }
                None => {}
            }
            self.push(entry.clone(), fx);
        }
    }

    /// Backup: in normal status the whole log is the primary's, as far as it goes.
    pub(super) fn acknowledge(&self, fx: &mut Effects<Viewstamped>) {
        let (view, op) = (self.view, self.log.last().index);
        fx.send(self.replicas.primary(view), Message::PrepareOk { view, op });
    }

    /// Primary, step 5: "waits for f PrepareOk messages from different backups; at this point it
    /// considers the operation (and all earlier ones) to be committed".
    pub(super) fn on_prepare_ok(&mut self, from: NodeId, op: Index, fx: &mut Effects<Viewstamped>) {
        let me = self.me;
        let Some((primary, source)) = self.presiding() else {
            return;
        };
        let Some(peer) = primary.peers.get_mut(&from) else {
            return;
        };
        peer.active = true;
        if op > source.log.last().index {
            return; // Nobody has more of this view than its primary.
        }
        let advanced = op > peer.matched;
        peer.matched = peer.matched.max(op);
        peer.next = peer.next.max(peer.matched.next());
        if from != me {
            source.send_prepares(from, peer, fx);
            source.send_commit(from, peer, fx);
        }
        if advanced {
            self.maybe_commit(fx);
            self.maybe_hand_over(from, fx);
            self.maybe_reconfigure(fx);
        }
    }

    fn maybe_commit(&mut self, fx: &mut Effects<Viewstamped>) {
        let Role::Primary(primary) = &self.role else {
            return;
        };
        let reached = self
            .replicas
            .reached(primary.of_voters(|peer| peer.matched));
        if reached > self.commit {
            self.deliver_through(reached, fx);
            self.for_each_peer(|source, to, peer| source.send_commit(to, peer, fx));
            self.maybe_ask_round(fx);
        }
    }

    /// Executes everything through `op`, as far as it is here and not executed yet. What ends the epoch is
    /// executed in the next one (`transition.rs`).
    pub(super) fn deliver_through(&mut self, op: Index, fx: &mut Effects<Viewstamped>) {
        let end = op.min(self.log.last().index);
        while self.commit < end {
            let next = self.commit.next();
            let entry = self.log.entry(next);
            let entry = entry.expect("what is committed and not yet delivered is in the log");
            if let Content::Members(members) = &entry.content
                && self.ends(entry)
            {
                self.end_epoch(next, entry.epoch, members.clone(), fx);
                break;
            }
            self.commit = next;
            fx.output(Output::Deliver {
                position: next.0,
                epoch: entry.epoch.0,
                payload: entry.payload(),
            });
        }
        self.maybe_tell_members(fx);
    }

    /// Primary: lets all others hear of it.
    pub(super) fn on_heartbeat(&mut self, fx: &mut Effects<Viewstamped>) {
        let Role::Primary(primary) = &self.role else {
            return;
        };
        let round = primary.round;
        self.for_each_peer(|source, to, peer| {
            source.send_presiding(to, peer, round, fx);
            if let Some(heartbeats) = &mut peer.offered {
                *heartbeats = heartbeats.saturating_add(1);
            }
        });
        let heartbeat = self.config.heartbeat;
        fx.set_timer(Timer::Heartbeat, heartbeat..heartbeat);
        self.repeat_hand_over(fx);
    }

    /// Backup: the primary is there.
    pub(super) fn on_presiding(
        &mut self,
        from: NodeId,
        round: u64,
        commit: Index,
        (sent, matched): (Index, Index),
        fx: &mut Effects<Viewstamped>,
    ) {
        if !self.hear(from, fx) {
            return;
        }
        let view = self.view;
        // Early: it says where this replica was before now, which no crash can change.
        fx.send_early(from, Message::Heard { view, round });
        self.deliver_through(commit, fx);
        let last = self.log.last().index;
        if last < sent {
            self.ask_state(fx);
        }
        if last > matched {
            self.acknowledge(fx);
        }
    }

    /// Backup, step 7: "when a backup learns of a commit, it executes the operation".
    pub(super) fn on_commit(&mut self, from: NodeId, commit: Index, fx: &mut Effects<Viewstamped>) {
        if self.hear(from, fx) {
            self.deliver_through(commit, fx);
        }
    }

    /// Primary: a backup is still in this view.
    pub(super) fn on_heard(&mut self, from: NodeId, round: u64, fx: &mut Effects<Viewstamped>) {
        if let Some((primary, _)) = self.presiding()
            && let Some(peer) = primary.peers.get_mut(&from)
        {
            peer.active = true;
            peer.round = peer.round.max(round);
            self.maybe_answer_reads(fx);
            self.maybe_reconfigure(fx);
        }
    }

    /// Primary: one that no quorum has answered for too long is suspected by itself, so that clients
    /// need not wait for it. If a quorum answers again, it goes on.
    pub(super) fn on_check_quorum(&mut self, fx: &mut Effects<Viewstamped>) {
        let me = self.me;
        let Role::Primary(primary) = &mut self.role else {
            return;
        };
        let heard = |id| id == me || primary.peers.get(&id).is_some_and(|peer| peer.active);
        let connected = self.replicas.is_quorum(heard);
        for peer in primary.peers.values_mut() {
            if !peer.active {
                // It went away, and a checkpoint on its way to it is lost.
                peer.offered = None;
            }
            peer.active = false;
        }
        match connected {
            true if self.suspicion.suspects => self.trust(fx),
            true => {}
            false => self.suspect(fx),
        }
        let timeout = self.config.view_timeout;
        fx.set_timer(Timer::CheckQuorum, timeout..timeout);
    }
}
