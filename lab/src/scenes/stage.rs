//! Plays a scene and judges it.

use quorate_check::world::Checkable;
use quorate_core::Protocol;
use quorate_problems::Workload;
use quorate_sim::Suite;

use super::claims::{self, Claims};
use super::sheet::{self, Verdict};
use super::tell::{Told, Wrong, tell};
use super::{Scene, local};
use crate::draw::Diagram;
use crate::suites::{self, Known, Unknown, Visit};
use crate::two_armies;

/// What came of a scene.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// What happened in each of its worlds.
    pub worlds: Vec<Told>,
    /// What is true of it.
    pub sheet: Vec<Verdict>,
}

impl Outcome {
    /// Whether every verdict is as expected.
    #[must_use]
    pub fn is_as_expected(&self) -> bool {
        self.sheet
            .iter()
            .all(|verdict| verdict.holds == verdict.expected)
    }

    /// How many events there were in all.
    #[must_use]
    pub fn events(&self) -> usize {
        let worlds = self.worlds.iter();
        worlds.map(|told| told.recording.trace.events.len()).sum()
    }

    /// A picture of each world.
    #[must_use]
    pub fn diagrams(&self) -> Vec<Diagram> {
        let worlds = self.worlds.iter();
        worlds.map(|told| Diagram::of(&told.recording)).collect()
    }
}

/// Plays a scene.
///
/// # Errors
/// The first line that makes no sense.
pub fn run(scene: &Scene) -> Result<Outcome, Wrong> {
    let played = with(&scene.protocol, Play(scene)).map_err(|unknown| Wrong {
        line: 1,
        reason: unknown.to_string(),
    })?;
    let (mut worlds, claims) = played?;
    let count = worlds.len();
    for (at, told) in worlds.iter_mut().enumerate() {
        let recording = &mut told.recording;
        recording.title.clone_from(&scene.title);
        recording.epoch = claims.epoch.to_string();
        if count > 1 {
            recording.title = format!("{} ({} of {count})", scene.title, at + 1);
        }
    }
    let mut verdicts = sheet::judge(&worlds, &claims);
    verdicts.extend(alike(scene, &worlds));
    expect(scene, &mut verdicts)?;
    Ok(Outcome {
        worlds,
        sheet: verdicts,
    })
}

/// A piece of work that can be done with any protocol that can be put on a stage.
pub trait Work: Sized {
    /// What comes of it.
    type Answer;

    /// Does it.
    fn with<P: Protocol>(self, suite: &Suite<P>, claims: &Claims) -> Self::Answer
    where
        P::Problem: Workload;
}

/// A protocol that is there to fail: nothing is searched in it.
const TWO_ARMIES: &str = "two-armies";

/// Does something with the protocol of this name.
///
/// # Errors
/// If there is none, with the name that was perhaps meant.
pub fn with<W: Work>(protocol: &str, work: W) -> Result<W::Answer, Unknown> {
    if protocol == TWO_ARMIES {
        return Ok(work.with(&two_armies::SUITE, &claims::TWO_ARMIES));
    }
    let subject = suites::find(protocol)
        .map_err(|_| Unknown::new("protocol", protocol, suites::names().chain([TWO_ARMIES])))?;
    Ok(subject.visit(Do(work)))
}

struct Do<W>(W);

impl<W: Work> Visit for Do<W> {
    type Answer = W::Answer;

    fn any<P: Checkable>(self, known: &Known<P>) -> W::Answer {
        self.0.with(&known.suite, &known.claims)
    }
}

struct Play<'a>(&'a Scene);

impl Work for Play<'_> {
    type Answer = Result<(Vec<Told>, Claims), Wrong>;

    fn with<P: Protocol>(self, suite: &Suite<P>, claims: &Claims) -> Self::Answer
    where
        P::Problem: Workload,
    {
        let told = tell(suite, &self.0.script, self.0.first)?;
        Ok((told, *claims))
    }
}

/// Whether those who must not tell the worlds apart cannot.
fn alike(scene: &Scene, worlds: &[Told]) -> Option<Verdict> {
    let (first, others) = worlds.split_first()?;
    if scene.alike.is_empty() {
        return None;
    }
    let mut different = None;
    let mut bytes = 0;
    for &node in &scene.alike {
        let wanted = local::seen(&first.recording.trace, node);
        bytes += wanted.len();
        for other in others {
            let seen = local::seen(&other.recording.trace, node);
            let differs = wanted
                .lines()
                .zip(seen.lines())
                .find(|(one, two)| one != two);
            let found = match differs {
                Some((one, two)) => Some(format!("{node}: `{one}` in one, `{two}` in another")),
                None if wanted.len() != seen.len() => Some(format!("{node} sees more in one")),
                None => None,
            };
            different = different.or(found);
        }
    }
    let names: Vec<_> = scene.alike.iter().map(ToString::to_string).collect();
    Some(Verdict {
        property: format!("{} cannot tell the worlds apart", names.join(" ")),
        holds: different.is_none(),
        expected: true,
        witness: different.unwrap_or(format!("{bytes} bytes of local traces are the same")),
    })
}

/// Writes down which verdicts are expected.
fn expect(scene: &Scene, verdicts: &mut [Verdict]) -> Result<(), Wrong> {
    for (property, expected) in &scene.expect {
        match verdicts
            .iter_mut()
            .find(|verdict| verdict.property == *property)
        {
            Some(verdict) => verdict.expected = *expected,
            None => {
                let known = verdicts.iter().map(|verdict| verdict.property.as_str());
                let hint = quorate_sim::nearest::perhaps(property, known);
                return Err(Wrong {
                    line: 1,
                    reason: format!("expect: no property is called `{property}`{hint}"),
                });
            }
        }
    }
    Ok(())
}
