//! Runs a script as a story: its comments become remarks beside the picture.

use std::ops::Range;

use quorate_core::Protocol;
use quorate_problems::Workload;
use quorate_sim::Suite;
use quorate_sim::script::Session;

use crate::draw::{Note, Recording};

/// What is wrong with a script, and where.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Wrong {
    /// The line, counted from 1.
    pub line: usize,
    /// What was expected there.
    pub reason: String,
}

/// One world of a story.
#[derive(Clone, Debug)]
pub struct Told {
    /// What happened, with remarks.
    pub recording: Recording,
    /// The promises that were broken.
    pub violations: Vec<String>,
}

/// Runs a script. `first` is the number of its first line, for errors.
///
/// # Errors
/// The first line that makes no sense.
pub fn tell<P: Protocol>(suite: &Suite<P>, script: &str, first: usize) -> Result<Vec<Told>, Wrong>
where
    P::Problem: Workload,
{
    let mut session = Session::new(suite);
    let mut remarks = Remarks::default();
    let mut lines = script.lines().enumerate();
    while let Some((number, line)) = lines.next() {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words.as_slice() {
            // Recorded traces of golden scripts are none of the story.
            ["----"] => {
                for (_, line) in lines.by_ref() {
                    if line.is_empty() {
                        break;
                    }
                }
                remarks.end();
            }
            [] => remarks.end(),
            [word, ..] if word.starts_with('#') => remarks.say(line),
            words => {
                let before = session.position();
                session.command(words).map_err(|reason| Wrong {
                    line: first + number,
                    reason,
                })?;
                remarks.command(words, before, session.position());
            }
        }
    }
    Ok(remarks.finish(session))
}

/// What is remarked, by world.
#[derive(Default)]
struct Remarks {
    said: String,
    notes: Vec<(usize, Note)>,
    quiet: Vec<(usize, Range<usize>)>,
}

impl Remarks {
    fn say(&mut self, line: &str) {
        let text = line.trim_start_matches(['#', ' ']);
        if !self.said.is_empty() {
            self.said.push(' ');
        }
        self.said.push_str(text);
    }

    /// Whatever is said from now on is another remark.
    fn end(&mut self) {
        if !self.said.is_empty() && !self.said.ends_with('\n') {
            self.said.push('\n');
        }
    }

    fn command(&mut self, words: &[&str], before: (usize, usize), after: (usize, usize)) {
        // A new world begins; that everybody starts in it goes without saying.
        let begins = words.contains(&"cluster");
        let from = if begins { 0 } else { before.1 };
        for text in std::mem::take(&mut self.said).lines() {
            let text = text.trim().to_string();
            let note = Note { at: from, text };
            self.notes.push((after.0, note));
        }
        if words.first() == Some(&"quietly") || begins {
            self.quiet.push((after.0, from..after.1));
        }
    }

    fn finish<P: Protocol>(mut self, session: Session<'_, P>) -> Vec<Told>
    where
        P::Problem: Workload,
    {
        let (last, end) = session.position();
        for text in std::mem::take(&mut self.said).lines() {
            let text = text.trim().to_string();
            self.notes.push((last, Note { at: end, text }));
        }
        let played = session.finish();
        let mut told = Vec::new();
        for (at, played) in played.into_iter().enumerate() {
            let of_this = |world: &usize| *world == at;
            let notes = self.notes.iter().filter(|(world, _)| of_this(world));
            let quiet = self.quiet.iter().filter(|(world, _)| of_this(world));
            told.push(Told {
                recording: Recording {
                    title: String::new(),
                    epoch: String::new(),
                    members: played.members,
                    trace: played.trace,
                    notes: notes.map(|(_, note)| note.clone()).collect(),
                    quiet: quiet.map(|(_, range)| range.clone()).collect(),
                },
                violations: played.violations,
            });
        }
        told
    }
}
