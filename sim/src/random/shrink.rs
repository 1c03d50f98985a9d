//! Makes a schedule that breaks a promise as small as it can be made: delta debugging (Zeller and
//! Hildebrandt, "Simplifying and isolating failure-inducing input", 2002) over its commands.
//!
//! A smaller schedule is run leniently: a command that makes no sense any more, since what it was
//! about never happened, is left out.

use quorate_core::Protocol;

use crate::command::{Command, Selector};
use crate::script::Session;
use crate::world::ROUNDS_MAX;
use crate::{Failure, Suite, Workload, World};

/// A schedule: a world, and what happens in it.
#[derive(Clone, Debug)]
pub(super) struct Schedule {
    /// How many members the world has.
    pub(super) size: u64,
    /// The words that say more about it. Of these the first may be left out.
    pub(super) words: Vec<String>,
    /// How many of the words, at the end, must stay.
    pub(super) fixed: usize,
    /// What happens.
    pub(super) commands: Vec<Command>,
}

/// Shrinks a schedule that is known to break the promise `reason` is about, and answers it as a
/// script with the reason that it shows in the end.
pub(super) fn shrink<P: Protocol>(
    suite: &Suite<P>,
    seed: u64,
    schedule: Schedule,
    reason: String,
) -> Failure
where
    P::Problem: Workload,
{
    // Whether progress is made shows much sooner than it is given up, so attempts are impatient. In
    // the end patience must come to the same.
    for rounds_max in [IMPATIENT, ROUNDS_MAX] {
        let mut shrinking = Shrinking {
            suite,
            kind: Failure::kind(&reason),
            best: schedule.clone(),
            reason: reason.clone(),
            steps_left: STEPS_MAX,
            rounds_max,
        };
        shrinking.shrink();
        shrinking.rounds_max = ROUNDS_MAX;
        shrinking.steps_left = STEPS_MAX;
        let best = shrinking.best.clone();
        if shrinking.attempt(best) {
            return whole(suite, seed, shrinking.best, shrinking.reason);
        }
    }
    whole(suite, seed, schedule, reason)
}

/// How many times timers run out in an attempt before no progress counts as none.
const IMPATIENT: u32 = 250;

/// The whole schedule as a script.
pub(super) fn whole<P: Protocol>(
    suite: &Suite<P>,
    seed: u64,
    schedule: Schedule,
    reason: String,
) -> Failure
where
    P::Problem: Workload,
{
    let script = script(suite, seed, &schedule, &reason);
    Failure {
        seed,
        reason,
        script,
    }
}

/// How many steps of replicas all attempts may take together. A violation of safety needs a few
/// hundred thousand; where no progress is made each attempt takes very many.
const STEPS_MAX: u64 = 6_000_000;

struct Shrinking<'a, P: Protocol>
where
    P::Problem: Workload,
{
    suite: &'a Suite<P>,
    kind: String,
    best: Schedule,
    reason: String,
    steps_left: u64,
    rounds_max: u32,
}

impl<P: Protocol> Shrinking<'_, P>
where
    P::Problem: Workload,
{
    fn shrink(&mut self) {
        let all = self.best.clone();
        self.attempt(all);
        self.fewer_commands();
        self.fewer_words();
        self.simpler_commands();
        self.longer_waits();
        self.fewer_commands();
    }

    /// Runs a schedule, and keeps it, as far as it made sense, if it breaks the same promise.
    fn attempt(&mut self, mut schedule: Schedule) -> bool {
        if self.steps_left == 0 {
            return false;
        }
        let Some((used, reason)) = self.replay(&schedule) else {
            return false;
        };
        if Failure::kind(&reason) != self.kind {
            return false;
        }
        schedule.commands = used;
        self.best = schedule;
        self.reason = reason;
        true
    }

    /// Runs a schedule. If it breaks a promise, answers the commands that made sense until then.
    fn replay(&mut self, schedule: &Schedule) -> Option<(Vec<Command>, String)> {
        let mut world = World::from_words(self.suite, schedule.size, &schedule.words).ok()?;
        world.rounds_max = self.rounds_max;
        let outcome = Self::replay_in(self.suite, &mut world, schedule);
        self.steps_left = self.steps_left.saturating_sub(world.steps());
        outcome
    }

    fn replay_in(
        suite: &Suite<P>,
        world: &mut World<P>,
        schedule: &Schedule,
    ) -> Option<(Vec<Command>, String)> {
        let mut used = Vec::new();
        if let Err(reason) = world.start_all() {
            return Some((used, reason));
        }
        for command in &schedule.commands {
            let Ok(outcome) = world.apply(suite, command, &mut Vec::new()) else {
                continue;
            };
            used.push(command.clone());
            if let Err(reason) = outcome {
                return Some((used, reason));
            }
        }
        None
    }

    /// Leaves out ever smaller parts, until no single command can be left out.
    fn fewer_commands(&mut self) {
        let mut size = self.best.commands.len().div_ceil(2);
        while size > 0 {
            let mut any = false;
            // From the end, since what is late depends on what is early.
            let mut end = self.best.commands.len();
            while end > 0 {
                let start = end.saturating_sub(size);
                let mut smaller = self.best.clone();
                smaller.commands.drain(start..end);
                any |= self.attempt(smaller);
                end = start.min(self.best.commands.len());
            }
            if !any || self.best.commands.len() <= size {
                size /= 2;
            }
        }
    }

    /// A smaller world, with fewer options.
    fn fewer_words(&mut self) {
        while self.best.size > 1 {
            let size = self.best.size - 1;
            if !self.attempt(Schedule {
                size,
                ..self.best.clone()
            }) {
                break;
            }
        }
        let mut at = 0;
        while at < self.best.words.len() - self.best.fixed {
            let mut smaller = self.best.clone();
            smaller.words.remove(at);
            if !self.attempt(smaller) {
                at += 1;
            }
        }
    }

    /// One wait instead of several in a row.
    fn longer_waits(&mut self) {
        for at in (1..self.best.commands.len()).rev() {
            let commands = self
                .best
                .commands
                .get(at - 1)
                .zip(self.best.commands.get(at));
            let Some((Command::Advance { us: one }, Command::Advance { us: two })) = commands
            else {
                continue;
            };
            let us = one.saturating_add(*two);
            let mut merged = self.best.clone();
            merged.commands.remove(at);
            merged.commands[at - 1] = Command::Advance { us };
            self.attempt(merged);
        }
    }

    /// Each command in a simpler form, where that does.
    fn simpler_commands(&mut self) {
        for at in (0..self.best.commands.len()).rev() {
            let Some(command) = self.best.commands.get(at) else {
                continue;
            };
            for simpler in simpler(command) {
                let mut attempt = self.best.clone();
                attempt.commands[at] = simpler;
                if self.attempt(attempt) {
                    break;
                }
            }
        }
    }
}

/// A schedule as a script: commands up to the first that leaves a trace, that trace, and so on.
fn script<P: Protocol>(suite: &Suite<P>, seed: u64, schedule: &Schedule, reason: &str) -> String
where
    P::Problem: Workload,
{
    let mut session = Session::new(suite);
    let cluster = Command::Cluster {
        size: schedule.size,
        words: schedule.words.clone(),
    };
    let mut text = format!("# Seed {seed}: {reason}\n");
    let mut open = false;
    for command in [cluster].iter().chain(&schedule.commands) {
        let Ok(trace) = session.run(command) else {
            continue;
        };
        text += &format!("{command}\n");
        open = true;
        if !trace.is_empty() {
            text += &format!("----\n{}\n\n", trace.join("\n"));
            open = false;
        }
    }
    if open {
        text += "----\n";
    }
    // One empty line separates blocks; none ends the file.
    text.truncate(text.trim_end().len());
    text + "\n"
}

/// Simpler commands that may do as well, the simplest first.
fn simpler(command: &Command) -> Vec<Command> {
    match command {
        Command::Mail { fate, mail } => {
            let without_ordinal = Selector {
                ordinal: None,
                ..mail.clone()
            };
            let without_kind = Selector {
                kind: None,
                ..without_ordinal.clone()
            };
            let simpler = [without_kind, without_ordinal];
            let simpler = simpler.into_iter().filter(|simpler| simpler != mail);
            simpler
                .map(|mail| Command::Mail { fate: *fate, mail })
                .collect()
        }
        Command::Crash { who, keep: 1.. } => vec![Command::Crash { who: *who, keep: 0 }],
        Command::Sync {
            who,
            count: Some(_),
        } => vec![Command::Sync {
            who: *who,
            count: None,
        }],
        _ => Vec::new(),
    }
}
