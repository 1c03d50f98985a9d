//! A leader whose disk stays slow hands leadership over: everyone waits for the leader's disk, or at least for
//! what it has to say, and somebody else's may be faster.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use quorate_etcd::Complaints;
use quorate_runtime::{Observer, SLOW_SYNC};
use quorate_service::Service;
use tokio::time::sleep;
use tracing::{info, warn};

/// For how long every sync must have been slow. A stall that is shorter costs leadership nothing.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long to wait before handing over again: all disks may be slow, and then leadership should not go round.
const AGAIN: Duration = Duration::from_secs(60);
/// How often to look.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// What was found, for metrics.
#[derive(Default)]
pub(super) struct Found {
    /// How often leadership was handed over.
    handed_over: AtomicU64,
}

impl Found {
    /// How often leadership was handed over because the disk stayed slow.
    pub(super) fn handed_over(&self) -> u64 {
        self.handed_over.load(Ordering::Relaxed)
    }
}

/// What a disk that stays slow makes the member say in its status.
pub(super) fn complaints(observer: Observer) -> Complaints {
    Arc::new(move || match observer.metrics().disk_slow_for {
        slow_for if slow_for >= PATIENCE => vec![format!(
            "the disk is slow: each sync of the log has taken {SLOW_SYNC:?} or longer for {slow_for:.1?}"
        )],
        _ => Vec::new(),
    })
}

/// What to do about a disk.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Verdict {
    /// Nothing new.
    Nothing,
    /// It has come to be slow.
    Slow,
    /// It has come to be slow, or is still, and this member leads.
    HandOver,
    /// It is not slow any more.
    Recovered,
}

/// Remembers what was said and done.
#[derive(Default)]
struct Judge {
    is_slow: bool,
    handed_at: Option<Instant>,
}

impl Judge {
    fn judge(&mut self, slow_for: Duration, leads: bool, now: Instant) -> Verdict {
        let was_slow = std::mem::replace(&mut self.is_slow, slow_for >= PATIENCE);
        let may_hand_over = self.handed_at.is_none_or(|at| now - at >= AGAIN);
        match (was_slow, self.is_slow) {
            (_, true) if leads && may_hand_over => {
                self.handed_at = Some(now);
                Verdict::HandOver
            }
            (false, true) => Verdict::Slow,
            (true, false) => Verdict::Recovered,
            (true, true) | (false, false) => Verdict::Nothing,
        }
    }
}

/// Watches the disk as long as it is polled.
pub(super) async fn watch(service: Service, observer: Observer, found: Arc<Found>) {
    let mut judge = Judge::default();
    loop {
        sleep(LOOK_EVERY).await;
        let status = service.status();
        let slow_for = observer.metrics().disk_slow_for;
        match judge.judge(slow_for, status.leader == Some(status.me), Instant::now()) {
            Verdict::Nothing => {}
            Verdict::Slow => warn!(
                "the disk is slow: each sync of the write-ahead log has taken {SLOW_SYNC:?} or longer for {slow_for:.1?}"
            ),
            Verdict::HandOver => {
                warn!(
                    "the disk is slow: each sync of the write-ahead log has taken {SLOW_SYNC:?} or longer for \
                     {slow_for:.1?}; this member leads, and hands leadership over"
                );
                found.handed_over.fetch_add(1, Ordering::Relaxed);
                service.transfer(None);
            }
            Verdict::Recovered => info!("the disk is not slow any more"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_disk_that_stays_slow_costs_leadership_and_not_again_and_again() {
        let start = Instant::now();
        let at = |seconds: u64| start + Duration::from_secs(seconds);
        let slow = Duration::from_secs;
        let mut judge = Judge::default();
        assert_eq!(judge.judge(slow(4), true, at(4)), Verdict::Nothing);
        assert_eq!(judge.judge(slow(0), true, at(5)), Verdict::Nothing);
        assert_eq!(judge.judge(slow(5), true, at(10)), Verdict::HandOver);
        // Others may not have taken it, or given it back, which is no reason to go on.
        assert_eq!(judge.judge(slow(7), true, at(12)), Verdict::Nothing);
        assert_eq!(judge.judge(slow(0), false, at(13)), Verdict::Recovered);
        assert_eq!(judge.judge(slow(6), true, at(20)), Verdict::Slow);
        assert_eq!(judge.judge(slow(60), true, at(70)), Verdict::HandOver);
    }

    #[test]
    fn a_follower_says_so_and_hands_over_if_it_comes_to_lead() {
        let start = Instant::now();
        let mut judge = Judge::default();
        let slow = Duration::from_secs(5);
        assert_eq!(judge.judge(slow, false, start), Verdict::Slow);
        assert_eq!(judge.judge(slow, false, start), Verdict::Nothing);
        assert_eq!(judge.judge(slow, true, start), Verdict::HandOver);
    }
}
