//! Who has forgotten what: crash vectors (Michael, Ports, Sharma and Szekeres, "Recovering shared objects
//! without stable storage", 2017).
//!
//! A replica that recovers from others does not know what it promised before. The paper's argument that
//! it learns of it (8.3) overlooks mail of its earlier life that is still under way: an old DoViewChange
//! counts after its sender has recovered into an earlier view and helped to commit more there. So every
//! replica remembers in which incarnation each other recovered last, promises say which of these their
//! sender knew, and a promise counts only if nobody in the quorum knows that its sender has recovered
//! since.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::fmt;

use quorate_core::{Malformed, NodeId, Reader, Wire};

/// The incarnation in which each replica recovered last; 0 for those that never did.
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub struct Crashes(BTreeMap<NodeId, u64>);

impl Crashes {
    /// In which incarnation this replica recovered last.
    #[must_use]
    pub fn of(&self, id: NodeId) -> u64 {
        self.0.get(&id).copied().unwrap_or(0)
    }

    /// It recovers in this incarnation. Whether that is news.
    pub fn learn(&mut self, id: NodeId, incarnation: u64) -> bool {
        let news = incarnation > self.of(id);
        if news {
            self.0.insert(id, incarnation);
        }
        news
    }

    /// All that is known.
    pub fn iter(&self) -> impl Iterator<Item = (NodeId, u64)> + '_ {
        self.0.iter().map(|(&id, &incarnation)| (id, incarnation))
    }
}

impl fmt::Debug for Crashes {
    /// `{n3: 2}`: n3 recovered in its second incarnation.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Wire for Crashes {
    fn encode(&self, out: &mut Vec<u8>) {
        let count = u32::try_from(self.0.len()).expect("groups are small");
        count.encode(out);
        for (id, incarnation) in self.iter() {
            id.encode(out);
            incarnation.encode(out);
        }
    }

    fn decode(input: &mut Reader<'_>) -> Result<Crashes, Malformed> {
        /// A name and a number.
        const PAIR_BYTES: usize = 16;
        let mut crashes = Crashes::default();
        for _ in 0..input.count(PAIR_BYTES)? {
            crashes.learn(Wire::decode(input)?, Wire::decode(input)?);
        }
        Ok(crashes)
    }
}
