//! The first words on a connection: who calls whom, in which cluster, and what for.
//!
//! The caller sends a [`Hello`], the callee answers with an [`Answer`]. Magic, version and length
//! of both keep their places in all versions, so that peers of different versions part with a
//! sentence and not with garbage. Nothing here is allocated by what a stranger says.

use quorate_core::NodeId;

/// The version of the peer protocol that this code speaks.
pub const VERSION: u32 = 1;

/// The bytes of a [`Hello`].
pub const HELLO_BYTES: usize = 56;

/// The bytes of an [`Answer`] before its text.
pub const ANSWER_BYTES: usize = 20;

/// The longest text of an answer, in bytes.
pub const TEXT_BYTES_MAX: usize = 512;

const MAGIC: [u8; 8] = *b"QUORPEER";

/// What a connection is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stream {
    /// Messages, until either side hangs up.
    Mail,
    /// One message and its attachment.
    Attachment,
    /// The caller asks who the cluster is. It need not know whom it calls, nor be known.
    Asking,
    /// The caller says who the cluster is, to somebody who did not know it.
    Telling,
}

/// What the caller says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Hello {
    /// The cluster that the caller belongs to; 0 if it asks which one that is.
    pub cluster: u64,
    /// The caller; 0 if it asks who it is.
    pub from: NodeId,
    /// Whom it wants to talk to; 0 if it asks who that is.
    pub to: NodeId,
    /// Which start of the caller this is.
    pub incarnation: u64,
    /// What for.
    pub stream: Stream,
}

/// What the callee answers.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Answer {
    /// Go ahead.
    Accepted,
    /// Go away, and why: for a human.
    Refused(String),
    /// Go away for good: the caller was a member and was removed. How, for a human.
    Removed(String),
    /// The callee does not know the caller, who may be a newer member than it has heard of: tell it who
    /// the cluster is. Why, for a human.
    Unknown(String),
}

/// What a handshake broke on.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum HandshakeError {
    /// Whatever this is, it is no peer.
    #[error("the other side does not speak the peer protocol")]
    NotAPeer,
    /// A peer of another version.
    #[error(
        "the other side speaks version {0} of the peer protocol, this one version {VERSION}: \
         run the same version of the program on both"
    )]
    OtherVersion(u32),
    /// A peer, but the bytes were changed on the way or make no sense.
    #[error("the handshake was garbled")]
    Garbled,
}

impl Hello {
    /// The bytes to send.
    #[must_use]
    pub fn encode(&self) -> [u8; HELLO_BYTES] {
        let stream = match self.stream {
            Stream::Mail => 1u64,
            Stream::Attachment => 2,
            Stream::Asking => 3,
            Stream::Telling => 4,
        };
        let mut bytes = [0; HELLO_BYTES];
        bytes[..8].copy_from_slice(&MAGIC);
        bytes[8..12].copy_from_slice(&VERSION.to_le_bytes());
        let numbers = [
            self.cluster,
            self.from.0,
            self.to.0,
            self.incarnation,
            stream,
        ];
        for (place, number) in bytes[16..].chunks_exact_mut(8).zip(numbers) {
            place.copy_from_slice(&number.to_le_bytes());
        }
        let crc = checksum(&bytes);
        bytes[12..16].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    /// Reads what a caller sent.
    ///
    /// # Errors
    /// If it is no hello of this version.
    pub fn decode(bytes: &[u8; HELLO_BYTES]) -> Result<Hello, HandshakeError> {
        check_start(bytes)?;
        if small(bytes, 12) != checksum(bytes) {
            return Err(HandshakeError::Garbled);
        }
        let stream = match large(bytes, 48) {
            1 => Stream::Mail,
            2 => Stream::Attachment,
            3 => Stream::Asking,
            4 => Stream::Telling,
            _ => return Err(HandshakeError::Garbled),
        };
        Ok(Hello {
            cluster: large(bytes, 16),
            from: NodeId(large(bytes, 24)),
            to: NodeId(large(bytes, 32)),
            incarnation: large(bytes, 40),
            stream,
        })
    }
}

impl Answer {
    /// The bytes to send. A text that is too long is cut.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let (code, text) = match self {
            Answer::Accepted => (0, ""),
            Answer::Refused(text) => (1, text.as_str()),
            Answer::Removed(text) => (2, text.as_str()),
            Answer::Unknown(text) => (3, text.as_str()),
        };
        let mut text_len = text.len().min(TEXT_BYTES_MAX);
        while !text.is_char_boundary(text_len) {
            text_len -= 1;
        }
        let text = &text[..text_len];
        let mut bytes = Vec::with_capacity(ANSWER_BYTES + text.len());
        bytes.extend_from_slice(&MAGIC);
        bytes.extend_from_slice(&VERSION.to_le_bytes());
        bytes.extend_from_slice(&[0; 4]);
        bytes.extend_from_slice(&[code, 0, text.len() as u8, (text.len() >> 8) as u8]);
        bytes.extend_from_slice(text.as_bytes());
        let crc = checksum(&bytes);
        bytes[12..16].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    /// How long the text after this start of an answer is.
    ///
    /// # Errors
    /// If it is no answer of this version.
    pub fn text_len(start: &[u8; ANSWER_BYTES]) -> Result<usize, HandshakeError> {
        check_start(start)?;
        let len = usize::from(start[18]) | usize::from(start[19]) << 8;
        match len <= TEXT_BYTES_MAX {
            true => Ok(len),
            false => Err(HandshakeError::Garbled),
        }
    }

    /// Reads an answer, text included.
    ///
    /// # Errors
    /// If it is no answer of this version.
    pub fn decode(bytes: &[u8]) -> Result<Answer, HandshakeError> {
        let start = bytes.first_chunk().ok_or(HandshakeError::NotAPeer)?;
        let text = &bytes[ANSWER_BYTES..];
        if text.len() != Answer::text_len(start)? || small(bytes, 12) != checksum(bytes) {
            return Err(HandshakeError::Garbled);
        }
        let text = String::from_utf8_lossy(text).into_owned();
        match (start[16], start[17]) {
            (0, 0) => Ok(Answer::Accepted),
            (1, 0) => Ok(Answer::Refused(text)),
            (2, 0) => Ok(Answer::Removed(text)),
            (3, 0) => Ok(Answer::Unknown(text)),
            _ => Err(HandshakeError::Garbled),
        }
    }
}

fn check_start(bytes: &[u8]) -> Result<(), HandshakeError> {
    if bytes[..8] != MAGIC {
        return Err(HandshakeError::NotAPeer);
    }
    match small(bytes, 8) {
        VERSION => Ok(()),
        version => Err(HandshakeError::OtherVersion(version)),
    }
}

fn checksum(bytes: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&bytes[..12]), &bytes[16..])
}

fn small(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

fn large(bytes: &[u8], at: usize) -> u64 {
    u64::from(small(bytes, at)) | u64::from(small(bytes, at + 4)) << 32
}
