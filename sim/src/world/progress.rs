//! What must come of a world in which everything works again.

use std::collections::BTreeMap;

use quorate_core::{NodeId, Protocol};

use super::{Outcome, World};
use crate::Workload;

impl<P: Protocol> World<P>
where
    P::Problem: Workload,
{
    /// Everything works from now on, and so must the cluster: whatever is asked everywhere, more than
    /// once if need be, has its effect everywhere. With a core, this is demanded of its members only,
    /// and machines outside it stay as they are.
    ///
    /// # Errors
    /// A broken promise, of which making progress is one.
    pub fn progress(&mut self, core: &[NodeId]) -> Outcome {
        /// How many rounds to wait for an effect before asking again.
        const PATIENCE: u32 = 100;
        let core: Vec<NodeId> = match core {
            [] => self.members().collect(),
            core => core.to_vec(),
        };
        self.heal();
        for &id in &core {
            if self.replica(id).is_none() {
                self.restart(id)?;
            }
        }
        let mut asked = BTreeMap::new();
        for round in 0..self.rounds_max {
            self.quiet()?;
            let (mut satisfied, mut asks) = (true, false);
            // Members may still come and go.
            let core = core.iter().copied();
            let core = core.filter(|&id| P::Problem::participates(&self.oracle, id));
            let core: Vec<NodeId> = core.collect();
            for &id in &core {
                let before = asked.get(&id).copied();
                if before.is_some() && P::Problem::is_satisfied(self.app(id)) {
                    continue;
                }
                satisfied = false;
                if before.is_none_or(|before| round - before >= PATIENCE) {
                    asked.insert(id, round);
                    asks = true;
                    self.probes += 1;
                    let serial = self.probes;
                    for request in P::Problem::probe(self.app(id), serial) {
                        self.request(id, request)?;
                    }
                }
            }
            if satisfied && self.agree(&core) {
                return Ok(());
            }
            let Some(next) = self.next_deadline() else {
                // Whoever has nothing left to do may still answer.
                if asks {
                    continue;
                }
                return self.broken(format!("no progress: no timer runs; {}", self.statuses()));
            };
            self.advance(next.since(self.now()))?;
        }
        self.broken(format!("no progress: {}", self.statuses()))
    }

    /// Disks and network work until nothing is left to do, if a script says so.
    pub(super) fn settle_down(&mut self) -> Outcome {
        /// More than any script needs: a protocol that never rests would go on for ever.
        const MAIL_MAX: usize = 10_000;
        match self.settle(MAIL_MAX)? {
            true => Ok(()),
            false => Err(format!("not quiet after {MAIL_MAX} messages")),
        }
    }

    /// Disks and network do what there is to do now.
    fn quiet(&mut self) -> Outcome {
        /// Far more than any protocol needs between two timers.
        const MAIL_MAX: usize = 200_000;
        match self.settle(MAIL_MAX)? {
            true => Ok(()),
            false => self.broken(format!("never quiet: {}", self.statuses())),
        }
    }

    /// Disks and network work until nothing is left to do. Answers whether they came that far with
    /// so much mail.
    fn settle(&mut self, mail_max: usize) -> Result<bool, String> {
        for _ in 0..mail_max {
            for id in self.members().collect::<Vec<_>>() {
                self.sync(id, usize::MAX)?;
            }
            if !self.flying.is_empty() {
                self.deliver(0)?;
            } else if !self.is_writing() {
                return Ok(true);
            }
        }
        Ok(self.flying.is_empty() && !self.is_writing())
    }

    /// Whether some disk has not finished: mail to oneself that waited for it may have led to more.
    fn is_writing(&self) -> bool {
        let mut machines = self.machines.values();
        machines.any(|machine| machine.replica.is_some() && machine.disk.pending() > 0)
    }

    /// Whether all have decided the same, which they must sooner or later once nobody asks for more.
    fn agree(&self, core: &[NodeId]) -> bool {
        let replicas = core.iter().filter_map(|&id| self.replica(id));
        let mut decided = replicas.map(|replica| replica.status().decided);
        let first = decided.next();
        decided.all(|decided| Some(decided) == first)
    }

    fn statuses(&self) -> String {
        let replicas = self
            .machines
            .iter()
            .map(|(id, machine)| (id, &machine.replica));
        let lines = replicas.map(|(id, replica)| match replica {
            Some(replica) => format!("{id} {:?}", replica.status()),
            None => format!("{id} is down"),
        });
        lines.collect::<Vec<_>>().join("; ")
    }
}
