//! Clients: what they ask for, in the service's words, and what they understand of the answers.

use bytes::Bytes;
use quorate_core::Choice;
use quorate_problems::key_value::{Input, Output, Step};
use quorate_service::command::{
    Command, Compare, DeleteRange, KeyRange, Op, Operand, Put, Range, Relation, Txn,
};
use quorate_service::error::Error;
use quorate_service::reply::{Applied, OpReply, RangeReply, Reply};
use quorate_service::store::View;

use super::plan::Settings;

/// A key, by number.
pub(super) type Key = u64;

/// A value, by number; each is written by one operation only.
pub(super) type Value = u64;

/// What a client asks for.
pub(super) type Action = Input<Key, Value>;

/// What it learns.
pub(super) type Answer = Output<Value>;

/// One client.
pub(super) struct Client {
    /// Its name in the history, which changes whenever an answer is lost.
    pub(super) process: u64,
    /// Whom it asks.
    pub(super) machine: usize,
    /// What it waits for: the number of the operation.
    pub(super) open: Option<usize>,
    pub(super) choice: Choice,
    /// How many of its operations, one after the other, came to nothing.
    pub(super) row: u64,
    /// What it last saw of some key, to swap against.
    seen: Option<(Key, Option<Value>)>,
}

impl Client {
    pub(super) fn new(number: u64, settings: &Settings) -> Client {
        Client {
            process: number,
            machine: (number % settings.members) as usize,
            open: None,
            choice: Choice::Seeded(settings.seed ^ ((0xc11e + number) << 20)),
            row: 0,
            seen: None,
        }
    }

    /// Thinks of something to ask. `value` was never written before.
    pub(super) fn invent(&mut self, settings: &Settings, value: Value) -> Action {
        let keys = u32::try_from(settings.keys.max(1)).unwrap_or(u32::MAX);
        let mut key = || Key::from(self.choice.choose(keys));
        let (one, two, three) = (key(), key(), key());
        let drawn = u64::from(self.choice.choose(100));
        if drawn < settings.reads {
            return Action::Get(one);
        }
        if drawn < settings.reads + settings.txns {
            return Action::Transaction {
                guards: self.seen.into_iter().collect(),
                then: vec![Step::Get(three), Step::Put(one, value), Step::Delete(two)],
                otherwise: vec![Step::Get(one), Step::Put(two, value)],
            };
        }
        match (self.choice.choose(8), self.seen) {
            (0, _) => Action::Delete(one),
            (1..=3, Some((key, expected))) => Action::Swap {
                key,
                expected,
                new: Some(value),
            },
            _ => Action::Put(one, value),
        }
    }

    /// Learns an answer.
    pub(super) fn learn(&mut self, action: &Action, answer: &Answer) {
        match (action, answer) {
            (Action::Get(key), Answer::Value(value)) => self.seen = Some((*key, *value)),
            (Action::Put(key, value), _) => self.seen = Some((*key, Some(*value))),
            _ => {}
        }
    }
}

/// A key's name. Names sort like numbers.
pub(super) fn key_name(key: Key) -> Bytes {
    Bytes::from(format!("key{key:06}"))
}

/// The number of a key with this name.
pub(super) fn key_number(name: &Bytes) -> Option<Key> {
    std::str::from_utf8(name.strip_prefix(b"key")?)
        .ok()?
        .parse()
        .ok()
}

pub(super) fn value_text(value: Value, bytes: u64) -> Bytes {
    Bytes::from(format!("{value:0width$}", width = bytes as usize))
}

/// The number that was written.
pub(super) fn value_number(text: &Bytes) -> Option<Value> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

fn single(key: Key) -> KeyRange {
    KeyRange {
        key: key_name(key),
        end: Bytes::new(),
    }
}

/// To read the key of a name as of a revision; 0 for the newest.
pub(super) fn named(name: Bytes, revision: i64) -> Range {
    Range {
        range: KeyRange {
            key: name,
            end: Bytes::new(),
        },
        revision,
        ..Range::default()
    }
}

fn read(key: Key) -> Range {
    Range {
        range: single(key),
        ..Range::default()
    }
}

/// Actions in the service's words, with values of so many bytes.
struct Words(u64);

impl Words {
    fn put(&self, key: Key, value: Value) -> Put {
        Put {
            key: key_name(key),
            value: value_text(value, self.0),
            ..Put::default()
        }
    }

    fn delete(&self, key: Key) -> DeleteRange {
        DeleteRange {
            range: single(key),
            prev_kv: false,
        }
    }

    /// That a key has this value, or is not there.
    fn guard(&self, key: Key, expected: Option<Value>) -> Compare {
        Compare {
            range: single(key),
            relation: Relation::Equal,
            operand: match expected {
                Some(expected) => Operand::Value(value_text(expected, self.0)),
                None => Operand::Create(0),
            },
        }
    }

    fn steps(&self, steps: &[Step<Key, Value>]) -> Vec<Op> {
        let op = |step: &Step<Key, Value>| match step {
            Step::Get(key) => Op::Range(read(*key)),
            Step::Put(key, value) => Op::Put(self.put(*key, *value)),
            Step::Delete(key) => Op::DeleteRange(self.delete(*key)),
        };
        steps.iter().map(op).collect()
    }
}

/// The command that does an action, unless it is a plain read.
pub(super) fn command(action: &Action, value_bytes: u64) -> Option<Command> {
    let words = Words(value_bytes);
    Some(match action {
        Action::Get(_) => return None,
        Action::Put(key, value) => Command::Put(words.put(*key, *value)),
        Action::Delete(key) => Command::DeleteRange(words.delete(*key)),
        Action::Swap { key, expected, new } => Command::Txn(Txn {
            compares: vec![words.guard(*key, *expected)],
            success: vec![match new {
                Some(new) => Op::Put(words.put(*key, *new)),
                None => Op::DeleteRange(words.delete(*key)),
            }],
            failure: vec![],
        }),
        Action::Transaction {
            guards,
            then,
            otherwise,
        } => {
            let guards = guards.iter();
            Command::Txn(Txn {
                compares: guards
                    .map(|(key, value)| words.guard(*key, *value))
                    .collect(),
                success: words.steps(then),
                failure: words.steps(otherwise),
            })
        }
    })
}

/// Understands the reply to an action's command, and as of which revision it is.
///
/// # Errors
/// If it is no reply to that.
pub(super) fn understand(action: &Action, applied: Applied) -> Result<(Answer, i64), String> {
    let revision = applied.revision;
    let answer = match (action, applied.reply) {
        (Action::Put(..), Reply::Put(_)) => Ok(Answer::Done),
        (Action::Delete(_), Reply::DeleteRange(reply)) if reply.deleted <= 1 => {
            Ok(Answer::Held(reply.deleted == 1))
        }
        (Action::Swap { .. }, Reply::Txn(reply)) => Ok(Answer::Held(reply.succeeded)),
        (Action::Transaction { .. }, Reply::Txn(reply)) => {
            let ranges = reply.replies.iter().filter_map(|(_, reply)| match reply {
                OpReply::Range(range) => Some(only_value(range)),
                _ => None,
            });
            let values = ranges.collect::<Result<_, String>>()?;
            Ok(Answer::Results(reply.succeeded, values))
        }
        (_, reply) => Err(format!("{action:?} was answered by {reply:?}")),
    };
    answer.map(|answer| (answer, revision))
}

/// Reads a key from a state. Answers nothing if its disk has failed or is damaged: the process is about
/// to end.
///
/// # Errors
/// If the state cannot be read.
pub(super) fn look_up(key: Key, view: &View) -> Result<Option<(Answer, i64)>, String> {
    match view.range(&read(key)) {
        Ok(range) => only_value(&range).map(|value| Some((Answer::Value(value), view.revision()))),
        Err(Error::Storage(_) | Error::Damaged(_)) => Ok(None),
        Err(error) => Err(error.to_string()),
    }
}

/// The value of the only row, if there is one.
fn only_value(range: &RangeReply) -> Result<Option<Value>, String> {
    match range.kvs.as_slice() {
        [] => Ok(None),
        [row] => value_number(&row.value)
            .map(Some)
            .ok_or_else(|| format!("nobody wrote the value of {row:?}")),
        rows => Err(format!("one key has {} rows", rows.len())),
    }
}
