//! Which steps of a world do not touch one another: those of different machines, unless both use the
//! same budget or both change what is above the replicas or what their judge remembers.
//!
//! That holds for judges that, like the paper's properties of Raft, remember of each replica what it
//! was seen to be; one that compares moments of different replicas needs full exploration.

use super::actions::{Action, Event};
use super::prints::Permutation;
use super::state::{State, TIMER_CLASSES};
use super::{Checkable, World};
use crate::fingerprint::{combine, fingerprint};
use crate::model::{Footprint, Independence};

impl<P: Checkable> Independence for World<P> {
    fn names(&self, state: &State<P>, action: &Action<P::Timer>) -> (u64, u64) {
        let (_, canonical) = state.canonical();
        let name = self.action_name(state, action, 0);
        match canonical {
            0 => (name, name),
            other => (name, self.action_name(state, action, other)),
        }
    }

    fn footprint(
        &self,
        before: &State<P>,
        action: &Action<P::Timer>,
        after: &State<P>,
    ) -> Footprint {
        /// Behind the budgets of timers.
        const REQUESTS: usize = TIMER_CLASSES;
        const CRASHES: usize = TIMER_CLASSES + 1;
        const LOSSES: usize = TIMER_CLASSES + 2;
        const DUPLICATES: usize = TIMER_CLASSES + 3;
        const PATIENCE: usize = TIMER_CLASSES + 4;
        let (place, budget) = match action.event {
            Event::Deliver { mail } => (self.letter(before.mail[mail]).to, None),
            Event::Lose { mail } => (self.letter(before.mail[mail]).to, Some(LOSSES)),
            Event::Duplicate { mail } => (self.letter(before.mail[mail]).to, Some(DUPLICATES)),
            Event::Sync { machine } | Event::Restart { machine } => (machine, None),
            Event::Fire {
                machine, budget, ..
            } => (machine, Some(usize::from(budget))),
            Event::FirePatiently {
                machine, budget, ..
            } => (machine, Some(PATIENCE + usize::from(budget))),
            Event::Request { machine } => (machine, Some(REQUESTS)),
            Event::Crash { machine, .. } => (machine, Some(CRASHES)),
        };
        let above = before.above != after.above;
        let judged = before.judged != after.judged;
        Footprint {
            place,
            budget,
            shared: above || judged || after.violated.is_some(),
        }
    }

    fn has_chosen(&self, action: &Action<P::Timer>) -> bool {
        // What happens out of patience ends much that could happen anywhere, so it depends on everything:
        // as if it had been chosen.
        !action.answers.is_empty() || matches!(action.event, Event::FirePatiently { .. })
    }
}

impl<P: Checkable> World<P> {
    /// An action in the names of a permutation.
    fn action_name(&self, state: &State<P>, action: &Action<P::Timer>, permutation: usize) -> u64 {
        let names: &Permutation = &self.permutations[permutation];
        let mail = |mail: usize| self.letter(state.mail[mail]).prints[permutation];
        let machine = |machine: usize| names.rename(self.members[machine]).0;
        let name = match action.event {
            Event::Deliver { mail: at } => combine(1, mail(at)),
            Event::Lose { mail: at } => combine(2, mail(at)),
            Event::Duplicate { mail: at } => combine(3, mail(at)),
            Event::Sync { machine: at } => combine(4, machine(at)),
            Event::Fire {
                machine: at, timer, ..
            } => combine(5, combine(machine(at), fingerprint(&timer))),
            Event::FirePatiently {
                machine: at, timer, ..
            } => combine(9, combine(machine(at), fingerprint(&timer))),
            Event::Request { machine: at } => combine(6, machine(at)),
            Event::Crash { machine: at, keep } => combine(7, combine(machine(at), keep as u64)),
            Event::Restart { machine: at } => combine(8, machine(at)),
        };
        combine(name, fingerprint(&action.answers))
    }
}
