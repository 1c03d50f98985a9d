//! Events as the bytes of `mvccpb.Event`, written by hand: each event is encoded at most twice,
//! without and with the row before it, however many watches it goes to.

use bytes::Bytes;

use crate::reply::{Event, KeyValue};

/// An event with its encodings, made when first asked for.
pub(super) struct Encoded<'a> {
    event: &'a Event,
    plain: Option<Bytes>,
    with_prev: Option<Bytes>,
}

impl<'a> Encoded<'a> {
    pub(super) fn new(event: &'a Event) -> Encoded<'a> {
        Encoded {
            event,
            plain: None,
            with_prev: None,
        }
    }

    pub(super) fn get(&mut self, prev_kv: bool) -> Bytes {
        let event = self.event;
        let slot = match prev_kv && event.prev_kv.is_some() {
            true => &mut self.with_prev,
            false => &mut self.plain,
        };
        slot.get_or_insert_with(|| encode(event, prev_kv)).clone()
    }
}

/// The bytes of `mvccpb.Event { type = 1, kv = 2, prev_kv = 3 }`.
pub(super) fn encode(event: &Event, prev_kv: bool) -> Bytes {
    let prev = event.prev_kv.as_ref().filter(|_| prev_kv);
    let kv_len = row_len(&event.kv);
    let prev_len = prev.map(row_len);
    let room = 2 + nested_len(kv_len) + prev_len.map_or(0, nested_len);
    let mut out = Vec::with_capacity(room);
    if event.deleted {
        out.extend_from_slice(&[0x08, 1]);
    }
    put_tag_and_len(2, kv_len, &mut out);
    put_row(&event.kv, &mut out);
    if let (Some(prev), Some(len)) = (prev, prev_len) {
        put_tag_and_len(3, len, &mut out);
        put_row(prev, &mut out);
    }
    Bytes::from(out)
}

/// `mvccpb.KeyValue { key = 1, create_revision = 2, mod_revision = 3, version = 4, value = 5,
/// lease = 6 }`; what is zero or empty is left out.
fn put_row(row: &KeyValue, out: &mut Vec<u8>) {
    put_bytes(1, &row.key, out);
    put_number(2, row.create_revision, out);
    put_number(3, row.mod_revision, out);
    put_number(4, row.version, out);
    put_bytes(5, &row.value, out);
    put_number(6, row.lease, out);
}

fn row_len(row: &KeyValue) -> usize {
    let bytes = |bytes: &Bytes| match bytes.len() {
        0 => 0,
        len => nested_len(len),
    };
    let number = |number: i64| match number {
        0 => 0,
        number => 1 + varint_len(number.cast_unsigned()),
    };
    bytes(&row.key)
        + number(row.create_revision)
        + number(row.mod_revision)
        + number(row.version)
        + bytes(&row.value)
        + number(row.lease)
}

fn nested_len(len: usize) -> usize {
    1 + varint_len(len as u64) + len
}

fn put_tag_and_len(field: u8, len: usize, out: &mut Vec<u8>) {
    out.push(field << 3 | 2);
    put_varint(len as u64, out);
}

fn put_bytes(field: u8, bytes: &[u8], out: &mut Vec<u8>) {
    if !bytes.is_empty() {
        put_tag_and_len(field, bytes.len(), out);
        out.extend_from_slice(bytes);
    }
}

fn put_number(field: u8, number: i64, out: &mut Vec<u8>) {
    if number != 0 {
        out.push(field << 3);
        // Negative numbers take ten bytes: protobuf's int64 is its two's complement.
        put_varint(number.cast_unsigned(), out);
    }
}

fn put_varint(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn varint_len(value: u64) -> usize {
    let bits = 64 - (value | 1).leading_zeros() as usize;
    bits.div_ceil(7)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row() -> KeyValue {
        KeyValue {
            key: Bytes::from_static(b"k"),
            value: Bytes::from_static(b"v"),
            create_revision: 2,
            mod_revision: 300,
            version: 3,
            lease: -1,
        }
    }

    #[test]
    fn a_put_reads_as_protobuf_has_it() {
        let event = Event {
            kv: row(),
            deleted: false,
            prev_kv: None,
        };
        let minus_one = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01];
        let mut expected = vec![0x12, 24];
        expected.extend_from_slice(&[0x0a, 1, b'k', 0x10, 2, 0x18, 0xac, 2, 0x20, 3]);
        expected.extend_from_slice(&[0x2a, 1, b'v', 0x30]);
        expected.extend_from_slice(&minus_one);
        assert_eq!(encode(&event, true), expected);
        assert_eq!(encode(&event, false), expected);
    }

    #[test]
    fn a_deletion_has_key_and_revision_and_the_row_before_if_asked_for() {
        let event = Event {
            kv: KeyValue {
                key: Bytes::from_static(b"k"),
                mod_revision: 4,
                ..KeyValue::default()
            },
            deleted: true,
            prev_kv: Some(KeyValue {
                lease: 0,
                mod_revision: 3,
                ..row()
            }),
        };
        let plain = [0x08, 1, 0x12, 5, 0x0a, 1, b'k', 0x18, 4];
        assert_eq!(encode(&event, false), plain.as_slice());
        let mut expected = plain.to_vec();
        expected.extend_from_slice(&[0x1a, 12, 0x0a, 1, b'k', 0x10, 2, 0x18, 3, 0x20, 3]);
        expected.extend_from_slice(&[0x2a, 1, b'v']);
        assert_eq!(encode(&event, true), expected);
        let mut encoded = Encoded::new(&event);
        assert_eq!(encoded.get(true), expected);
        assert_eq!(encoded.get(false), plain.as_slice());
    }

    #[test]
    fn the_room_reserved_is_the_room_needed() {
        for len in [0, 1, 127, 128, 16_383, 16_384, 70_000] {
            let row = KeyValue {
                value: Bytes::from(vec![7; len]),
                ..row()
            };
            let mut out = Vec::new();
            put_row(&row, &mut out);
            assert_eq!(out.len(), row_len(&row));
        }
    }
}
