//! What follows the handshake: frames of messages.
//!
//! A frame is a header of 16 bytes and a body: length of the body, number of messages in it,
//! checksum of the body, checksum of these twelve bytes. The header has a checksum of its own so
//! that a length is believed only when it is true.

use quorate_core::{Block, Malformed, Reader, Wire};

/// The bytes of a frame's header.
pub const HEADER_BYTES: usize = 16;

/// What stands before a frame's body.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FrameHeader {
    /// The bytes of the body.
    pub body_len: u32,
    /// How many messages it holds; in an attachment's stream, what kind of piece it is.
    pub count: u32,
    /// The crc32c of the body.
    pub body_crc: u32,
}

/// Why a frame cannot be read. The connection is of no use any more.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum FrameError {
    /// The header was changed on the way.
    #[error("the header of a frame is damaged")]
    Header,
    /// The body was changed on the way.
    #[error("the body of a frame is damaged")]
    Body,
    /// It is longer than this side allows.
    #[error("a frame of {0} bytes is longer than this side allows")]
    TooLong(u32),
    /// It arrived unharmed and is not what it should be.
    #[error("a frame holds something else than messages of this protocol: {0}")]
    Malformed(#[from] Malformed),
}

impl FrameHeader {
    /// The header of this body.
    ///
    /// # Panics
    /// If the body has 4 GiB or more.
    #[must_use]
    pub fn of(body: &[u8], count: u32) -> FrameHeader {
        FrameHeader {
            body_len: u32::try_from(body.len()).expect("frames are shorter than 4 GiB"),
            count,
            body_crc: crc32c::crc32c(body),
        }
    }

    /// The bytes to send.
    #[must_use]
    pub fn encode(&self) -> [u8; HEADER_BYTES] {
        let mut bytes = [0; HEADER_BYTES];
        bytes[..4].copy_from_slice(&self.body_len.to_le_bytes());
        bytes[4..8].copy_from_slice(&self.count.to_le_bytes());
        bytes[8..12].copy_from_slice(&self.body_crc.to_le_bytes());
        let crc = crc32c::crc32c(&bytes[..12]);
        bytes[12..].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    /// Reads a header.
    ///
    /// # Errors
    /// If it is damaged, or announces more than `body_len_max` bytes.
    pub fn decode(
        bytes: &[u8; HEADER_BYTES],
        body_len_max: u32,
    ) -> Result<FrameHeader, FrameError> {
        let number = |at: usize| u32::from_le_bytes(std::array::from_fn(|i| bytes[at + i]));
        if number(12) != crc32c::crc32c(&bytes[..12]) {
            return Err(FrameError::Header);
        }
        let header = FrameHeader {
            body_len: number(0),
            count: number(4),
            body_crc: number(8),
        };
        match header.body_len <= body_len_max {
            true => Ok(header),
            false => Err(FrameError::TooLong(header.body_len)),
        }
    }
}

/// Finds the whole frames at the start of `bytes`: how many bytes they take, and how many bytes
/// must be there before the next one is whole.
///
/// # Errors
/// If there is a frame that cannot be read.
pub fn whole_frames(bytes: &[u8], body_len_max: u32) -> Result<(usize, usize), FrameError> {
    let mut whole = 0;
    while let Some(header) = bytes[whole..].first_chunk() {
        let header = FrameHeader::decode(header, body_len_max)?;
        let frame = HEADER_BYTES + header.body_len as usize;
        if bytes.len() - whole < frame {
            return Ok((whole, frame));
        }
        whole += frame;
    }
    Ok((whole, HEADER_BYTES))
}

/// Decodes all messages in a block of whole frames; their payloads share the block.
///
/// # Errors
/// If a frame cannot be read. Nothing of the block is delivered then.
pub fn decode_frames<M: Wire>(block: &Block, body_len_max: u32) -> Result<Vec<M>, FrameError> {
    let mut messages = Vec::new();
    let mut at = 0;
    while let Some(header) = block[at..].first_chunk() {
        let header = FrameHeader::decode(header, body_len_max)?;
        let start = at + HEADER_BYTES;
        let end = start + header.body_len as usize;
        let body = block.get(start..end).ok_or(FrameError::Body)?;
        if crc32c::crc32c(body) != header.body_crc {
            return Err(FrameError::Body);
        }
        let mut reader = Reader::within(block, start, end);
        for _ in 0..header.count {
            // A message of no bytes could be repeated for ever at no cost to the sender.
            if reader.remaining() == 0 {
                return Err(reader.malformed("another message").into());
            }
            messages.push(M::decode(&mut reader)?);
        }
        reader.finish()?;
        at = end;
    }
    match at == block.len() {
        true => Ok(messages),
        false => Err(FrameError::Header),
    }
}
