//! The conversation: on a terminal, or with lines from a file.

use std::fs;
use std::io::{self, BufRead, Write};

use quorate_core::Protocol;
use quorate_problems::Workload;
use quorate_sim::command::VERBS;
use quorate_sim::nearest::perhaps;

use super::{Choice, Explorer};
use crate::draw::words::clip;
use crate::draw::{svg, text};
use crate::scenes::Ask;

/// How a conversation ended.
#[derive(Debug)]
pub enum Ended {
    /// Everything was said. `true` if no promise was broken.
    Well(bool),
    /// A line made no sense, and nobody was there to say it again: its number, and why.
    Badly(usize, String),
}

/// The first words of what can be said, besides commands of scripts.
const WORDS: &[&str] = &["back", "list", "svg", "save", "quit", "help"];

/// What can be said, besides numbers and commands of scripts.
const HELP: &str = "\
  N             let choice N happen
  drop N        lose the mail of choice N; duplicate N sends a copy behind it
  back [N]      go a step back, or N
  list          show the choices again
  show          draw everything so far
  svg FILE      draw it into a file
  save FILE     write the path as a script, with what it leaves
  quit          end; so does the end of the input
  Anything else is a command of a script, as in `partition n1 | n2 n3`, `settle`, `status`, `show all`,
  `advance 250`, `crash n1 keep 1`, `broadcast n2 \"x\"`.
";

/// Talks until the input ends. Somebody at a terminal may try again when a line makes no sense; for a
/// file it is the end.
///
/// # Errors
/// If input or output fails.
pub fn dialog<P: Protocol>(
    explorer: &mut Explorer<'_, P>,
    input: impl BufRead,
    mut out: impl Write,
    terminal: bool,
    style: text::Style,
) -> io::Result<Ended>
where
    P::Problem: Workload,
{
    writeln!(out, "Say a number, or `help`.")?;
    let mut choices = list(explorer, &mut out, style.width)?;
    let mut lines = input.lines();
    let mut number = 0;
    loop {
        write!(out, "> ")?;
        out.flush()?;
        let Some(line) = lines.next() else {
            writeln!(out)?;
            break;
        };
        let line = line?;
        number += 1;
        if !terminal {
            // Whoever reads the answers later wants to see the questions.
            writeln!(out, "{}", line.trim())?;
        }
        let words: Vec<&str> = line.split_whitespace().collect();
        let said = match words.as_slice() {
            [] => continue,
            [word, ..] if word.starts_with('#') => continue,
            ["quit" | "exit"] => break,
            ["help"] => Ok(Said::Text(HELP.to_string())),
            ["list"] => Ok(Said::List),
            words => answer(explorer, &choices, words, style),
        };
        match said {
            Ok(Said::Text(text)) => write!(out, "{text}")?,
            Ok(Said::List) => choices = list(explorer, &mut out, style.width)?,
            Ok(Said::News(news)) => {
                for line in news {
                    writeln!(out, "  {line}")?;
                }
                choices = list(explorer, &mut out, style.width)?;
            }
            Err(reason) if terminal => writeln!(out, "{reason}")?,
            Err(reason) => return Ok(Ended::Badly(number, reason)),
        }
    }
    Ok(Ended::Well(explorer.violations().is_empty()))
}

enum Said {
    Text(String),
    List,
    /// Something happened.
    News(Vec<String>),
}

fn answer<P: Protocol>(
    explorer: &mut Explorer<'_, P>,
    choices: &[Choice],
    words: &[&str],
    style: text::Style,
) -> Result<Said, String>
where
    P::Problem: Workload,
{
    let chosen = |word: &str| -> Result<Option<&Choice>, String> {
        let Ok(number) = word.parse::<usize>() else {
            return Ok(None);
        };
        let choice = number.checked_sub(1).and_then(|at| choices.get(at));
        let count = choices.len();
        let choice = choice.ok_or_else(|| format!("there are choices 1 to {count}, not {word}"))?;
        Ok(Some(choice))
    };
    match words {
        [word] if chosen(word)?.is_some() => {
            let command = chosen(word)?.map(|choice| choice.command.clone());
            explorer.take(&command.unwrap_or_default()).map(Said::News)
        }
        [verb @ ("drop" | "duplicate"), word] if chosen(word)?.is_some() => {
            let choice = chosen(word)?.map(|choice| choice.command.as_str());
            let mail = choice.and_then(|command| command.strip_prefix("deliver "));
            let mail = mail.ok_or_else(|| format!("choice {word} is no mail"))?;
            explorer.take(&format!("{verb} {mail}")).map(Said::News)
        }
        ["back"] => explorer.back(1).map(|()| Said::List),
        ["back", steps] => {
            let steps = steps
                .parse()
                .map_err(|_| format!("not a number: {steps}"))?;
            explorer.back(steps).map(|()| Said::List)
        }
        ["show"] => Ok(Said::Text(text::render(&explorer.diagram(), style))),
        ["svg", file] => write(file, &svg::render(&explorer.diagram())),
        ["save", file] => write(file, &explorer.script()),
        ["cluster", ..] => Err("the world is made already; start again for another".to_string()),
        words => {
            let taken = explorer.take(&words.join(" ")).map(Said::News);
            taken.map_err(|reason| mend(explorer, words[0], reason))
        }
    }
}

/// A reason, with the nearest of everything that can be said here if the first word is none of it.
fn mend<P: Protocol>(explorer: &Explorer<'_, P>, verb: &str, reason: String) -> String
where
    P::Problem: Workload,
{
    if !reason.starts_with("no such command") {
        return reason;
    }
    let asks: Vec<&str> = explorer.asks.iter().map(Ask::verb).collect();
    if asks.contains(&verb) {
        return format!("whom is it asked of? `{verb} n1`, and perhaps more");
    }
    let known = WORDS.iter().chain(VERBS).chain(&asks).copied();
    format!("no such command: {verb}{}", perhaps(verb, known))
}

fn write(file: &str, text: &str) -> Result<Said, String> {
    fs::write(file, text).map_err(|error| format!("{file}: {error}"))?;
    Ok(Said::Text(format!("written: {file}\n")))
}

/// Shows what can happen next, and answers it.
fn list<P: Protocol>(
    explorer: &Explorer<'_, P>,
    out: &mut impl Write,
    width: usize,
) -> io::Result<Vec<Choice>>
where
    P::Problem: Workload,
{
    let choices = explorer.choices();
    let commands = choices.iter().map(|choice| choice.command.chars().count());
    let wide = commands.max().unwrap_or(0);
    let mut group = "";
    for (at, choice) in choices.iter().enumerate() {
        let name = if choice.group == group {
            ""
        } else {
            choice.group
        };
        group = choice.group;
        let line = format!(
            "{name:9}{:3}  {:wide$}  {}",
            at + 1,
            choice.command,
            choice.about
        );
        writeln!(out, "{}", clip(line.trim_end(), width))?;
    }
    Ok(choices)
}
