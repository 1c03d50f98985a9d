//! Reading across layers: one key, all keys of a range, the history of a range.

use std::ops::ControlFlow;
use std::sync::Arc;

use bytes::Bytes;

use super::layer::{Layer, LayerWalk, Layers};
use super::row::{Kind, Row, RowKey, Span, Stamp, StoredRow};
use super::tables::{BaseWalk, events_from};
use crate::error::Error;
use crate::reply::{Event, KeyValue, Revision};

/// A row met on a scan.
pub(crate) enum Seen<'a> {
    /// In memory.
    Memory(&'a Bytes, Stamp, &'a Row),
    /// On disk, verified.
    Stored(&'a [u8], Stamp, StoredRow<'a>),
}

impl Seen<'_> {
    pub(crate) fn value(&self) -> &[u8] {
        match self {
            Seen::Memory(_, _, row) => &row.value,
            Seen::Stored(_, _, row) => row.value,
        }
    }

    pub(crate) fn modified(&self) -> i64 {
        match self {
            Seen::Memory(_, stamp, _) | Seen::Stored(_, stamp, _) => stamp.main,
        }
    }

    pub(crate) fn create(&self) -> i64 {
        match self {
            Seen::Memory(_, _, row) => row.create,
            Seen::Stored(_, _, row) => row.create,
        }
    }

    pub(crate) fn version(&self) -> i64 {
        match self {
            Seen::Memory(_, _, row) => row.version,
            Seen::Stored(_, _, row) => row.version,
        }
    }

    pub(crate) fn lease(&self) -> i64 {
        match self {
            Seen::Memory(_, _, row) => row.lease,
            Seen::Stored(_, _, row) => row.lease,
        }
    }

    pub(crate) fn checksum(&self) -> u32 {
        match self {
            Seen::Memory(_, _, row) => row.checksum,
            Seen::Stored(_, _, row) => row.checksum,
        }
    }

    /// What clients see of it.
    pub(crate) fn to_kv(&self, keys_only: bool) -> KeyValue {
        let (key, value) = match self {
            Seen::Memory(key, _, row) => ((*key).clone(), row.value.clone()),
            Seen::Stored(key, ..) if keys_only => (Bytes::copy_from_slice(key), Bytes::new()),
            Seen::Stored(key, _, row) => (
                Bytes::copy_from_slice(key),
                Bytes::copy_from_slice(row.value),
            ),
        };
        KeyValue {
            key,
            value: if keys_only { Bytes::new() } else { value },
            create_revision: self.create(),
            mod_revision: self.modified(),
            version: self.version(),
            lease: self.lease(),
        }
    }
}

/// The newest row of a key that is not newer than `at`, deleted or not.
pub(crate) fn get(layers: &Layers, key: &Bytes, at: Stamp) -> Result<Option<(Stamp, Row)>, Error> {
    // A newer layer's rows are newer, so the first one found is it.
    for layer in &layers.memory {
        if let Some(found) = layer.get(key, at) {
            return Ok(Some(found));
        }
    }
    layers.base.get(key, at)
}

/// The row of a key that is current at `at`.
pub(crate) fn live(layers: &Layers, key: &Bytes, at: Stamp) -> Result<Option<(Stamp, Row)>, Error> {
    Ok(get(layers, key, at)?.filter(|(_, row)| !row.is_deleted()))
}

/// Visits the rows that are current at `at` in order of their keys, until the visitor breaks.
pub(crate) fn scan(
    layers: &Layers,
    span: Span<'_>,
    at: Stamp,
    mut visit: impl FnMut(&Seen<'_>) -> ControlFlow<()>,
) -> Result<(), Error> {
    let first = match span {
        Span::Nothing => return Ok(()),
        Span::Single(key) => {
            if let Some((stamp, row)) = live(layers, key, at)? {
                let _ = visit(&Seen::Memory(key, stamp, &row));
            }
            return Ok(());
        }
        Span::From(first) | Span::Between(first, _) => first,
    };
    let mut walks: Vec<LayerWalk<'_>> = layers
        .memory
        .iter()
        .map(|layer| LayerWalk::new(layer, first, at))
        .collect();
    let mut base = BaseWalk::new(&layers.base, span, at)?;
    loop {
        let step = match front(&walks, &base) {
            None => return Ok(()),
            Some(Front::Memory(at)) => visit_memory(&mut walks, at, &mut base, span, &mut visit)?,
            Some(Front::Base) => visit_base(&mut base, &mut visit)?,
        };
        if step.is_break() {
            return Ok(());
        }
    }
}

/// Where the smallest key is, in the newest layer that has it.
enum Front {
    Memory(usize),
    Base,
}

fn front(walks: &[LayerWalk<'_>], base: &BaseWalk<'_>) -> Option<Front> {
    let mut best: Option<(&[u8], usize)> = None;
    for (at, walk) in walks.iter().enumerate() {
        if let Some(entry) = &walk.entry {
            let key = &entry.key().key[..];
            if best.is_none_or(|(smallest, _)| key < smallest) {
                best = Some((key, at));
            }
        }
    }
    match (best, &base.key) {
        (Some((smallest, _)), Some(key)) if key[..] < *smallest => Some(Front::Base),
        (Some((_, at)), _) => Some(Front::Memory(at)),
        (None, Some(_)) => Some(Front::Base),
        (None, None) => None,
    }
}

fn visit_memory(
    walks: &mut [LayerWalk<'_>],
    at: usize,
    base: &mut BaseWalk<'_>,
    span: Span<'_>,
    visit: &mut impl FnMut(&Seen<'_>) -> ControlFlow<()>,
) -> Result<ControlFlow<()>, Error> {
    let entry = walks[at].entry.as_ref().expect("it is in front");
    let RowKey { key, stamp } = entry.key().clone();
    if span.ends_before(&key) {
        // Nothing but larger keys is left anywhere.
        return Ok(ControlFlow::Break(()));
    }
    let mut step = ControlFlow::Continue(());
    if !entry.value().is_deleted() {
        step = visit(&Seen::Memory(&key, stamp.0, entry.value()));
    }
    for walk in walks {
        if walk
            .entry
            .as_ref()
            .is_some_and(|entry| entry.key().key == key)
        {
            walk.advance();
        }
    }
    if base.key.as_ref().is_some_and(|stored| *stored == key) {
        base.advance()?;
    }
    Ok(step)
}

fn visit_base(
    base: &mut BaseWalk<'_>,
    visit: &mut impl FnMut(&Seen<'_>) -> ControlFlow<()>,
) -> Result<ControlFlow<()>, Error> {
    let row = base.row()?;
    let mut step = ControlFlow::Continue(());
    if row.version != 0 {
        let key = base.key.as_ref().expect("it is in front");
        step = visit(&Seen::Stored(key, base.stamp, row));
    }
    base.advance()?;
    Ok(step)
}

/// How many events one call looks at before it comes back for the next piece.
const EVENTS_MAX: usize = 20_000;

/// Collects the history of a range piece by piece.
pub(crate) struct History<'a> {
    pub(crate) layers: &'a Layers,
    pub(crate) span: Span<'a>,
    pub(crate) compacted: i64,
    pub(crate) bytes_max: usize,
    pub(crate) revisions: Vec<Revision>,
    bytes: usize,
    seen: usize,
    /// The revision being read, of which everything is delivered or nothing.
    current: i64,
}

impl<'a> History<'a> {
    pub(crate) fn new(
        layers: &'a Layers,
        span: Span<'a>,
        compacted: i64,
        bytes_max: usize,
    ) -> History<'a> {
        History {
            layers,
            span,
            compacted,
            bytes_max,
            revisions: Vec::new(),
            bytes: 0,
            seen: 0,
            current: 0,
        }
    }

    /// Reads the revisions `from..=to` until there is enough. Answers the first revision not read.
    pub(crate) fn read(&mut self, from: i64, to: i64) -> Result<i64, Error> {
        for event in events_from(&self.layers.base, from, self.span)? {
            let (stamp, kind, key) = event?;
            if stamp.main > to {
                return Ok(to + 1);
            }
            if self.is_enough(stamp) {
                return Ok(stamp.main);
            }
            if let Some(key) = key {
                let row = match kind {
                    Kind::Deleted => None,
                    Kind::Created | Kind::Changed => Some(self.layers.base.get(&key, stamp)?),
                };
                self.add(stamp, key, row.map(|row| exact(row, stamp)).transpose()?)?;
            }
        }
        let layers = self.layers;
        for layer in layers.memory.iter().rev() {
            for chunk in layer.history.range(from..) {
                for change in chunk.value().iter() {
                    let stamp = change.stamp;
                    if stamp.main < from {
                        continue;
                    }
                    if stamp.main > to {
                        return Ok(to + 1);
                    }
                    if self.is_enough(stamp) {
                        return Ok(stamp.main);
                    }
                    if self.span.contains(&change.key) {
                        self.add_from(layer, stamp, &change.key)?;
                    }
                }
            }
        }
        Ok(to + 1)
    }

    fn add_from(&mut self, layer: &Arc<Layer>, stamp: Stamp, key: &Bytes) -> Result<(), Error> {
        let row = exact(layer.get(key, stamp), stamp)?;
        let row = (!row.is_deleted()).then_some(row);
        self.add(stamp, key.clone(), row)
    }

    /// Whether there is enough and a new revision begins.
    fn is_enough(&mut self, stamp: Stamp) -> bool {
        let begins = stamp.main != self.current;
        self.current = stamp.main;
        self.seen += 1;
        begins && (self.bytes >= self.bytes_max || self.seen > EVENTS_MAX)
    }

    fn add(&mut self, stamp: Stamp, key: Bytes, row: Option<Row>) -> Result<(), Error> {
        let event = self.event(stamp, key, row)?;
        self.bytes += size_of::<Event>() + event.kv.key.len() + event.kv.value.len();
        if let Some(prev) = &event.prev_kv {
            self.bytes += prev.key.len() + prev.value.len();
        }
        match self.revisions.last_mut() {
            Some(last) if last.revision == stamp.main => last.events.push(event),
            _ => self.revisions.push(Revision {
                revision: stamp.main,
                events: vec![event],
            }),
        }
        Ok(())
    }

    fn event(&self, stamp: Stamp, key: Bytes, row: Option<Row>) -> Result<Event, Error> {
        // What was current before a compacted revision may be gone on some replicas and not yet on
        // others: it is gone on all.
        let prev_kv = if stamp.main > self.compacted {
            live(self.layers, &key, stamp.before())?.map(|(at, row)| row.to_kv(&key, at))
        } else {
            None
        };
        Ok(change(stamp, key, row.as_ref(), prev_kv))
    }
}

/// A change as watchers see it: a row, or none for a deletion.
pub(crate) fn change(
    stamp: Stamp,
    key: Bytes,
    row: Option<&Row>,
    prev_kv: Option<KeyValue>,
) -> Event {
    let kv = match row {
        Some(row) => row.to_kv(&key, stamp),
        None => KeyValue {
            key,
            mod_revision: stamp.main,
            ..KeyValue::default()
        },
    };
    Event {
        kv,
        deleted: row.is_none(),
        prev_kv,
    }
}

/// The row of an event must be there.
fn exact(found: Option<(Stamp, Row)>, stamp: Stamp) -> Result<Row, Error> {
    match found {
        Some((at, row)) if at == stamp => Ok(row),
        _ => Err(Error::Damaged(format!(
            "revision {} has an event without its row",
            stamp.main
        ))),
    }
}
