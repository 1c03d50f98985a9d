//! What a model puts above a process of consensus.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use quorate_core::{Checkpoint, Choice, NodeId, Payload};

use super::{Consensus, Oracle, Output, Request};
use crate::workload::Workload;

/// The layer above one process: what it proposed and what it was told, in this life.
#[derive(Clone, Default, Hash, Debug)]
pub struct Proposer {
    proposed: Option<Payload>,
    decided: Option<Payload>,
}

impl Workload for Consensus {
    type Oracle = Oracle;
    type App = Proposer;

    fn parse(_: &mut Proposer, words: &[&str]) -> Option<Result<Request, String>> {
        match words {
            ["propose", text @ ..] if !text.is_empty() => {
                let text = text.join(" ");
                Some(Ok(Request::Propose(payload(text.trim_matches('"')))))
            }
            ["propose"] => Some(Err("propose what?".to_string())),
            _ => None,
        }
    }

    fn words(Request::Propose(value): &Request) -> Vec<String> {
        let text = String::from_utf8_lossy(value.as_bytes());
        Vec::from(["propose".to_string(), format!("\"{text}\"")])
    }

    fn is_decision(Output::Decide(_): &Output) -> bool {
        true
    }

    fn invent(app: &mut Proposer, _: &[NodeId], serial: u64, choice: &mut Choice) -> Request {
        // Two who propose the same are a case of its own.
        let fresh = match choice.choose(4) {
            0 => payload("same"),
            _ => payload(&format!("p{serial}")),
        };
        Request::Propose(app.proposed.clone().unwrap_or(fresh))
    }

    fn probe(app: &mut Proposer, serial: u64) -> Vec<Request> {
        let fresh = || payload(&format!("probe{serial}"));
        let value = app.proposed.clone().unwrap_or_else(fresh);
        Vec::from([Request::Propose(value)])
    }

    fn is_satisfied(app: &Proposer) -> bool {
        app.decided.is_some()
    }

    fn renamed(oracle: &Oracle, names: &dyn Fn(NodeId) -> NodeId) -> Oracle {
        oracle.renamed(names)
    }

    fn on_request(
        oracle: &mut Oracle,
        app: &mut Proposer,
        me: NodeId,
        Request::Propose(value): &Request,
    ) {
        if app.proposed.is_none() {
            app.proposed = Some(value.clone());
            oracle.on_propose(me, value);
        }
    }

    fn on_output(
        oracle: &mut Oracle,
        app: &mut Proposer,
        me: NodeId,
        Output::Decide(value): &Output,
    ) -> Result<(), String> {
        app.decided = Some(value.clone());
        let decided = oracle.on_decide(me, value);
        decided.map_err(|violation| format!("{}: {violation}", violation.property()))
    }

    fn on_open(oracle: &mut Oracle, app: &mut Proposer, me: NodeId) -> Checkpoint {
        *app = Proposer::default();
        oracle.on_open(me);
        // A decision is told again in each life, so nothing needs to survive up here.
        Checkpoint::default()
    }

    fn flush(_: &mut Proposer) {}

    fn newest(_: &Proposer) -> Checkpoint {
        Checkpoint::default()
    }

    fn stage(_: &mut Proposer, _: Checkpoint) {}
}

fn payload(text: &str) -> Payload {
    Payload::from_vec(text.as_bytes().to_vec(), 0)
}
