//! One run from beginning to end: hurt, heal, judge.

use quorate_core::{Instant, Protocol};
use quorate_problems::total_order::TotalOrder;
use quorate_service::store::View;

use super::judge::Outcome;
use super::plan::Plan;
use super::session::{Action, Client, Value};
use super::world::{MS, World};
use super::{ClientHistory, Hurt, Summary, draw, shrink};
use crate::{Failure, Parsed, Suite, panics};

/// How long a healed cluster may take until everything works again.
const CALM_MS: u64 = 120_000;

/// A key that only probers write.
const PROBED: u64 = 999_999;

/// A promise was broken.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Broken {
    /// When.
    pub at: Instant,
    /// Which, and how.
    pub reason: String,
}

/// Draws a plan from a seed, runs it, and shortens it if it ends badly.
///
/// # Errors
/// The promise that was broken, with the shortened plan.
pub fn run<P>(suite: &Suite<P>, seed: u64, hurt: &Hurt) -> Result<Summary, Failure>
where
    P: Protocol<Problem = TotalOrder>,
{
    let failure = |reason, script| Failure {
        seed,
        reason,
        script,
    };
    let plan = drawn(suite, seed, hurt).map_err(|reason| failure(reason, String::new()))?;
    run_plan(suite, &plan).map_err(|broken| {
        let (plan, broken) = match hurt.shrink {
            true => shrink::shrink(suite, plan, broken),
            false => (plan, broken),
        };
        let lines = broken.reason.lines();
        let reason: String = lines.map(|line| format!("# {line}\n")).collect();
        failure(broken.reason, format!("{plan}{reason}"))
    })
}

/// The plan that a seed draws.
///
/// # Errors
/// If the protocol's options are none.
pub fn drawn<P: Protocol>(suite: &Suite<P>, seed: u64, hurt: &Hurt) -> Parsed<Plan> {
    draw::draw(suite, seed, hurt)
}

/// Runs a plan.
///
/// # Errors
/// Which promise was broken, and when.
pub fn run_plan<P>(suite: &Suite<P>, plan: &Plan) -> Result<Summary, Broken>
where
    P: Protocol<Problem = TotalOrder>,
{
    attempt(suite, plan, u64::MAX).0
}

/// Runs a plan, and answers also what its clients saw, however it ended.
pub fn run_recorded<P>(suite: &Suite<P>, plan: &Plan) -> (Result<Summary, Broken>, ClientHistory)
where
    P: Protocol<Problem = TotalOrder>,
{
    match lived(suite, plan, u64::MAX) {
        Ok((outcome, mut world)) => (outcome, world.judge.clients()),
        Err(broken) => (Err(broken), ClientHistory::new()),
    }
}

/// Runs a plan up to so many events, and answers also how many there were.
pub(super) fn attempt<P>(
    suite: &Suite<P>,
    plan: &Plan,
    events_max: u64,
) -> (Result<Summary, Broken>, u64)
where
    P: Protocol<Problem = TotalOrder>,
{
    match lived(suite, plan, events_max) {
        Ok((outcome, world)) => (outcome, world.summary.events),
        Err(broken) => (Err(broken), 0),
    }
}

/// How a world ended, and the world.
type Lived<P> = (Result<Summary, Broken>, World<P>);

fn lived<P>(suite: &Suite<P>, plan: &Plan, events_max: u64) -> Result<Lived<P>, Broken>
where
    P: Protocol<Problem = TotalOrder>,
{
    let world = World::new(suite, plan, events_max);
    let mut world = world.map_err(|reason| Broken {
        at: Instant(0),
        reason,
    })?;
    // A panic is an invariant that did not hold. After one the world is only asked for its time, and
    // for what clients saw.
    let judged = panics::catch(|| world.live());
    let judged = judged.unwrap_or_else(|panic| Err(format!("panic: {panic}")));
    let at = world.now();
    Ok((judged.map_err(|reason| Broken { at, reason }), world))
}

impl<P: Protocol<Problem = TotalOrder>> World<P> {
    fn live(&mut self) -> Result<Summary, String> {
        self.open()?;
        self.run_until(Instant(self.settings.hurt_ms * MS))?;
        self.heal()?;
        self.look_at_all()?;
        let views = self
            .machines
            .iter()
            .filter_map(|machine| machine.process.as_ref());
        let views = views.map(|process| process.service.view());
        let newest = views.max_by_key(View::position);
        self.summary.gave_up = u64::from(!self.judge.history(newest)?);
        self.summary.expired = self.judge.leases.count_ended();
        self.summary.simulated = self.now().0;
        self.summary.hash = self.judge.hash();
        Ok(self.summary)
    }

    /// The machines that must work once everything is healed.
    fn core(&self) -> Vec<usize> {
        let core = (self.settings.core as usize).min(self.machines.len());
        let works = |at: &usize| self.machines[*at].broken.is_none();
        (0..core).filter(works).collect()
    }

    /// Heals a core and demands that it works: every machine of it carries something out, all come
    /// to the same state, and everything that was acknowledged is there.
    fn heal(&mut self) -> Outcome {
        self.quiet = true;
        let now = self.now();
        // Who has forgotten promises may need everybody to remember them.
        if self.machines.iter().any(|machine| machine.damaged) {
            self.settings.core = self.settings.members;
        }
        let core = (self.settings.core as usize).min(self.machines.len());
        self.network.heal(core);
        self.leave_out(core);
        for at in 0..core {
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
            self.summary.stuck = 1;
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
        // Each writes, and then reads every key: what was acknowledged must be there.
        self.probe(first, &core, deadline, |value| Action::Put(PROBED, value))?;
        for key in 0..self.settings.keys {
            self.probe(first, &core, deadline, |_| Action::Get(key))?;
        }
        while !self.is_calm(&core) {
            if self.now() > deadline {
                let report = self.report();
                return Err(format!(
                    "progress: the healed core is not of one mind: {report}"
                ));
            }
            self.run_until(Instant(self.now().0 + 50 * MS))?;
        }
        Ok(())
    }

    /// Those outside the core are down for good, or nothing gets through to them, or from them, or
    /// neither. A quorum's leader among them that only some of the core hear would be no fault of the
    /// core's.
    fn leave_out(&mut self, core: usize) {
        for at in core..self.machines.len() {
            let how = self.choice.choose(4);
            for other in 0..core {
                self.network.set_cut(other, at, how != 1);
                self.network.set_cut(at, other, how != 2);
            }
            if how == 0 {
                self.crash(at);
            }
        }
    }

    /// Every prober asks its machine, again and again until it is answered.
    fn probe(
        &mut self,
        first: usize,
        core: &[usize],
        deadline: Instant,
        action: impl Fn(Value) -> Action,
    ) -> Outcome {
        let mut asked: Vec<Option<usize>> = vec![None; core.len()];
        loop {
            let mut waits = false;
            for (place, &at) in core.iter().enumerate() {
                let done = asked[place].is_some_and(|operation| self.judge.is_answered(operation));
                if !done && self.clients[first + place].open.is_none() {
                    self.clients[first + place].machine = at;
                    let value = self.fresh_value();
                    asked[place] = Some(self.ask(first + place, action(value)));
                }
                waits |= !done;
            }
            if !waits {
                return Ok(());
            }
            if self.now() > deadline {
                let report = self.report();
                return Err(format!(
                    "progress: the healed core answers nothing: {report}"
                ));
            }
            self.run_until(Instant(self.now().0 + MS))?;
        }
    }

    /// Nothing is open, and all of the core are of one mind.
    fn is_calm(&self, core: &[usize]) -> bool {
        let views = core.iter().filter_map(|&at| self.process(at));
        let views: Vec<_> = views.map(|process| process.service.view()).collect();
        let calm = self.clients.iter().all(|client| client.open.is_none());
        let seen = core.iter().zip(&views).all(|(&at, view)| {
            let mut watchers = self.watchers[at].iter();
            watchers.all(|watcher| watcher.next() > view.revision())
        });
        let first = views.first().map(View::checkpoint);
        let alike = views.iter().all(|view| Some(view.checkpoint()) == first);
        // They all end, since nobody renews them any more.
        let leases = views.iter().any(|view| view.lease_count() > 0);
        calm && seen && !leases && views.len() == core.len() && alike
    }

    /// How everyone is.
    fn report(&self) -> String {
        let mut text = String::new();
        for machine in &self.machines {
            let state = match (&machine.process, &machine.broken) {
                (Some(process), _) => {
                    let applied = process.service.view().position();
                    let described = (self.describe)(process.node().protocol());
                    let lines = described.lines().map(|line| shortened(line.trim()));
                    let lines = lines.collect::<Vec<_>>().join("\n      ");
                    format!("{:?}, applied {applied}\n      {lines}", process.status())
                }
                (None, Some(reason)) => format!("broken: {reason}"),
                (None, None) => "down".to_owned(),
            };
            text += &format!("\n   {}: {state}", machine.id);
        }
        text
    }
}

/// The beginning and the end of a line.
fn shortened(line: &str) -> String {
    let chars: Vec<char> = line.chars().collect();
    match chars.len() {
        ..=200 => line.to_owned(),
        len => {
            let (begin, end) = (chars[..120].iter(), chars[len - 60..].iter());
            format!(
                "{} ... {}",
                begin.collect::<String>(),
                end.collect::<String>()
            )
        }
    }
}
