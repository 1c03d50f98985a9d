//! The header before every frame: `docs/file-format.md` has the table.
//!
//! A header proves itself: its checksum covers the segment's random salt and the place where it
//! stands, so neither a copy of a frame elsewhere nor a user's bytes that look like one are taken
//! for a frame. The body's checksum stands in the header, so a header can be trusted when its body
//! cannot.

use quorate_core::Frame;

/// The bytes of a header. Frames start at multiples of 8, so that a scan finds the next one again
/// behind a damaged one.
pub(super) const HEADER_BYTES: usize = 64;

/// What frames are aligned to.
pub(super) const ALIGNMENT: usize = 8;

const MAGIC: [u8; 4] = *b"QfrM";

/// What a frame holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    /// The records of one step of the protocol.
    Records = 1,
    /// Nothing: it only says what was durable when it was written.
    Marker = 2,
    /// Nothing: the replica was started.
    Incarnation = 3,
}

/// What stands before a frame's body.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct FrameHeader {
    pub(super) kind: Kind,
    /// The place among all frames of the log, whatever their kind. Without gaps.
    pub(super) sequence: u64,
    /// Everything through this sequence was durable when this frame was written.
    pub(super) acknowledged: u64,
    /// The number of this frame of records, or of the last one before it.
    pub(super) frame: Frame,
    /// The largest `keep_from` so far: frames of records before it are not needed any more.
    pub(super) keep_from: Frame,
    /// Which start of the replica wrote it.
    pub(super) incarnation: u64,
    pub(super) body_len: u32,
    pub(super) body_crc: u32,
}

impl FrameHeader {
    /// The bytes of the whole frame, with what fills it up to the next multiple of 8.
    pub(super) fn frame_bytes(body_len: usize) -> usize {
        (HEADER_BYTES + body_len).next_multiple_of(ALIGNMENT)
    }

    /// Appends the header as it stands at `offset` of the segment with this salt.
    pub(super) fn encode(&self, salt: u64, offset: u64, out: &mut Vec<u8>) {
        let start = out.len();
        out.extend_from_slice(&MAGIC);
        out.extend_from_slice(&[0; 4]);
        for number in [
            self.sequence,
            self.acknowledged,
            self.frame.0,
            self.keep_from.0,
            self.incarnation,
        ] {
            out.extend_from_slice(&number.to_le_bytes());
        }
        out.extend_from_slice(&self.body_len.to_le_bytes());
        out.extend_from_slice(&self.body_crc.to_le_bytes());
        out.extend_from_slice(&[self.kind as u8, 0, 0, 0, 0, 0, 0, 0]);
        let crc = checksum(&out[start + 8..], salt, offset);
        out[start + 4..start + 8].copy_from_slice(&crc.to_le_bytes());
    }

    /// Reads the header at the start of `bytes`, which stands at `offset` of its segment; `None` if
    /// there is no valid one.
    pub(super) fn decode(bytes: &[u8], salt: u64, offset: u64) -> Option<FrameHeader> {
        let header: &[u8; HEADER_BYTES] = bytes.get(..HEADER_BYTES)?.try_into().ok()?;
        if header[..4] != MAGIC || small(header, 4) != checksum(&header[8..], salt, offset) {
            return None;
        }
        let kind = match header[56..] {
            [1, 0, 0, 0, 0, 0, 0, 0] => Kind::Records,
            [2, 0, 0, 0, 0, 0, 0, 0] => Kind::Marker,
            [3, 0, 0, 0, 0, 0, 0, 0] => Kind::Incarnation,
            _ => return None,
        };
        Some(FrameHeader {
            kind,
            sequence: large(header, 8),
            acknowledged: large(header, 16),
            frame: Frame(large(header, 24)),
            keep_from: Frame(large(header, 32)),
            incarnation: large(header, 40),
            body_len: small(header, 48),
            body_crc: small(header, 52),
        })
    }

    /// The last frame of records before this frame.
    pub(super) fn frame_before(&self) -> Frame {
        match self.kind {
            Kind::Records => Frame(self.frame.0.saturating_sub(1)),
            Kind::Marker | Kind::Incarnation => self.frame,
        }
    }
}

fn checksum(bytes: &[u8], salt: u64, offset: u64) -> u32 {
    let mut place = [0; 16];
    place[..8].copy_from_slice(&salt.to_le_bytes());
    place[8..].copy_from_slice(&offset.to_le_bytes());
    crc32c::crc32c_append(crc32c::crc32c(&place), bytes)
}

/// The number in four bytes at `at`.
pub(super) fn small(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

/// The number in eight bytes at `at`.
pub(super) fn large(bytes: &[u8], at: usize) -> u64 {
    u64::from(small(bytes, at)) | u64::from(small(bytes, at + 4)) << 32
}
