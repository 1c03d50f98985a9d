//! What the log is made of: epochs, indexes and entries.

use alloc::vec::{self, Vec};
use core::iter::Chain;
use core::{fmt, option};

use quorate_core::{Checkpoint, Malformed, NodeId, Payload, Reader, Wire, wire};
use quorate_problems::total_order::Membership;

/// Counts who was in charge: a term, a view, a ballot. Epoch 0 is before anyone was.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Epoch(pub u64);

/// A place in the log. The first entry has index 1, so 0 is "before the log".
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Index(pub u64);

/// An index and the epoch of the entry there. As long as one node is in charge of an epoch, and it
/// appends only, these two identify the whole log through that index.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Position {
    /// Where.
    pub index: Index,
    /// The epoch of the entry there.
    pub epoch: Epoch,
}

/// One log entry.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Entry {
    /// The epoch in which it was created.
    pub epoch: Epoch,
    /// What it says.
    pub content: Content,
}

/// What an entry says.
#[derive(Clone, PartialEq, Eq, Hash)]
pub enum Content {
    /// Nothing: it fills a place, or is there because it has the epoch that it has.
    Noop,
    /// What the layer above wanted ordered.
    Command(Payload),
    /// Who takes part from here on.
    Members(Membership),
}

/// The entries of one message. Most messages carry one, which then needs no allocation.
#[derive(Clone, PartialEq, Eq, Hash)]
pub enum Entries {
    /// Exactly one.
    One(Entry),
    /// Any other number.
    Many(Vec<Entry>),
}

impl Epoch {
    /// The epoch after this one.
    #[must_use]
    pub fn next(self) -> Epoch {
        Epoch(self.0 + 1)
    }
}

impl Index {
    /// The index `count` places further on.
    #[must_use]
    pub fn plus(self, count: usize) -> Index {
        Index(self.0 + count as u64)
    }

    /// The index after this one.
    #[must_use]
    pub fn next(self) -> Index {
        Index(self.0 + 1)
    }

    /// The index before this one; 0 has none and stays.
    #[must_use]
    pub fn before(self) -> Index {
        Index(self.0.saturating_sub(1))
    }

    /// How many places this index lies behind `earlier`, 0 if it does not.
    #[must_use]
    pub fn since(self, earlier: Index) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

impl Position {
    /// Whether a log that ends here is at least as up to date as one that ends at `other`: the later
    /// epoch wins, then the longer log.
    #[must_use]
    pub fn is_up_to_date_with(self, other: Position) -> bool {
        (self.epoch, self.index) >= (other.epoch, other.index)
    }
}

impl From<Checkpoint> for Position {
    fn from(checkpoint: Checkpoint) -> Position {
        Position {
            index: Index(checkpoint.position),
            epoch: Epoch(checkpoint.epoch),
        }
    }
}

impl From<Position> for Checkpoint {
    fn from(position: Position) -> Checkpoint {
        Checkpoint {
            position: position.index.0,
            epoch: position.epoch.0,
        }
    }
}

impl Entry {
    /// What the entry costs to keep or to send, for all limits in bytes.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        /// Epoch, index, length, checksum, and what the structures around them take.
        const OVERHEAD: u64 = 64;
        match &self.content {
            Content::Noop => OVERHEAD,
            Content::Command(payload) => OVERHEAD + payload.len() as u64,
            Content::Members(members) => OVERHEAD + 8 * members.iter().count() as u64,
        }
    }

    /// What the layer above is given for it.
    #[must_use]
    pub fn payload(&self) -> Payload {
        match &self.content {
            Content::Noop | Content::Members(_) => Payload::empty(),
            Content::Command(payload) => payload.clone(),
        }
    }
}

impl Entry {
    /// The entry as it would read under these names.
    #[must_use]
    pub fn renamed(&self, names: &dyn Fn(NodeId) -> NodeId) -> Entry {
        let content = match &self.content {
            Content::Noop => Content::Noop,
            Content::Command(payload) => Content::Command(payload.clone()),
            Content::Members(members) => Content::Members(members.renamed(names)),
        };
        Entry {
            epoch: self.epoch,
            content,
        }
    }
}

impl Entries {
    /// The entries as they would read under these names.
    #[must_use]
    pub fn renamed(&self, names: &dyn Fn(NodeId) -> NodeId) -> Entries {
        match self {
            Entries::One(entry) => Entries::One(entry.renamed(names)),
            Entries::Many(entries) => {
                let renamed = entries.iter().map(|entry| entry.renamed(names));
                Entries::Many(renamed.collect())
            }
        }
    }

    /// No entries.
    pub const NONE: Entries = Entries::Many(Vec::new());

    /// The entries in order.
    #[must_use]
    pub fn as_slice(&self) -> &[Entry] {
        match self {
            Entries::One(entry) => core::slice::from_ref(entry),
            Entries::Many(entries) => entries,
        }
    }

    /// The same entries, in the form that allocates least.
    #[must_use]
    pub fn from_vec(mut entries: Vec<Entry>) -> Entries {
        match entries.pop() {
            Some(only) if entries.is_empty() => Entries::One(only),
            Some(last) => {
                entries.push(last);
                Entries::Many(entries)
            }
            None => Entries::NONE,
        }
    }
}

impl IntoIterator for Entries {
    type Item = Entry;
    type IntoIter = Chain<option::IntoIter<Entry>, vec::IntoIter<Entry>>;

    fn into_iter(self) -> Self::IntoIter {
        let (one, many) = match self {
            Entries::One(entry) => (Some(entry), Vec::new()),
            Entries::Many(entries) => (None, entries),
        };
        one.into_iter().chain(many)
    }
}

impl fmt::Debug for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for Index {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for Position {
    /// `7@2`: index 7, written in epoch 2.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}@{:?}", self.index, self.epoch)
    }
}

impl fmt::Debug for Entry {
    /// `"x"@2`: the command x, written in epoch 2.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}@{:?}", self.content, self.epoch)
    }
}

impl fmt::Debug for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Content::Noop => f.write_str("noop"),
            Content::Command(payload) => payload.fmt(f),
            Content::Members(members) => write!(f, "members {members}"),
        }
    }
}

impl fmt::Debug for Entries {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_slice().fmt(f)
    }
}

wire!(struct Epoch(number));

wire!(struct Index(number));

wire!(struct Position { index, epoch });

wire!(struct Entry { epoch, content });

wire!(enum Content, "the kind of an entry" {
    0 => Noop;
    1 => Command(payload);
    2 => Members(members);
});

impl Wire for Entries {
    fn encode(&self, out: &mut Vec<u8>) {
        let entries = self.as_slice();
        u32::try_from(entries.len())
            .expect("a message is far smaller than 2^32 entries")
            .encode(out);
        for entry in entries {
            entry.encode(out);
        }
    }

    fn decode(input: &mut Reader<'_>) -> Result<Entries, Malformed> {
        /// Epoch and kind.
        const ENTRY_BYTES_MIN: usize = 9;
        match input.count(ENTRY_BYTES_MIN)? {
            1 => Entry::decode(input).map(Entries::One),
            count => {
                let mut entries = Vec::new();
                for _ in 0..count {
                    entries.push(Entry::decode(input)?);
                }
                Ok(Entries::Many(entries))
            }
        }
    }
}
