//! The headers of HTTP/2 (HPACK, RFC 7541), both to read and to write.

mod encoder;
mod huffman;

use std::collections::VecDeque;
use std::sync::LazyLock;

use huffman::Huffman;

pub use encoder::{Encoder, put_string};

/// How large the dynamic table of a side is that has not asked for another size.
pub const TABLE_SIZE: usize = 4096;
/// What an entry of it takes besides its bytes.
const ENTRY_OVERHEAD: usize = 32;

/// The static table: names, and values where it has any (RFC 7541, appendix A).
const STATIC: [(&str, &str); 61] = [
    (":authority", ""),
    (":method", "GET"),
    (":method", "POST"),
    (":path", "/"),
    (":path", "/index.html"),
    (":scheme", "http"),
    (":scheme", "https"),
    (":status", "200"),
    (":status", "204"),
    (":status", "206"),
    (":status", "304"),
    (":status", "400"),
    (":status", "404"),
    (":status", "500"),
    ("accept-charset", ""),
    ("accept-encoding", "gzip, deflate"),
    ("accept-language", ""),
    ("accept-ranges", ""),
    ("accept", ""),
    ("access-control-allow-origin", ""),
    ("age", ""),
    ("allow", ""),
    ("authorization", ""),
    ("cache-control", ""),
    ("content-disposition", ""),
    ("content-encoding", ""),
    ("content-language", ""),
    ("content-length", ""),
    ("content-location", ""),
    ("content-range", ""),
    ("content-type", ""),
    ("cookie", ""),
    ("date", ""),
    ("etag", ""),
    ("expect", ""),
    ("expires", ""),
    ("from", ""),
    ("host", ""),
    ("if-match", ""),
    ("if-modified-since", ""),
    ("if-none-match", ""),
    ("if-range", ""),
    ("if-unmodified-since", ""),
    ("last-modified", ""),
    ("link", ""),
    ("location", ""),
    ("max-forwards", ""),
    ("proxy-authenticate", ""),
    ("proxy-authorization", ""),
    ("range", ""),
    ("referer", ""),
    ("refresh", ""),
    ("retry-after", ""),
    ("server", ""),
    ("set-cookie", ""),
    ("strict-transport-security", ""),
    ("transfer-encoding", ""),
    ("user-agent", ""),
    ("vary", ""),
    ("via", ""),
    ("www-authenticate", ""),
];

static HUFFMAN: LazyLock<Huffman> = LazyLock::new(Huffman::new);

/// Places in the static table.
pub const STATIC_AUTHORITY: u8 = 1;
/// `:method: POST`.
pub const STATIC_METHOD_POST: u8 = 3;
/// `:path: /`.
pub const STATIC_PATH: u8 = 4;
/// `:scheme: http`.
pub const STATIC_SCHEME_HTTP: u8 = 6;
/// `:status: 200`.
pub const STATIC_STATUS: u8 = 8;
/// `content-type`, without a value.
pub const STATIC_CONTENT_TYPE: u8 = 31;
/// How many entries the static table has.
pub const STATIC_LEN: u8 = STATIC.len() as u8;

/// A field that stands in a table as a whole.
pub const INDEXED: u8 = 0x80;
/// A field that enters the dynamic table.
pub const ENTERING: u8 = 0x40;
/// A new size of the dynamic table.
const RESIZING: u8 = 0x20;

/// An entry of the dynamic table.
struct Entry {
    name: Vec<u8>,
    value: Vec<u8>,
}

impl Entry {
    fn size(&self) -> usize {
        self.name.len() + self.value.len() + ENTRY_OVERHEAD
    }
}

/// Reads blocks of headers, all of one connection in the order in which they came.
pub struct Decoder {
    /// The newest first.
    table: VecDeque<Entry>,
    size: usize,
    size_max: usize,
    /// How often the table changed.
    changes: u64,
}

/// A block of headers that cannot be read: the connection is of no use any more.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Malformed;

impl Default for Decoder {
    fn default() -> Decoder {
        Decoder {
            table: VecDeque::new(),
            size: 0,
            size_max: TABLE_SIZE,
            changes: 0,
        }
    }
}

impl Decoder {
    /// How often the table has changed: as long as this stays, equal blocks mean the same.
    #[must_use]
    pub fn changes(&self) -> u64 {
        self.changes
    }

    /// Reads a whole block and shows each field.
    ///
    /// # Errors
    /// If the block is malformed.
    pub fn decode(
        &mut self,
        mut block: &[u8],
        mut field: impl FnMut(&[u8], &[u8]),
    ) -> Result<(), Malformed> {
        let mut is_first = true;
        while let Some(&first) = block.first() {
            if first & INDEXED != 0 {
                let (name, value) = self.at(number(&mut block, 7)?)?;
                field(name, value);
            } else if first & ENTERING != 0 {
                let entry = self.literal(&mut block, 6)?;
                field(&entry.name, &entry.value);
                self.enter(entry);
            } else if first & RESIZING != 0 {
                let size = number(&mut block, 5)?;
                // RFC 7541, 4.2: at the beginning of a block, and no larger than was allowed.
                if size > TABLE_SIZE || !is_first {
                    return Err(Malformed);
                }
                self.size_max = size;
                self.changes += 1;
                self.evict();
                continue;
            } else {
                let entry = self.literal(&mut block, 4)?;
                field(&entry.name, &entry.value);
            }
            is_first = false;
        }
        Ok(())
    }

    fn at(&self, index: usize) -> Result<(&[u8], &[u8]), Malformed> {
        let index = index.checked_sub(1).ok_or(Malformed)?;
        if let Some((name, value)) = STATIC.get(index) {
            return Ok((name.as_bytes(), value.as_bytes()));
        }
        let entry = self.table.get(index - STATIC.len()).ok_or(Malformed)?;
        Ok((&entry.name, &entry.value))
    }

    /// A field whose value, and perhaps whose name, is written out.
    fn literal(&self, block: &mut &[u8], prefix: u32) -> Result<Entry, Malformed> {
        let name = match number(block, prefix)? {
            0 => read_string(block)?,
            index => self.at(index)?.0.to_vec(),
        };
        let value = read_string(block)?;
        Ok(Entry { name, value })
    }

    fn enter(&mut self, entry: Entry) {
        self.changes += 1;
        self.size += entry.size();
        self.table.push_front(entry);
        self.evict();
    }

    fn evict(&mut self) {
        while self.size > self.size_max {
            let Some(oldest) = self.table.pop_back() else {
                return;
            };
            self.size -= oldest.size();
        }
    }
}

/// Takes a string, compressed or not.
fn read_string(block: &mut &[u8]) -> Result<Vec<u8>, Malformed> {
    let compressed = block.first().ok_or(Malformed)? & 0x80 != 0;
    let length = number(block, 7)?;
    let (bytes, rest) = block.split_at_checked(length).ok_or(Malformed)?;
    *block = rest;
    if compressed {
        HUFFMAN.decode(bytes).ok_or(Malformed)
    } else {
        Ok(bytes.to_vec())
    }
}

/// Takes a number whose first byte has so many bits for it (RFC 7541, 5.1).
fn number(block: &mut &[u8], prefix: u32) -> Result<usize, Malformed> {
    let (&first, mut rest) = block.split_first().ok_or(Malformed)?;
    let mask = (1_usize << prefix) - 1;
    let mut value = usize::from(first) & mask;
    if value == mask {
        let mut shift = 0;
        loop {
            let (&byte, after) = rest.split_first().ok_or(Malformed)?;
            rest = after;
            value += usize::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                break;
            }
            shift += 7;
            // Nothing that fits into a frame is larger.
            if shift > 21 {
                return Err(Malformed);
            }
        }
    }
    *block = rest;
    Ok(value)
}

#[cfg(test)]
mod tests;
