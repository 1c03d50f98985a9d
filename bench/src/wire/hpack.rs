//! The headers of HTTP/2 (HPACK, RFC 7541): the few that we send, and all that servers may answer.

use std::collections::VecDeque;
use std::sync::LazyLock;

use bytes::{BufMut, BytesMut};

use super::Call;
use super::huffman::Huffman;

/// The size of the dynamic table on both sides; nobody asked for another.
pub(super) const TABLE_SIZE: usize = 4096;
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
const AUTHORITY: u8 = 1;
const METHOD_POST: u8 = 3;
const PATH: u8 = 4;
const SCHEME_HTTP: u8 = 6;
const CONTENT_TYPE: u8 = 31;

/// A field that stands in a table as a whole.
const INDEXED: u8 = 0x80;
/// A field that enters the dynamic table.
const ENTERING: u8 = 0x40;

/// When the fields that all requests have entered the server's table; the path of the first request
/// comes between.
const ENTERED_AUTHORITY: u8 = 0;
const ENTERED_CONTENT_TYPE: u8 = 2;
const ENTERED_TE: u8 = 3;

/// Writes the heads of requests. The first of each call enters the server's table; the others
/// take a byte for each field.
pub(super) struct Encoder {
    authority: String,
    /// How many fields entered the server's table. They are few and small: none is ever evicted.
    entered: u8,
    paths: [Option<u8>; Call::ALL.len()],
}

impl Encoder {
    pub(super) fn new(authority: &str) -> Encoder {
        Encoder {
            authority: authority.to_owned(),
            entered: 0,
            paths: [None; Call::ALL.len()],
        }
    }

    /// Appends the head of a request. Pseudo-headers have to come first.
    pub(super) fn encode(&mut self, call: Call, out: &mut BytesMut) {
        let first = self.entered == 0;
        out.put_slice(&[INDEXED | METHOD_POST, INDEXED | SCHEME_HTTP]);
        if first {
            out.put_u8(ENTERING | AUTHORITY);
            string(self.authority.as_bytes(), out);
            self.entered = 1;
        } else {
            out.put_u8(self.again(ENTERED_AUTHORITY));
        }
        match self.paths[call as usize] {
            Some(field) => out.put_u8(self.again(field)),
            None => {
                out.put_u8(ENTERING | PATH);
                string(call.path().as_bytes(), out);
                self.paths[call as usize] = Some(self.entered);
                self.entered += 1;
            }
        }
        if first {
            out.put_u8(ENTERING | CONTENT_TYPE);
            string(b"application/grpc", out);
            out.put_u8(ENTERING);
            string(b"te", out);
            string(b"trailers", out);
            self.entered += 2;
        } else {
            out.put_u8(self.again(ENTERED_CONTENT_TYPE));
            out.put_u8(self.again(ENTERED_TE));
        }
    }

    /// A field that entered as number so-and-so. The newest comes first in the table.
    fn again(&self, field: u8) -> u8 {
        INDEXED | (STATIC.len() as u8 + self.entered - field)
    }
}

/// Appends a string as it is.
fn string(value: &[u8], out: &mut BytesMut) {
    if value.len() < 0x7f {
        out.put_u8(value.len() as u8);
    } else {
        out.put_u8(0x7f);
        crate::proto::varint(value.len() as u64 - 0x7f, out);
    }
    out.put_slice(value);
}

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

/// Reads the heads and trailers of answers.
pub(super) struct Decoder {
    /// The newest first.
    table: VecDeque<Entry>,
    size: usize,
    size_max: usize,
}

/// A block of headers that cannot be read: the connection is of no use any more.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Malformed;

impl Decoder {
    pub(super) fn new() -> Decoder {
        Decoder {
            table: VecDeque::new(),
            size: 0,
            size_max: TABLE_SIZE,
        }
    }

    /// Reads a whole block and shows each field.
    pub(super) fn decode(
        &mut self,
        mut block: &[u8],
        mut field: impl FnMut(&[u8], &[u8]),
    ) -> Result<(), Malformed> {
        while let Some(&first) = block.first() {
            if first & INDEXED != 0 {
                let (name, value) = self.at(number(&mut block, 7)?)?;
                field(name, value);
            } else if first & ENTERING != 0 {
                let entry = self.literal(&mut block, 6)?;
                field(&entry.name, &entry.value);
                self.enter(entry);
            } else if first & 0x20 != 0 {
                let size = number(&mut block, 5)?;
                if size > TABLE_SIZE {
                    return Err(Malformed);
                }
                self.size_max = size;
                self.evict();
            } else {
                let entry = self.literal(&mut block, 4)?;
                field(&entry.name, &entry.value);
            }
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
#[path = "hpack_tests.rs"]
mod tests;
