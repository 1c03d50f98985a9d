//! Reads of ranges, with all their options.

use std::cmp::Ordering;
use std::ops::ControlFlow;

use super::layer::Layers;
use super::row::{Span, Stamp};
use super::scan::{Seen, scan};
use crate::command::{Order, Range, Target};
use crate::error::Error;
use crate::reply::{KeyValue, RangeReply};

/// Answers a range at a moment that the caller has checked.
pub(crate) fn range(layers: &Layers, at: Stamp, range: &Range) -> Result<RangeReply, Error> {
    let mut rows = Rows::new(range);
    let span = Span::of(&range.range);
    if range.count_only
        && let Some(count) = layers.count(span, at)?
    {
        rows.count = count;
        return Ok(rows.finish());
    }
    let may_count = layers.can_count(at);
    let mut all = true;
    scan(layers, span, at, |seen| {
        rows.visit(seen);
        match may_count && rows.is_full() {
            true => {
                all = false;
                ControlFlow::Break(())
            }
            false => ControlFlow::Continue(()),
        }
    })?;
    if !all && let Some(count) = layers.count(span, at)? {
        rows.count = count;
    }
    Ok(rows.finish())
}

/// The rows of an answer as they come, in order of their keys.
struct Rows<'a> {
    range: &'a Range,
    /// How many rows are wanted.
    limit: usize,
    /// Whether the rows come in the order that is wanted.
    in_order: bool,
    kvs: Vec<KeyValue>,
    /// Rows in the range.
    count: i64,
    /// Rows that passed the filters.
    passed: usize,
}

impl<'a> Rows<'a> {
    fn new(range: &'a Range) -> Rows<'a> {
        let in_order = range.target == Target::Key && range.order != Order::Descend;
        Rows {
            range,
            limit: match usize::try_from(range.limit) {
                Ok(0) | Err(_) => usize::MAX,
                Ok(limit) => limit,
            },
            in_order,
            kvs: Vec::new(),
            count: 0,
            passed: 0,
        }
    }

    /// Whether all that is still wanted is the count.
    fn is_full(&self) -> bool {
        self.in_order && self.passed > self.limit
    }

    fn visit(&mut self, seen: &Seen<'_>) {
        // All rows are counted, whatever limit and filters say.
        self.count += 1;
        if self.range.count_only || self.is_full() || !self.passes(seen) {
            return;
        }
        self.passed += 1;
        if self.in_order {
            if self.passed <= self.limit {
                self.kvs.push(seen.to_kv(self.range.keys_only));
            }
            return;
        }
        // The order is by value even if the values are then left out.
        let keys_only = self.range.keys_only && self.range.target != Target::Value;
        self.kvs.push(seen.to_kv(keys_only));
        // Far more than are wanted: those that cannot be among the first are dropped now.
        if self.kvs.len() / 2 > self.limit.max(512) {
            self.sort();
            self.kvs.truncate(self.limit);
        }
    }

    fn passes(&self, seen: &Seen<'_>) -> bool {
        let within =
            |at: i64, min: i64, max: i64| (min == 0 || at >= min) && (max == 0 || at <= max);
        let range = self.range;
        within(
            seen.modified(),
            range.min_mod_revision,
            range.max_mod_revision,
        ) && within(
            seen.create(),
            range.min_create_revision,
            range.max_create_revision,
        )
    }

    /// Sorts as wanted; rows that compare equal stay in the order of their keys.
    fn sort(&mut self) {
        let target = self.range.target;
        let descend = self.range.order == Order::Descend;
        self.kvs.sort_by(|one, two| {
            let order = compare(target, one, two);
            let order = if descend { order.reverse() } else { order };
            order.then_with(|| one.key.cmp(&two.key))
        });
    }

    fn finish(mut self) -> RangeReply {
        let more = !self.range.count_only && self.passed > self.limit;
        if !self.in_order {
            self.sort();
            self.kvs.truncate(self.limit);
            if self.range.keys_only {
                for kv in &mut self.kvs {
                    kv.value.clear();
                }
            }
        }
        RangeReply {
            kvs: self.kvs,
            more,
            count: self.count,
        }
    }
}

fn compare(target: Target, one: &KeyValue, two: &KeyValue) -> Ordering {
    match target {
        Target::Key => one.key.cmp(&two.key),
        Target::Version => one.version.cmp(&two.version),
        Target::Create => one.create_revision.cmp(&two.create_revision),
        Target::Mod => one.mod_revision.cmp(&two.mod_revision),
        Target::Value => one.value.cmp(&two.value),
    }
}
