//! One run from beginning to end: hurt, heal, judge.

use std::panic::{AssertUnwindSafe, catch_unwind};

use quorate_core::{Instant, Protocol};
use quorate_problems::total_order::TotalOrder;

use super::Summary;
use super::judge::Outcome;
use super::plan::Plan;
use super::session::{Action, Client};
use super::world::{MS, World};
use crate::Suite;

/// How long a healed cluster may take until everything works again.
const CALM_MS: u64 = 60_000;

/// Runs a plan.
///
/// # Errors
/// Which promise was broken, and when.
pub fn run_plan<P>(suite: &Suite<P>, plan: &Plan) -> Result<Summary, String>
where
    P: Protocol<Problem = TotalOrder>,
{
    let mut world = World::new(suite, plan)?;
    // A panic is an invariant that did not hold. The world is only asked for its time after one.
    let judged = catch_unwind(AssertUnwindSafe(|| world.live()));
    let judged = judged.unwrap_or_else(|panic| Err(format!("panic: {}", words(&*panic))));
    let us = world.now().0 / 1000;
    judged.map_err(|reason| format!("after {}.{:03} ms: {reason}", us / 1000, us % 1000))
}

/// What a panic said.
fn words(panic: &(dyn std::any::Any + Send)) -> &str {
    match (panic.downcast_ref::<String>(), panic.downcast_ref::<&str>()) {
        (Some(text), _) => text,
        (_, Some(text)) => text,
        _ => "without a word",
    }
}

impl<P: Protocol<Problem = TotalOrder>> World<P> {
    fn live(&mut self) -> Result<Summary, String> {
        self.open()?;
        self.run_until(Instant(self.settings.hurt_ms * MS))?;
        self.heal()?;
        self.look_at_all()?;
        self.judge.history()?;
        let statuses = self
            .machines
            .iter()
            .filter_map(|machine| machine.process.as_ref());
        self.summary.epoch = statuses
            .map(|process| process.status().epoch)
            .max()
            .unwrap_or(0);
        self.summary.simulated = self.now().0;
        self.summary.hash = self.judge.hash();
        Ok(self.summary)
    }

    /// The machines that must work once everything is healed.
    fn core(&self) -> Vec<usize> {
        let core = (self.settings.core as usize).min(self.machines.len());
        (0..core)
            .filter(|&at| self.machines[at].broken.is_none())
            .collect()
    }

    /// Heals a core and demands that it works: every machine of it carries something out, all come
    /// to the same state, and everything that was acknowledged is there.
    fn heal(&mut self) -> Outcome {
        self.quiet = true;
        self.network.heal();
        let now = self.now();
        for at in 0..self.machines.len() {
            self.resume(at);
            let machine = &mut self.machines[at];
            machine.disk.mend();
            machine.slow_disk = 0;
            machine.clock.set_rate(1_000_000, now);
            self.start(at)?;
            self.nudge(at);
        }
        let core = self.core();
        if core.len() * 2 <= self.machines.len() {
            return Ok(()); // Nobody can ask anything of what is left.
        }
        let deadline = Instant(now.0 + CALM_MS * MS);
        let first = self.clients.len();
        for (number, &at) in core.iter().enumerate() {
            let mut client = Client::new((first + number) as u64, &self.settings);
            client.process = u64::MAX - number as u64;
            client.machine = at;
            self.clients.push(client);
        }
        let probes: Vec<usize> = (first..self.clients.len()).collect();
        // Each writes, and then reads every key: what was acknowledged must be there.
        let writes = |number: usize| Action::Put(u64::MAX, u64::MAX - number as u64);
        self.probe(&probes, &core, deadline, writes)?;
        for key in 0..self.settings.keys {
            self.probe(&probes, &core, deadline, |_| Action::Get(key))?;
        }
        while !self.is_calm(&core) {
            if self.now() > deadline {
                return Err(format!(
                    "progress: the healed core is not of one mind: {}",
                    self.report()
                ));
            }
            self.run_until(Instant(self.now().0 + 50 * MS))?;
        }
        Ok(())
    }

    /// Every probe asks its machine, again and again until it is answered.
    fn probe(
        &mut self,
        probes: &[usize],
        core: &[usize],
        deadline: Instant,
        action: impl Fn(usize) -> Action,
    ) -> Outcome {
        let mut answered: Vec<u64> = probes.iter().map(|_| 0).collect();
        let mut done = vec![false; probes.len()];
        while done.contains(&false) {
            if self.now() > deadline {
                return Err(format!(
                    "progress: the healed core answers nothing: {}",
                    self.report()
                ));
            }
            for (place, &client) in probes.iter().enumerate() {
                if !done[place] && self.clients[client].open.is_none() {
                    match answered[place] {
                        0 => {
                            self.clients[client].machine = core[place];
                            answered[place] = 1 + self.ask(client, action(place)) as u64;
                        }
                        asked => {
                            done[place] = self.judge.is_answered(asked as usize - 1);
                            answered[place] = 0;
                        }
                    }
                }
            }
            self.run_until(Instant(self.now().0 + MS))?;
        }
        Ok(())
    }

    /// Nothing is open, and all of the core are of one mind.
    fn is_calm(&self, core: &[usize]) -> bool {
        let views = core.iter().filter_map(|&at| self.process(at));
        let views: Vec<_> = views.map(|process| process.service.view()).collect();
        let calm = self.clients.iter().all(|client| client.open.is_none());
        let seen = core.iter().zip(&views).all(|(&at, view)| {
            self.watchers[at]
                .iter()
                .all(|watcher| watcher.next() > view.revision())
        });
        calm && seen
            && views.len() == core.len()
            && views
                .windows(2)
                .all(|two| two[0].checkpoint() == two[1].checkpoint())
    }

    /// How everyone is.
    fn report(&self) -> String {
        let mut text = String::new();
        for machine in &self.machines {
            let state = match (&machine.process, &machine.broken) {
                (Some(process), _) => {
                    let view = process.service.view();
                    format!("{:?}, applied {}", process.status(), view.position())
                }
                (None, Some(reason)) => format!("broken: {reason}"),
                (None, None) => "down".to_owned(),
            };
            text += &format!("\n   {}: {state}", machine.id);
        }
        text
    }
}
