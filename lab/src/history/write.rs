//! From a history to lines: one whole operation on each.

use quorate_problems::history::{History, Operation};
use quorate_problems::{key_value, register};
use quorate_sim::cluster::ClientHistory;
use serde_json::{Map, Value, json};

use super::{KeyValueHistory, RegisterHistory, VERSION};

/// Writes a history of a key-value store.
#[must_use]
pub fn write_key_value(history: &KeyValueHistory) -> String {
    lines("key-value", history, store_input, store_output)
}

/// Writes a history of a register.
#[must_use]
pub fn write_register(history: &RegisterHistory) -> String {
    lines("register", history, register_input, register_output)
}

/// The history of clients of a simulated cluster, whose keys and values are numbers.
#[must_use]
pub fn of_clients(history: &ClientHistory) -> KeyValueHistory {
    let text = |(): &mut (), number: &u64| number.to_string();
    history.map(
        &mut (),
        |unit, input| input.rename(unit, text, text),
        |unit, output| output.rename(unit, text),
    )
}

fn lines<I, O>(
    of: &str,
    history: &History<I, O>,
    input: fn(&I) -> Value,
    output: fn(&O) -> Value,
) -> String {
    let mut text = json!({"history": VERSION, "of": of}).to_string();
    text.push('\n');
    for operation in history.operations() {
        text += &line(operation, input, output).to_string();
        text.push('\n');
    }
    text
}

fn line<I, O>(
    operation: &Operation<I, O>,
    input: fn(&I) -> Value,
    output: fn(&O) -> Value,
) -> Value {
    let mut line = Map::new();
    line.insert("process".to_owned(), operation.process.into());
    line.insert("call".to_owned(), operation.call.into());
    add(&mut line, input(&operation.input));
    if let Some((end, given)) = &operation.returned {
        line.insert("return".to_owned(), (*end).into());
        add(&mut line, output(given));
    }
    Value::Object(line)
}

fn add(line: &mut Map<String, Value>, more: Value) {
    if let Value::Object(more) = more {
        line.extend(more);
    }
}

/// A key or value, which is the text of a JSON value; any other text is written as a string.
pub(super) fn value(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.to_owned()))
}

fn maybe(text: &Option<String>) -> Value {
    text.as_deref().map_or(Value::Null, value)
}

pub(super) fn store_input(input: &key_value::Input<String, String>) -> Value {
    use key_value::Input;
    match input {
        Input::Get(key) => json!({"op": "get", "key": value(key)}),
        Input::Put(key, new) => json!({"op": "put", "key": value(key), "value": value(new)}),
        Input::Delete(key) => json!({"op": "delete", "key": value(key)}),
        Input::Swap { key, expected, new } => json!({
            "op": "swap",
            "key": value(key),
            "expected": maybe(expected),
            "new": maybe(new),
        }),
        Input::Transaction {
            guards,
            then,
            otherwise,
        } => {
            let guard =
                |(key, is): &(String, Option<String>)| json!({"key": value(key), "is": maybe(is)});
            json!({
                "op": "transaction",
                "guards": guards.iter().map(guard).collect::<Vec<_>>(),
                "then": then.iter().map(step).collect::<Vec<_>>(),
                "otherwise": otherwise.iter().map(step).collect::<Vec<_>>(),
            })
        }
    }
}

fn step(step: &key_value::Step<String, String>) -> Value {
    use key_value::Step;
    match step {
        Step::Get(key) => json!({"op": "get", "key": value(key)}),
        Step::Put(key, new) => json!({"op": "put", "key": value(key), "value": value(new)}),
        Step::Delete(key) => json!({"op": "delete", "key": value(key)}),
    }
}

pub(super) fn store_output(output: &key_value::Output<String>) -> Value {
    use key_value::Output;
    match output {
        Output::Done => json!({}),
        Output::Value(found) => json!({"found": maybe(found)}),
        Output::Held(held) => json!({"held": held}),
        Output::Results(held, values) => {
            json!({"held": held, "results": values.iter().map(maybe).collect::<Vec<_>>()})
        }
    }
}

pub(super) fn register_input(input: &register::Input<String>) -> Value {
    match input {
        register::Input::Read => json!({"op": "read"}),
        register::Input::Write(new) => json!({"op": "write", "value": value(new)}),
    }
}

pub(super) fn register_output(output: &register::Output<String>) -> Value {
    match output {
        register::Output::Value(found) => json!({"found": maybe(found)}),
        register::Output::Written => json!({}),
    }
}
