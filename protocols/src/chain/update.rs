//! Updates on their way down the chain, and acknowledgements on their way back (van Renesse and
//! Schneider, section 3; Terrace and Freedman, section 2.3).
//!
//! The head orders, everybody writes down and passes on, and what the tail has on disk is committed:
//! then all have it on disk, since nobody passes on what is not on its own. The acknowledgement
//! travels back from the tail, and each replica that it passes delivers.

use quorate_core::{Effects, NodeId};

use super::link::{Flow, Link, Source};
use super::message::{Message, Record};
use super::{Chain, Flaw};
use crate::log::{Content, Entries, Entry, Index, Position};

impl Chain {
    /// Head: a new entry at the end of the log, on its way to the tail.
    pub(super) fn append(&mut self, content: Content, fx: &mut Effects<Chain>) {
        let entry = Entry {
            epoch: self.view.number,
            content,
        };
        let index = self.log.push(entry.clone(), fx.frame());
        fx.persist(Record::Append { index, entry });
        self.after_writing(index, fx);
    }

    /// What may be passed on: a prefix of the head's log. Before a replica knows how far its own is one
    /// it passes on nothing.
    fn passable(&self) -> Option<Index> {
        match self.is_head() {
            true => Some(self.log.last().index),
            false => self.agreed,
        }
    }

    /// Does something for everybody that this replica passes updates on to.
    pub(super) fn for_each_link(&mut self, mut f: impl FnMut(&Source<'_>, NodeId, &mut Link)) {
        let Some(agreed) = self.passable() else {
            return;
        };
        let source = Source {
            view: self.view.number,
            commit: self.commit,
            active: self.established,
            agreed,
            hops: self.hops(),
            log: &self.log,
            config: &self.config,
        };
        for (&to, link) in &mut self.links {
            f(&source, to, link);
        }
    }

    /// The link to one of them.
    pub(super) fn link(&mut self, to: NodeId) -> Option<(&mut Link, Source<'_>)> {
        let agreed = self.passable()?;
        let source = Source {
            view: self.view.number,
            commit: self.commit,
            active: self.established,
            agreed,
            hops: self.hops(),
            log: &self.log,
            config: &self.config,
        };
        self.links.get_mut(&to).map(|link| (link, source))
    }

    /// An update arrived from whoever this replica is fed by.
    pub(super) fn on_update(
        &mut self,
        from: NodeId,
        previous: Position,
        commit: Index,
        entries: &Entries,
        fx: &mut Effects<Chain>,
    ) {
        if self.feeder() != Some(from) && !self.has(Flaw::Unfenced) {
            return;
        }
        self.unfed = 0;
        let asked = entries.as_slice().is_empty();
        let index = previous.index.plus(entries.as_slice().len());
        let (previous, entries) = self.behind_commit(previous, entries.as_slice());
        if !self.log.matches(previous) {
            let hint = self.log.latest(previous.index, previous.epoch);
            // Early: it speaks of what is not here.
            fx.send_early(
                from,
                Message::Missing {
                    view: self.view.number,
                    previous: previous.index,
                    hint: hint.unwrap_or(self.log.base()),
                },
            );
            return;
        }
        self.take_entries(previous.index, entries, fx);
        if asked {
            // Early: that the logs agree is no promise to remember it, and what was acknowledged was
            // on the disks before.
            fx.send_early(
                from,
                Message::Linked {
                    view: self.view.number,
                    index,
                    stored: self.stored,
                },
            );
        }
        self.agree(from, index, fx);
        self.commit_through(commit.min(index), fx);
    }

    /// The log agrees with the head's through `index`.
    pub(super) fn agree(&mut self, from: NodeId, index: Index, fx: &mut Effects<Chain>) {
        let first = self.agreed.is_none();
        self.agreed = self.agreed.max(Some(index));
        if first {
            self.begin_links(fx);
        }
        if self.is_member() {
            self.after_writing(index, fx);
        } else {
            // It wants to join: it speaks for itself only.
            let view = self.view.number;
            fx.send(from, Message::Stored { view, index });
        }
    }

    /// It is known what may be passed on: the others are asked what they have of it.
    pub(super) fn begin_links(&mut self, fx: &mut Effects<Chain>) {
        self.for_each_link(|source, to, link| {
            link.next = source.agreed.next();
            source.send_probe(to, link, fx);
        });
    }

    /// What is committed here is in the log of every later head, so only what lies behind it needs
    /// comparing: nothing committed can be truncated, and nothing compacted is missed.
    fn behind_commit<'a>(
        &self,
        previous: Position,
        entries: &'a [Entry],
    ) -> (Position, &'a [Entry]) {
        let known = usize::try_from(self.commit.since(previous.index)).unwrap_or(usize::MAX);
        if known == 0 {
            return (previous, entries);
        }
        let index = self.commit;
        let epoch = self.log.epoch_at(index);
        let epoch = epoch.expect("the commit index is in the log");
        (
            Position { index, epoch },
            entries.get(known..).unwrap_or_default(),
        )
    }

    /// Entries that are here already stay, since a late message may carry less than what is here; from
    /// the first that differs on, the predecessor's replace them.
    fn take_entries(&mut self, previous: Index, entries: &[Entry], fx: &mut Effects<Chain>) {
        let mut index = previous;
        for entry in entries {
            index = index.next();
            match self.log.epoch_at(index) {
                Some(epoch) if epoch == entry.epoch => continue,
                Some(_) => {
                    assert!(index > self.commit, "what is committed never changes");
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

    /// Member: the log agrees with the head's through `index`. Passes on what is new, or, as the tail,
    /// acknowledges once it is on disk.
    pub(super) fn after_writing(&mut self, index: Index, fx: &mut Effects<Chain>) {
        let view = self.view.number;
        if self.is_tail() || self.has(Flaw::EarlyAck) {
            fx.send(self.me, Message::Stored { view, index });
        }
        self.for_each_link(|source, to, link| source.pass_on(to, link, fx));
        if self.has(Flaw::DirtyRead) && self.established && !self.is_tail() {
            self.commit_through(index, fx);
        }
    }

    /// From `from`, which may be this replica itself, to the tail all have on disk what this log says
    /// through `index`.
    pub(super) fn on_stored(&mut self, from: NodeId, index: Index, fx: &mut Effects<Chain>) {
        if let Some((link, source)) = self.link(from) {
            link.heard = true;
            // Who was sent more before this replica was stopped knows more of the head's log than this
            // replica does again.
            let index = index.min(source.agreed);
            link.stored = link.stored.max(index);
            link.next = link.next.max(link.stored.next());
            match link.flow {
                Flow::Stream => {}
                // An old acknowledgement says nothing of the snapshot.
                Flow::Snapshot { asked, .. } if index < asked => {}
                Flow::Probe | Flow::Snapshot { .. } => link.stream_behind(link.stored),
            }
            source.pass_on(from, link, fx);
        }
        if self.successor() == Some(from) || from == self.me {
            self.advance(index, fx);
        } else {
            self.maybe_invite(from, fx);
        }
    }

    /// Member: more is stored behind this replica.
    fn advance(&mut self, index: Index, fx: &mut Effects<Chain>) {
        if index <= self.stored {
            return;
        }
        self.stored = index;
        if let Some(predecessor) = self.predecessor() {
            let view = self.view.number;
            // Early: it is what the tail said once it had it on disk, and what was passed on to the
            // tail in this view was on this disk before.
            fx.send_early(predecessor, Message::Stored { view, index });
        }
        self.maybe_acknowledge_view(fx);
        self.maybe_commit(fx);
        self.maybe_hand_over(fx);
        self.maybe_ask_versions(fx);
    }

    /// The other's log agrees with this one through `index`.
    pub(super) fn on_linked(
        &mut self,
        from: NodeId,
        index: Index,
        stored: Index,
        fx: &mut Effects<Chain>,
    ) {
        let Some((link, source)) = self.link(from) else {
            return;
        };
        link.heard = true;
        match link.flow {
            Flow::Stream => {}
            Flow::Snapshot { asked, .. } if index < asked => {}
            Flow::Probe | Flow::Snapshot { .. } => link.stream_behind(index.min(source.agreed)),
        }
        source.pass_on(from, link, fx);
        self.on_stored(from, stored, fx);
    }

    /// The logs do not agree where it was hoped.
    pub(super) fn on_missing(
        &mut self,
        from: NodeId,
        previous: Index,
        hint: Position,
        fx: &mut Effects<Chain>,
    ) {
        let Some((link, source)) = self.link(from) else {
            return;
        };
        link.heard = true;
        match link.flow {
            // Older than an answer that came before it.
            _ if previous <= link.stored => {}
            Flow::Probe if previous != link.next.before() => {}
            Flow::Probe | Flow::Stream => {
                let index = hint.index.min(previous.before());
                source.go_back(from, link, Position { index, ..hint }, fx);
            }
            // It answers, but does not have the snapshot: that may have been lost.
            Flow::Snapshot { heartbeats, .. } => {
                let config = source.config;
                if config.heartbeat * heartbeats >= config.snapshot_retry {
                    source.send_snapshot(from, link, fx);
                }
            }
        }
    }
}
