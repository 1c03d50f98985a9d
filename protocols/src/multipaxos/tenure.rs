//! Who takes part, slot by slot ("Paxos Made Simple", 3: the servers may be determined by the state machine
//! itself; Lamport, Malkhi and Zhou, "Reconfiguring a State Machine", 2010).
//!
//! A membership that is chosen in a slot governs all slots behind it, up to the slot of the next one. As the
//! slots before are chosen in one way only, who governs a slot is a fact, the same for everybody who
//! knows it.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

use quorate_core::{Checkpoint, Malformed, NodeId, Reader, Wire};
use quorate_problems::total_order::Membership;

use super::ballot::Slot;
use super::config::Quorums;

/// A membership, and from where on it governs.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Tenure {
    /// It was chosen in this slot, and governs those behind it; 0 for the first.
    pub after: Slot,
    /// Who takes part; shared, since it is written again with each compaction.
    pub members: Arc<Membership>,
}

impl fmt::Debug for Tenure {
    /// `7 n1 n2 behind 4`: version 7, from slot 5 on.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} behind {:?}", self.members, self.after)
    }
}

impl Wire for Tenure {
    fn encode(&self, out: &mut Vec<u8>) {
        self.after.encode(out);
        self.members.as_ref().encode(out);
    }

    fn decode(input: &mut Reader<'_>) -> Result<Tenure, Malformed> {
        let after = Slot::decode(input)?;
        let members = Arc::new(Membership::decode(input)?);
        Ok(Tenure { after, members })
    }
}

/// A tenure, and which of its voters are enough.
#[derive(Clone, Hash, Debug)]
pub(super) struct Reign {
    pub(super) tenure: Tenure,
    pub(super) quorums: Quorums,
}

impl Reign {
    pub(super) fn has_voter(&self, id: NodeId) -> bool {
        self.tenure.members.voters.contains(&id)
    }
}

/// The tenures that a replica knows: the one that the slot behind the base is in, and all later ones. There
/// is always one.
#[derive(Clone, Hash, Debug)]
pub(super) struct Tenures {
    reigns: Vec<Reign>,
    /// The chosen slots have been searched through here.
    pub(super) noted: Slot,
    /// What was found through here is on disk.
    pub(super) settled: Slot,
    /// Whoever supported nobody said that these are in force; the slots before theirs are not here.
    pub(super) missed: Option<Tenure>,
    /// A state that came, and from whom: who governs behind it must be on disk before it is installed.
    pub(super) arriving: Option<(NodeId, Checkpoint)>,
    /// The version that the layer above was told last.
    pub(super) announced: Option<u64>,
}

impl Tenures {
    pub(super) fn new(first: Reign) -> Tenures {
        Tenures {
            reigns: Vec::from([first]),
            noted: Slot(0),
            settled: Slot(0),
            missed: None,
            arriving: None,
            announced: None,
        }
    }

    /// The first that is not known to be on disk.
    pub(super) fn unsettled(&self) -> Option<Slot> {
        let mut slots = self.iter().map(|tenure| tenure.after);
        slots.find(|&after| after > self.settled)
    }

    /// What is in force when everything through `chosen` is chosen: a slot of its own is.
    pub(super) fn in_force(&self, chosen: Slot) -> &Tenure {
        &self.governing(chosen).tenure
    }

    /// Adds what was not known; answers whether it was not. Who is not newer than those before changes
    /// nothing, nor does a membership of which no quorums can be made.
    pub(super) fn add(&mut self, tenure: &Tenure) -> bool {
        let place = self
            .reigns
            .partition_point(|reign| reign.tenure.after <= tenure.after);
        let Some(before) = place.checked_sub(1).map(|before| &self.reigns[before]) else {
            return false;
        };
        if before.tenure.after == tenure.after || !before.admits(tenure) {
            return false;
        }
        let Ok(quorums) = before.quorums.of(&tenure.members.voters) else {
            return false;
        };
        let tenure = tenure.clone();
        self.reigns.insert(place, Reign { tenure, quorums });
        true
    }

    /// Whose slot this is.
    pub(super) fn governing(&self, slot: Slot) -> &Reign {
        let place = self
            .reigns
            .partition_point(|reign| reign.tenure.after < slot);
        &self.reigns[place.saturating_sub(1)]
    }

    /// Whose slots those before `reign`'s are.
    pub(super) fn before(&self, reign: &Reign) -> &Reign {
        self.governing(reign.tenure.after)
    }

    /// The last that is known.
    pub(super) fn newest(&self) -> &Reign {
        self.governing(Slot(u64::MAX))
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Tenure> {
        self.reigns.iter().map(|reign| &reign.tenure)
    }

    /// Whether one begins behind this slot.
    pub(super) fn begins(&self, after: Slot) -> bool {
        self.iter().any(|tenure| tenure.after == after)
    }

    /// Forgets those whose last slot, and the next one, were dropped.
    pub(super) fn drop_before(&mut self, base: Slot) {
        let ended = self.iter().filter(|tenure| tenure.after < base).count();
        self.reigns.drain(..ended.saturating_sub(1));
    }
}

impl Reign {
    /// Whether this tenure may come next: it is newer, and ballots of its voters can be told from those
    /// of ours in an epoch.
    pub(super) fn admits(&self, next: &Tenure) -> bool {
        next.members.version > self.tenure.members.version
            && self.quorums.fits(&next.members.voters)
    }
}
