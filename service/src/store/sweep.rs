//! Freeing the space of compacted rows, a bounded step at a time.
//!
//! The events tell what there is to do, so nothing else is looked at: an event at or before the
//! compacted revision superseded the rows of its key that are older, and those go. If it is a
//! deletion before that revision, its own row goes too, and the event itself. What happened at
//! the compacted revision itself stays, deletions included, because a watch may still begin
//! there; the next compaction passes over it once more.

use std::ops::ControlFlow;

use redb::{ReadableTable, Table, WriteTransaction};

use super::row::{Kind, Stamp, encode_row_key};
use super::state::Sweep;
use super::tables::{Base, EVENTS, ROWS, decode_event, storage};
use crate::error::Error;

type Rows<'a> = Table<'a, &'static [u8], &'static [u8]>;

/// An event to be swept, with the length of its stored value.
struct Swept {
    stamp: Stamp,
    kind: Kind,
    key: Vec<u8>,
    stored_bytes: u64,
}

/// Looks at up to `events_max` events and answers how far the sweep is then.
pub(super) fn step(
    write: &WriteTransaction,
    base: &Base,
    events_max: usize,
) -> Result<Sweep, Error> {
    let mut sweep = base.sweep;
    let target = base.meta.compacted;
    if sweep.target != target {
        // From the start again, which is where what is left of the old target begins.
        sweep.target = target;
        sweep.next = Stamp::FIRST;
    }
    let mut rows: Rows<'_> = write.open_table(ROWS).map_err(storage)?;
    let mut events = write.open_table(EVENTS).map_err(storage)?;
    let (found, finished) = next_events(&events, sweep.next, target, events_max)?;
    let mut freed = 0;
    for event in &found {
        // At the revision itself every event keeps its row.
        let superseded = match event.stamp.main < target {
            true => event.stamp.before(),
            false => Stamp::end_of(target - 1),
        };
        // What was before a creation ended with a deletion, whose event came before this one.
        if event.kind != Kind::Created {
            freed += remove_versions(&mut rows, &event.key, superseded)?;
        }
        if event.stamp.main < target {
            if event.kind == Kind::Deleted {
                freed += remove_row(&mut rows, &event.key, event.stamp)?;
            }
            events.remove(&event.stamp.to_bytes()).map_err(storage)?;
            freed += event.stored_bytes;
        }
    }
    sweep.stored_bytes = sweep.stored_bytes.saturating_sub(freed);
    match finished {
        ControlFlow::Break(()) => {
            sweep.finished = target;
            sweep.next = Stamp::FIRST;
        }
        ControlFlow::Continue(next) => sweep.next = next,
    }
    Ok(sweep)
}

/// The next events up to the target, and where to go on if there are more.
fn next_events(
    events: &impl ReadableTable<&'static [u8; Stamp::BYTES], &'static [u8]>,
    from: Stamp,
    target: i64,
    events_max: usize,
) -> Result<(Vec<Swept>, ControlFlow<(), Stamp>), Error> {
    let mut found = Vec::new();
    let (start, end) = (from.to_bytes(), Stamp::end_of(target).to_bytes());
    let range = events
        .range::<&[u8; Stamp::BYTES]>(&start..=&end)
        .map_err(storage)?;
    for entry in range {
        let (stamp, stored) = entry.map_err(storage)?;
        let stamp = Stamp::from_bytes(*stamp.value());
        if found.len() >= events_max {
            return Ok((found, ControlFlow::Continue(stamp)));
        }
        let (kind, key) = decode_event(stamp, stored.value())?;
        found.push(Swept {
            stamp,
            kind,
            key: key.to_vec(),
            stored_bytes: (Stamp::BYTES + stored.value().len()) as u64,
        });
    }
    Ok((found, ControlFlow::Break(())))
}

/// Removes all rows of a key that are not newer than `at`. There is rarely more than one, since
/// every change before this one has been swept already.
fn remove_versions(rows: &mut Rows<'_>, key: &[u8], at: Stamp) -> Result<u64, Error> {
    let (mut start, mut end) = (Vec::new(), Vec::new());
    encode_row_key(key, at, &mut start);
    encode_row_key(key, Stamp::FIRST, &mut end);
    let mut old = Vec::new();
    let range = rows
        .range::<&[u8]>(&start[..]..=&end[..])
        .map_err(storage)?;
    for entry in range {
        old.push(entry.map_err(storage)?.0.value().to_vec());
    }
    let mut freed = 0;
    for stored_key in old {
        freed += remove(rows, &stored_key)?;
    }
    Ok(freed)
}

fn remove_row(rows: &mut Rows<'_>, key: &[u8], stamp: Stamp) -> Result<u64, Error> {
    let mut stored_key = Vec::new();
    encode_row_key(key, stamp, &mut stored_key);
    remove(rows, &stored_key)
}

fn remove(rows: &mut Rows<'_>, stored_key: &[u8]) -> Result<u64, Error> {
    let removed = rows.remove(stored_key).map_err(storage)?;
    Ok(removed.map_or(0, |value| (stored_key.len() + value.value().len()) as u64))
}
