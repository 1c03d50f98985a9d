//! What a model puts above a participant of an atomic commitment.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use quorate_core::{Checkpoint, Choice, NodeId};

use super::{AtomicCommitment, Oracle, Outcome, Output, Request, Vote};
use crate::workload::Workload;

/// The layer above one participant: what it voted and what it was told, in this life.
#[derive(Clone, Default, Hash, Debug)]
pub struct Voter {
    vote: Option<Vote>,
    decided: Option<Outcome>,
    blocked: bool,
}

impl Workload for AtomicCommitment {
    type Oracle = Oracle;
    type App = Voter;

    fn parse(_: &mut Voter, words: &[&str]) -> Option<Result<Request, String>> {
        match words {
            ["vote", "yes"] => Some(Ok(Request::Vote(Vote::Yes))),
            ["vote", "no"] => Some(Ok(Request::Vote(Vote::No))),
            ["vote", more @ ..] => {
                let found = more.join(" ");
                Some(Err(format!("a vote is `yes` or `no`, not `{found}`")))
            }
            _ => None,
        }
    }

    fn words(Request::Vote(vote): &Request) -> Vec<String> {
        let vote = match vote {
            Vote::Yes => "yes",
            Vote::No => "no",
        };
        Vec::from(["vote", vote].map(ToString::to_string))
    }

    fn is_decision(output: &Output) -> bool {
        matches!(output, Output::Decide(_))
    }

    fn invent(app: &mut Voter, _: &[NodeId], _: u64, choice: &mut Choice) -> Request {
        // All of several must agree, so most agree mostly.
        let fresh = match choice.choose(12) {
            0 => Vote::No,
            _ => Vote::Yes,
        };
        Request::Vote(app.vote.unwrap_or(fresh))
    }

    fn probe(app: &mut Voter, _: u64) -> Vec<Request> {
        Vec::from([Request::Vote(app.vote.unwrap_or(Vote::Yes))])
    }

    /// Whoever decided is satisfied, and so is whoever says that it cannot: the problem does not
    /// promise more, and a protocol that never blocks never says so. It counts as progress only if all
    /// others have come equally far: where anybody knows the outcome, everybody must.
    fn is_satisfied(app: &Voter) -> bool {
        app.decided.is_some() || app.blocked
    }

    fn renamed(oracle: &Oracle, names: &dyn Fn(NodeId) -> NodeId) -> Oracle {
        oracle.renamed(names)
    }

    fn on_request(oracle: &mut Oracle, app: &mut Voter, me: NodeId, Request::Vote(vote): &Request) {
        if app.vote.is_none() {
            app.vote = Some(*vote);
            oracle.on_vote(me, *vote);
        }
    }

    fn on_output(
        oracle: &mut Oracle,
        app: &mut Voter,
        me: NodeId,
        output: &Output,
    ) -> Result<(), String> {
        match output {
            Output::Decide(outcome) => {
                (app.decided, app.blocked) = (Some(*outcome), false);
                let decided = oracle.on_decide(me, *outcome);
                return decided
                    .map_err(|violation| format!("{}: {violation}", violation.property()));
            }
            Output::Suspect(suspected) => oracle.on_suspect(*suspected),
            Output::Blocked => {
                app.blocked = true;
                oracle.on_blocked(me);
            }
        }
        Ok(())
    }

    fn on_open(oracle: &mut Oracle, app: &mut Voter, me: NodeId) -> Checkpoint {
        *app = Voter::default();
        oracle.on_open(me);
        // A decision is told again in each life, so nothing needs to survive up here.
        Checkpoint::default()
    }

    fn flush(_: &mut Voter) {}

    fn newest(_: &Voter) -> Checkpoint {
        Checkpoint::default()
    }

    fn stage(_: &mut Voter, _: Checkpoint) {}
}
