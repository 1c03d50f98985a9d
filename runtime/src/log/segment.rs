//! One file of the log: its name and what stands at its start.
//!
//! A segment gets its name only when its header is durable, so a named segment whose header cannot
//! be read was damaged later. The header stands there twice, a page apart.

use quorate_core::Frame;

use super::frame::{large, small};

/// The version of the format that this code writes, and the newest that it reads.
pub(super) const VERSION: u32 = 1;

/// Where the second copy of the header starts.
const COPY_AT: usize = 4096;

/// Where frames start.
pub(super) const FRAMES_AT: usize = 8192;

/// A segment in the making, without a name of its own yet.
pub(super) const UNNAMED: &str = "next.segment";

/// A segment that nobody needs yet, for when the disk has no room for another one.
pub(super) const SPARE: &str = "spare.segment";

const MAGIC: [u8; 8] = *b"QUORLOG\0";
const BYTES: usize = 72;

/// What stands at the start of a segment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct SegmentHeader {
    /// Segments are counted from 1; the number is also the file's name.
    pub(super) ordinal: u64,
    /// Random; part of the checksum of every frame header in this segment.
    pub(super) salt: u64,
    /// The sequence of its first frame: all before it were durable when the segment was made.
    pub(super) first_sequence: u64,
    /// The last frame, of any kind, that was found before this segment. What earlier segments hold
    /// beyond it was torn; if `first_sequence` does not follow it, what is between was lost.
    pub(super) kept: u64,
    /// The last frame of records before this segment.
    pub(super) frame_before: Frame,
    /// As in a frame header.
    pub(super) keep_from: Frame,
    /// As in a frame header.
    pub(super) incarnation: u64,
}

/// Why a segment's header is of no use.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Unusable {
    /// Neither copy is intact.
    Damaged,
    /// It was written by a newer version.
    Newer(u32),
}

impl SegmentHeader {
    /// The start of the file: both copies.
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut one = Vec::with_capacity(BYTES);
        one.extend_from_slice(&MAGIC);
        one.extend_from_slice(&VERSION.to_le_bytes());
        one.extend_from_slice(&[0; 4]);
        for number in [
            self.ordinal,
            self.salt,
            self.first_sequence,
            self.kept,
            self.frame_before.0,
            self.keep_from.0,
            self.incarnation,
        ] {
            one.extend_from_slice(&number.to_le_bytes());
        }
        let crc = checksum(&one);
        one[12..16].copy_from_slice(&crc.to_le_bytes());
        let mut start = vec![0; FRAMES_AT];
        start[..BYTES].copy_from_slice(&one);
        start[COPY_AT..COPY_AT + BYTES].copy_from_slice(&one);
        start
    }

    /// Reads either copy.
    pub(super) fn decode(start: &[u8]) -> Result<SegmentHeader, Unusable> {
        let first = SegmentHeader::decode_copy(start.get(..BYTES));
        match first {
            Err(Unusable::Damaged) => {
                SegmentHeader::decode_copy(start.get(COPY_AT..COPY_AT + BYTES))
            }
            usable => usable,
        }
    }

    fn decode_copy(bytes: Option<&[u8]>) -> Result<SegmentHeader, Unusable> {
        let bytes = bytes.ok_or(Unusable::Damaged)?;
        if bytes[..8] != MAGIC || small(bytes, 12) != checksum(bytes) {
            return Err(Unusable::Damaged);
        }
        match small(bytes, 8) {
            VERSION => Ok(SegmentHeader {
                ordinal: large(bytes, 16),
                salt: large(bytes, 24),
                first_sequence: large(bytes, 32),
                kept: large(bytes, 40),
                frame_before: Frame(large(bytes, 48)),
                keep_from: Frame(large(bytes, 56)),
                incarnation: large(bytes, 64),
            }),
            // Version and checksum keep their places in all versions.
            version => Err(Unusable::Newer(version)),
        }
    }
}

/// The checksum over all of a header but the checksum itself.
fn checksum(header: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&header[..12]), &header[16..BYTES])
}

/// The name of a segment.
pub(super) fn name(ordinal: u64) -> String {
    format!("{ordinal:016x}.segment")
}

/// The segment that has this name, if it is a segment's.
pub(super) fn ordinal(file: &str) -> Option<u64> {
    let digits = file.strip_suffix(".segment")?;
    let ordinal = u64::from_str_radix(digits, 16).ok()?;
    (name(ordinal) == file).then_some(ordinal)
}
