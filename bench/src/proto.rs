//! Protobuf by hand, for the few requests that are sent in great numbers.

use bytes::{BufMut, BytesMut};

/// Appends a number in base 128.
pub(crate) fn varint(mut value: u64, out: &mut BytesMut) {
    while value >= 0x80 {
        out.put_u8(value as u8 | 0x80);
        value >>= 7;
    }
    out.put_u8(value as u8);
}

/// How many bytes [`varint`] takes.
pub(crate) fn varint_size(value: u64) -> usize {
    (64 - (value | 1).leading_zeros() as usize).div_ceil(7)
}

/// Appends a number field, unless it is 0.
pub(crate) fn number(field: u32, value: u64, out: &mut BytesMut) {
    if value != 0 {
        varint(u64::from(field << 3), out);
        varint(value, out);
    }
}

/// How many bytes [`number`] takes.
pub(crate) fn number_size(field: u32, value: u64) -> usize {
    match value {
        0 => 0,
        _ => varint_size(u64::from(field << 3)) + varint_size(value),
    }
}

/// Appends the head of a field of so many bytes, which the caller appends next.
pub(crate) fn head(field: u32, size: usize, out: &mut BytesMut) {
    varint(u64::from(field << 3 | 2), out);
    varint(size as u64, out);
}

/// How many bytes a field of so many bytes takes with its head.
pub(crate) fn field_size(field: u32, size: usize) -> usize {
    varint_size(u64::from(field << 3)) + varint_size(size as u64) + size
}

/// Appends a field of bytes.
pub(crate) fn bytes(field: u32, value: &[u8], out: &mut BytesMut) {
    head(field, value.len(), out);
    out.put_slice(value);
}
