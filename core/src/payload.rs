//! Application bytes, shared rather than copied.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::hash::{Hash, Hasher};
use core::ops::Range;

use crate::wire::{Malformed, Reader, Wire};

/// A block of memory that payloads are slices of, usually what one network read brought.
pub type Block = Arc<Vec<u8>>;

/// Bytes that a protocol orders or stores without looking at them: a counted slice of a [`Block`].
///
/// The network received the block, the log tail holds it, the write-ahead log writes it and
/// followers are sent it. The checksum is computed once, where the bytes enter the system, and
/// carried along, so that whoever finally uses them can tell that they arrived unharmed.
#[derive(Clone)]
pub struct Payload {
    block: Block,
    start: u32,
    len: u32,
    checksum: u32,
}

impl Payload {
    /// A slice of a block. `checksum` is the crc32c of the slice.
    ///
    /// # Panics
    /// If the range lies outside the block or ends beyond 4 GiB.
    #[must_use]
    pub fn new(block: Block, range: Range<usize>, checksum: u32) -> Payload {
        assert!(
            range.start <= range.end && range.end <= block.len(),
            "a payload lies inside its block"
        );
        let start = u32::try_from(range.start).expect("blocks are smaller than 4 GiB");
        let len = u32::try_from(range.len()).expect("blocks are smaller than 4 GiB");
        Payload {
            block,
            start,
            len,
            checksum,
        }
    }

    /// A payload of its own block. `checksum` is the crc32c of `bytes`.
    #[must_use]
    pub fn from_vec(bytes: Vec<u8>, checksum: u32) -> Payload {
        let range = 0..bytes.len();
        Payload::new(Arc::new(bytes), range, checksum)
    }

    /// The payload without content, which total order delivers where a protocol had to fill a
    /// position. Its crc32c is 0.
    #[must_use]
    pub fn empty() -> Payload {
        Payload::from_vec(Vec::new(), 0)
    }

    /// The bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        let start = self.start as usize;
        &self.block[start..start + self.len as usize]
    }

    /// The crc32c of the bytes, as computed where they entered the system.
    #[must_use]
    pub fn checksum(&self) -> u32 {
        self.checksum
    }

    /// The number of bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len as usize
    }

    /// Whether there are no bytes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }
}

impl AsRef<[u8]> for Payload {
    fn as_ref(&self) -> &[u8] {
        self.as_bytes()
    }
}

impl PartialEq for Payload {
    fn eq(&self, other: &Payload) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl Eq for Payload {}

impl Hash for Payload {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_bytes().hash(state);
    }
}

impl fmt::Debug for Payload {
    /// Short text is shown as text, anything else by its length and checksum.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match core::str::from_utf8(self.as_bytes()) {
            Ok(text) if text.len() <= 32 && !text.contains(char::is_control) => {
                write!(f, "{text:?}")
            }
            _ => write!(f, "<{} bytes, crc {:08x}>", self.len, self.checksum),
        }
    }
}

impl Wire for Payload {
    fn encode(&self, out: &mut Vec<u8>) {
        self.len.encode(out);
        self.checksum.encode(out);
        out.extend_from_slice(self.as_bytes());
    }

    fn decode(input: &mut Reader<'_>) -> Result<Payload, Malformed> {
        let len = u32::decode(input)? as usize;
        let checksum = u32::decode(input)?;
        input.payload(len, checksum)
    }
}
