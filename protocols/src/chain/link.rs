//! What a replica knows of whoever it passes updates on to, and what it sends because of it.
//!
//! In a chain that is the successor; the tail passes on to those who want to join, too. A link is probed
//! first, until the place is found where both logs agree. Then updates are streamed ahead of the
//! acknowledgements, within a window of entries and of bytes. Who needs what was compacted away is
//! sent a snapshot.

use quorate_core::{Checkpoint, Effects, NodeId};

use super::config::Config;
use super::{Chain, Flaw, Message, ViewNumber};
use crate::log::{Entries, Index, Log, Position};

/// A link to one replica behind this one.
#[derive(Clone, Hash, Debug)]
pub(super) struct Link {
    /// The next entry to send.
    pub(super) next: Index,
    /// From that replica to the tail, all have this on disk; a joining replica speaks for itself only.
    pub(super) stored: Index,
    /// Where the logs were found to agree when the stream began.
    pub(super) agreed: Index,
    /// Whether it was heard from since silence was last looked for.
    pub(super) heard: bool,
    pub(super) flow: Flow,
}

/// How updates flow along a link.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) enum Flow {
    /// Looks for the place where the logs agree; heartbeats repeat the question.
    Probe,
    /// Updates are passed on ahead of their acknowledgements.
    Stream,
    /// A snapshot is under way.
    Snapshot {
        /// Where it ends, or before: what the world attached may be newer.
        asked: Index,
        /// For how many heartbeats.
        heartbeats: u32,
    },
}

impl Link {
    /// A link on which nothing was said yet.
    pub(super) fn new(next: Index) -> Link {
        Link {
            next,
            stored: Index(0),
            agreed: Index(0),
            heard: false,
            flow: Flow::Probe,
        }
    }

    /// The logs agree through `index`: what follows can be streamed.
    pub(super) fn stream_behind(&mut self, index: Index) {
        self.flow = Flow::Stream;
        self.agreed = index;
        self.next = index.next();
    }
}

/// What a replica sends from.
pub(super) struct Source<'a> {
    pub(super) view: ViewNumber,
    pub(super) commit: Index,
    /// Whether the view is active.
    pub(super) active: bool,
    /// What may be passed on.
    pub(super) agreed: Index,
    /// How many links there are from here to the tail; one to who wants to join.
    pub(super) hops: u64,
    pub(super) log: &'a Log,
    pub(super) config: &'a Config,
}

impl Source<'_> {
    /// Passes on what the other lacks, as far as the flow allows.
    pub(super) fn pass_on(&self, to: NodeId, link: &mut Link, fx: &mut Effects<Chain>) {
        while link.flow == Flow::Stream {
            let entries_max = self.room(link);
            if entries_max == 0 {
                return;
            }
            let Some(previous) = self.previous(link) else {
                self.send_snapshot(to, link, fx);
                return;
            };
            let bytes_max = self.config.message_bytes_max;
            let entries = self.log.gather(link.next, entries_max, bytes_max);
            link.next = link.next.plus(entries.as_slice().len());
            self.send_update(to, previous, entries, fx);
        }
    }

    /// An update without entries. Its answer tells whether what was sent before has arrived, and
    /// repeats an acknowledgement that was lost.
    pub(super) fn send_probe(&self, to: NodeId, link: &mut Link, fx: &mut Effects<Chain>) {
        let previous = match link.flow {
            // Once the snapshot is installed, its end is where the logs agree.
            Flow::Snapshot { .. } => Some(self.log.base()),
            Flow::Probe | Flow::Stream => self.previous(link),
        };
        match previous {
            Some(previous) => self.send_update(to, previous, Entries::NONE, fx),
            None => self.send_snapshot(to, link, fx),
        }
    }

    /// The other's log agrees with this one at `hint` or somewhere before it: goes on from the
    /// latest place where it may.
    pub(super) fn go_back(
        &self,
        to: NodeId,
        link: &mut Link,
        hint: Position,
        fx: &mut Effects<Chain>,
    ) {
        // Where nothing of that age is left, the base itself is asked for: a snapshot.
        let agreed = self.log.latest(hint.index.min(self.agreed), hint.epoch);
        link.next = agreed.map_or(self.log.base().index, |found| found.index.next());
        link.flow = Flow::Probe;
        self.send_probe(to, link, fx);
    }

    /// The world attaches its newest state, which contains at least what is asked for here.
    pub(super) fn send_snapshot(&self, to: NodeId, link: &mut Link, fx: &mut Effects<Chain>) {
        let base = self.log.base();
        link.flow = Flow::Snapshot {
            asked: base.index,
            heartbeats: 0,
        };
        // Early: a snapshot holds what is committed, which is a fact, not a promise.
        fx.send_early(
            to,
            Message::Snapshot {
                view: self.view,
                checkpoint: Checkpoint::from(base),
            },
        );
    }

    /// Held: what a successor has, its predecessors have on disk (van Renesse and Schneider, section
    /// 3: the Update Propagation Invariant, here across crashes too).
    fn send_update(
        &self,
        to: NodeId,
        previous: Position,
        entries: Entries,
        fx: &mut Effects<Chain>,
    ) {
        fx.send(
            to,
            Message::Update {
                view: self.view,
                previous,
                commit: self.commit,
                entries,
            },
        );
        if self.config.flaw == Some(Flaw::HastyPass)
            && let Some(mail) = fx.mail.last_mut()
        {
            mail.early = true;
        }
    }

    /// The position before the next entry to send, unless it was compacted away.
    fn previous(&self, link: &Link) -> Option<Position> {
        let index = link.next.before();
        let epoch = self.log.epoch_at(index)?;
        Some(Position { index, epoch })
    }

    /// How many more entries may be sent ahead of the acknowledgements.
    fn room(&self, link: &Link) -> u64 {
        let sent = link.next.before();
        let available = self.agreed.since(sent);
        let settled = link.stored.max(link.agreed);
        let entries = sent.since(settled);
        let bytes = self.log.bytes_between(settled, sent);
        // Acknowledgements come from the tail, so all the links on the way there can be full.
        if bytes >= self.config.flight_bytes_max.saturating_mul(self.hops) {
            return 0;
        }
        let entries_max = self.config.flight_entries_max.saturating_mul(self.hops);
        // A view that is to begin waits for all of this, so it goes as fast as bytes allow.
        match self.active {
            true => available.min(entries_max.saturating_sub(entries)),
            false => available,
        }
    }
}
