//! What all of them have in common: a cluster of three replicas and a closed loop around it.

use crate::workload::{Commands, State};

/// Three replicas in this process.
pub trait Cluster {
    /// Has the next `count` commands ordered and applied by all three replicas, with at most `window`
    /// of them in flight. A command is in flight until the replica that it was given to has applied
    /// it, as its client would see.
    fn drive(&mut self, commands: &Commands, count: u64, window: u64);

    /// What the three have applied.
    fn states(&self) -> [State; 3];
}

/// A cluster that only does something when it is told to: libraries without threads of their own.
pub trait Stepped {
    /// Gives the leader a command.
    fn submit(&mut self, commands: &Commands, number: u64);

    /// Carries all messages that are under way and lets every replica do what follows from them: the
    /// followers first, the leader last, so that one round can commit what was submitted.
    fn round(&mut self);

    /// How many commands the leader has applied.
    fn completed(&self) -> u64;

    /// What the three have applied.
    fn states(&self) -> [State; 3];
}

/// How many rounds may pass without anything being applied before it is a failure: many elections.
const IDLE_ROUNDS_MAX: u32 = 100_000;

impl<S: Stepped> Cluster for S {
    fn drive(&mut self, commands: &Commands, count: u64, window: u64) {
        let first = self.completed();
        let end = first + count;
        let mut submitted = first;
        let mut idle = 0;
        let mut before = (0, 0);
        loop {
            let completed = self.completed();
            while submitted < end && submitted - completed < window {
                self.submit(commands, submitted);
                submitted += 1;
            }
            self.round();
            let least = self.states().iter().map(|state| state.count).min();
            let least = least.expect("there are three");
            if least == end {
                return;
            }
            idle = if before == (completed, least) {
                idle + 1
            } else {
                0
            };
            before = (completed, least);
            assert!(
                idle < IDLE_ROUNDS_MAX,
                "nothing moves at {before:?} of {end}"
            );
        }
    }

    fn states(&self) -> [State; 3] {
        Stepped::states(self)
    }
}
