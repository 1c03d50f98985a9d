//! What is known of leases from outside: none ends before its time, and its keys go with it.

use bytes::Bytes;
use quorate_service::error::Error;
use quorate_service::reply::Revision;
use quorate_service::store::View;

use super::judge::Outcome;
use super::session;

/// All leases that a client was granted and has not forgotten.
pub(super) struct Leases {
    all: Vec<Lease>,
    /// The rate of the fastest clock there is, in millionths: agreed time may pass that fast.
    rate_max: u64,
}

struct Lease {
    id: i64,
    ttl: i64,
    /// When the last successful grant or renewal was asked for.
    renewed: u64,
    /// A position at which it was there.
    seen: Option<u64>,
    /// When it was known to be gone.
    ended: Option<u64>,
    /// Keys that were attached for certain.
    keys: Vec<Bytes>,
    /// The machines that have shown a state after its end.
    shown: u64,
}

impl Leases {
    pub(super) fn new(rate_max: u64) -> Leases {
        Leases {
            all: Vec::new(),
            rate_max,
        }
    }

    fn find(&mut self, id: i64) -> Option<&mut Lease> {
        self.all.iter_mut().find(|lease| lease.id == id)
    }

    /// A client was granted a lease that it had asked for at that moment.
    pub(super) fn granted(&mut self, id: i64, ttl: i64, asked: u64) {
        self.all.push(Lease {
            id,
            ttl,
            renewed: asked,
            seen: None,
            ended: None,
            keys: Vec::new(),
            shown: 0,
        });
    }

    /// A client put a key and attached it.
    pub(super) fn attached(&mut self, id: i64, key: Bytes) {
        if let Some(lease) = self.find(id) {
            lease.keys.push(key);
        }
    }

    /// A renewal that was asked for at that moment succeeded.
    pub(super) fn renewed(&mut self, id: i64, asked: u64) -> Outcome {
        let rate_max = self.rate_max;
        let Some(lease) = self.find(id) else {
            return Ok(());
        };
        lease.renewed = lease.renewed.max(asked);
        lease.in_time(rate_max)
    }

    /// A lease is known to be gone by now.
    pub(super) fn ended(&mut self, id: i64, now: u64) -> Outcome {
        let rate_max = self.rate_max;
        let Some(lease) = self.find(id) else {
            return Ok(());
        };
        lease.ended.get_or_insert(now);
        lease.in_time(rate_max)
    }

    /// Whether a lease is known to be gone.
    pub(super) fn has_ended(&self, id: i64) -> bool {
        let mut all = self.all.iter();
        all.any(|lease| lease.id == id && lease.ended.is_some())
    }

    /// How many are known to be gone.
    pub(super) fn count_ended(&self) -> u64 {
        let ended = self.all.iter().filter(|lease| lease.ended.is_some());
        ended.count() as u64
    }

    /// A machine shows a state.
    pub(super) fn on_state(&mut self, at: usize, view: &View, now: u64) -> Outcome {
        for lease in &mut self.all {
            if lease.shown & (1 << at) != 0 {
                continue;
            }
            if view.lease(lease.id).is_some() {
                lease.seen.get_or_insert(view.position());
                continue;
            }
            // A state from before the grant does not have it either.
            if lease.seen.is_some_and(|seen| view.position() >= seen) {
                lease.shown |= 1 << at;
                lease.ended.get_or_insert(now);
                lease.in_time(self.rate_max)?;
                lease.without_keys(view)?;
            }
        }
        Ok(())
    }

    /// The keys of a lease go in one revision.
    pub(super) fn go_at_once(&self, changes: &[Revision]) -> Outcome {
        for lease in &self.all {
            let goes = |change: &&Revision| {
                let mut gone = change.events.iter().filter(|event| event.deleted);
                gone.any(|event| lease.keys.contains(&event.kv.key))
            };
            let mut going = changes.iter().filter(goes);
            if let (Some(first), Some(second)) = (going.next(), going.next()) {
                return Err(format!(
                    "leases: the keys of {} go in revision {}, and others of them in {}",
                    lease.id, first.revision, second.revision
                ));
            }
        }
        Ok(())
    }
}

impl Lease {
    fn in_time(&self, rate_max: u64) -> Outcome {
        // Nanoseconds, by a clock that may be faster than the world's.
        let ttl = self.ttl.unsigned_abs() * 1_000_000_000;
        let ttl = ttl / rate_max * 1_000_000;
        match self.ended {
            Some(ended) if ended < self.renewed + ttl => Err(format!(
                "leases: {} was renewed for {} s at {} ns or later, and gone by {ended} ns",
                self.id, self.ttl, self.renewed
            )),
            _ => Ok(()),
        }
    }

    fn without_keys(&self, view: &View) -> Outcome {
        for key in &self.keys {
            let rows = match view.range(&session::named(key.clone(), 0)) {
                // Its disk has failed, and it is about to end.
                Err(Error::Storage(_) | Error::Damaged(_)) => continue,
                rows => rows.map_err(|error| format!("leases: {error}"))?,
            };
            if !rows.kvs.is_empty() {
                return Err(format!(
                    "leases: {} has ended, and its key {key:?} is still there at position {}",
                    self.id,
                    view.position()
                ));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use quorate_service::reply::{Event, KeyValue};

    const S: u64 = 1_000_000_000;

    #[test]
    fn a_lease_that_ends_before_its_time_is_noticed_whoever_learns_of_it_first() {
        let mut leases = Leases::new(1_000_000);
        leases.granted(7, 2, 10 * S);
        assert_eq!(leases.renewed(7, 11 * S), Ok(()));
        assert!(!leases.has_ended(7));
        assert_eq!(leases.ended(7, 13 * S), Ok(()), "just in time");
        assert!(leases.has_ended(7));
        // An answer may be late; the renewal was asked for before the end, and yet it ended.
        assert!(leases.renewed(7, 12 * S).is_err());
        leases.granted(8, 2, 10 * S);
        assert!(leases.ended(8, 12 * S - 1).is_err());
        assert_eq!(leases.count_ended(), 2);
    }

    #[test]
    fn time_may_pass_as_fast_as_the_fastest_clock() {
        let mut leases = Leases::new(2_000_000);
        leases.granted(7, 2, 10 * S);
        assert_eq!(leases.ended(7, 11 * S), Ok(()));
        leases.granted(8, 2, 10 * S);
        assert!(leases.ended(8, 11 * S - 1).is_err());
    }

    #[test]
    fn keys_of_a_lease_that_go_in_two_revisions_are_noticed() {
        let gone = |revision: i64, keys: &[&'static str]| {
            let event = |key: &&'static str| Event {
                deleted: true,
                kv: KeyValue {
                    key: Bytes::from_static(key.as_bytes()),
                    ..KeyValue::default()
                },
                prev_kv: None,
            };
            let events = keys.iter().map(event).collect();
            Revision { revision, events }
        };
        let mut leases = Leases::new(1_000_000);
        leases.granted(7, 2, 0);
        leases.attached(7, Bytes::from_static(b"a"));
        leases.attached(7, Bytes::from_static(b"b"));
        let once = [gone(2, &["x"]), gone(3, &["a", "b"])];
        assert_eq!(leases.go_at_once(&once), Ok(()));
        let twice = [gone(2, &["a"]), gone(3, &["b"])];
        assert!(leases.go_at_once(&twice).is_err());
    }
}
