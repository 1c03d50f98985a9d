//! Reads that wait for a round of questions: what every protocol does whose leader confirms with others,
//! after a read arrived, that it still leads (Ongaro's thesis 2014, section 6.4). All reads that arrive
//! while one round is under way share the next.

use alloc::vec::{Drain, Vec};
use core::mem;

use quorate_core::NodeId;

/// The most reads that wait at a leader. Edges share reads too, so this is reached only while those who
/// are asked do not answer, and what is dropped is asked again.
pub(crate) const WAITING_MAX: usize = 4096;

/// The reads at a leader, whose places in the order are `I`.
#[derive(Clone, Default, Hash, Debug)]
pub(crate) struct Reads<I> {
    /// The round that confirms those in `asked`, or any later one.
    round: u64,
    /// How far was decided when it began.
    index: I,
    /// Whom it is for; nobody when no round is under way.
    asked: Vec<Asker>,
    /// Who waits for the next one.
    waiting: Vec<Asker>,
}

/// Who wants to read.
#[derive(Clone, Copy, Hash, Debug)]
pub(crate) struct Asker {
    /// Where.
    pub(crate) node: NodeId,
    /// In which incarnation: ids are unique only within one.
    pub(crate) incarnation: u64,
    /// The id of the read.
    pub(crate) id: u64,
}

impl<I: Copy> Reads<I> {
    /// The round that was begun last.
    #[must_use]
    pub(crate) fn round(&self) -> u64 {
        self.round
    }

    /// Somebody wants to read. Beyond what may wait, it is lost.
    pub(crate) fn push(&mut self, asker: Asker) {
        if self.waiting.len() < WAITING_MAX {
            self.waiting.push(asker);
        }
    }

    /// Begins a round for all who wait, at this place in the order. Answers whether it did: not if nobody
    /// waits, or if a round is under way.
    #[must_use]
    pub(crate) fn begin(&mut self, round: u64, index: I) -> bool {
        if self.waiting.is_empty() || !self.asked.is_empty() {
            return false;
        }
        mem::swap(&mut self.waiting, &mut self.asked);
        (self.round, self.index) = (round, index);
        true
    }

    /// The round that is under way says nothing any more: whoever it was for waits for another one.
    pub(crate) fn again(&mut self) {
        self.waiting.append(&mut self.asked);
    }

    /// Whether somebody waits for the round that is under way.
    #[must_use]
    pub(crate) fn is_asked(&self) -> bool {
        !self.asked.is_empty()
    }

    /// The round is confirmed: who can read, and what the state must contain.
    pub(crate) fn confirmed(&mut self) -> (I, Drain<'_, Asker>) {
        (self.index, self.asked.drain(..))
    }

    /// The same reads where replicas have other names.
    #[must_use]
    pub(crate) fn renamed(&self, name: impl Fn(NodeId) -> NodeId) -> Reads<I> {
        let rename = |asker: &Asker| Asker {
            node: name(asker.node),
            ..*asker
        };
        Reads {
            asked: self.asked.iter().map(rename).collect(),
            waiting: self.waiting.iter().map(rename).collect(),
            ..*self
        }
    }
}
