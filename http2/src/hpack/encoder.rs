//! Writes blocks of headers.

use bytes::{BufMut, BytesMut};

use super::{ENTERING, ENTRY_OVERHEAD, INDEXED, RESIZING, STATIC, STATIC_LEN, TABLE_SIZE};

/// How many fields may enter the other side's table: few enough to be found by looking at each.
const ENTRIES_MAX: usize = 16;

/// A name and a value.
type Entry = (Box<[u8]>, Box<[u8]>);

/// Writes fields. Those that will come often enter the other side's table the first time and take one
/// byte from then on; none is ever evicted, since no more enter than fit.
pub struct Encoder {
    /// What entered, the oldest first.
    entries: Vec<Entry>,
    size: usize,
    size_max: usize,
    /// The other side has to be told that its table is empty from now on.
    shrunk: bool,
}

impl Default for Encoder {
    fn default() -> Encoder {
        Encoder {
            entries: Vec::new(),
            size: 0,
            size_max: TABLE_SIZE,
            shrunk: false,
        }
    }
}

impl Encoder {
    /// The other side said how large its table may be. We never use more than what everyone has.
    pub fn set_table_size(&mut self, size: usize) {
        let size = size.min(TABLE_SIZE);
        if size < self.size_max {
            // RFC 7541, 4.2: it must hear that we know. To begin anew is the simplest way.
            self.entries.clear();
            self.size = 0;
            self.size_max = 0;
            self.shrunk = true;
        }
    }

    /// Appends a field, at the beginning of a block or behind other fields of it.
    pub fn put(&mut self, name: &[u8], value: &[u8], is_often: bool, out: &mut BytesMut) {
        if std::mem::take(&mut self.shrunk) {
            out.put_u8(RESIZING);
        }
        let is_entry = |(n, v): &Entry| **v == *value && **n == *name;
        if let Some(at) = self.entries.iter().position(is_entry) {
            let newer = self.entries.len() - 1 - at;
            out.put_u8(INDEXED | (STATIC_LEN + 1 + newer as u8));
            return;
        }
        let mut statics = STATIC.iter();
        let is_static = |(n, v): &(&str, &str)| n.as_bytes() == name && v.as_bytes() == value;
        if !value.is_empty()
            && let Some(at) = statics.position(is_static)
        {
            out.put_u8(INDEXED | (at as u8 + 1));
            return;
        }
        let size = name.len() + value.len() + ENTRY_OVERHEAD;
        let enters =
            is_often && self.entries.len() < ENTRIES_MAX && self.size + size <= self.size_max;
        out.put_u8(if enters { ENTERING } else { 0 });
        put_string(name, out);
        put_string(value, out);
        if enters {
            self.size += size;
            self.entries.push((name.into(), value.into()));
        }
    }
}

/// Appends a string as it is.
pub fn put_string(value: &[u8], out: &mut BytesMut) {
    if value.len() < 0x7f {
        out.put_u8(value.len() as u8);
    } else {
        out.put_u8(0x7f);
        let mut rest = value.len() - 0x7f;
        while rest >= 0x80 {
            out.put_u8(rest as u8 | 0x80);
            rest >>= 7;
        }
        out.put_u8(rest as u8);
    }
    out.put_slice(value);
}
