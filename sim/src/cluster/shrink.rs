//! Makes a plan that ends badly as short as it can be made: delta debugging (Zeller and Hildebrandt,
//! "Simplifying and isolating failure-inducing input", 2002) over its lines, then a simpler world.

use quorate_core::Protocol;
use quorate_problems::total_order::TotalOrder;

use super::plan::{Plan, Settings};
use super::run::{Broken, attempt};
use crate::{Failure, Suite};

/// How many events all attempts may take together.
const EVENTS_MAX: u64 = 3_000_000;

struct Shrinking<'a, P: Protocol> {
    suite: &'a Suite<P>,
    kind: String,
    best: Plan,
    broken: Broken,
    events_left: u64,
}

/// Shrinks a plan that is known to end badly.
pub(super) fn shrink<P>(suite: &Suite<P>, plan: Plan, broken: Broken) -> (Plan, Broken)
where
    P: Protocol<Problem = TotalOrder>,
{
    let mut shrinking = Shrinking {
        suite,
        kind: Failure::kind(&broken.reason),
        best: plan,
        broken,
        events_left: EVENTS_MAX,
    };
    shrinking.shorter();
    shrinking.fewer_faults();
    shrinking.simpler_world();
    shrinking.fewer_faults();
    shrinking.shorter();
    (shrinking.best, shrinking.broken)
}

impl<P: Protocol<Problem = TotalOrder>> Shrinking<'_, P> {
    /// Tries a plan and keeps it if it ends as badly, in the same way.
    fn attempt(&mut self, plan: Plan) -> bool {
        if self.events_left == 0 || plan == self.best {
            return false;
        }
        let (outcome, events) = attempt(self.suite, &plan, self.events_left);
        self.events_left = self.events_left.saturating_sub(events);
        match outcome {
            Err(broken) if Failure::kind(&broken.reason) == self.kind => {
                self.best = plan;
                self.broken = broken;
                true
            }
            _ => false,
        }
    }

    /// Nothing needs to go wrong after the promise was broken.
    fn shorter(&mut self) {
        let mut plan = self.best.clone();
        let end = self.broken.at;
        plan.faults.retain(|timed| timed.at <= end);
        plan.settings.hurt_ms = plan.settings.hurt_ms.min(end.0 / 1_000_000 + 1);
        self.attempt(plan);
    }

    fn fewer_faults(&mut self) {
        let mut size = self.best.faults.len().div_ceil(2);
        while size > 0 {
            let mut start = 0;
            let mut removed = false;
            while start < self.best.faults.len() {
                let mut plan = self.best.clone();
                let end = (start + size).min(plan.faults.len());
                plan.faults.drain(start..end);
                match self.attempt(plan) {
                    true => removed = true,
                    false => start += size,
                }
            }
            if size == 1 && !removed {
                return;
            }
            size = if size == 1 { 1 } else { size.div_ceil(2) };
            if size == 1 && self.best.faults.len() > 64 && !removed {
                return;
            }
        }
    }

    /// Each setting becomes the usual one, or smaller, if that does no harm.
    fn simpler_world(&mut self) {
        let usual = Settings::default();
        for (name, value) in usual.all() {
            // What the plan's lines and the promise itself depend on stays.
            if ["seed", "members", "spares", "core", "hurt_ms", "flaw"].contains(&name) {
                continue;
            }
            let mut plan = self.best.clone();
            if let Some(place) = plan.settings.place(name) {
                *place = value;
            }
            self.attempt(plan);
        }
        for place in (0..self.best.settings.options.len()).rev() {
            let mut plan = self.best.clone();
            let (name, _) = plan.settings.options.remove(place);
            if name != "flaw" {
                self.attempt(plan);
            }
        }
        for clients in [1, 2, 4] {
            let mut plan = self.best.clone();
            if clients < plan.settings.clients {
                plan.settings.clients = clients;
                if self.attempt(plan) {
                    break;
                }
            }
        }
    }
}
