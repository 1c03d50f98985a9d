//! Compaction by itself: whoever leads forgets history that is old enough, through the order like any
//! client. Writes never wait for it: the space is freed later, in small steps.

use std::collections::VecDeque;
use std::time::Duration;

use quorate_core::NodeId;
use quorate_service::Service;
use quorate_service::command::Command;
use quorate_service::error::Error;
use tokio::time::Instant;

/// How much history is kept.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Retention {
    /// What is younger than this.
    Time(Duration),
    /// So many revisions.
    Revisions(i64),
}

/// History is shortened this often, or as often as it grows too old if that is more often.
const PERIOD_MAX: Duration = Duration::from_secs(60 * 60);
/// How often the revision is noted in a period: what is kept is longer by at most this part.
const SAMPLES_PER_PERIOD: u32 = 10;
/// How often revisions are counted.
const COUNT_INTERVAL: Duration = Duration::from_secs(5 * 60);

/// What is known of the past, and when something is to be forgotten.
enum Pace {
    Time {
        retention: Duration,
        /// When the store had come to which revision, oldest first.
        samples: VecDeque<(Instant, i64)>,
        compacted_at: Instant,
    },
    Revisions(i64),
}

impl Pace {
    fn new(retention: Retention, now: Instant) -> Pace {
        match retention {
            Retention::Time(retention) => Pace::Time {
                retention,
                samples: VecDeque::new(),
                compacted_at: now,
            },
            Retention::Revisions(count) => Pace::Revisions(count),
        }
    }

    fn interval(&self) -> Duration {
        match self {
            Pace::Time { retention, .. } => {
                let interval = (*retention).min(PERIOD_MAX) / SAMPLES_PER_PERIOD;
                interval.max(Duration::from_millis(1))
            }
            Pace::Revisions(_) => COUNT_INTERVAL,
        }
    }

    /// The store has come to this revision. Answers through which one it may forget now.
    fn on_time(&mut self, now: Instant, revision: i64) -> Option<i64> {
        match self {
            Pace::Revisions(count) => Some(revision - *count).filter(|revision| *revision > 0),
            Pace::Time {
                retention,
                samples,
                compacted_at,
            } => {
                samples.push_back((now, revision));
                let is_old = |at: Instant| now.duration_since(at) >= *retention;
                // The newest of those that are old enough is what counts.
                while samples.get(1).is_some_and(|(at, _)| is_old(*at)) {
                    samples.pop_front();
                }
                let period = (*retention).min(PERIOD_MAX);
                let (at, revision) = *samples.front()?;
                if !is_old(at) || now.duration_since(*compacted_at) < period {
                    return None;
                }
                *compacted_at = now;
                Some(revision)
            }
        }
    }
}

/// Compacts as long as it is polled. Replicas that do not lead note the revisions all the same, so that one
/// that comes to lead knows the past.
pub(crate) async fn run(service: Service, me: NodeId, retention: Retention) {
    let mut pace = Pace::new(retention, Instant::now());
    loop {
        tokio::time::sleep(pace.interval()).await;
        let (newest, compacted) = {
            let view = service.view();
            (view.revision(), view.compacted())
        };
        let Some(revision) = pace.on_time(Instant::now(), newest) else {
            continue;
        };
        if service.status().leader != Some(me) || revision <= compacted {
            continue;
        }
        match service.write(Command::Compact { revision }).await {
            Ok(_) => tracing::info!(revision, "compacted by itself"),
            // Somebody else has.
            Err(Error::Compacted { .. }) => {}
            Err(error) => tracing::warn!(revision, %error, "could not compact by itself"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    /// What is forgotten when, in minutes, if a revision is made every minute.
    fn forgotten(retention: Duration, minutes: u64) -> Vec<(u64, i64)> {
        let start = Instant::now();
        let mut pace = Pace::new(Retention::Time(retention), start);
        let mut found = Vec::new();
        let mut now = start;
        while now < start + Duration::from_secs(60 * minutes) {
            now += pace.interval();
            let minute = now.duration_since(start).as_secs() / 60;
            if let Some(revision) = pace.on_time(now, minute as i64) {
                found.push((minute, revision));
            }
        }
        found
    }

    #[test]
    fn short_retentions_are_their_own_period() {
        // The first sample is taken after a tenth of the period.
        assert_eq!(forgotten(HOUR / 2, 100), [(33, 3), (63, 33), (93, 63)]);
    }

    #[test]
    fn long_retentions_are_kept_to_the_hour() {
        let found = forgotten(3 * HOUR, 330);
        assert_eq!(found, [(186, 6), (246, 66), (306, 126)]);
    }

    #[test]
    fn revisions_are_counted() {
        let mut pace = Pace::new(Retention::Revisions(100), Instant::now());
        assert_eq!(pace.interval(), Duration::from_secs(300));
        assert_eq!(pace.on_time(Instant::now(), 100), None);
        assert_eq!(pace.on_time(Instant::now(), 350), Some(250));
    }
}
