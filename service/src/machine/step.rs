//! Changes of rows: what puts and deletes do, alone or in a transaction.

use std::ops::ControlFlow;
use std::sync::atomic::Ordering;
use std::sync::{PoisonError, RwLockWriteGuard};

use bytes::Bytes;

use super::{Machine, Outcome};
use crate::command::{DeleteRange, KeyRange, Put};
use crate::error::Error;
use crate::reply::{DeleteRangeReply, Event, KeyValue, PutReply, Revision};
use crate::store::layer::{Change, ROW_OVERHEAD_BYTES, STORED_OVERHEAD_BYTES};
use crate::store::leases::Leases;
use crate::store::row::{Kind, Row, RowKey, Span, Stamp};
use crate::store::scan::{Seen, change, scan};
use crate::store::state::live;

/// The changes of one command, which share one revision.
#[derive(Debug)]
pub(super) struct Step {
    /// The revision that the command takes if it changes anything.
    main: i64,
    /// The number of the next change.
    sub: u32,
    events: Vec<Event>,
}

impl Step {
    /// The revision as an operation sees it now: the new one as soon as anything has changed.
    pub(super) fn revision(&self) -> i64 {
        match self.sub {
            0 => self.main - 1,
            _ => self.main,
        }
    }

    /// The moment right after the last change.
    pub(super) fn now(&self) -> Stamp {
        Stamp {
            main: self.main,
            sub: self.sub,
        }
        .before()
    }

    fn take_stamp(&mut self) -> Stamp {
        let stamp = Stamp {
            main: self.main,
            sub: self.sub,
        };
        self.sub += 1;
        stamp
    }
}

impl Machine {
    pub(super) fn begin(&self) -> Step {
        Step {
            main: self.meta.revision + 1,
            sub: 0,
            events: Vec::new(),
        }
    }

    /// The command is done. It takes a revision only if it changed something.
    pub(super) fn finish(&mut self, step: Step, out: &mut Outcome) {
        if step.sub > 0 {
            self.meta.revision = step.main;
            out.events.push(Revision {
                revision: step.main,
                events: step.events,
            });
        }
    }

    pub(super) fn leases(&self) -> RwLockWriteGuard<'_, Leases> {
        let leases = self.shared.leases.write();
        leases.unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn lease_exists(&self, id: i64) -> bool {
        let leases = self.shared.leases.read();
        let leases = leases.unwrap_or_else(PoisonError::into_inner);
        leases.get(id).is_some()
    }

    /// A put of its own.
    pub(super) fn put(&mut self, put: Put, out: &mut Outcome) -> Result<PutReply, Error> {
        if put.lease != 0 && !self.lease_exists(put.lease) {
            return Err(Error::LeaseNotFound);
        }
        let mut step = self.begin();
        let prev = self.current(&put.key)?;
        if (put.ignore_value || put.ignore_lease) && prev.is_none() {
            return Err(Error::KeyNotFound);
        }
        let reply = self.put_over(put, prev, &mut step);
        self.finish(step, out);
        Ok(reply)
    }

    /// Puts over the row that is there.
    pub(super) fn put_over(
        &mut self,
        put: Put,
        prev: Option<(Stamp, Row)>,
        step: &mut Step,
    ) -> PutReply {
        let old = prev.as_ref().map(|(_, row)| row);
        let old_lease = old.map_or(0, |row| row.lease);
        let value = match put.ignore_value {
            true => old.map_or_else(Bytes::new, |row| row.value.clone()),
            false => put.value,
        };
        let lease = match put.ignore_lease {
            true => old_lease,
            false => put.lease,
        };
        let version = old.map_or(1, |row| row.version + 1);
        let stamp = step.take_stamp();
        let create = old.map_or(stamp.main, |row| row.create);
        let row = Row::put(&put.key, stamp, value, create, version, lease);
        if old_lease != lease {
            let mut leases = self.leases();
            leases.detach(old_lease, &put.key);
            leases.attach(lease, &put.key);
        }
        let replaced = old.map(|row| row.checksum);
        let prev_kv = prev.map(|(at, row)| row.to_kv(&put.key, at));
        let reply = PutReply {
            prev_kv: prev_kv.clone().filter(|_| put.prev_kv),
        };
        step.events
            .push(change(stamp, put.key.clone(), Some(&row), prev_kv));
        self.write(put.key, stamp, row, replaced);
        reply
    }

    /// A delete of its own.
    pub(super) fn delete_range(
        &mut self,
        delete: &DeleteRange,
        out: &mut Outcome,
    ) -> Result<DeleteRangeReply, Error> {
        let mut step = self.begin();
        let reply = self.delete_in(delete, &mut step)?;
        self.finish(step, out);
        Ok(reply)
    }

    pub(super) fn delete_in(
        &mut self,
        delete: &DeleteRange,
        step: &mut Step,
    ) -> Result<DeleteRangeReply, Error> {
        let mut found = Vec::new();
        self.scan_now(&delete.range, |seen| {
            found.push((seen.to_kv(false), seen.checksum()));
            ControlFlow::Continue(())
        })?;
        let mut reply = DeleteRangeReply {
            deleted: i64::try_from(found.len()).expect("rows fit in memory"),
            prev_kvs: Vec::new(),
        };
        if delete.prev_kv {
            reply.prev_kvs = found.iter().map(|(kv, _)| kv.clone()).collect();
        }
        for (kv, checksum) in found {
            if kv.lease != 0 {
                self.leases().detach(kv.lease, &kv.key);
            }
            self.delete(kv, checksum, step);
        }
        Ok(reply)
    }

    /// Deletes a row that is there, with this checksum. Its lease has been seen to.
    pub(super) fn delete(&mut self, prev_kv: KeyValue, checksum: u32, step: &mut Step) {
        let key = prev_kv.key.clone();
        let stamp = step.take_stamp();
        let row = Row::deleted(&key, stamp);
        step.events
            .push(change(stamp, key.clone(), None, Some(prev_kv)));
        self.write(key, stamp, row, Some(checksum));
    }

    /// Adds a row to the active layer, and to the history of the round. It may replace one with this checksum.
    fn write(&mut self, key: Bytes, stamp: Stamp, row: Row, replaced: Option<u32>) {
        self.meta.digest(u64::from(row.checksum));
        let added = Some(row.checksum).filter(|_| !row.is_deleted());
        self.meta.live = live(self.meta.live, replaced, added);
        self.active_bytes += key.len() + row.value.len() + ROW_OVERHEAD_BYTES;
        let stored = 2 * key.len() + row.value.len() + STORED_OVERHEAD_BYTES;
        let active = self.layers.active();
        active
            .stored_bytes
            .fetch_add(stored as u64, Ordering::Relaxed);
        if row.kind() != Kind::Changed {
            // Readers that see the row see this, too.
            active.marks.fetch_add(1, Ordering::Relaxed);
        }
        self.round.push(Change {
            stamp,
            kind: row.kind(),
            key: key.clone(),
        });
        let row_key = RowKey {
            key: key.clone(),
            stamp: std::cmp::Reverse(stamp),
        };
        self.layers.active().rows.insert(row_key, row.clone());
        self.recent.insert(key, stamp, row);
    }

    /// The row of a key as it is now.
    pub(super) fn current(&self, key: &Bytes) -> Result<Option<(Stamp, Row)>, Error> {
        let found = match self.recent.get(key) {
            Some(found) => Some(found.clone()),
            None => self.layers.base.get(key, Stamp::end_of(i64::MAX))?,
        };
        Ok(found.filter(|(_, row)| !row.is_deleted()))
    }

    /// Visits the rows of a range as they are now.
    pub(super) fn scan_now(
        &self,
        range: &KeyRange,
        mut visit: impl FnMut(&Seen<'_>) -> ControlFlow<()>,
    ) -> Result<(), Error> {
        match Span::of(range) {
            Span::Single(key) => {
                if let Some((stamp, row)) = self.current(key)? {
                    let _ = visit(&Seen::Memory(key, stamp, &row));
                }
                Ok(())
            }
            span => scan(&self.layers, span, Stamp::end_of(i64::MAX), visit),
        }
    }
}
