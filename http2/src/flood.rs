//! Frames that ask for nothing are counted.
//!
//! Pings, settings, resets, empty data: each costs us time and carries no request. A connection that
//! goes on and on with them is closed. So is one whose streams we have to reset again and again,
//! since each of those may have been the beginning of some work.

use std::time::{Duration, Instant};

use crate::frame::{
    ACK, CONTINUATION, DATA, END_STREAM, GOAWAY, HEADERS, Head, PING, RST_STREAM, SETTINGS,
    WINDOW_UPDATE,
};

/// What may come at once, and what may come again each second. Pings of clients that measure the
/// bandwidth while they are sent much are well below it.
pub const BURST: u32 = 10_000;
/// See [`BURST`].
pub const PER_SECOND: u32 = 2_000;
/// What a reset counts for, whoever resets: it ends a request on which we may have begun to work.
pub const RESET_COST: u32 = 5;

/// What a frame costs.
#[must_use]
pub fn cost_of(head: &Head) -> u32 {
    match head.kind {
        // Answers to what we asked.
        SETTINGS | PING if head.has(ACK) => 0,
        RST_STREAM => RESET_COST,
        DATA if head.len == 0 && !head.has(END_STREAM) => 1,
        DATA | HEADERS | WINDOW_UPDATE | GOAWAY => 0,
        SETTINGS | PING | CONTINUATION => 1,
        // Advice, and whatever is invented later.
        _ => 1,
    }
}

/// What a client may still spend.
#[derive(Debug)]
pub struct Credit {
    left: u32,
    since: Instant,
}

impl Credit {
    /// All of it.
    #[must_use]
    pub fn new(now: Instant) -> Credit {
        Credit {
            left: BURST,
            since: now,
        }
    }

    /// Whether the client can afford this.
    pub fn spend(&mut self, cost: u32, now: Instant) -> bool {
        if cost > self.left {
            let elapsed = now.saturating_duration_since(self.since);
            let earned = elapsed.min(Duration::from_secs(60)).as_secs_f64() * f64::from(PER_SECOND);
            self.left = self.left.saturating_add(earned as u32).min(BURST);
            self.since = now;
        }
        let left = self.left.checked_sub(cost);
        self.left = left.unwrap_or(0);
        left.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_frames_cost() {
        for (kind, flags, len, cost) in [
            (SETTINGS, 0, 18, 1),
            (SETTINGS, ACK, 0, 0),
            (HEADERS, 4, 70, 0),
            (DATA, 0, 300, 0),
            (DATA, END_STREAM, 0, 0),
            (DATA, 0, 0, 1),
            (PING, 0, 8, 1),
            (PING, ACK, 8, 0),
            (RST_STREAM, 0, 4, 5),
            (CONTINUATION, 0, 1, 1),
            (WINDOW_UPDATE, 0, 4, 0),
            (200, 0, 4, 1),
        ] {
            let stream = 1;
            let head = Head {
                len,
                kind,
                flags,
                stream,
            };
            assert_eq!(cost_of(&head), cost, "{head:?}");
        }
    }

    #[test]
    fn credit_comes_back_with_time() {
        let begin = Instant::now();
        let mut credit = Credit::new(begin);
        assert!(credit.spend(BURST, begin));
        assert!(!credit.spend(1, begin));
        let later = begin + Duration::from_secs(1);
        assert!(credit.spend(PER_SECOND, later));
        assert!(!credit.spend(1, later));
        let much_later = later + Duration::from_secs(3600);
        assert!(credit.spend(BURST, much_later), "but never more than that");
        assert!(!credit.spend(1, much_later));
    }
}
