//! How many keys there are, without looking at each: etcd's answer to a range has the count of the whole range,
//! whatever its limit.
//!
//! The keys on disk are divided into blocks, and of each block it is known how many of its keys are current.
//! A count adds up the blocks inside a range and walks through the two at its ends; what the layers in
//! memory created and deleted is added to that. It is right for every moment since the last flush, which
//! is what nearly everybody asks about; older moments are counted by walking. Nothing of it is stored: whoever opens a store
//! walks over it once, in small steps.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::layer::{Layer, Layers};
use super::row::{Kind, Span, Stamp};
use redb::ReadableTableMetadata;

use super::tables::{Base, BaseWalk, storage};
use crate::error::Error;

/// A block with more current keys than this is divided,
const BLOCK_KEYS_MAX: u64 = if cfg!(test) { 8 } else { 256 };
/// into blocks of so many; and so many are in a block where a walk makes them.
const BLOCK_KEYS: u64 = BLOCK_KEYS_MAX / 2;
/// How many keys one step of the first walk looks at.
const STEP_KEYS: usize = if cfg!(test) { 20 } else { 20_000 };

/// The end of all moments.
const NOW: Stamp = Stamp {
    main: i64::MAX,
    sub: u32::MAX,
};

/// The blocks of the keys on disk, as of one flush.
#[derive(Clone, Debug)]
pub(crate) struct Counts {
    /// In order; the first one begins before every key.
    blocks: Vec<Block>,
    /// All keys before this one are counted; all there are if there is none.
    through: Option<Arc<[u8]>>,
}

#[derive(Clone, Debug)]
struct Block {
    /// It holds the keys from here to the beginning of the next one.
    first: Arc<[u8]>,
    /// How many of them are current.
    keys: u64,
    /// How many are in all blocks before it.
    before: u64,
}

impl Block {
    fn at(first: &[u8]) -> Block {
        Block {
            first: first.into(),
            keys: 0,
            before: 0,
        }
    }
}

impl Counts {
    /// Of a store that nobody has walked over yet, which is not needed if it is empty.
    pub(crate) fn begin(base: &Base) -> Result<Counts, Error> {
        let is_empty = base.rows.is_empty().map_err(storage)?;
        Ok(Counts {
            blocks: vec![Block::at(&[])],
            through: (!is_empty).then(|| Arc::new([]) as Arc<[u8]>),
        })
    }

    /// Whether all keys are counted.
    pub(crate) fn is_complete(&self) -> bool {
        self.through.is_none()
    }

    /// Counts some of the keys that are not counted yet.
    pub(crate) fn step(&mut self, base: &Base) -> Result<(), Error> {
        let Some(from) = self.through.take() else {
            return Ok(());
        };
        let mut walk = Walk::new(base, &from, None)?;
        let last = self.blocks.pop().unwrap_or(Block::at(&[]));
        let (mut made, rest) = walk.blocks(last, STEP_KEYS)?;
        self.blocks.append(&mut made);
        self.through = rest.map(Arc::from);
        self.add_up();
        Ok(())
    }

    /// What a layer created and deleted is on disk now.
    pub(crate) fn flushed(&mut self, layer: &Layer, base: &Base) -> Result<(), Error> {
        if layer.marks.load(Ordering::Relaxed) == 0 {
            return Ok(());
        }
        let mut at = 0;
        for entry in &layer.rows {
            let key = &entry.key().key;
            if self
                .through
                .as_ref()
                .is_some_and(|through| **key >= **through)
            {
                break; // The walk will come to it.
            }
            let change = mark(entry.value().kind());
            if change == 0 {
                continue;
            }
            while self
                .blocks
                .get(at + 1)
                .is_some_and(|next| *next.first <= **key)
            {
                at += 1;
            }
            let block = &mut self.blocks[at];
            // The newest change of a key comes first: in between there may be fewer than none.
            block.keys = block.keys.wrapping_add_signed(change);
        }
        self.divide(base)?;
        self.add_up();
        Ok(())
    }

    /// Divides blocks that have become large, and joins those that have become small.
    fn divide(&mut self, base: &Base) -> Result<(), Error> {
        let mut blocks: Vec<Block> = Vec::with_capacity(self.blocks.len());
        let mut old = std::mem::take(&mut self.blocks).into_iter().peekable();
        while let Some(block) = old.next() {
            if block.keys > BLOCK_KEYS_MAX {
                let end = old.peek().map(|next| next.first.clone());
                let end = end.or_else(|| self.through.clone());
                let mut walk = Walk::new(base, &block.first, end.as_deref())?;
                let (mut made, _) = walk.blocks(Block::at(&block.first), usize::MAX)?;
                blocks.append(&mut made);
                continue;
            }
            match blocks.last_mut() {
                Some(last) if last.keys + block.keys <= BLOCK_KEYS / 2 => last.keys += block.keys,
                _ => blocks.push(block),
            }
        }
        self.blocks = blocks;
        Ok(())
    }

    fn add_up(&mut self) {
        let mut before = 0;
        for block in &mut self.blocks {
            block.before = before;
            before += block.keys;
        }
    }

    /// The number of the block in which a key is.
    fn block_of(&self, key: &[u8]) -> usize {
        let behind = self.blocks.partition_point(|block| *block.first <= *key);
        behind.saturating_sub(1)
    }

    /// How many current keys there are before this one.
    fn before(&self, base: &Base, key: &[u8]) -> Result<u64, Error> {
        let block = &self.blocks[self.block_of(key)];
        Ok(block.before + Walk::new(base, &block.first, Some(key))?.count()?)
    }

    /// How many current keys there are in a span.
    fn count(&self, base: &Base, span: Span<'_>) -> Result<u64, Error> {
        let (first, end) = match span {
            Span::Nothing => return Ok(0),
            Span::Single(key) => {
                return Ok(u64::from(
                    base.get(key, NOW)?.is_some_and(|it| !it.1.is_deleted()),
                ));
            }
            Span::From(first) => (first, None),
            Span::Between(first, end) => (first, Some(end)),
        };
        let Some(end) = end else {
            let all = self.blocks.last().map_or(0, |last| last.before + last.keys);
            return Ok(all - self.before(base, first)?);
        };
        if self.block_of(first) == self.block_of(end) {
            return Walk::new(base, first, Some(end))?.count();
        }
        let before = self.before(base, first)?;
        Ok(self.before(base, end)?.saturating_sub(before))
    }
}

/// What a change does to the count of its key.
fn mark(kind: Kind) -> i64 {
    match kind {
        Kind::Created => 1,
        Kind::Deleted => -1,
        Kind::Changed => 0,
    }
}

impl Layers {
    /// Whether it can be told how many keys are current at a moment without looking at each.
    pub(crate) fn can_count(&self, at: Stamp) -> bool {
        self.counts.is_complete() && at >= Stamp::end_of(self.base.meta.revision)
    }

    /// How many keys are current at a moment, if that can be told.
    pub(crate) fn count(&self, span: Span<'_>, at: Stamp) -> Result<Option<i64>, Error> {
        if !self.can_count(at) {
            return Ok(None);
        }
        let Some(first) = span.first() else {
            return Ok(Some(0));
        };
        let mut count = self.counts.count(&self.base, span)?.cast_signed();
        for layer in &self.memory {
            if layer.marks.load(Ordering::Relaxed) > 0 {
                let rows = layer.rows_from(first);
                let rows = rows.take_while(|row| !span.ends_before(&row.key().key));
                let rows = rows.filter(|row| row.key().stamp.0 <= at);
                count += rows.map(|row| mark(row.value().kind())).sum::<i64>();
            }
        }
        Ok(Some(count))
    }
}

/// A walk over the current keys on disk.
struct Walk<'a> {
    walk: BaseWalk<'a>,
}

impl<'a> Walk<'a> {
    fn new(base: &'a Base, first: &[u8], end: Option<&[u8]>) -> Result<Walk<'a>, Error> {
        let first = bytes::Bytes::copy_from_slice(first);
        let end = end.map(bytes::Bytes::copy_from_slice);
        let span = match &end {
            Some(end) if *end <= first => Span::Nothing,
            Some(end) => Span::Between(&first, end),
            None => Span::From(&first),
        };
        Ok(Walk {
            walk: BaseWalk::new(base, span, NOW)?,
        })
    }

    fn count(&mut self) -> Result<u64, Error> {
        let mut count = 0;
        while self.walk.key.is_some() {
            count += u64::from(self.walk.row()?.version != 0);
            self.walk.advance()?;
        }
        Ok(count)
    }

    /// Goes on from a block, over so many keys. Answers that block and those behind it, and the first key that was
    /// not looked at.
    fn blocks(
        &mut self,
        mut block: Block,
        keys_max: usize,
    ) -> Result<(Vec<Block>, Option<Vec<u8>>), Error> {
        let mut blocks = Vec::new();
        let mut keys = 0;
        // Nothing is known of the keys before the first one.
        let mut previous: Option<Vec<u8>> = None;
        while let Some(key) = &self.walk.key {
            if keys >= keys_max {
                let rest = key.clone();
                blocks.push(block);
                return Ok((blocks, Some(rest)));
            }
            keys += 1;
            if block.keys >= BLOCK_KEYS {
                let next = previous.as_ref().map_or(&key[..], |it| separator(it, key));
                let next = Block::at(next);
                blocks.push(std::mem::replace(&mut block, next));
            }
            block.keys += u64::from(self.walk.row()?.version != 0);
            let previous = previous.get_or_insert_default();
            previous.clear();
            previous.extend_from_slice(key);
            self.walk.advance()?;
        }
        blocks.push(block);
        Ok((blocks, None))
    }
}

/// The shortest key behind `before` and not behind `key`.
fn separator<'a>(before: &[u8], key: &'a [u8]) -> &'a [u8] {
    let same = before.iter().zip(key).take_while(|(one, two)| one == two);
    let len = same.count() + 1;
    &key[..len.min(key.len())]
}

#[cfg(test)]
mod tests {
    use super::separator;

    #[test]
    fn a_separator_is_short_and_between() {
        assert_eq!(separator(b"", b"abc"), b"a");
        assert_eq!(separator(b"abc", b"abd"), b"abd");
        assert_eq!(separator(b"ab", b"abc"), b"abc");
        assert_eq!(separator(b"aaa", b"abcdef"), b"ab");
    }
}
