//! Reads that may be old, but only so old (`quorate-max-age-ms`): answered from what a machine has applied as
//! long as it knows that this is new enough, and otherwise after the cluster has confirmed it. Age is told by the
//! machine's own clock, so it is judged by that.

use std::time::Duration;

use quorate_core::{Choice, Instant, Protocol};
use quorate_problems::total_order::TotalOrder;
use quorate_service::Reading;

use super::judge::Outcome;
use super::network::draw;
use super::plan::Settings;
use super::world::{Event, MS, World};

/// How long somebody waits between two reads.
const PAUSE: u64 = 10 * MS;

/// How often somebody who waits for a confirmation looks whether it is there.
const LOOK: u64 = MS;

/// How old what is read may be, milliseconds.
const AGES_MS: [u64; 5] = [5, 50, 200, 1000, 5000];

/// Whoever reads what may be so old.
pub(super) struct AgedReader {
    choice: Choice,
    open: Option<Open>,
}

/// A read that is to be confirmed.
struct Open {
    at: usize,
    life: u32,
    /// By the machine's clock.
    begun: Instant,
    asked: Instant,
    reading: Reading,
}

impl AgedReader {
    pub(super) fn all(settings: &Settings) -> Vec<AgedReader> {
        let reader = |number: u64| AgedReader {
            choice: Choice::Seeded(settings.seed ^ ((0x0a6e_d000 + number) << 18)),
            open: None,
        };
        (0..settings.aged).map(reader).collect()
    }
}

/// What clients were told, as every machine's clock dates it.
#[derive(Default)]
pub(super) struct Told {
    /// A revision, and when a client knew it: each newer than the one before.
    all: Vec<(i64, Vec<Instant>)>,
}

impl Told {
    /// A client knows of a revision; `clocks` show what they show.
    pub(super) fn on_answer(&mut self, revision: i64, clocks: impl Iterator<Item = Instant>) {
        if self.all.last().is_none_or(|(last, _)| *last < revision) {
            self.all.push((revision, clocks.collect()));
        }
    }

    /// A machine shows a revision to somebody who demands all that was known at a moment of its clock.
    pub(super) fn on_aged(&self, at: usize, shown: i64, since: Instant) -> Outcome {
        let known = self.all.partition_point(|(_, clocks)| clocks[at] < since);
        let Some((revision, clocks)) = known.checked_sub(1).map(|last| &self.all[last]) else {
            return Ok(());
        };
        match *revision <= shown {
            true => Ok(()),
            false => Err(format!(
                "reads of bounded age: n{} showed revision {shown} although {revision} was known {:?} before \
                 the oldest moment that was allowed",
                at + 1,
                since.since(clocks[at])
            )),
        }
    }
}

impl<P: Protocol<Problem = TotalOrder>> World<P> {
    /// A reader's turn.
    pub(super) fn read_aged(&mut self, number: usize) -> Outcome {
        if self.quiet {
            self.aged[number].open = None;
            return Ok(());
        }
        match self.aged[number].open.take() {
            None => self.begin_aged(number)?,
            Some(open) => self.go_on_aged(number, open)?,
        }
        let reader = &mut self.aged[number];
        let pause = match reader.open {
            Some(_) => LOOK,
            None => draw(&mut reader.choice, PAUSE),
        };
        self.agenda.plan_in(pause, Event::Aged(number));
        Ok(())
    }

    /// As a server answers such a read.
    fn begin_aged(&mut self, number: usize) -> Outcome {
        let now = self.now();
        let choice = &mut self.aged[number].choice;
        let at = choice.choose(self.machines.len() as u32) as usize;
        let age = Duration::from_millis(AGES_MS[choice.choose(AGES_MS.len() as u32) as usize]);
        let machine = &self.machines[at];
        let Some(process) = machine.process.as_ref().filter(|_| !machine.paused) else {
            return Ok(());
        };
        let here = machine.clock.here(now);
        if let Some(view) = process.service.view_at_most(age, here) {
            self.summary.aged += 1;
            let since = Instant(here.0.saturating_sub(age.as_nanos() as u64));
            return self.judge.told.on_aged(at, view.revision(), since);
        }
        if let Ok(reading) = process.service.begin_read() {
            self.aged[number].open = Some(Open {
                at,
                life: machine.life,
                begun: here,
                asked: now,
                reading,
            });
            self.nudge(at);
        }
        Ok(())
    }

    fn go_on_aged(&mut self, number: usize, mut open: Open) -> Outcome {
        let now = self.now();
        let machine = &self.machines[open.at];
        let Some(process) = machine.process.as_ref() else {
            return Ok(());
        };
        if machine.life != open.life || now.since(open.asked) > Duration::from_secs(5) {
            return Ok(());
        }
        if machine.paused {
            self.aged[number].open = Some(open);
            return Ok(());
        }
        match open.reading.answered() {
            None => {
                self.aged[number].open = Some(open);
                Ok(())
            }
            Some(Err(_)) => Ok(()),
            Some(Ok(())) => {
                let here = machine.clock.here(now);
                process.service.on_confirmed(open.begun, here);
                let shown = process.service.view().revision();
                self.judge.told.on_aged(open.at, shown, open.begun)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_known_before_the_age_allowed_must_be_shown() {
        let mut told = Told::default();
        // The second machine's clock is ten ahead.
        for (revision, at) in [(2, 100), (5, 200), (4, 300), (9, 400)] {
            told.on_answer(revision, [at, at + 10].map(Instant).into_iter());
        }
        for (at, shown, since, fine) in [
            (0, 1, 100, true),
            (0, 1, 101, false),
            (1, 1, 110, true),
            (0, 4, 201, false),
            (0, 5, 400, true),
            (0, 5, 401, false),
            (1, 5, 401, true),
        ] {
            let judged = told.on_aged(at, shown, Instant(since));
            assert_eq!(judged.is_ok(), fine, "{at} {shown} {since}: {judged:?}");
        }
    }
}
