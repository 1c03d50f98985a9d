//! Clients of a replicated service in a model, and how their requests are written in scripts.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;

use quorate_core::{Checkpoint, Choice, NodeId};

use super::{CallId, Operation, Oracle, Output, Replicated, Request};
use crate::workload::Workload;

/// The client at one process. It waits for an answer before it asks for anything else, and asks again
/// if there is none.
#[derive(Clone, Hash, Debug)]
pub struct Client {
    me: NodeId,
    asked: u32,
    open: Option<(CallId, Operation)>,
    /// The calls that [`Workload::probe`] waits for.
    awaited: BTreeMap<CallId, Operation>,
}

impl Default for Client {
    fn default() -> Client {
        Client {
            me: NodeId(0),
            asked: 0,
            open: None,
            awaited: BTreeMap::new(),
        }
    }
}

impl Client {
    /// A name for one more call.
    fn name(&mut self) -> CallId {
        self.asked += 1;
        CallId {
            at: self.me,
            number: self.asked,
        }
    }
}

/// The verbs of all operations.
const VERBS: [&str; 7] = ["read", "write", "add", "multiply", "buy", "draw", "stamp"];

fn operation(words: &[&str]) -> Option<Result<Operation, String>> {
    let number = |text: &str| text.parse().map_err(|_| format!("not a number: {text}"));
    Some(match words {
        ["read"] => Ok(Operation::Read),
        ["write", value] => number(value).map(Operation::Write),
        ["add", value] => number(value).map(Operation::Add),
        ["multiply", value] => number(value).map(Operation::Multiply),
        ["buy"] => Ok(Operation::Buy),
        ["draw"] => Ok(Operation::Draw),
        ["stamp"] => Ok(Operation::Stamp),
        [verb, ..] if VERBS.contains(verb) => Err(format!("wrong arguments in {words:?}")),
        _ => return None,
    })
}

impl Workload for Replicated {
    type Oracle = Oracle;
    type App = Client;

    /// `add 2`, or `add 2 as n1.1` for a call that was made before, there or elsewhere.
    fn parse(app: &mut Client, words: &[&str]) -> Option<Result<Request, String>> {
        let (words, id) = match words {
            [words @ .., "as", id] => (words, Some(id)),
            words => (words, None),
        };
        let operation = match operation(words)? {
            Ok(operation) => operation,
            Err(reason) => return Some(Err(reason)),
        };
        let id = match id.map(|id| (id, id.parse())) {
            None => app.name(),
            Some((_, Ok(id))) => id,
            Some((id, Err(()))) => return Some(Err(format!("not a call such as n1.2: {id}"))),
        };
        app.asked = app.asked.max(match id.at == app.me {
            true => id.number,
            false => 0,
        });
        Some(Ok(Request::Invoke { id, operation }))
    }

    fn words(Request::Invoke { id, operation }: &Request) -> Vec<String> {
        let (verb, value) = match operation {
            Operation::Read => ("read", None),
            Operation::Write(value) => ("write", Some(value)),
            Operation::Add(value) => ("add", Some(value)),
            Operation::Multiply(value) => ("multiply", Some(value)),
            Operation::Buy => ("buy", None),
            Operation::Draw => ("draw", None),
            Operation::Stamp => ("stamp", None),
        };
        let mut words = vec![verb.to_string()];
        words.extend(value.map(ToString::to_string));
        words.extend(["as".to_string(), id.to_string()]);
        words
    }

    fn is_decision(output: &Output) -> bool {
        matches!(output, Output::Reply { .. })
    }

    fn invent(app: &mut Client, _: &[NodeId], serial: u64, choice: &mut Choice) -> Request {
        if let Some((id, operation)) = app.open {
            return Request::Invoke { id, operation };
        }
        let value = i64::try_from(serial % 1000).unwrap_or(1);
        let operation = match choice.choose(12) {
            0..4 => Operation::Read,
            4 | 5 => Operation::Write(value),
            6 | 7 => Operation::Add(value),
            8 => Operation::Multiply(1 + value % 3),
            9 => Operation::Buy,
            10 => Operation::Draw,
            _ => Operation::Stamp,
        };
        let id = app.name();
        Request::Invoke { id, operation }
    }

    fn probe(app: &mut Client, serial: u64) -> Vec<Request> {
        let value = i64::try_from(serial % 1000).unwrap_or(1);
        let operations = [
            Operation::Add(value),
            Operation::Write(value),
            Operation::Read,
        ];
        // What was not answered is asked again, before anything else.
        let is_new = app.awaited.is_empty();
        app.awaited.extend(app.open);
        if is_new {
            for operation in operations {
                let id = app.name();
                app.awaited.insert(id, operation);
            }
        }
        let awaited = app.awaited.iter();
        let asked = awaited.map(|(&id, &operation)| Request::Invoke { id, operation });
        asked.collect()
    }

    fn is_satisfied(app: &Client) -> bool {
        app.awaited.is_empty()
    }

    fn renamed(oracle: &Oracle, names: &dyn Fn(NodeId) -> NodeId) -> Oracle {
        oracle.renamed(names)
    }

    fn on_request(
        oracle: &mut Oracle,
        app: &mut Client,
        _: NodeId,
        Request::Invoke { id, operation }: &Request,
    ) {
        app.open = Some((*id, *operation));
        oracle.on_invoke(*id, *operation);
    }

    fn on_output(
        oracle: &mut Oracle,
        app: &mut Client,
        me: NodeId,
        output: &Output,
    ) -> Result<(), String> {
        if let Output::Reply { id, .. } = output {
            app.open = app.open.filter(|(open, _)| open != id);
            app.awaited.remove(id);
        }
        let judged = oracle.on_output(me, output);
        judged.map_err(|violation| violation.to_string())
    }

    fn on_open(oracle: &mut Oracle, app: &mut Client, me: NodeId) -> Checkpoint {
        app.me = me;
        app.open = None;
        app.awaited.clear();
        oracle.on_open(me);
        Checkpoint::default()
    }

    fn flush(_: &mut Client) {}

    fn newest(_: &Client) -> Checkpoint {
        Checkpoint::default()
    }

    fn stage(_: &mut Client, _: Checkpoint) {}
}
