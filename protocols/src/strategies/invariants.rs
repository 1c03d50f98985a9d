//! What must hold of one process, and of all copies together.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::string::String;

use quorate_core::NodeId;
use quorate_problems::replicated::Digest;

use super::{Flaw, Role, Strategies};

impl Strategies {
    pub(super) fn check(&self) {
        if self.role == Role::Proxy {
            assert!(self.made.is_empty(), "a proxy has no copy");
            return;
        }
        let counts = self.number == self.made.len() as u64;
        assert!(
            counts || self.has(Flaw::Resume),
            "updates are numbered without gaps"
        );
        assert!(
            self.tasks.len() <= self.config.window,
            "calls under way are bounded"
        );
        assert!(
            self.role != Role::Replica || self.alive.contains(&self.me),
            "nobody suspects itself"
        );
    }
}

/// Watches all copies of a run in which updates are ordered.
#[derive(Clone, Default, Hash, Debug)]
pub struct Copies {
    /// For each epoch and number, the first copy that was seen there, and its digest.
    seen: BTreeMap<(u64, u64), (NodeId, Digest)>,
    /// The epochs of two masters, and places in the order, that were reported: once is enough.
    masters: BTreeSet<(u64, u64)>,
    places: BTreeSet<(u64, u64)>,
}

impl Copies {
    /// Looks at the processes that are up.
    ///
    /// # Errors
    /// Two masters, or two copies that differ at one place in the order.
    pub fn observe<'a>(
        &mut self,
        processes: impl IntoIterator<Item = &'a Strategies>,
    ) -> Result<(), String> {
        let mut master: Option<&Strategies> = None;
        for process in processes {
            if !process.config.is_ordered() || process.role != Role::Replica {
                continue;
            }
            if process.is_master() {
                if let Some(other) = master
                    && self.masters.insert((other.epoch, process.epoch))
                {
                    let (other, me) = (other.me, process.me);
                    return Err(format!("one master: {other} and {me} are masters"));
                }
                master = Some(process);
            }
            let place = (process.epoch, process.number);
            let here = (process.me, process.state.digest());
            let first = *self.seen.entry(place).or_insert(here);
            if first.1 != here.1 && self.places.insert(place) {
                let (one, other, number) = (first.0, here.0, place.1);
                return Err(format!(
                    "same order: {one} and {other} differ after update {number}"
                ));
            }
        }
        Ok(())
    }

    /// What it would remember under other names.
    #[must_use]
    pub fn renamed(&self, name: impl Fn(NodeId) -> NodeId) -> Copies {
        let seen = self.seen.iter();
        Copies {
            seen: seen
                .map(|(place, (node, digest))| (*place, (name(*node), *digest)))
                .collect(),
            masters: self.masters.clone(),
            places: self.places.clone(),
        }
    }
}
