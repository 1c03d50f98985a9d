//! From lines to a history.

use std::collections::BTreeMap;

use quorate_problems::history::{Fault, History, Operation};
use quorate_problems::{key_value, register};
use serde_json::Value;

use super::fields::{Fields, maybe, text};
use super::{Imported, Malformed, Object, VERSION};

const OBJECTS: &[&str] = &["key-value", "register"];
const EVENTS: &[&str] = &["call", "return", "lost", "failed"];
const STORE_OPERATIONS: &[&str] = &["get", "put", "delete", "swap", "transaction"];
const STEPS: &[&str] = &["get", "put", "delete"];
const REGISTER_OPERATIONS: &[&str] = &["read", "write"];

/// Reads a history. Blank lines are skipped.
///
/// # Errors
/// The first line that makes no sense, and what was expected there.
pub fn read(content: &str) -> Result<Imported, Malformed> {
    let numbered = (1..).zip(content.lines());
    let mut lines = numbered.filter(|(_, text)| !text.trim().is_empty());
    let Some((line, first)) = lines.next() else {
        return Err(Malformed {
            line: 1,
            reason:
                "expected a first line such as {\"history\":1,\"of\":\"key-value\"}, found nothing"
                    .to_owned(),
        });
    };
    let mut header = Fields::parse(line, first)?;
    let version = header.must_number("history").map_err(|error| Malformed {
        reason: format!("{}; the first line says the version of the format, such as {{\"history\":1,\"of\":\"key-value\"}}", error.reason),
        ..error
    })?;
    if version != VERSION {
        return Err(header.error(format!(
            "expected version {VERSION} of the format, found {version}"
        )));
    }
    let of = header.word("of", OBJECTS)?;
    header.end()?;
    match of.as_str() {
        "register" => collect(lines, register_input, register_output, Object::Register),
        _ => collect(lines, store_input, store_output, Object::KeyValue),
    }
}

/// Operations as they are read: what was asked and answered, with the line it stood on.
struct Reader<I, O> {
    operations: Vec<Operation<(I, usize), Answer<O>>>,
    /// The operation that each process waits for.
    open: BTreeMap<u64, usize>,
    /// Operations that surely had no effect.
    failed: Vec<usize>,
    /// The moment of the last event.
    now: u64,
}

struct Answer<O> {
    output: O,
    line: usize,
    timestamp: Option<u64>,
}

type ReadInput<I> = fn(&mut Fields) -> Result<I, Malformed>;
type ReadOutput<I, O> = fn(&mut Fields, &I) -> Result<O, Malformed>;

fn collect<'a, I: Clone, O: Clone>(
    lines: impl Iterator<Item = (usize, &'a str)>,
    input: ReadInput<I>,
    output: ReadOutput<I, O>,
    object: impl FnOnce(History<I, O>) -> Object,
) -> Result<Imported, Malformed> {
    let mut reader = Reader {
        operations: Vec::new(),
        open: BTreeMap::new(),
        failed: Vec::new(),
        now: 0,
    };
    for (line, text) in lines {
        let mut fields = Fields::parse(line, text)?;
        if fields.has("event") {
            reader.event(&mut fields, input, output)?;
        } else {
            reader.whole(&mut fields, input, output)?;
        }
        fields.end()?;
    }
    for at in std::mem::take(&mut reader.failed).into_iter().rev() {
        reader.operations.remove(at);
    }
    let called_on: Vec<usize> = reader.operations.iter().map(|one| one.input.1).collect();
    let history = History::from_operations(reader.operations).map_err(|error| Malformed {
        line: called_on[error.event - 1],
        reason: error.fault.of(error.process).to_string(),
    })?;
    let operations = history.operations();
    let returned = |one: &Operation<_, Answer<O>>| one.output().map(|answer| answer.line);
    Ok(Imported {
        lines: operations
            .iter()
            .map(|one| (one.input.1, returned(one)))
            .collect(),
        timestamps: operations
            .iter()
            .map(|one| one.output().and_then(|answer| answer.timestamp))
            .collect(),
        object: object(history.map(
            &mut (),
            |(), input| input.0.clone(),
            |(), answer| answer.output.clone(),
        )),
    })
}

impl<I, O> Reader<I, O> {
    /// A line that is one event of a process.
    fn event(
        &mut self,
        fields: &mut Fields,
        input: ReadInput<I>,
        output: ReadOutput<I, O>,
    ) -> Result<(), Malformed> {
        let line = fields.line();
        let event = fields.word("event", EVENTS)?;
        let process = fields.must_number("process")?;
        // Without times, the order of the lines is the order of the events.
        let at = fields.number("time")?.unwrap_or(line as u64);
        if at < self.now {
            let last = self.now;
            return Err(fields.error(Fault::BackInTime { last, at }.of(process).to_string()));
        }
        self.now = at;
        if event == "call" {
            let asked = input(fields)?;
            if self.open.insert(process, self.operations.len()).is_some() {
                return Err(fields.error(Fault::TwoAtOnce.of(process).to_string()));
            }
            self.operations.push(Operation {
                process,
                call: at,
                input: (asked, line),
                returned: None,
            });
            return Ok(());
        }
        let Some(open) = self.open.remove(&process) else {
            return Err(fields.error(Fault::NotCalled.of(process).to_string()));
        };
        match event.as_str() {
            "return" => {
                let operation = &mut self.operations[open];
                let answer = answer(fields, &operation.input.0, output)?;
                operation.returned = Some((at, answer));
            }
            "failed" => {
                let place = self.failed.partition_point(|&other| other < open);
                self.failed.insert(place, open);
            }
            _ => {} // Lost: it stays pending.
        }
        Ok(())
    }

    /// A line that is a whole operation.
    fn whole(
        &mut self,
        fields: &mut Fields,
        input: ReadInput<I>,
        output: ReadOutput<I, O>,
    ) -> Result<(), Malformed> {
        let line = fields.line();
        let process = fields.must_number("process")?;
        let call = fields.must_number("call")?;
        let end = fields.number("return")?;
        let asked = input(fields)?;
        let returned = match end {
            None => None,
            Some(returned) if returned < call => {
                let fault = Fault::ReturnBeforeCall { call, returned };
                return Err(fields.error(fault.of(process).to_string()));
            }
            Some(end) => Some((end, answer(fields, &asked, output)?)),
        };
        self.operations.push(Operation {
            process,
            call,
            input: (asked, line),
            returned,
        });
        Ok(())
    }
}

fn answer<I, O>(
    fields: &mut Fields,
    input: &I,
    output: ReadOutput<I, O>,
) -> Result<Answer<O>, Malformed> {
    Ok(Answer {
        output: output(fields, input)?,
        line: fields.line(),
        timestamp: fields.number("timestamp")?,
    })
}

type StoreInput = key_value::Input<String, String>;
type Step = key_value::Step<String, String>;

fn store_input(fields: &mut Fields) -> Result<StoreInput, Malformed> {
    use key_value::Input;
    let word = fields.word("op", STORE_OPERATIONS)?;
    if word == "transaction" {
        let guards = fields.objects("guards")?;
        let guards = guards.into_iter().map(|mut guard| {
            let key = text(&guard.must("key")?);
            let is = maybe(&guard.must("is")?);
            guard.end()?;
            Ok((key, is))
        });
        return Ok(Input::Transaction {
            guards: guards.collect::<Result<_, _>>()?,
            then: steps(fields, "then")?,
            otherwise: steps(fields, "otherwise")?,
        });
    }
    let key = text(&fields.must("key")?);
    Ok(match word.as_str() {
        "get" => Input::Get(key),
        "put" => Input::Put(key, value(fields)?),
        "delete" => Input::Delete(key),
        _ => Input::Swap {
            key,
            expected: maybe(&fields.must("expected")?),
            new: maybe(&fields.must("new")?),
        },
    })
}

fn steps(fields: &mut Fields, name: &str) -> Result<Vec<Step>, Malformed> {
    use key_value::Step;
    let steps = fields.objects(name)?.into_iter().map(|mut step| {
        let word = step.word("op", STEPS)?;
        let key = text(&step.must("key")?);
        let parsed = match word.as_str() {
            "get" => Step::Get(key),
            "put" => Step::Put(key, value(&mut step)?),
            _ => Step::Delete(key),
        };
        step.end()?;
        Ok(parsed)
    });
    steps.collect()
}

fn value(fields: &mut Fields) -> Result<String, Malformed> {
    let value = fields.must("value")?;
    maybe(&value).ok_or_else(|| {
        fields.error(
            "expected \"value\" to be something; null stands for a key that is not there"
                .to_owned(),
        )
    })
}

fn store_output(
    fields: &mut Fields,
    input: &StoreInput,
) -> Result<key_value::Output<String>, Malformed> {
    use key_value::{Input, Output};
    let held = fields.bool("held")?;
    let found = fields.take("found").map(|value| maybe(&value));
    let results = fields.take("results");
    let output = match (held, found, results) {
        (None, None, None) => Output::Done,
        (None, Some(found), None) => Output::Value(found),
        (Some(held), None, None) => Output::Held(held),
        (Some(held), None, Some(Value::Array(values))) => {
            Output::Results(held, values.iter().map(maybe).collect())
        }
        _ => {
            return Err(fields.error(
                "expected an answer with \"found\", or with \"held\", or with \"held\" and a list \"results\", or with none of them".to_owned(),
            ));
        }
    };
    let makes_sense = match (input, &output) {
        (Input::Get(_), Output::Value(_)) => true,
        (Input::Get(_), _) => false,
        (Input::Put(..), Output::Done | Output::Value(_)) => true,
        (Input::Put(..), _) => false,
        (Input::Delete(_) | Input::Swap { .. }, output) => !matches!(output, Output::Results(..)),
        (Input::Transaction { .. }, output) => !matches!(output, Output::Value(_)),
    };
    if makes_sense {
        return Ok(output);
    }
    let expected = match input {
        Input::Get(_) => "a get with \"found\"",
        Input::Put(..) => "a put with nothing, or with \"found\" for what was there before",
        Input::Delete(_) => "a delete with nothing, \"held\" or \"found\"",
        Input::Swap { .. } => "a swap with nothing, \"held\" or \"found\"",
        Input::Transaction { .. } => {
            "a transaction with nothing, \"held\", or \"held\" and \"results\""
        }
    };
    Err(fields.error(format!("expected the answer to {expected}")))
}

fn register_input(fields: &mut Fields) -> Result<register::Input<String>, Malformed> {
    match fields.word("op", REGISTER_OPERATIONS)?.as_str() {
        "read" => Ok(register::Input::Read),
        _ => Ok(register::Input::Write(value(fields)?)),
    }
}

fn register_output(
    fields: &mut Fields,
    input: &register::Input<String>,
) -> Result<register::Output<String>, Malformed> {
    match input {
        register::Input::Read => Ok(register::Output::Value(maybe(&fields.must("found")?))),
        register::Input::Write(_) => Ok(register::Output::Written),
    }
}
