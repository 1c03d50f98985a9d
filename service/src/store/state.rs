//! The small state: everything that is neither a row nor a lease, kept in memory whole and stored
//! as one checksummed record together with the rows that it belongs to.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use quorate_core::{Checkpoint, Malformed};

use super::row::Stamp;
use crate::codec::parts::{Input, put_count};
use crate::error::Error;
use crate::health::Health;
use crate::members::Members;

/// The format of stores that this version writes and reads.
pub(crate) const FORMAT: u32 = 3;

/// The state of the machine apart from rows and leases. The same on every replica at one position.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Meta {
    /// The last position applied.
    pub(crate) checkpoint: Checkpoint,
    /// The newest revision; 1 when nothing was written.
    pub(crate) revision: i64,
    /// The oldest revision that can be read; -1 when nothing was compacted.
    pub(crate) compacted: i64,
    /// Chained over all changes, so that replicas can be compared.
    pub(crate) digest: u64,
    /// A sum over the rows that are current, in whatever order they are added: see [`live`].
    pub(crate) live: u64,
    pub(crate) clock: Clock,
    /// The incarnation and sequence of the newest batch of each origin.
    pub(crate) batches: BTreeMap<u64, (u64, u64)>,
    pub(crate) members: Arc<Members>,
    pub(crate) health: Arc<Health>,
}

/// Time, as far as it is agreed on.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub(crate) struct Clock {
    /// Milliseconds for which there was a leader.
    pub(crate) now_ms: u64,
    /// The epoch whose ticks count.
    pub(crate) epoch: u64,
    /// The time at which that epoch's first tick found the clock.
    pub(crate) base_ms: u64,
}

impl Clock {
    /// The leader of an epoch says how long it has led. Answers whether it is heard.
    pub(crate) fn tick(&mut self, epoch: u64, elapsed_ms: u64) -> bool {
        if epoch < self.epoch {
            return false;
        }
        if epoch > self.epoch {
            self.epoch = epoch;
            self.base_ms = self.now_ms;
        }
        self.now_ms = self.now_ms.max(self.base_ms.saturating_add(elapsed_ms));
        true
    }
}

/// How far the space of compacted rows has been freed. Not part of the agreed state: each replica
/// does this in its own time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Sweep {
    /// Everything compacted by this revision is gone.
    pub(crate) finished: i64,
    /// What the sweep after that one is to finish,
    pub(crate) target: i64,
    /// and where it stands.
    pub(crate) next: Stamp,
    /// The bytes of all stored rows and events, without the tables' own.
    pub(crate) stored_bytes: u64,
}

impl Sweep {
    pub(crate) const NONE: Sweep = Sweep {
        finished: -1,
        target: -1,
        next: Stamp::FIRST,
        stored_bytes: 0,
    };
}

/// One round of SplitMix64's mixer: cheap, and every bit reaches every bit.
fn mixed(number: u64) -> u64 {
    let mut z = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// The sum over current rows after one went and one came, by their checksums, in which key and stamp are. It
/// does not depend on the order, so whoever walks over the rows at rest can say whether they are
/// those that were written.
pub(crate) fn live(sum: u64, went: Option<u32>, came: Option<u32>) -> u64 {
    let share = |checksum: Option<u32>| checksum.map_or(0, |it| mixed(u64::from(it)));
    sum.wrapping_sub(share(went)).wrapping_add(share(came))
}

impl Meta {
    /// The state before anything was applied.
    pub(crate) fn new(members: Members) -> Meta {
        Meta {
            checkpoint: Checkpoint::default(),
            revision: 1,
            compacted: -1,
            digest: 0,
            live: 0,
            clock: Clock::default(),
            batches: BTreeMap::new(),
            members: Arc::new(members),
            health: Arc::default(),
        }
    }

    /// A number that is the same on all replicas that have the same state at one position. Beside all
    /// changes it covers what is agreed on without being a change.
    pub(crate) fn fingerprint(&self) -> u64 {
        let mut whole = self.clone();
        let clock = self.clock;
        for number in [
            self.revision.cast_unsigned(),
            self.compacted.cast_unsigned(),
            self.live,
            clock.now_ms,
            clock.epoch,
            clock.base_ms,
        ] {
            whole.digest(number);
        }
        for (&origin, &(incarnation, sequence)) in &self.batches {
            for number in [origin, incarnation, sequence] {
                whole.digest(number);
            }
        }
        let mut rest = Vec::new();
        self.members.encode(&mut rest);
        self.health.encode(&mut rest);
        whole.digest(u64::from(crc32c::crc32c(&rest)));
        whole.digest
    }

    /// Adds a number to the digest.
    pub(crate) fn digest(&mut self, number: u64) {
        self.digest = mixed(self.digest ^ number);
    }

    /// The stored record: a checksum, the format, and the fields in order.
    pub(crate) fn encode(&self, sweep: &Sweep) -> Vec<u8> {
        let mut out = vec![0; 4];
        out.extend_from_slice(&FORMAT.to_le_bytes());
        let mut number = |number: u64| out.extend_from_slice(&number.to_le_bytes());
        number(self.checkpoint.position);
        number(self.checkpoint.epoch);
        number(self.revision.cast_unsigned());
        number(self.compacted.cast_unsigned());
        number(self.digest);
        number(self.live);
        number(self.clock.now_ms);
        number(self.clock.epoch);
        number(self.clock.base_ms);
        number(sweep.finished.cast_unsigned());
        number(sweep.target.cast_unsigned());
        number(sweep.next.main.cast_unsigned());
        number(u64::from(sweep.next.sub));
        number(sweep.stored_bytes);
        put_count(self.batches.len(), &mut out);
        for (origin, (incarnation, sequence)) in &self.batches {
            for number in [origin, incarnation, sequence] {
                out.extend_from_slice(&number.to_le_bytes());
            }
        }
        self.members.encode(&mut out);
        self.health.encode(&mut out);
        let crc = crc32c::crc32c(&out[4..]);
        out[..4].copy_from_slice(&crc.to_le_bytes());
        out
    }

    /// Reads and verifies a stored record.
    pub(crate) fn decode(stored: &[u8]) -> Result<(Meta, Sweep), Error> {
        let damaged = || Error::Damaged("the store's record of its state".to_owned());
        let (crc, rest) = stored.split_first_chunk::<4>().ok_or_else(damaged)?;
        if crc32c::crc32c(rest) != u32::from_le_bytes(*crc) {
            return Err(damaged());
        }
        let (format, rest) = rest.split_first_chunk::<4>().ok_or_else(damaged)?;
        let format = u32::from_le_bytes(*format);
        if format != FORMAT {
            return Err(Error::Storage(format!(
                "the store has format {format}, and this version reads format {FORMAT}: \
                 start the version that wrote it"
            )));
        }
        Meta::decode_fields(&mut Input::new(Bytes::copy_from_slice(rest))).map_err(|_| damaged())
    }

    fn decode_fields(input: &mut Input) -> Result<(Meta, Sweep), Malformed> {
        let checkpoint = Checkpoint {
            position: input.u64()?,
            epoch: input.u64()?,
        };
        let revision = input.i64()?;
        let compacted = input.i64()?;
        let digest = input.u64()?;
        let live = input.u64()?;
        let clock = Clock {
            now_ms: input.u64()?,
            epoch: input.u64()?,
            base_ms: input.u64()?,
        };
        let finished = input.i64()?;
        let target = input.i64()?;
        let main = input.i64()?;
        let sub = u32::try_from(input.u64()?)
            .map_err(|_| input.malformed_before(8, "a number of a change"))?;
        let stored_bytes = input.u64()?;
        let mut batches = BTreeMap::new();
        for _ in 0..input.count(24)? {
            let origin = input.u64()?;
            batches.insert(origin, (input.u64()?, input.u64()?));
        }
        let members = Members::decode(input)?;
        let health = Health::decode(input)?;
        input.finish()?;
        let meta = Meta {
            checkpoint,
            revision,
            compacted,
            digest,
            live,
            clock,
            batches,
            members: Arc::new(members),
            health: Arc::new(health),
        };
        let sweep = Sweep {
            finished,
            target,
            next: Stamp { main, sub },
            stored_bytes,
        };
        Ok((meta, sweep))
    }
}
