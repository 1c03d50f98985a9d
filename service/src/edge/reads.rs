//! Reads: everyone who waits shares one round, and the next round begins when it is answered.

use std::mem;
use std::time::Duration;

use quorate_core::Instant;

use super::callers::Reader;

/// The reads of this replica.
pub(super) struct Reads {
    /// Those who wait for the next round.
    waiting: Vec<Reader>,
    /// Those whom the present round is for; nobody when there is none.
    asking: Vec<Reader>,
    /// The id under which it was asked last.
    id: u64,
    /// Whether it must be asked, again or for the first time.
    ask: bool,
    /// When to ask again.
    repeat_at: Option<Instant>,
    patience: Duration,
}

impl Reads {
    pub(super) fn new(patience: Duration) -> Reads {
        Reads {
            waiting: Vec::new(),
            asking: Vec::new(),
            id: 0,
            ask: false,
            repeat_at: None,
            patience,
        }
    }

    pub(super) fn push(&mut self, reader: Reader) {
        self.waiting.push(reader);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty() && self.asking.is_empty()
    }

    /// The id of a request to make now.
    pub(super) fn next(&mut self, now: Instant) -> Option<u64> {
        if self.asking.is_empty() && !self.waiting.is_empty() {
            mem::swap(&mut self.waiting, &mut self.asking);
            self.ask = true;
        }
        if !mem::take(&mut self.ask) || self.asking.is_empty() {
            return None;
        }
        self.id += 1;
        self.repeat_at = Some(now + self.patience);
        Some(self.id)
    }

    /// An answer came; whom it is for. Answers to ids given up are too old for those who have joined
    /// the round since.
    pub(super) fn on_ready(&mut self, id: u64) -> Vec<Reader> {
        if id != self.id || self.ask {
            return Vec::new();
        }
        self.repeat_at = None;
        mem::take(&mut self.asking)
    }

    /// Asks again, under a new id, also for those who came since.
    pub(super) fn repeat(&mut self) {
        self.asking.append(&mut self.waiting);
        self.ask = !self.asking.is_empty();
        self.repeat_at = None;
    }

    pub(super) fn on_time(&mut self, now: Instant) {
        if self.repeat_at.is_some_and(|at| at <= now) {
            self.repeat();
        }
    }

    /// Forgets those who have given up.
    pub(super) fn sweep(&mut self) {
        self.waiting.retain(|reader| !reader.is_closed());
        self.asking.retain(|reader| !reader.is_closed());
    }

    pub(super) fn repeat_at(&self) -> Option<Instant> {
        self.repeat_at
    }
}
