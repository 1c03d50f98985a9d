//! Rows, and how they are keyed and stored.
//!
//! A row is one version of a key and never changes. In memory and on disk rows are sorted by key,
//! and the versions of one key from the newest to the oldest, so that the row that is current at
//! some moment is the first one at or behind a position.

use std::cmp::Reverse;

use bytes::Bytes;

use crate::command::KeyRange;
use crate::error::Error;
use crate::reply::KeyValue;

/// A moment in the history of the store: a revision, and which change of that revision.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) struct Stamp {
    /// The revision.
    pub(crate) main: i64,
    /// The change within the revision, from 0.
    pub(crate) sub: u32,
}

impl Stamp {
    /// Before everything.
    pub(crate) const FIRST: Stamp = Stamp { main: 0, sub: 0 };
    /// The bytes of a stamp in a key.
    pub(crate) const BYTES: usize = 12;

    /// The moment after all changes of a revision.
    pub(crate) fn end_of(main: i64) -> Stamp {
        Stamp {
            main,
            sub: u32::MAX,
        }
    }

    /// The moment just before this one.
    pub(crate) fn before(self) -> Stamp {
        match self.sub {
            0 => Stamp::end_of(self.main - 1),
            sub => Stamp {
                main: self.main,
                sub: sub - 1,
            },
        }
    }

    /// Sorts as stamps do.
    pub(crate) fn to_bytes(self) -> [u8; Stamp::BYTES] {
        let mut bytes = [0; Stamp::BYTES];
        bytes[..8].copy_from_slice(&self.main.to_be_bytes());
        bytes[8..].copy_from_slice(&self.sub.to_be_bytes());
        bytes
    }

    pub(crate) fn from_bytes(bytes: [u8; Stamp::BYTES]) -> Stamp {
        let (main, sub) = bytes.split_at(8);
        Stamp {
            main: i64::from_be_bytes(main.try_into().expect("eight of twelve bytes")),
            sub: u32::from_be_bytes(sub.try_into().expect("four of twelve bytes")),
        }
    }
}

/// Where a row is in memory.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct RowKey {
    pub(crate) key: Bytes,
    /// Newest first.
    pub(crate) stamp: Reverse<Stamp>,
}

impl RowKey {
    pub(crate) fn new(key: &Bytes, stamp: Stamp) -> RowKey {
        RowKey {
            key: key.clone(),
            stamp: Reverse(stamp),
        }
    }
}

/// One version of a key. Version 0 says that the key was deleted.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Row {
    pub(crate) value: Bytes,
    pub(crate) create: i64,
    pub(crate) version: i64,
    pub(crate) lease: i64,
    /// The crc32c over key, stamp and everything above, from the moment of the change.
    pub(crate) checksum: u32,
}

/// What a change did to its key.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    /// There was a row before, and there is one now.
    Changed,
    /// There was none before.
    Created,
    /// There is none any more.
    Deleted,
}

/// Checksum, revision of creation, version, lease.
const ROW_HEADER_BYTES: usize = 4 + 8 + 8 + 8;

impl Row {
    /// A value.
    pub(crate) fn put(
        key: &[u8],
        stamp: Stamp,
        value: Bytes,
        create: i64,
        version: i64,
        lease: i64,
    ) -> Row {
        let mut row = Row {
            value,
            create,
            version,
            lease,
            checksum: 0,
        };
        row.checksum = checksum(key, stamp, create, version, lease, &row.value);
        row
    }

    /// A deletion.
    pub(crate) fn deleted(key: &[u8], stamp: Stamp) -> Row {
        Row::put(key, stamp, Bytes::new(), 0, 0, 0)
    }

    pub(crate) fn is_deleted(&self) -> bool {
        self.version == 0
    }

    pub(crate) fn kind(&self) -> Kind {
        match self.version {
            0 => Kind::Deleted,
            1 => Kind::Created,
            _ => Kind::Changed,
        }
    }

    /// What clients see of it.
    pub(crate) fn to_kv(&self, key: &Bytes, stamp: Stamp) -> KeyValue {
        KeyValue {
            key: key.clone(),
            value: self.value.clone(),
            create_revision: self.create,
            mod_revision: stamp.main,
            version: self.version,
            lease: self.lease,
        }
    }

    /// The row as it is stored.
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        out.clear();
        out.extend_from_slice(&self.checksum.to_le_bytes());
        for number in [self.create, self.version, self.lease] {
            out.extend_from_slice(&number.to_le_bytes());
        }
        out.extend_from_slice(&self.value);
    }
}

fn checksum(key: &[u8], stamp: Stamp, create: i64, version: i64, lease: i64, value: &[u8]) -> u32 {
    let mut head = [0; Stamp::BYTES + 24];
    head[..12].copy_from_slice(&stamp.to_bytes());
    head[12..20].copy_from_slice(&create.to_le_bytes());
    head[20..28].copy_from_slice(&version.to_le_bytes());
    head[28..].copy_from_slice(&lease.to_le_bytes());
    let crc = crc32c::crc32c(&head);
    crc32c::crc32c_append(crc32c::crc32c_append(crc, key), value)
}

/// A stored row whose checksum holds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct StoredRow<'a> {
    pub(crate) create: i64,
    pub(crate) version: i64,
    pub(crate) lease: i64,
    pub(crate) checksum: u32,
    pub(crate) value: &'a [u8],
}

impl<'a> StoredRow<'a> {
    /// Reads and verifies what [`Row::encode`] wrote.
    pub(crate) fn decode(
        key: &[u8],
        stamp: Stamp,
        stored: &'a [u8],
    ) -> Result<StoredRow<'a>, Error> {
        let damaged = || {
            Error::Damaged(format!(
                "the row of key {:?} at revision {}",
                Bytes::copy_from_slice(key),
                stamp.main
            ))
        };
        let (head, value) = stored
            .split_first_chunk::<ROW_HEADER_BYTES>()
            .ok_or_else(damaged)?;
        let number = |at: usize| {
            i64::from_le_bytes(
                head[at..at + 8]
                    .try_into()
                    .expect("eight bytes of the head"),
            )
        };
        let row = StoredRow {
            create: number(4),
            version: number(12),
            lease: number(20),
            checksum: u32::from_le_bytes(head[..4].try_into().expect("four bytes of the head")),
            value,
        };
        if checksum(key, stamp, row.create, row.version, row.lease, value) != row.checksum {
            return Err(damaged());
        }
        Ok(row)
    }

    pub(crate) fn to_row(self) -> Row {
        Row {
            value: Bytes::copy_from_slice(self.value),
            create: self.create,
            version: self.version,
            lease: self.lease,
            checksum: self.checksum,
        }
    }
}

/// Appends the beginning of all stored row keys of `key`: zeros are escaped and two zeros end it, so
/// that stored keys sort as bytes the way pairs of key and stamp sort.
pub(crate) fn encode_key(key: &[u8], out: &mut Vec<u8>) {
    let mut rest = key;
    while let Some(zero) = rest.iter().position(|byte| *byte == 0) {
        out.extend_from_slice(&rest[..=zero]);
        out.push(0xff);
        rest = &rest[zero + 1..];
    }
    out.extend_from_slice(rest);
    out.extend_from_slice(&[0, 0]);
}

/// Appends a stored row key: the key, and the stamp inverted, so that the newest comes first.
pub(crate) fn encode_row_key(key: &[u8], stamp: Stamp, out: &mut Vec<u8>) {
    encode_key(key, out);
    out.extend_from_slice(&stamp.to_bytes().map(|byte| !byte));
}

/// Splits a stored row key into what all versions of the key share, and the stamp.
pub(crate) fn split_row_key(stored: &[u8]) -> Result<(&[u8], Stamp), Error> {
    stored
        .split_last_chunk::<{ Stamp::BYTES }>()
        .map(|(shared, stamp)| (shared, Stamp::from_bytes(stamp.map(|byte| !byte))))
        .ok_or_else(bad_row_key)
}

/// Reads the key from what [`encode_key`] wrote into `out`.
pub(crate) fn decode_key(shared: &[u8], out: &mut Vec<u8>) -> Result<(), Error> {
    out.clear();
    let mut rest = shared.strip_suffix(&[0, 0]).ok_or_else(bad_row_key)?;
    while let Some(zero) = rest.iter().position(|byte| *byte == 0) {
        if rest.get(zero + 1) != Some(&0xff) {
            return Err(bad_row_key());
        }
        out.extend_from_slice(&rest[..=zero]);
        rest = &rest[zero + 2..];
    }
    out.extend_from_slice(rest);
    Ok(())
}

fn bad_row_key() -> Error {
    Error::Damaged("the key of a stored row".to_owned())
}

/// The keys that a [`KeyRange`] means.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Span<'a> {
    /// None at all: the end is not behind the beginning.
    Nothing,
    /// One.
    Single(&'a Bytes),
    /// All from this one on.
    From(&'a Bytes),
    /// From the first one to before the second.
    Between(&'a Bytes, &'a Bytes),
}

impl<'a> Span<'a> {
    pub(crate) fn of(range: &'a KeyRange) -> Span<'a> {
        match &range.end[..] {
            [] => Span::Single(&range.key),
            [0] => Span::From(&range.key),
            _ if range.end <= range.key => Span::Nothing,
            _ => Span::Between(&range.key, &range.end),
        }
    }

    pub(crate) fn contains(self, key: &[u8]) -> bool {
        match self {
            Span::Nothing => false,
            Span::Single(only) => key == &only[..],
            Span::From(first) => key >= &first[..],
            Span::Between(first, end) => key >= &first[..] && key < &end[..],
        }
    }

    /// The first key, and whether `key`, at or behind it, is still inside.
    pub(crate) fn first(self) -> Option<&'a Bytes> {
        match self {
            Span::Nothing => None,
            Span::Single(key) | Span::From(key) | Span::Between(key, _) => Some(key),
        }
    }

    pub(crate) fn ends_before(self, key: &[u8]) -> bool {
        match self {
            Span::Nothing => true,
            Span::Single(only) => key > &only[..],
            Span::From(_) => false,
            Span::Between(_, end) => key >= &end[..],
        }
    }
}
