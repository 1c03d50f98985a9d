//! Frames: what they look like, and the numbers in them.

use bytes::{BufMut, BytesMut};

/// What a client begins with (section 3.4).
pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// How long the head of a frame is.
pub const HEAD_LEN: usize = 9;
/// The largest frame that one may be sent who has not asked for larger ones.
pub const FRAME_MAX: usize = 16_384;
/// The largest frame that anyone may ask for.
pub const FRAME_MAX_MAX: usize = (1 << 24) - 1;
/// The window that every connection and every stream begins with.
pub const WINDOW_AT_FIRST: i64 = 65_535;
/// The largest window.
pub const WINDOW_MAX: u32 = (1 << 31) - 1;
/// Streams have numbers of 31 bits.
pub const STREAM_MAX: u32 = (1 << 31) - 1;

// The types of frames (section 6).

/// A part of a body.
pub const DATA: u8 = 0;
/// The beginning of a block of headers.
pub const HEADERS: u8 = 1;
/// Advice that nobody follows any more.
pub const PRIORITY: u8 = 2;
/// The end of a stream before its time.
pub const RST_STREAM: u8 = 3;
/// How the other side is.
pub const SETTINGS: u8 = 4;
/// An answer to what was not asked.
pub const PUSH_PROMISE: u8 = 5;
/// Whether the other side is there.
pub const PING: u8 = 6;
/// The end of a connection.
pub const GOAWAY: u8 = 7;
/// Leave to send more.
pub const WINDOW_UPDATE: u8 = 8;
/// The rest of a block of headers.
pub const CONTINUATION: u8 = 9;

// Their flags.

/// The last frame of a stream.
pub const END_STREAM: u8 = 1;
/// An answer to a setting or a ping.
pub const ACK: u8 = 1;
/// The last frame of a block of headers.
pub const END_HEADERS: u8 = 4;
/// A frame with padding.
pub const PADDED: u8 = 8;
/// Headers that begin with advice.
pub const HAS_PRIORITY: u8 = 0x20;

// The names of settings (section 6.5.2).

/// How large the table of headers may be.
pub const SET_TABLE_SIZE: u16 = 1;
/// Whether the server may push.
pub const SET_PUSH: u16 = 2;
/// How many streams there may be at a time.
pub const SET_STREAMS_MAX: u16 = 3;
/// The window of a new stream.
pub const SET_WINDOW: u16 = 4;
/// The largest frame.
pub const SET_FRAME_MAX: u16 = 5;
/// How large the headers of a message may be.
pub const SET_HEADERS_MAX: u16 = 6;

/// Why a stream or a connection ends (section 7).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Code(pub u32);

impl Code {
    /// All is well.
    pub const NONE: Code = Code(0);
    /// The other side broke a rule.
    pub const PROTOCOL: Code = Code(1);
    /// We failed.
    pub const INTERNAL: Code = Code(2);
    /// More was sent than the windows allow.
    pub const FLOW_CONTROL: Code = Code(3);
    /// A frame for a stream that is over.
    pub const STREAM_CLOSED: Code = Code(5);
    /// A frame of the wrong size.
    pub const FRAME_SIZE: Code = Code(6);
    /// Nothing was done, and the request may be sent again.
    pub const REFUSED: Code = Code(7);
    /// The stream is not wanted any more.
    pub const CANCEL: Code = Code(8);
    /// Headers that cannot be read: nor can any that follow.
    pub const COMPRESSION: Code = Code(9);
    /// The other side costs too much.
    pub const CALM: Code = Code(11);
}

/// The head of a frame.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Head {
    /// How many bytes follow.
    pub len: usize,
    /// The type.
    pub kind: u8,
    /// The flags.
    pub flags: u8,
    /// The stream, or 0 for the connection.
    pub stream: u32,
}

impl Head {
    /// Reads a head, if all of it is there.
    #[must_use]
    pub fn read(input: &[u8]) -> Option<Head> {
        let &[a, b, c, kind, flags, s, t, u, v] = input.first_chunk::<HEAD_LEN>()?;
        Some(Head {
            len: u32::from_be_bytes([0, a, b, c]) as usize,
            kind,
            flags,
            stream: u32::from_be_bytes([s, t, u, v]) & STREAM_MAX,
        })
    }

    /// Whether it has this flag.
    #[must_use]
    pub fn has(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }
}

/// Appends the head of a frame.
pub fn put_head(out: &mut BytesMut, kind: u8, flags: u8, stream: u32, len: usize) {
    let [_, a, b, c] = (len as u32).to_be_bytes();
    let [s, t, u, v] = stream.to_be_bytes();
    out.put_slice(&[a, b, c, kind, flags, s, t, u, v]);
}

/// Appends headers, whose block is written by `encode`: a frame, or as many as it takes.
pub fn put_headers(out: &mut BytesMut, flags: u8, stream: u32, encode: impl FnOnce(&mut BytesMut)) {
    let head = out.len();
    put_head(out, HEADERS, flags | END_HEADERS, stream, 0);
    encode(out);
    let len = out.len() - head - HEAD_LEN;
    if len <= FRAME_MAX {
        out[head..head + 3].copy_from_slice(&(len as u32).to_be_bytes()[1..]);
        return;
    }
    let block = out.split_off(head + HEAD_LEN);
    out.truncate(head);
    let (mut kind, mut flags) = (HEADERS, flags);
    let mut parts = block.chunks(FRAME_MAX).peekable();
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            flags |= END_HEADERS;
        }
        put_head(out, kind, flags, stream, part.len());
        out.put_slice(part);
        (kind, flags) = (CONTINUATION, 0);
    }
}

/// Where the content of a frame with this payload begins and ends, without padding. `None` if there
/// is more padding than payload.
#[must_use]
pub fn unpadded(flags: u8, payload: &[u8]) -> Option<(usize, usize)> {
    if flags & PADDED == 0 {
        return Some((0, payload.len()));
    }
    let (&padding, rest) = payload.split_first()?;
    let len = rest.len().checked_sub(padding.into())?;
    Some((1, 1 + len))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_are_read_as_they_were_written() {
        let mut out = BytesMut::new();
        put_head(&mut out, DATA, END_STREAM, STREAM_MAX, 0x01_02_03);
        let head = Head::read(&out).expect("a whole head");
        assert_eq!((head.len, head.kind), (0x01_02_03, DATA));
        assert_eq!((head.flags, head.stream), (END_STREAM, STREAM_MAX));
        assert!(head.has(END_STREAM) && !head.has(PADDED));
        assert_eq!(Head::read(&out[..8]), None);
        // A bit that is reserved is not looked at.
        out[5] |= 0x80;
        assert_eq!(Head::read(&out), Some(head));
    }

    #[test]
    fn long_blocks_are_continued() {
        let mut out = BytesMut::from(&b"before"[..]);
        put_headers(&mut out, END_STREAM, 7, |out| out.put_bytes(1, 40_000));
        let mut rest = &out[6..];
        for (kind, flags, len) in [
            (HEADERS, END_STREAM, FRAME_MAX),
            (CONTINUATION, 0, FRAME_MAX),
            (CONTINUATION, END_HEADERS, 40_000 - 2 * FRAME_MAX),
        ] {
            let head = Head::read(rest).expect("a head");
            assert_eq!((head.kind, head.flags, head.len), (kind, flags, len));
            rest = &rest[HEAD_LEN + len..];
        }
        assert!(rest.is_empty());
    }

    #[test]
    fn padding_is_left_out() {
        assert_eq!(unpadded(0, b"abc"), Some((0, 3)));
        assert_eq!(unpadded(PADDED, b"\x02abc\0\0"), Some((1, 4)));
        assert_eq!(unpadded(PADDED, b"\0"), Some((1, 1)));
        assert_eq!(unpadded(PADDED, b"\x02a"), None);
        assert_eq!(unpadded(PADDED, b""), None);
    }
}
