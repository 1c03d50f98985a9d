//! Looking at everything that is at rest, a bounded slice at a time: what nobody asks for may rot unnoticed
//! until it is needed, when it may have rotted elsewhere too.
//!
//! Each row and each event is read and verified, and the rows that are current must add up to what the
//! machine added up while it wrote them ([`live`]): so a row that is missing, or back again, is
//! noticed as well as one that is wrong.

use std::ops::Bound;
use std::sync::Arc;

use super::row::{Stamp, StoredRow, decode_key, split_row_key};
use super::state::live;
use super::tables::{Base, decode_event, storage};
use crate::error::Error;

/// How much is looked at in one step.
const STEP_BYTES: usize = 1 << 20;

/// A walk over everything that one commit has.
#[derive(Debug)]
pub(crate) struct Scrub {
    base: Arc<Base>,
    stage: Stage,
    /// The sum over the current rows so far.
    sum: u64,
    /// What the versions of the last key share.
    shared: Vec<u8>,
}

/// What comes next.
#[derive(Clone, Debug)]
enum Stage {
    /// Rows behind this key.
    Rows(Vec<u8>),
    /// Events behind this stamp.
    Events(Stamp),
}

impl Scrub {
    pub(crate) fn begin(base: Arc<Base>) -> Scrub {
        Scrub {
            base,
            stage: Stage::Rows(Vec::new()),
            sum: 0,
            shared: Vec::new(),
        }
    }

    /// Looks at the next slice. Whether that was the last one.
    pub(crate) fn step(&mut self) -> Result<bool, Error> {
        match self.stage.clone() {
            Stage::Rows(behind) => {
                self.stage = match self.rows(&behind)? {
                    Some(last) => Stage::Rows(last),
                    None => Stage::Events(Stamp::FIRST),
                };
                Ok(false)
            }
            Stage::Events(behind) => match self.events(behind)? {
                Some(last) => {
                    self.stage = Stage::Events(last);
                    Ok(false)
                }
                None if self.sum == self.base.meta.live => Ok(true),
                None => Err(Error::Damaged(format!(
                    "the rows at position {} do not add up to what was written",
                    self.base.checkpoint().position
                ))),
            },
        }
    }

    /// Answers the last key if there may be more.
    fn rows(&mut self, behind: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        let start = (Bound::Excluded(behind), Bound::Unbounded);
        let mut key = Vec::new();
        let mut bytes = 0;
        for entry in self.base.rows.range::<&[u8]>(start).map_err(storage)? {
            let (stored_key, row) = entry.map_err(storage)?;
            let (shared, stamp) = split_row_key(stored_key.value())?;
            decode_key(shared, &mut key)?;
            let found = StoredRow::decode(&key, stamp, row.value())?;
            if *shared != self.shared[..] {
                // The newest of its key comes first.
                self.shared.clear();
                self.shared.extend_from_slice(shared);
                let current = Some(found.checksum).filter(|_| found.version > 0);
                self.sum = live(self.sum, None, current);
            }
            bytes += stored_key.value().len() + row.value().len();
            if bytes >= STEP_BYTES {
                return Ok(Some(stored_key.value().to_vec()));
            }
        }
        Ok(None)
    }

    /// Answers the last stamp if there may be more.
    fn events(&self, behind: Stamp) -> Result<Option<Stamp>, Error> {
        let start = behind.to_bytes();
        let start = (Bound::Excluded(&start), Bound::Unbounded);
        let range = self.base.events.range::<&[u8; Stamp::BYTES]>(start);
        let mut bytes = 0;
        for entry in range.map_err(storage)? {
            let (stamp, event) = entry.map_err(storage)?;
            let stamp = Stamp::from_bytes(*stamp.value());
            decode_event(stamp, event.value())?;
            bytes += Stamp::BYTES + event.value().len();
            if bytes >= STEP_BYTES {
                return Ok(Some(stamp));
            }
        }
        Ok(None)
    }
}
