//! Who takes part, along the log: a server always uses the latest configuration in its log, whether that
//! is committed or not (thesis 4.1).

use alloc::vec::Vec;

use quorate_core::NodeId;

use crate::log::Index;
use crate::members::Configuration;

/// The configurations of a log.
#[derive(Clone, Hash, Debug)]
pub(super) struct Configurations {
    /// From which index on each is in effect, in this order. The first is that of the log's base, or of a
    /// place before it, so there always is one.
    list: Vec<(Index, Configuration)>,
}

impl Configurations {
    /// From the beginning of a log on.
    pub(super) fn new(base: Index, first: Configuration) -> Configurations {
        Configurations {
            list: Vec::from([(base, first)]),
        }
    }

    /// The latest, and from where on it is in effect.
    pub(super) fn latest(&self) -> &(Index, Configuration) {
        self.list.last().expect("there always is one")
    }

    /// The one in effect at an index of the log.
    pub(super) fn at(&self, index: Index) -> &Configuration {
        let later = self.list.partition_point(|(from, _)| *from <= index);
        &self.list[later.saturating_sub(1)].1
    }

    /// The one in effect at an index, and all later ones.
    pub(super) fn from(&self, index: Index) -> impl Iterator<Item = &Configuration> {
        let later = self.list.partition_point(|(from, _)| *from <= index);
        let rest = &self.list[later.saturating_sub(1)..];
        rest.iter().map(|(_, configuration)| configuration)
    }

    /// All that begin no later than at an index.
    pub(super) fn through(&self, index: Index) -> Vec<(Index, Configuration)> {
        let known = self.list.iter().filter(|(from, _)| *from <= index);
        known.cloned().collect()
    }

    /// A new one, in effect from the end of the log on.
    pub(super) fn push(&mut self, index: Index, configuration: Configuration) {
        self.list.push((index, configuration));
    }

    /// The log ends before `index` now, and what was in effect there is so again.
    pub(super) fn truncate(&mut self, index: Index) {
        self.list.retain(|(from, _)| *from < index);
    }

    /// The log begins behind `base` now.
    pub(super) fn compact(&mut self, base: Index) {
        let later = self.list.partition_point(|(from, _)| *from <= base);
        self.list.drain(..later.saturating_sub(1));
    }

    /// The log begins behind `base` now, and nothing is known of who takes part but what was configured.
    pub(super) fn restart(&mut self, base: Index) {
        self.list.truncate(1);
        self.list[0].0 = base;
    }

    /// States who takes part at the base, which replay may learn after the entries behind it.
    pub(super) fn ground(&mut self, base: Index, first: Configuration) {
        self.list.retain(|(from, _)| *from > base);
        self.list.insert(0, (base, first));
    }

    /// All of them under other names.
    pub(super) fn renamed(&self, names: &dyn Fn(NodeId) -> NodeId) -> Configurations {
        let list = self.list.iter();
        Configurations {
            list: list
                .map(|(from, configuration)| (*from, configuration.renamed(names)))
                .collect(),
        }
    }

    /// From which index on each is in effect.
    pub(super) fn iter(&self) -> impl Iterator<Item = &(Index, Configuration)> {
        self.list.iter()
    }
}
