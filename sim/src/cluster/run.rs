//! One run from beginning to end: hurt, heal, judge.

use quorate_core::{Instant, Protocol};
use quorate_problems::total_order::TotalOrder;
use quorate_service::store::View;

use super::plan::Plan;
use super::world::{MS, World};
use super::{ClientHistory, Hurt, Summary, draw, shrink};
use crate::{Failure, Parsed, Suite, panics};

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
}
