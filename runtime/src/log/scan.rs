//! Reads one segment from front to back, whatever has become of it.
//!
//! Frames are found by their headers, which prove themselves; what lies between two valid frames
//! is not looked at, so a scan finds its way again behind any damage. Whether something is missing
//! is decided afterwards, by the frames' sequence numbers.

use std::io;
use std::ops::Range;
use std::sync::Arc;

use quorate_core::Block;

use super::frame::{ALIGNMENT, FrameHeader, HEADER_BYTES};
use super::segment::FRAMES_AT;
use crate::disk::File;

/// How much is read at once. Payloads share these blocks, so a block is also the least memory
/// that one surviving payload keeps.
const BLOCK_BYTES: u64 = 256 << 10;

/// If a block cannot be read as a whole, the pieces in which it is tried again.
const PIECE_BYTES: usize = 4096;

/// What fills a segment behind its last frame, and what fills up a sector.
const ZEROS: [u8; 512] = [0; 512];

/// Something that a scan found.
pub(super) enum Found<'a> {
    /// A frame, header and body intact.
    Frame {
        header: FrameHeader,
        block: &'a Block,
        body: Range<usize>,
        /// Where in the segment the next frame may start.
        end: u64,
    },
    /// A frame whose header is intact and whose body is not.
    Bodiless(FrameHeader),
}

/// Visits everything in the segment in order. Answers whether the disk failed to read some of it;
/// such bytes count as zeros.
pub(super) fn scan<E>(
    file: &dyn File,
    salt: u64,
    mut visit: impl FnMut(Found<'_>) -> Result<(), E>,
) -> Result<bool, E>
where
    E: From<io::Error>,
{
    let size = file.size()?;
    let mut unreadable = false;
    let mut at = FRAMES_AT as u64;
    let mut block = Block::default();
    let mut block_at = at;
    let mut widened_at = 0;
    while at.saturating_add(HEADER_BYTES as u64) <= size {
        let place = usize::try_from(at - block_at).unwrap_or(usize::MAX);
        let rest = block.get(place..).unwrap_or_default();
        if rest.len() < HEADER_BYTES {
            block = read(file, at, BLOCK_BYTES.min(size - at), &mut unreadable)?;
            block_at = at;
            if block.len() < HEADER_BYTES {
                break;
            }
            continue;
        }
        if rest.get(..ZEROS.len()) == Some(&ZEROS) {
            at += ZEROS.len() as u64;
            continue;
        }
        let Some(header) = FrameHeader::decode(rest, salt, at) else {
            at += ALIGNMENT as u64;
            continue;
        };
        let bytes = HEADER_BYTES as u64 + u64::from(header.body_len);
        if bytes > size - at {
            // The file ends inside the frame.
            visit(Found::Bodiless(header))?;
            at += ALIGNMENT as u64;
            continue;
        }
        if bytes > rest.len() as u64 && widened_at != at {
            // The frame goes on behind the block: read one that starts with it and holds it.
            widened_at = at;
            let len = bytes.max(BLOCK_BYTES).min(size - at);
            block = read(file, at, len, &mut unreadable)?;
            block_at = at;
            continue;
        }
        let body = place + HEADER_BYTES..place + HEADER_BYTES + header.body_len as usize;
        let frame_end = at + FrameHeader::frame_bytes(header.body_len as usize) as u64;
        match block.get(body.clone()) {
            Some(bytes) if crc32c::crc32c(bytes) == header.body_crc => visit(Found::Frame {
                header,
                block: &block,
                body,
                end: frame_end,
            })?,
            _ => visit(Found::Bodiless(header))?,
        }
        at = frame_end;
    }
    Ok(unreadable)
}

/// Reads `len` bytes, fewer only at the end of the file.
fn read(file: &dyn File, at: u64, len: u64, unreadable: &mut bool) -> io::Result<Block> {
    let len = usize::try_from(len).map_err(|_| io::ErrorKind::FileTooLarge)?;
    let mut bytes = vec![0; len];
    let count = match file.read_at(&mut bytes, at) {
        Ok(count) => count,
        Err(error) => {
            tracing::warn!(%error, offset = at, "part of the log cannot be read");
            *unreadable = true;
            bytes.fill(0);
            let mut piece_at = at;
            for piece in bytes.chunks_mut(PIECE_BYTES) {
                if file.read_at(piece, piece_at).is_err() {
                    piece.fill(0);
                }
                piece_at += piece.len() as u64;
            }
            len
        }
    };
    bytes.truncate(count);
    Ok(Arc::new(bytes))
}
