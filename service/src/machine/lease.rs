//! Leases and time.

use super::{Machine, Outcome};
use crate::error::Error;
use crate::reply::Reply;

/// How many leases one tick ends at most; the next tick ends more.
const EXPIRED_PER_TICK_MAX: usize = 1000;

/// How long after its time a lease ends. The agreed clock stands still between two ticks, and moves
/// by at most this much in one: a lease that was granted just before a tick was given up to so
/// much too little. With this added, none ends before its time by the leader's own clock.
const GRACE_MS: u64 = 1000;

impl Machine {
    pub(super) fn lease_grant(&mut self, id: i64, ttl: i64) -> Result<Reply, Error> {
        if self.lease_exists(id) {
            return Err(Error::LeaseExists);
        }
        self.set_lease(id, ttl);
        Ok(Reply::LeaseGrant { id, ttl })
    }

    /// A lease that is due is as good as gone: it is not renewed although its end is still to come.
    pub(super) fn lease_keep_alive(&mut self, id: i64) -> Reply {
        let now_ms = self.meta.clock.now_ms;
        let lease = self
            .leases()
            .get(id)
            .map(|lease| (lease.ttl, lease.deadline_ms));
        let ttl = match lease {
            Some((ttl, deadline_ms)) if deadline_ms.saturating_add(GRACE_MS) > now_ms => {
                self.set_lease(id, ttl);
                ttl
            }
            _ => 0,
        };
        Reply::LeaseKeepAlive { ttl }
    }

    fn set_lease(&mut self, id: i64, ttl: i64) {
        let ttl_ms = u64::try_from(ttl).unwrap_or(0).saturating_mul(1000);
        let deadline_ms = self.meta.clock.now_ms.saturating_add(ttl_ms);
        self.leases().set(id, ttl, deadline_ms);
        self.meta.digest(id.cast_unsigned());
        self.meta.digest(deadline_ms);
    }

    /// Ends a lease and deletes its keys, in order, in one revision if there are any.
    pub(super) fn lease_revoke(&mut self, id: i64, out: &mut Outcome) -> Result<Reply, Error> {
        let lease = self.leases().remove(id).ok_or(Error::LeaseNotFound)?;
        self.meta.digest(!id.cast_unsigned());
        let mut step = self.begin();
        for key in lease.keys {
            if let Some((stamp, row)) = self.current(&key)? {
                self.delete(row.to_kv(&key, stamp), row.checksum, &mut step);
            }
        }
        self.finish(step, out);
        Ok(Reply::LeaseRevoke)
    }

    /// Time has passed; what is due by now ends, the earliest first.
    pub(super) fn tick(
        &mut self,
        epoch: u64,
        elapsed_ms: u64,
        out: &mut Outcome,
    ) -> Result<Reply, Error> {
        if !self.meta.clock.tick(epoch, elapsed_ms) {
            return Ok(Reply::Done);
        }
        for _ in 0..EXPIRED_PER_TICK_MAX {
            let due = self.meta.clock.now_ms.checked_sub(GRACE_MS);
            let due = due.and_then(|due_ms| self.leases().due(due_ms));
            let Some(id) = due else { break };
            self.lease_revoke(id, out)?;
        }
        Ok(Reply::Done)
    }
}
