//! The newest rows, by key, so that a put finds the row before it at the price of a hash.
//!
//! Every row is written through here, so what is found here is what is newest, wherever else the
//! row may be by now. One generation is kept per layer that may be in memory, so a key that is not
//! found in any of them is not in any layer either, and only the disk remains to be asked.

use std::collections::HashMap;

use bytes::Bytes;

use super::FROZEN_MAX;
use crate::store::row::{Row, Stamp};

/// The rows of one layer, the newest of each key.
pub(crate) type Generation = HashMap<Bytes, (Stamp, Row)>;

/// The newest rows of the layers in memory.
#[derive(Debug, Default)]
pub(super) struct Recent {
    /// The active layer's first.
    generations: [Generation; FROZEN_MAX + 1],
}

impl Recent {
    /// The newest row of a key, deleted or not, if it may be in memory.
    pub(super) fn get(&self, key: &Bytes) -> Option<&(Stamp, Row)> {
        self.generations
            .iter()
            .find_map(|generation| generation.get(key))
    }

    pub(super) fn insert(&mut self, key: Bytes, stamp: Stamp, row: Row) {
        self.generations[0].insert(key, (stamp, row));
    }

    /// The active layer was frozen. Answers the generation that is forgotten, for somebody else to
    /// free.
    pub(super) fn rotate(&mut self) -> Generation {
        self.generations.rotate_right(1);
        std::mem::take(&mut self.generations[0])
    }
}
