//! Golden scripts: what happens, and what came of it.
//!
//! A script is a text file of blocks: commands, a line `----`, and the trace that they left, up to an
//! empty line. Lines that begin with `#` are comments. `UPDATE=1` in the environment rewrites the
//! traces instead of comparing them.
//!
//! ```text
//! cluster 3 window=2          three members, n1 to n3, all running; `down` starts none of them
//! disk n1 <words>             what is on the disk of a member that is down
//! restart n1|all              starts a member that is down
//! crash n1|all [keep 2]       stops it; 2 of its frames that were not durable survive all the same
//! fire n1 Election            a running timer runs out
//! advance 250                 250 ms pass, and timers run out as they are due
//! deliver n1 n2 [Append]      the oldest mail from n1 to n2 arrives (of that kind)
//! deliver n1 *  [Append]      all mail from n1 that is under way now; `deliver all` is `deliver * *`
//! drop, duplicate             the same for losing mail, and for sending it again
//! sync n1|all [1]             the disk finishes everything, or one frame
//! partition n1 | n2 n3        nothing gets from one side to the other; what is under way is lost
//! heal                        ends all partitions
//! settle                      disks and network work until nothing is left; shows outputs only
//! flush n1                    the application makes its state durable, and tells nobody
//! status                      one line for each member
//! show n1|all                 what the protocol has to say about itself
//! quietly <command>           any of these, without its trace
//! ```
//!
//! Everything else is a request of the problem, as in `broadcast n1 "x"`, `read n1`, `compact n1`.

use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use quorate_core::{NodeId, Protocol};

use crate::trace::{self, Detail, Trace};
use crate::world::name;
use crate::{Disk, Suite, Workload, World, suite};

/// Runs every script in a folder, and shows all differences together.
///
/// # Errors
/// What differs, or what is wrong with a script, with file and line.
pub fn run_folder<P: Protocol>(suite: &Suite<P>, folder: impl AsRef<Path>) -> Result<(), String>
where
    P::Problem: Workload,
{
    let folder = folder.as_ref();
    let entries = std::fs::read_dir(folder).map_err(|e| format!("{}: {e}", folder.display()))?;
    let mut files: Vec<_> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .collect();
    files.retain(|file| file.extension().is_some_and(|extension| extension == "txt"));
    files.sort();
    if files.is_empty() {
        return Err(format!("{}: no scripts", folder.display()));
    }
    let outcomes = files.iter().map(|file| run_file(suite, file));
    let errors: Vec<_> = outcomes.filter_map(Result::err).collect();
    match errors.is_empty() {
        true => Ok(()),
        false => Err(errors.join("\n")),
    }
}

fn run_file<P: Protocol>(suite: &Suite<P>, file: &Path) -> Result<(), String>
where
    P::Problem: Workload,
{
    let shown = file.display();
    let before = std::fs::read_to_string(file).map_err(|e| format!("{shown}: {e}"))?;
    let after = run(suite, &before).map_err(|e| format!("{shown}:{e}"))?;
    if before == after {
        return Ok(());
    }
    if std::env::var("UPDATE").is_ok_and(|value| value == "1") {
        return std::fs::write(file, after).map_err(|e| format!("{shown}: {e}"));
    }
    Err(format!(
        "{shown}: differs (UPDATE=1 rewrites it)\n{}",
        difference(&before, &after)
    ))
}

/// A script that was run.
#[derive(Clone, PartialEq, Debug)]
pub struct Play {
    /// The script with the traces that it really left.
    pub text: String,
    /// What happened in each of its worlds: every `cluster` begins one.
    pub worlds: Vec<Played>,
}

/// One world of a script that was run.
#[derive(Clone, PartialEq, Debug)]
pub struct Played {
    /// Its members in order.
    pub members: Vec<NodeId>,
    /// Everything that happened.
    pub trace: Trace,
    /// The promises that were broken, in order.
    pub violations: Vec<String>,
}

/// Runs a script and returns it with the traces that it really left.
///
/// # Errors
/// A line that makes no sense, as `line: reason`.
pub fn run<P: Protocol>(suite: &Suite<P>, script: &str) -> Result<String, String>
where
    P::Problem: Workload,
{
    play(suite, script).map(|play| play.text)
}

/// Runs a script and returns all that came of it.
///
/// # Errors
/// A line that makes no sense, as `line: reason`.
pub fn play<P: Protocol>(suite: &Suite<P>, script: &str) -> Result<Play, String>
where
    P::Problem: Workload,
{
    let mut runner = Session::new(suite);
    let text = text(&mut runner, script)?;
    let worlds = runner.finish();
    Ok(Play { text, worlds })
}

fn text<P: Protocol>(runner: &mut Session<'_, P>, script: &str) -> Result<String, String>
where
    P::Problem: Workload,
{
    let mut out = String::new();
    let mut lines = script.lines().enumerate().peekable();
    let mut trace = Vec::new();
    let mut commands = 0;
    while let Some((number, line)) = lines.next() {
        let at = number + 1;
        if line == "----" {
            let _ = writeln!(out, "----");
            for line in trace.drain(..) {
                let _ = writeln!(out, "{line}");
            }
            commands = 0;
            while lines.next_if(|(_, line)| !line.is_empty()).is_some() {}
            continue;
        }
        let _ = writeln!(out, "{line}");
        let words: Vec<&str> = line.split_whitespace().collect();
        if words.is_empty() && commands > 0 {
            return Err(format!("{at}: `----` must follow the commands"));
        }
        if !words.is_empty() && !line.starts_with('#') {
            commands += 1;
            trace.extend(runner.command(&words).map_err(|e| format!("{at}: {e}"))?);
        }
    }
    match commands {
        0 => Ok(out),
        _ => Err("end: `----` must follow the commands".to_string()),
    }
}

/// A script that is being run, command by command.
pub struct Session<'a, P: Protocol>
where
    P::Problem: Workload,
{
    suite: &'a Suite<P>,
    world: Option<World<P>>,
    /// How much of the world's trace has been looked at.
    shown: usize,
    /// The worlds before this one.
    ended: Vec<Played>,
    violations: Vec<String>,
}

/// What a command does to mail.
#[derive(Clone, Copy)]
enum Fate {
    Deliver,
    Drop,
    Duplicate,
}

impl<'a, P: Protocol> Session<'a, P>
where
    P::Problem: Workload,
{
    /// A script of which nothing has been run yet.
    #[must_use]
    pub fn new(suite: &'a Suite<P>) -> Session<'a, P> {
        Session {
            suite,
            world: None,
            shown: 0,
            ended: Vec::new(),
            violations: Vec::new(),
        }
    }

    /// The world, once there is one.
    #[must_use]
    pub fn world(&self) -> Option<&World<P>> {
        self.world.as_ref()
    }

    /// Where the story is: how many worlds came before this one, and how much happened in it.
    #[must_use]
    pub fn position(&self) -> (usize, usize) {
        let trace = self.world.as_ref().and_then(World::trace);
        (
            self.ended.len(),
            trace.map_or(0, |trace| trace.events.len()),
        )
    }

    /// Ends the story and answers what happened in each of its worlds.
    #[must_use]
    pub fn finish(mut self) -> Vec<Played> {
        self.end_world();
        self.ended
    }

    /// The promises that were broken in this world, in order.
    #[must_use]
    pub fn violations(&self) -> &[String] {
        &self.violations
    }

    /// Runs one command and returns its trace. A broken promise is part of the trace, so that a
    /// script can show one on purpose.
    ///
    /// # Errors
    /// What makes no sense about the command.
    pub fn command(&mut self, words: &[&str]) -> Result<Vec<String>, String> {
        if let ["quietly", words @ ..] = words {
            let trace = self.command(words)?;
            let loud = trace
                .into_iter()
                .filter(|line| line.starts_with("violated"));
            return Ok(loud.collect());
        }
        if let ["cluster", size, options @ ..] = words {
            return self.cluster(size, options);
        }
        let suite = *self.suite;
        let world = self
            .world
            .as_mut()
            .ok_or("the first command is `cluster`")?;
        let mut said = Vec::new();
        let outcome = match words {
            ["disk", id, words @ ..] => {
                let id = member(world, id)?;
                expect_up(world, id, false)?;
                world.replace_disk(id, Disk::prepared(&(suite.disk)(words)?));
                Ok(())
            }
            ["restart", who] => each(world, who, false, |world, id| world.restart(id))?,
            ["crash", who] => crash(world, who, 0)?,
            ["crash", who, "keep", keep] => crash(world, who, number(keep)?)?,
            ["fire", id, timer] => {
                let id = member(world, id)?;
                let timer = running(world, id, timer)?;
                world.fire(id, timer)
            }
            ["advance", ms] => world.advance(Duration::from_millis(number(ms)?)),
            ["deliver", mail @ ..] => mail_fate(world, mail, Fate::Deliver)?,
            ["drop", mail @ ..] => mail_fate(world, mail, Fate::Drop)?,
            ["duplicate", mail @ ..] => mail_fate(world, mail, Fate::Duplicate)?,
            ["sync", who] => each(world, who, true, |world, id| world.sync(id, usize::MAX))?,
            ["sync", who, count] => {
                let count = number(count)?;
                each(world, who, true, |world, id| world.sync(id, count))?
            }
            ["partition", sides @ ..] => partition(world, sides)?,
            ["heal"] => {
                world.heal();
                Ok(())
            }
            ["settle"] => settle(world),
            ["flush", id] => {
                let id = member(world, id)?;
                P::Problem::flush(world.app(id));
                Ok(())
            }
            ["status"] => {
                said.extend(world.members().map(|id| status(world, id)));
                Ok(())
            }
            ["show", who] => each(world, who, true, |world, id| {
                let replica = world.replica(id).expect("it is up");
                said.push(format!("{id} {}", (suite.describe)(replica.protocol())));
                Ok(())
            })?,
            [verb, id, arguments @ ..] => request(world, verb, id, arguments)?,
            _ => return Err(format!("no such command: {}", words.join(" "))),
        };
        let detail = match words {
            ["settle"] => Detail::Outputs,
            _ => Detail::Everything,
        };
        let mut trace = self.news(detail);
        trace.append(&mut said);
        if let Err(violation) = outcome {
            trace.push(format!("violated: {violation}"));
            self.violations.push(violation);
        }
        Ok(trace)
    }

    fn cluster(&mut self, size: &str, words: &[&str]) -> Result<Vec<String>, String> {
        let size: u64 = number(size)?;
        let members: Vec<NodeId> = (1..=size).map(NodeId).collect();
        let down = words.contains(&"down");
        let words = words.iter().copied().filter(|word| *word != "down");
        let mut options = suite::options(words)?;
        let seed = options.remove("seed");
        let seed = seed.map_or(Ok(0), |value| suite::number("seed", value))?;
        let config = (self.suite.config)(&members, &options)?;
        self.end_world();
        let world = self
            .world
            .insert(World::new(self.suite, &members, config, seed));
        world.start_trace();
        if !down {
            for &id in &members {
                world.restart(id)?;
            }
        }
        self.shown = 0;
        Ok(self.news(Detail::Everything))
    }

    /// Puts the world away, if there is one.
    fn end_world(&mut self) {
        if let Some(mut world) = self.world.take() {
            self.ended.push(Played {
                members: world.members().collect(),
                trace: world.take_trace(),
                violations: std::mem::take(&mut self.violations),
            });
        }
    }

    /// The lines of what happened since this was asked last.
    fn news(&mut self, detail: Detail) -> Vec<String> {
        let trace = self.world.as_ref().and_then(World::trace);
        let events = trace.map_or(&[][..], |trace| &trace.events[self.shown..]);
        self.shown += events.len();
        trace::lines(events, detail)
    }
}

fn number<T: std::str::FromStr>(word: &str) -> Result<T, String> {
    word.parse().map_err(|_| format!("not a number: {word}"))
}

fn member<P: Protocol>(world: &World<P>, word: &str) -> Result<NodeId, String>
where
    P::Problem: Workload,
{
    let id = word
        .parse()
        .map_err(|error| format!("{error}, found {word}"))?;
    let known = world.members().any(|member| member == id);
    known.then_some(id).ok_or(format!("there is no {word}"))
}

fn expect_up<P: Protocol>(world: &World<P>, id: NodeId, up: bool) -> Result<(), String>
where
    P::Problem: Workload,
{
    match world.replica(id).is_some() {
        is if is == up => Ok(()),
        true => Err(format!("{id} is up")),
        false => Err(format!("{id} is down")),
    }
}

/// What went wrong in the script, or else what went wrong in the world.
type Done = Result<Result<(), String>, String>;

/// Does something for one member, or for all that are up (or down).
fn each<P: Protocol>(
    world: &mut World<P>,
    who: &str,
    up: bool,
    mut f: impl FnMut(&mut World<P>, NodeId) -> Result<(), String>,
) -> Done
where
    P::Problem: Workload,
{
    if who != "all" {
        let id = member(world, who)?;
        expect_up(world, id, up)?;
        return Ok(f(world, id));
    }
    for id in world.members().collect::<Vec<_>>() {
        if world.replica(id).is_some() == up
            && let Err(violation) = f(world, id)
        {
            return Ok(Err(violation));
        }
    }
    Ok(Ok(()))
}

fn crash<P: Protocol>(world: &mut World<P>, who: &str, keep: usize) -> Done
where
    P::Problem: Workload,
{
    each(world, who, true, |world, id| {
        world.crash(id, keep);
        Ok(())
    })
}

fn running<P: Protocol>(world: &World<P>, id: NodeId, word: &str) -> Result<P::Timer, String>
where
    P::Problem: Workload,
{
    expect_up(world, id, true)?;
    let timers = world.replica(id).expect("it is up").timers();
    let found = timers.iter().find(|(timer, _)| name(timer) == word);
    found.map(|(timer, _)| timer).ok_or_else(|| {
        let running: Vec<_> = timers.iter().map(|(timer, _)| name(&timer)).collect();
        format!("no timer {word} runs at {id}, only {running:?}")
    })
}

fn mail_fate<P: Protocol>(world: &mut World<P>, words: &[&str], fate: Fate) -> Done
where
    P::Problem: Workload,
{
    let (from, to, kind) = match words {
        ["all"] => ("*", "*", None),
        [from, to] => (*from, *to, None),
        [from, to, kind] => (*from, *to, Some(*kind)),
        _ => return Err("which mail? `all`, or from, to and perhaps a kind".to_string()),
    };
    let end = |word: &str| match word {
        "*" => Ok(None),
        word => member(world, word).map(Some),
    };
    let (from, to) = (end(from)?, end(to)?);
    let only_one = from.is_some() && to.is_some();
    // What follows from this mail is not meant by it, so only what is under way now counts.
    let mut unseen = world.flying().len();
    let mut at = 0;
    let mut found = false;
    while unseen > 0 && !(found && only_one) {
        unseen -= 1;
        let mail = &world.flying()[at];
        let meant = from.is_none_or(|from| mail.from == from)
            && to.is_none_or(|to| mail.to == to)
            && kind.is_none_or(|kind| mail.kind == kind);
        if !meant {
            at += 1;
            continue;
        }
        found = true;
        match fate {
            Fate::Deliver => {
                if let Err(violation) = world.deliver(at) {
                    return Ok(Err(violation));
                }
            }
            Fate::Drop => world.drop_mail(at),
            Fate::Duplicate => {
                world.duplicate(at);
                at += 1;
            }
        }
    }
    match found {
        true => Ok(Ok(())),
        false => Err(format!("no such mail is under way: {}", words.join(" "))),
    }
}

fn partition<P: Protocol>(world: &mut World<P>, words: &[&str]) -> Done
where
    P::Problem: Workload,
{
    let mut sides = Vec::new();
    for side in words.split(|word| *word == "|") {
        let side: Result<Vec<_>, _> = side.iter().map(|word| member(world, word)).collect();
        sides.push(side?);
    }
    if sides.len() < 2 {
        return Err("a partition has two sides: n1 | n2 n3".to_string());
    }
    for (at, side) in sides.iter().enumerate() {
        for &one in side {
            for &two in sides[at + 1..].iter().flatten() {
                world.cut(one, two);
            }
        }
    }
    Ok(Ok(()))
}

/// Disks and network work until nothing is left to do.
fn settle<P: Protocol>(world: &mut World<P>) -> Result<(), String>
where
    P::Problem: Workload,
{
    /// More than any script needs: a protocol that never rests would go on for ever.
    const MAIL_MAX: usize = 10_000;
    let mut outcome = Ok(());
    for _ in 0..MAIL_MAX {
        for id in world.members().collect::<Vec<_>>() {
            outcome = outcome.and_then(|()| world.sync(id, usize::MAX));
        }
        if outcome.is_err() || world.flying().is_empty() {
            break;
        }
        outcome = world.deliver(0);
    }
    match world.flying().is_empty() {
        true => outcome,
        false => outcome.and(Err(format!("not quiet after {MAIL_MAX} messages"))),
    }
}

fn request<P: Protocol>(world: &mut World<P>, verb: &str, id: &str, arguments: &[&str]) -> Done
where
    P::Problem: Workload,
{
    let unknown = || format!("no such command: {verb}");
    let id = member(world, id).map_err(|error| format!("{} ({error})", unknown()))?;
    expect_up(world, id, true)?;
    let mut words = vec![verb];
    words.extend(arguments);
    let request = P::Problem::parse(world.app(id), &words).ok_or_else(unknown)??;
    Ok(world.request(id, request))
}

fn status<P: Protocol>(world: &World<P>, id: NodeId) -> String
where
    P::Problem: Workload,
{
    let Some(replica) = world.replica(id) else {
        return format!("{id} is down");
    };
    let status = replica.status();
    let leader = match status.leader {
        Some(leader) => format!("led by {leader}"),
        None => "without leader".to_string(),
    };
    format!(
        "{id} {} in epoch {} {leader}, head {}, decided {}, window {}",
        status.role,
        status.epoch,
        status.head,
        status.decided,
        replica.window()
    )
}

/// The first lines that differ, with a little before them.
fn difference(before: &str, after: &str) -> String {
    let (before, after): (Vec<_>, Vec<_>) = (before.lines().collect(), after.lines().collect());
    let same = before
        .iter()
        .zip(&after)
        .take_while(|(b, a)| b == a)
        .count();
    let context = same.saturating_sub(5);
    let mut out = String::new();
    for line in &after[context..same] {
        let _ = writeln!(out, "    {line}");
    }
    for line in before.iter().skip(same).take(12) {
        let _ = writeln!(out, "  - {line}");
    }
    for line in after.iter().skip(same).take(12) {
        let _ = writeln!(out, "  + {line}");
    }
    out
}
