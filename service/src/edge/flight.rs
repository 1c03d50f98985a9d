//! Batches that were broadcast and have not come back.
//!
//! Silence is no refusal: a batch may be lost with a leader, and then it is broadcast again, the same
//! bytes under the same sequence, which the machine applies at most once. The machine skips every
//! batch that is not newer than the last one of its origin; so once a batch has come back, older
//! ones still in flight can never take effect any more, and their commands go into new batches.

use std::collections::VecDeque;
use std::time::Duration;

use quorate_core::{Instant, Payload};

use super::callers::Reply;

/// How much longer each further repetition waits at most.
const PATIENCE_FACTOR_MAX: u32 = 16;

/// A batch in flight.
pub(super) struct Sent {
    pub(super) sequence: u64,
    pub(super) payload: Payload,
    /// One per command; a tick has nobody waiting.
    pub(super) replies: Vec<Option<Reply>>,
    /// How many commands of callers it carries, and their bytes.
    pub(super) count: usize,
    pub(super) bytes: usize,
    /// A checkpoint was installed since, which may contain it.
    uncertain: bool,
}

impl Sent {
    pub(super) fn new(sequence: u64, payload: Payload, replies: Vec<Option<Reply>>) -> Sent {
        Sent {
            sequence,
            payload,
            replies,
            count: 0,
            bytes: 0,
            uncertain: false,
        }
    }

    /// Whether it may have been carried out without our noticing.
    pub(super) fn is_uncertain(&self) -> bool {
        self.uncertain
    }
}

/// All batches in flight, by sequence.
pub(super) struct Flight {
    sent: VecDeque<Sent>,
    bytes: usize,
    /// How many of them, from the front, were broadcast since a leader was last found or patience
    /// ran out.
    told: usize,
    /// When to broadcast again if nothing comes back.
    repeat_at: Option<Instant>,
    patience: Duration,
    patience_min: Duration,
}

impl Flight {
    pub(super) fn new(patience_min: Duration) -> Flight {
        Flight {
            sent: VecDeque::new(),
            bytes: 0,
            told: 0,
            repeat_at: None,
            patience: patience_min,
            patience_min,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.sent.len()
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Adds a batch, which [`Flight::next`] will give when its turn comes.
    pub(super) fn push(&mut self, sent: Sent) {
        let newest = self.sent.back().map_or(0, |last| last.sequence);
        assert!(sent.sequence > newest, "sequences rise");
        self.bytes += sent.payload.len();
        self.sent.push_back(sent);
    }

    /// The next payload to broadcast, in order; and whether it may have been broadcast before.
    pub(super) fn next(&mut self, now: Instant) -> Option<Payload> {
        let sent = self.sent.get(self.told)?;
        self.told += 1;
        if self.repeat_at.is_none() {
            self.repeat_at = Some(now + self.patience);
        }
        Some(sent.payload.clone())
    }

    /// A batch came back. Answers it if it was in flight, and those before it, which never will.
    pub(super) fn on_delivered(
        &mut self,
        sequence: u64,
        now: Instant,
    ) -> (Option<Sent>, Vec<Sent>) {
        let through = self.sent.partition_point(|sent| sent.sequence <= sequence);
        let mut older: Vec<Sent> = self.sent.drain(..through).collect();
        self.told = self.told.saturating_sub(through);
        self.bytes -= older.iter().map(|sent| sent.payload.len()).sum::<usize>();
        let back = older.pop_if(|sent| sent.sequence == sequence);
        if through > 0 {
            self.patience = self.patience_min;
            self.repeat_at = (self.told > 0).then(|| now + self.patience);
        }
        (back, older)
    }

    /// A leader was found that may know nothing of what was broadcast before.
    pub(super) fn on_leader(&mut self) {
        self.told = 0;
        self.patience = self.patience_min;
        self.repeat_at = None;
    }

    /// A checkpoint replaced the state: what is in flight may be in it.
    pub(super) fn on_install(&mut self) {
        self.sent.iter_mut().for_each(|sent| sent.uncertain = true);
    }

    /// Broadcasts everything once more if nothing came back for long; each time more patiently, or
    /// repetition would keep an overloaded cluster overloaded.
    pub(super) fn on_time(&mut self, now: Instant, repeat: bool) -> bool {
        if self.repeat_at.is_none_or(|at| now < at) {
            return false;
        }
        if !repeat {
            self.repeat_at = Some(now + self.patience);
            return false;
        }
        self.told = 0;
        self.patience = (self.patience * 2).min(self.patience_min * PATIENCE_FACTOR_MAX);
        self.repeat_at = None;
        true
    }

    pub(super) fn repeat_at(&self) -> Option<Instant> {
        self.repeat_at
    }
}
