//! What a history says about the system that it came from.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use anyhow::{Result, bail};
use clap::ValueEnum;
use quorate_problems::history::Operation;
use quorate_problems::linearizable::{self, Point, Witness};
use quorate_problems::register::{self, Strength};
use quorate_problems::{key_value, timestamps};
use serde_json::{Value, json};

use super::write::{register_input, register_output, store_input, store_output};
use super::{Imported, Object};

/// What a system claims to be.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum Claim {
    /// A linearizable key-value store.
    KeyValue,
    /// A safe register for one writer.
    Safe,
    /// A regular register for one writer.
    Regular,
    /// An atomic register for one writer.
    AtomicOneWriter,
    /// An atomic (linearizable) register for any number of writers.
    Atomic,
}

/// Everything that was found out.
#[derive(Debug)]
pub struct Report<'a> {
    imported: &'a Imported,
    /// One for each property that the claim, or the history, raises.
    pub findings: Vec<Finding>,
}

/// One property, and whether the history has it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Finding {
    /// The property.
    pub property: &'static str,
    /// Whether it holds.
    pub outcome: Outcome,
}

/// Whether a property holds.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// It does. For linearizable histories, with the points at which operations take effect.
    Holds(Vec<Point>),
    /// It does not.
    Violated {
        /// Why, in words.
        reason: String,
        /// The operations that contradict one another.
        conflict: Vec<usize>,
        /// Operations whose effects the conflict shows.
        context: Vec<usize>,
        /// Whether nothing can be left out.
        is_minimal: bool,
    },
    /// Nobody knows: the search was ended at its bound.
    GaveUp {
        /// How many configurations were looked at.
        configurations: u64,
    },
}

/// Judges a history. A register is taken to be atomic if nothing else is claimed.
///
/// # Errors
/// A claim that such a history says nothing about.
pub fn verify(
    imported: &Imported,
    claim: Option<Claim>,
    configurations_max: u64,
) -> Result<Report<'_>> {
    let mut findings = vec![match &imported.object {
        Object::KeyValue(history) => {
            if !matches!(claim, None | Some(Claim::KeyValue)) {
                bail!("this is the history of a key-value store: expected --as key-value");
            }
            let verdict = key_value::check(history, configurations_max);
            Finding {
                property: "linearizable key-value store",
                outcome: of_search(verdict),
            }
        }
        Object::Register(history) => {
            let (property, strength) = match claim {
                Some(Claim::Safe) => ("safe register", Strength::Safe),
                Some(Claim::Regular) => ("regular register", Strength::Regular),
                Some(Claim::AtomicOneWriter) => {
                    ("atomic register for one writer", Strength::AtomicOneWriter)
                }
                None | Some(Claim::Atomic) => ("atomic register", Strength::Atomic),
                Some(Claim::KeyValue) => bail!(
                    "this is the history of a register: expected --as safe, regular, atomic-one-writer or atomic"
                ),
            };
            let verdict = register::check(strength, history, configurations_max);
            Finding {
                property,
                outcome: of_register(verdict),
            }
        }
    }];
    if imported.timestamps.iter().any(Option::is_some) {
        findings.push(Finding {
            property: "externally consistent timestamps",
            outcome: of_timestamps(imported),
        });
    }
    Ok(Report { imported, findings })
}

fn of_search(verdict: linearizable::Verdict) -> Outcome {
    match verdict {
        linearizable::Verdict::Linearizable(points) => Outcome::Holds(points),
        linearizable::Verdict::Violated(witness) => of_witness(witness),
        linearizable::Verdict::GaveUp { configurations } => Outcome::GaveUp { configurations },
    }
}

fn of_witness(witness: Witness) -> Outcome {
    let reason = match witness.conflict.len() {
        1 => "no order of the operations explains this answer",
        _ => "no order of the operations explains these together",
    };
    Outcome::Violated {
        reason: reason.to_owned(),
        conflict: witness.conflict,
        context: witness.context,
        is_minimal: witness.is_minimal,
    }
}

fn of_register(verdict: register::Verdict) -> Outcome {
    use register::Violation;
    let violation = match verdict {
        register::Verdict::Sources(_) => return Outcome::Holds(Vec::new()),
        register::Verdict::Points(points) => return Outcome::Holds(points),
        register::Verdict::GaveUp { configurations } => return Outcome::GaveUp { configurations },
        register::Verdict::Violated(violation) => violation,
    };
    let (reason, conflict) = match violation {
        Violation::NoPoints(witness) => return of_witness(witness),
        Violation::TwoWriters(one, two) => (
            "a register for one writer is written by two processes",
            vec![one, two],
        ),
        Violation::WrongAnswer(at) => ("an answer of another kind", vec![at]),
        Violation::Invented { read } => ("a value that nobody had begun to write", vec![read]),
        Violation::Stale {
            read,
            overwritten_by,
        } => (
            "a value that had been overwritten before the read",
            vec![overwritten_by, read],
        ),
        Violation::Inversion { newer, older } => (
            "a new-old inversion: an older value than a read before",
            vec![newer, older],
        ),
    };
    Outcome::Violated {
        reason: reason.to_owned(),
        conflict,
        context: Vec::new(),
        is_minimal: true,
    }
}

fn of_timestamps(imported: &Imported) -> Outcome {
    let stamps = &imported.timestamps;
    let checked = match &imported.object {
        Object::KeyValue(history) => timestamps::check(history, |at, _| stamps[at]),
        Object::Register(history) => timestamps::check(history, |at, _| stamps[at]),
    };
    match checked {
        Ok(()) => Outcome::Holds(Vec::new()),
        Err(violation) => Outcome::Violated {
            reason: violation.to_string(),
            conflict: vec![violation.earlier.0, violation.later.0],
            context: Vec::new(),
            is_minimal: true,
        },
    }
}

impl Report<'_> {
    /// Whether everything holds. Nothing, if nobody knows.
    #[must_use]
    pub fn holds(&self) -> Option<bool> {
        let outcomes = || self.findings.iter().map(|finding| &finding.outcome);
        if outcomes().any(|outcome| matches!(outcome, Outcome::Violated { .. })) {
            return Some(false);
        }
        (!outcomes().any(|outcome| matches!(outcome, Outcome::GaveUp { .. }))).then_some(true)
    }

    /// For a person; with the linearization points, if those are asked for.
    #[must_use]
    pub fn text(&self, with_points: bool) -> String {
        let mut text = self.heading();
        for finding in &self.findings {
            let property = finding.property;
            match &finding.outcome {
                Outcome::Holds(points) => {
                    text += &format!("{property}: yes\n");
                    for point in points.iter().filter(|_| with_points) {
                        let _ = write!(text, "  at {:<10} ", point.at);
                        text += &self.line(point.operation);
                    }
                }
                Outcome::GaveUp { configurations } => {
                    text += &format!(
                        "{property}: not known, the search gave up after {configurations} configurations\n"
                    );
                }
                Outcome::Violated {
                    reason,
                    conflict,
                    context,
                    is_minimal,
                } => {
                    text += &format!("{property}: no\n  {reason}:\n");
                    for &at in conflict {
                        text += &format!("    {}", self.line(at));
                    }
                    if !context.is_empty() {
                        text += "  whatever became of:\n";
                    }
                    for &at in context {
                        text += &format!("    {}", self.line(at));
                    }
                    if !is_minimal {
                        text +=
                            "  (perhaps fewer operations show it; the search for them gave up)\n";
                    }
                }
            }
        }
        text
    }

    /// For a program: the same, as one JSON object.
    #[must_use]
    pub fn json(&self, with_points: bool) -> Value {
        let findings = self.findings.iter().map(|finding| {
            let mut value = match &finding.outcome {
                Outcome::Holds(points) => {
                    let mut value = json!({"holds": true});
                    if with_points {
                        let point = |point: &Point| {
                            json!({"at": point.at, "operation": self.operation(point.operation)})
                        };
                        value["points"] = points.iter().map(point).collect();
                    }
                    value
                }
                Outcome::GaveUp { configurations } => {
                    json!({"holds": null, "configurations": configurations})
                }
                Outcome::Violated {
                    reason,
                    conflict,
                    context,
                    is_minimal,
                } => {
                    let all = |all: &[usize]| -> Vec<Value> {
                        all.iter().map(|&at| self.operation(at)).collect()
                    };
                    json!({
                        "holds": false,
                        "reason": reason,
                        "conflict": all(conflict),
                        "context": all(context),
                        "minimal": is_minimal,
                    })
                }
            };
            value["property"] = finding.property.into();
            value
        });
        json!({
            "operations": self.imported.lines.len(),
            "findings": findings.collect::<Vec<_>>(),
        })
    }

    fn heading(&self) -> String {
        let spans = (0..self.imported.lines.len()).map(|at| self.span(at));
        let spans: Vec<Span> = spans.collect();
        let processes: BTreeSet<u64> = spans.iter().map(|span| span.process).collect();
        let pending = spans.iter().filter(|span| span.end.is_none()).count();
        let count = |count: usize, of: &str| match count {
            1 => format!("1 {of}"),
            _ => format!("{count} {of}{}", if of.ends_with('s') { "es" } else { "s" }),
        };
        format!(
            "{} of {}, {pending} of them without an answer\n",
            count(spans.len(), "operation"),
            count(processes.len(), "process")
        )
    }

    /// An operation on a line of text.
    fn line(&self, at: usize) -> String {
        let Span { process, call, end } = self.span(at);
        let (input, output) = self.words(at);
        let lines = match self.imported.lines[at] {
            (call, Some(end)) if call != end => format!("lines {call} and {end}"),
            (call, _) => format!("line {call}"),
        };
        let time = match end {
            Some(end) => format!("{call} to {end}"),
            None => format!("from {call} on"),
        };
        let answer = match output {
            Some(Value::Object(fields)) if fields.is_empty() => "done".to_owned(),
            Some(output) => output.to_string(),
            None => "no answer".to_owned(),
        };
        format!("{lines}: process {process}, {time}: {input} -> {answer}\n")
    }

    /// An operation as JSON.
    fn operation(&self, at: usize) -> Value {
        let Span { process, call, end } = self.span(at);
        let (input, output) = self.words(at);
        let (call_line, return_line) = self.imported.lines[at];
        json!({
            "process": process,
            "call": call,
            "return": end,
            "call_line": call_line,
            "return_line": return_line,
            "input": input,
            "output": output,
        })
    }

    fn span(&self, at: usize) -> Span {
        match &self.imported.object {
            Object::KeyValue(history) => Span::of(&history.operations()[at]),
            Object::Register(history) => Span::of(&history.operations()[at]),
        }
    }

    fn words(&self, at: usize) -> (Value, Option<Value>) {
        match &self.imported.object {
            Object::KeyValue(history) => {
                let operation = &history.operations()[at];
                (
                    store_input(&operation.input),
                    operation.output().map(store_output),
                )
            }
            Object::Register(history) => {
                let operation = &history.operations()[at];
                (
                    register_input(&operation.input),
                    operation.output().map(register_output),
                )
            }
        }
    }
}

/// Whose operation, and when.
struct Span {
    process: u64,
    call: u64,
    end: Option<u64>,
}

impl Span {
    fn of<I, O>(operation: &Operation<I, O>) -> Span {
        Span {
            process: operation.process,
            call: operation.call,
            end: operation.returned.as_ref().map(|(end, _)| *end),
        }
    }
}
