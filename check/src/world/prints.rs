//! Fingerprints of worlds, and worlds that differ only in names.
//!
//! Every part carries its fingerprint under each permutation of names (just one without symmetry). The
//! fingerprint of a world under a permutation is the sum over its parts, so the order of mail does not
//! count; that of the world is the least of them, so it is the same for all worlds that differ only in
//! names (Clarke, Emerson, Jha and Sistla, "Symmetry reductions in model checking", CAV 1998).

use std::hash::{Hash, Hasher};

use quorate_core::{NodeId, Wire};
use quorate_node::Node;
use quorate_problems::Workload;

use super::state::{Above, Judged, Letter, Machine, State};
use super::{Checkable, Judge, World};
use crate::fingerprint::{Folded, combine, fingerprint};

/// The new name of each replica.
pub type Names<'a> = dyn Fn(NodeId) -> NodeId + 'a;

/// How replicas get other names. A protocol that prefers one name to another, for instance to break a
/// tie, is not symmetric, and must not be treated as if it were.
pub struct Symmetry<P: Checkable> {
    /// A replica.
    pub replica: fn(&P, &Names<'_>) -> P,
    /// A message; sender and receiver are not part of it.
    pub message: fn(&P::Message, &Names<'_>) -> P::Message,
    /// A record on a disk.
    pub record: fn(&P::Record, &Names<'_>) -> P::Record,
}

// Derived instances would ask the same of all that `P` names.
impl<P: Checkable> Clone for Symmetry<P> {
    fn clone(&self) -> Symmetry<P> {
        *self
    }
}

impl<P: Checkable> Copy for Symmetry<P> {}

/// One way to exchange the names.
#[derive(Clone, Debug)]
pub(super) struct Permutation {
    /// From, to.
    names: Vec<(NodeId, NodeId)>,
}

impl Permutation {
    pub(super) fn identity(members: &[NodeId]) -> Permutation {
        Permutation {
            names: members.iter().map(|&id| (id, id)).collect(),
        }
    }

    /// All of them, the identity first.
    pub(super) fn all(members: &[NodeId]) -> Vec<Permutation> {
        let mut orders = vec![Vec::new()];
        for _ in members {
            let longer = orders.iter().flat_map(|order: &Vec<NodeId>| {
                let rest = members.iter().filter(|id| !order.contains(id));
                rest.map(|&id| [order.as_slice(), &[id]].concat())
            });
            orders = longer.collect();
        }
        let named = |order: Vec<NodeId>| Permutation {
            names: members.iter().copied().zip(order).collect(),
        };
        orders.into_iter().map(named).collect()
    }

    pub(super) fn rename(&self, id: NodeId) -> NodeId {
        let found = self.names.iter().find(|(from, _)| *from == id);
        found.map_or(id, |(_, to)| *to)
    }
}

/// The fingerprints of one part, under each permutation.
pub(super) type Prints = Vec<u64>;

impl<P: Checkable> State<P> {
    /// What stands for this world and all that differ from it only in names.
    pub(super) fn fingerprint(&self) -> u64 {
        self.canonical().0
    }

    /// The least fingerprint, and the place of the first permutation that leads to it.
    pub(super) fn canonical(&self) -> (u64, usize) {
        let rest = fingerprint(&(self.spent, self.violated.is_some()));
        let sums = self.sums.iter().enumerate();
        let prints = sums.map(|(at, &sum)| (combine(sum, rest), at));
        prints.min().expect("there is always the identity")
    }
}

impl<P: Checkable> World<P> {
    pub(super) fn printed_machine(&self, at: usize, mut machine: Machine<P>) -> Machine<P> {
        let records = machine.disk.records::<P::Record>();
        let print = |permutation: &Permutation| {
            let names = |id| permutation.rename(id);
            let mut hasher = Folded::default();
            names(self.members[at]).hash(&mut hasher);
            machine.incarnation.hash(&mut hasher);
            machine.disk.marks().hash(&mut hasher);
            for (frame, record) in &records {
                frame.hash(&mut hasher);
                self.hash_record(record, &names, &mut hasher);
            }
            let Some(node) = &machine.node else {
                return hasher.finish();
            };
            match &self.symmetry {
                Some(symmetry) => (symmetry.replica)(node.protocol(), &names).hash(&mut hasher),
                None => node.protocol().hash(&mut hasher),
            }
            (node.gate().written(), node.gate().synced()).hash(&mut hasher);
            self.hash_held(node, &names, &mut hasher);
            // With their number: a name that is the only one of its kind is nothing to a hasher.
            machine.timers.len().hash(&mut hasher);
            for running in &machine.timers {
                running.timer.hash(&mut hasher);
            }
            hasher.finish()
        };
        machine.prints = self.permutations.iter().map(print).collect();
        machine
    }

    pub(super) fn printed_letter(&self, mut letter: Letter, message: &P::Message) -> Letter {
        let print = |permutation: &Permutation| {
            let names = |id| permutation.rename(id);
            let mut hasher = Folded::default();
            let (from, to) = (self.members[letter.from], self.members[letter.to]);
            (names(from), names(to)).hash(&mut hasher);
            self.hash_message(message, &names, &mut hasher);
            hasher.finish()
        };
        letter.prints = self.permutations.iter().map(print).collect();
        letter
    }

    pub(super) fn printed_above(&self, mut above: Above<P>) -> Above<P> {
        let print = |permutation: &Permutation| {
            let names = |id| permutation.rename(id);
            let mut hasher = Folded::default();
            match &self.symmetry {
                Some(_) => P::Problem::renamed(&above.oracle, &names).hash(&mut hasher),
                None => above.oracle.hash(&mut hasher),
            }
            let apps = self.members.iter().zip(&above.apps);
            let apps = apps.map(|(&id, app)| fingerprint(&(names(id), app)));
            apps.fold(hasher.finish(), u64::wrapping_add)
        };
        above.prints = self.permutations.iter().map(print).collect();
        above
    }

    pub(super) fn printed_judge(&self, judge: Box<dyn Judge<P>>) -> Judged<P> {
        let print = |permutation: &Permutation| judge.fingerprint(&|id| permutation.rename(id));
        let prints = self.permutations.iter().map(print).collect();
        Judged { judge, prints }
    }

    /// The order of held mail counts only for mail to oneself: the rest meets no order outside, and was
    /// put into this one by the names of its receivers.
    fn hash_held(&self, node: &Node<P>, names: &Names<'_>, hasher: &mut Folded) {
        let mut others = 0u64;
        for (frame, letter) in node.gate().held() {
            let own = letter.to == node.me();
            let mut other = Folded::default();
            let hasher = if own { &mut *hasher } else { &mut other };
            (frame, names(letter.to)).hash(hasher);
            self.hash_message(&letter.message, names, hasher);
            if !own {
                others = others.wrapping_add(other.finish());
            }
        }
        others.hash(hasher);
    }

    fn hash_message(&self, message: &P::Message, names: &Names<'_>, hasher: &mut Folded) {
        let mut bytes = Vec::new();
        match &self.symmetry {
            Some(symmetry) => (symmetry.message)(message, names).encode(&mut bytes),
            None => message.encode(&mut bytes),
        }
        hasher.write(&bytes);
    }

    fn hash_record(&self, record: &P::Record, names: &Names<'_>, hasher: &mut Folded) {
        let mut bytes = Vec::new();
        match &self.symmetry {
            Some(symmetry) => (symmetry.record)(record, names).encode(&mut bytes),
            None => record.encode(&mut bytes),
        }
        hasher.write(&bytes);
    }
}
