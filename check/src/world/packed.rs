//! States of worlds as bytes, while they wait.

use std::marker::PhantomData;

use super::prints::Prints;
use super::state::{PATIENCE_CLASSES, Spent, State, TIMER_CLASSES};
use super::{Checkable, World};

/// Bytes of what was spent.
const SPENT: usize = TIMER_CLASSES + 4 + PATIENCE_CLASSES;

impl<P: Checkable> World<P> {
    /// Writes a state: what was spent, what was violated, and the numbers of its parts.
    pub(super) fn pack(&self, state: &State<P>, bytes: &mut Vec<u8>) {
        let Spent {
            fires,
            requests,
            crashes,
            losses,
            duplicates,
            patience,
        } = state.spent;
        bytes.extend(fires);
        bytes.extend([requests, crashes, losses, duplicates]);
        bytes.extend(patience);
        let violated = state.violated.as_deref();
        let violated = violated.map_or(0, |reason| self.number_of_failure(reason) + 1);
        let watching = [violated, state.above, state.judged];
        let numbers = watching.iter().chain(&state.machines).chain(&state.mail);
        bytes.extend(numbers.flat_map(|number| number.to_le_bytes()));
    }

    pub(super) fn unpack(&self, bytes: &[u8]) -> State<P> {
        let (spent, numbers) = bytes.split_at(SPENT);
        let (fires, rest) = spent.split_at(TIMER_CLASSES);
        let numbers = numbers.chunks_exact(size_of::<u32>());
        let numbers = numbers.map(|number| number.try_into().expect("four bytes"));
        let mut numbers = numbers.map(u32::from_le_bytes);
        let mut number = || numbers.next().expect("what was written is complete");
        let (violated, above, judged) = (number(), number(), number());
        let violated = violated.checked_sub(1);
        let mut state = State {
            machines: self.members.iter().map(|_| number()).collect(),
            mail: numbers.collect(),
            above,
            judged,
            spent: Spent {
                fires: fires.try_into().expect("the length is right"),
                requests: rest[0],
                crashes: rest[1],
                losses: rest[2],
                duplicates: rest[3],
                patience: rest[4..].try_into().expect("the length is right"),
            },
            violated: violated.map(|reason| self.known.failures.get(reason).clone()),
            sums: Prints::default(),
            protocol: PhantomData,
        };
        state.sums = self.sums(&state);
        state
    }
}
