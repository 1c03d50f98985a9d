//! What the fuzz targets run, and the tests with generated input: the same functions.
//!
//! Each takes any bytes at all and panics if something is wrong with what the runtime makes of
//! them.

mod crash;
mod drill;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use quorate_core::{Checkpoint, Frame, Malformed, NodeId, Payload, Reader, Wire};

use crate::peers::frame::{FrameHeader, HEADER_BYTES, decode_frames, whole_frames};
use crate::peers::handshake::{ANSWER_BYTES, Answer, HELLO_BYTES, Hello};

pub use drill::log_recovery;

/// The longest frame that [`peer_frames`] allows.
const FRAME_BYTES_MAX: u32 = 1 << 16;

/// A message with something of everything.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Message {
    from: Option<NodeId>,
    frames: Vec<Frame>,
    texts: Vec<String>,
    payloads: Vec<Payload>,
    checkpoint: Checkpoint,
}

impl Wire for Message {
    fn encode(&self, out: &mut Vec<u8>) {
        self.from.encode(out);
        self.frames.encode(out);
        self.texts.encode(out);
        self.payloads.encode(out);
        self.checkpoint.encode(out);
    }

    fn decode(input: &mut Reader<'_>) -> Result<Message, Malformed> {
        Ok(Message {
            from: Wire::decode(input)?,
            frames: Wire::decode(input)?,
            texts: Wire::decode(input)?,
            payloads: Wire::decode(input)?,
            checkpoint: Wire::decode(input)?,
        })
    }
}

/// What arrives from a peer: frames as they are, and the same bytes as the body of an intact frame.
///
/// # Panics
/// If something is accepted that no peer could have sent.
pub fn peer_frames(bytes: &[u8]) {
    if let Ok((whole, next)) = whole_frames(bytes, FRAME_BYTES_MAX) {
        assert!(whole <= bytes.len() && bytes.len() - whole < next);
        assert!(next <= HEADER_BYTES + FRAME_BYTES_MAX as usize);
        check_messages(&bytes[..whole]);
    }
    check_messages(bytes);
    let Some((count, body)) = bytes.split_first() else {
        return;
    };
    let mut framed = FrameHeader::of(body, u32::from(*count)).encode().to_vec();
    framed.extend_from_slice(body);
    check_messages(&framed);
}

/// If these are frames of messages, then exactly the ones that those messages are sent in.
fn check_messages(frames: &[u8]) {
    let block = Arc::new(frames.to_vec());
    let Ok(messages) = decode_frames::<Message>(&block, FRAME_BYTES_MAX) else {
        return;
    };
    let mut again = Vec::new();
    for message in &messages {
        message.encode(&mut again);
    }
    let mut bodies = Vec::new();
    let mut at = 0;
    while let Some(header) = frames[at..].first_chunk() {
        let header = FrameHeader::decode(header, FRAME_BYTES_MAX).expect("it was decoded before");
        let end = at + HEADER_BYTES + header.body_len as usize;
        bodies.extend_from_slice(&frames[at + HEADER_BYTES..end]);
        at = end;
    }
    assert_eq!(again, bodies, "every message has one encoding");
}

/// What a stranger says first, and what a callee answers: as it is, and with its checksum put
/// right.
///
/// # Panics
/// If something is accepted that no peer could have sent.
pub fn handshake(bytes: &[u8]) {
    let mut bytes = bytes.to_vec();
    for _ in 0..2 {
        check_handshake(&bytes);
        bytes.resize(bytes.len().max(HELLO_BYTES), 0);
        bytes[..12].copy_from_slice(b"QUORPEER\x01\0\0\0");
        let crc = crc32c::crc32c_append(crc32c::crc32c(&bytes[..12]), &bytes[16..]);
        bytes[12..16].copy_from_slice(&crc.to_le_bytes());
    }
    check_handshake(&bytes);
    bytes.truncate(HELLO_BYTES);
    let crc = crc32c::crc32c_append(crc32c::crc32c(&bytes[..12]), &bytes[16..]);
    bytes[12..16].copy_from_slice(&crc.to_le_bytes());
    check_handshake(&bytes);
}

fn check_handshake(bytes: &[u8]) {
    if let Some(hello) = bytes.first_chunk()
        && let Ok(decoded) = Hello::decode(hello)
    {
        assert_eq!(decoded.encode(), *hello, "every hello has one encoding");
    }
    if let Some(start) = bytes.first_chunk::<ANSWER_BYTES>()
        && let Ok(text_len) = Answer::text_len(start)
    {
        let end = bytes.len().min(ANSWER_BYTES + text_len);
        match Answer::decode(&bytes[..end]) {
            Ok(Answer::Refused(text) | Answer::Removed(text) | Answer::Unknown(text))
                if text.contains(char::REPLACEMENT_CHARACTER) => {}
            Ok(answer) => assert!(answer == Answer::Accepted || answer.encode() == bytes[..end]),
            Err(_) => {}
        }
    }
}
