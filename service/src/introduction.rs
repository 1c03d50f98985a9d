//! Who a cluster is, in bytes: what its members tell newcomers, and what data directories remember.

use quorate_core::Malformed;

use crate::codec::parts::{Input, put_count, put_text};
use crate::codec::{decode_member, encode_member};
use crate::command::Member;
use crate::members::Members;

/// The version of these bytes.
const VERSION: u8 = 1;
/// The least that a member takes.
const MEMBER_BYTES_MIN: usize = 21;

/// Who a cluster is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Introduction {
    /// Tells it from every other.
    pub cluster: u64,
    /// The name of the protocol by which it agrees on an order.
    pub protocol: String,
    /// The list that it began with. Whoever is sent the order from its first position begins with this
    /// list too, and not with the newest, or its state would differ from the others'.
    pub founders: Vec<Member>,
    /// The newest list that the one who says this knows.
    pub members: Members,
}

impl Introduction {
    /// The bytes to send or keep.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = vec![VERSION];
        out.extend_from_slice(&self.cluster.to_le_bytes());
        put_text(&self.protocol, &mut out);
        put_count(self.founders.len(), &mut out);
        for member in &self.founders {
            encode_member(member, &mut out);
        }
        self.members.encode(&mut out);
        let crc = crc32c::crc32c(&out);
        out.extend_from_slice(&crc.to_le_bytes());
        out
    }

    /// Reads what [`Introduction::encode`] wrote.
    ///
    /// # Errors
    /// If it is something else, or was garbled.
    pub fn decode(bytes: &[u8]) -> Result<Introduction, Malformed> {
        let malformed = |expected| Malformed { at: 0, expected };
        let Some((body, crc)) = bytes.split_last_chunk::<4>() else {
            return Err(malformed("an introduction"));
        };
        if crc32c::crc32c(body) != u32::from_le_bytes(*crc) {
            return Err(malformed("the checksum of an introduction"));
        }
        let mut input = Input::new(body.to_vec().into());
        if input.u8()? != VERSION {
            return Err(malformed("an introduction of version 1"));
        }
        let (cluster, protocol) = (input.u64()?, input.text()?);
        let mut founders = Vec::new();
        for _ in 0..input.count(MEMBER_BYTES_MIN)? {
            founders.push(decode_member(&mut input)?);
        }
        let members = Members::decode(&mut input)?;
        input.finish()?;
        Ok(Introduction {
            cluster,
            protocol,
            founders,
            members,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_introduction_survives_encoding_and_no_changed_byte_goes_unnoticed() {
        let member = |id: u64| Member {
            id,
            name: format!("n{id}"),
            peer_urls: vec![format!("http://h{id}:1"), format!("http://g{id}:1")],
            client_urls: Vec::new(),
            is_learner: id == 3,
        };
        let introduction = Introduction {
            cluster: 7,
            protocol: "raft".to_owned(),
            founders: vec![member(1)],
            members: Members {
                version: 9,
                list: vec![member(2), member(3)],
                removed: [1].into(),
            },
        };
        let bytes = introduction.encode();
        assert_eq!(Introduction::decode(&bytes), Ok(introduction));
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 1;
            assert!(Introduction::decode(&changed).is_err());
            assert!(Introduction::decode(&bytes[..at]).is_err());
        }
    }
}
