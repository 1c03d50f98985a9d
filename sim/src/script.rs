//! Golden scripts: what happens, and what came of it.
//!
//! A script is a text file of blocks: commands, a line `----`, and the trace that they left, up to an
//! empty line. Lines that begin with `#` are comments. `UPDATE=1` in the environment rewrites the
//! traces instead of comparing them.
//!
//! ```text
//! cluster 3 window=2          three members, n1 to n3, all running, with options of the protocol;
//!                             `down` starts none of them, `seed=7` gives timers other jitter,
//!                             `hoard` keeps frames that are not needed until they are deleted
//!                             `minority` refuses crashes that would leave no majority at work
//! disk n1 <words>             what is on the disk of a member that is down
//! restart n1|all              starts a member that is down
//! crash n1|all [keep 2]       stops it; 2 of its frames that were not durable survive all the same
//! fire n1 Election            a running timer runs out
//! advance 250                 250 ms pass, and timers run out as they are due
//! deliver n1 n2 [Append [2]]  the oldest mail from n1 to n2 arrives (of that kind; the second oldest)
//! deliver n1 *  [Append]      all mail from n1 that is under way now; `deliver all` is `deliver * *`
//! drop, duplicate             the same for losing mail, and for sending it again
//! forge n1 n2 00ff            mail that n1 never sent, encoded
//! sync n1|all [1]             the disk finishes everything, or one frame
//! partition n1 n2 | n2 n3     nothing gets between two members that are on no side together; what is
//!                             under way there is lost
//! cut n1 n2                   nothing gets from n1 to n2; the other way it does
//! isolate n1                  nothing gets from n1 to anybody, nor back
//! heal                        ends all partitions
//! settle                      disks and network work until nothing is left; shows outputs only
//! progress [n1 n2]            heals everything and starts everybody (or these), who must then decide
//!                             what is asked of them; shows outputs only
//! flush n1                    the application makes its state durable, and tells nobody
//! delete n1 3                 deletes 3 of the frames that are not needed, where they are hoarded
//! lose n1 2                   the newest 2 frames vanish from the disk of a member that is down
//! damage n1 4 5               frames 4 and 5 of a member that is down cannot be read, which is noticed
//! status                      one line for each member
//! show n1|all                 what the protocol has to say about itself
//! quietly <command>           any of these, without its trace
//! choose 1,0 <command>        the replica that takes a step because of it chooses the second way, then the
//!                             first, and the first wherever it goes on choosing; for `fire`, `deliver`
//!                             of one piece of mail, `sync`, `restart` and requests
//! ```
//!
//! Everything else is a request of the problem, as in `broadcast n1 "x"`, `read n1`, `compact n1`.

use std::fmt::Write as _;
use std::path::Path;

use quorate_core::{NodeId, Protocol};

use crate::command::Command;
use crate::trace::{self, Detail, Trace};
use crate::{Suite, Workload, World};

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
        self.run(&Command::parse(words)?)
    }

    /// Runs one command and returns its trace, like [`Session::command`].
    ///
    /// # Errors
    /// What makes no sense about the command.
    pub fn run(&mut self, command: &Command) -> Result<Vec<String>, String> {
        if let Command::Quietly(command) = command {
            let mut trace = self.run(command)?;
            trace.retain(|line| line.starts_with("violated"));
            return Ok(trace);
        }
        if let Command::Cluster { size, words } = command {
            return self.cluster(*size, words);
        }
        let world = self
            .world
            .as_mut()
            .ok_or("the first command is `cluster`")?;
        let mut said = Vec::new();
        let outcome = world.apply(self.suite, command, &mut said)?;
        let detail = match command {
            Command::Settle | Command::Progress(_) => Detail::Outputs,
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

    fn cluster(&mut self, size: u64, words: &[String]) -> Result<Vec<String>, String> {
        let world = World::from_words(self.suite, size, words)?;
        self.end_world();
        let world = self.world.insert(world);
        world.start_trace();
        self.shown = 0;
        let outcome = match words.iter().any(|word| word == "down") {
            true => Ok(()),
            false => world.start_all(),
        };
        let mut trace = self.news(Detail::Everything);
        if let Err(violation) = outcome {
            trace.push(format!("violated: {violation}"));
            self.violations.push(violation);
        }
        Ok(trace)
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
