//! One exchange, as the server sees it.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasherDefault, Hasher};

use bytes::Bytes;

/// Fields to be sent.
pub type Fields = Vec<(Bytes, Bytes)>;

/// What waits to be sent.
pub(super) enum Piece {
    /// A part of the body, and whether it is the last.
    Data(Bytes, bool),
    /// What stands behind the body.
    Trailers(Fields),
}

/// A stream that is not over.
pub(super) struct Stream {
    /// How many bytes we may send.
    pub(super) send_window: i64,
    /// How many bytes the client may send.
    pub(super) receive_window: i64,
    /// How many were consumed and not told to the client.
    pub(super) unreported: u32,
    /// How long the rest of the request must be, if it said so.
    pub(super) rest: Option<u64>,
    /// Whether the client may still say something.
    pub(super) is_open: bool,
    /// What waits to be sent, in order.
    pub(super) queue: VecDeque<Piece>,
    /// Whether it stands in the line of those that may send.
    pub(super) in_line: bool,
}

/// All streams by number. The numbers rise and few are open, so nobody can make them collide.
pub(super) type Streams = HashMap<u32, Stream, BuildHasherDefault<ByNumber>>;

/// Spreads numbers of streams.
#[derive(Default)]
pub(super) struct ByNumber(u64);

impl Hasher for ByNumber {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.write_u32(byte.into());
        }
    }

    fn write_u32(&mut self, number: u32) {
        // The table looks at the highest bits and at the lowest.
        self.0 = (self.0 ^ u64::from(number)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.0 ^= self.0 >> 32;
    }
}
