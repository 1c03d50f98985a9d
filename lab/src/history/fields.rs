//! One line of a history: a JSON object whose fields are all taken, or one is left over.

use quorate_sim::nearest::nearest;
use serde_json::{Map, Value};

use super::Malformed;

pub(super) struct Fields {
    line: usize,
    map: Map<String, Value>,
}

impl Fields {
    pub(super) fn parse(line: usize, text: &str) -> Result<Fields, Malformed> {
        match serde_json::from_str(text) {
            Ok(Value::Object(map)) => Ok(Fields { line, map }),
            Ok(other) => Err(Malformed {
                line,
                reason: format!("expected a JSON object, found {other}"),
            }),
            Err(error) => Err(Malformed {
                line,
                reason: format!("expected one JSON object on this line: {error}"),
            }),
        }
    }

    pub(super) fn line(&self) -> usize {
        self.line
    }

    pub(super) fn error(&self, reason: String) -> Malformed {
        Malformed {
            line: self.line,
            reason,
        }
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.map.contains_key(name)
    }

    /// Takes a field; null counts as a value.
    pub(super) fn take(&mut self, name: &str) -> Option<Value> {
        self.map.remove(name)
    }

    pub(super) fn must(&mut self, name: &str) -> Result<Value, Malformed> {
        let found = self.take(name);
        found.ok_or_else(|| self.error(format!("expected a field \"{name}\"")))
    }

    /// Takes a number; null counts as none.
    pub(super) fn number(&mut self, name: &str) -> Result<Option<u64>, Malformed> {
        match self.take(name) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => match value.as_u64() {
                Some(number) => Ok(Some(number)),
                None => Err(self.error(format!(
                    "expected \"{name}\" to be a whole number that is not negative, found {value}"
                ))),
            },
        }
    }

    pub(super) fn must_number(&mut self, name: &str) -> Result<u64, Malformed> {
        let found = self.number(name)?;
        found.ok_or_else(|| self.error(format!("expected a field \"{name}\" with a number")))
    }

    pub(super) fn bool(&mut self, name: &str) -> Result<Option<bool>, Malformed> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::Bool(value)) => Ok(Some(value)),
            Some(value) => Err(self.error(format!(
                "expected \"{name}\" to be true or false, found {value}"
            ))),
        }
    }

    /// Takes a word that must be one of these.
    pub(super) fn word(&mut self, name: &str, choices: &[&str]) -> Result<String, Malformed> {
        let value = self.must(name)?;
        let word = value.as_str().unwrap_or_default();
        if choices.contains(&word) {
            return Ok(word.to_owned());
        }
        let near = match nearest(word, choices.iter().copied()) {
            Some(near) => format!("; the nearest is \"{near}\""),
            None => String::new(),
        };
        let choices = choices.join(", ");
        Err(self.error(format!(
            "expected \"{name}\" to be one of {choices}, found {value}{near}"
        )))
    }

    /// Takes a list of objects.
    pub(super) fn objects(&mut self, name: &str) -> Result<Vec<Fields>, Malformed> {
        let list = match self.take(name) {
            None => return Ok(Vec::new()),
            Some(Value::Array(list)) => list,
            Some(value) => {
                return Err(self.error(format!("expected \"{name}\" to be a list, found {value}")));
            }
        };
        let objects = list.into_iter().map(|value| match value {
            Value::Object(map) => Ok(Fields {
                line: self.line,
                map,
            }),
            other => Err(self.error(format!("expected objects in \"{name}\", found {other}"))),
        });
        objects.collect()
    }

    /// Nothing must be left.
    pub(super) fn end(self) -> Result<(), Malformed> {
        match self.map.keys().next() {
            None => Ok(()),
            Some(name) => Err(self.error(format!("did not expect a field \"{name}\" here"))),
        }
    }
}

/// A key or value as a text that is equal if and only if the JSON values are.
pub(super) fn text(value: &Value) -> String {
    value.to_string()
}

/// The same; null says that nothing is there.
pub(super) fn maybe(value: &Value) -> Option<String> {
    (!value.is_null()).then(|| text(value))
}
