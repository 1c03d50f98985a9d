//! What a model puts above a replica of total order.

use alloc::collections::BTreeSet;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;

use quorate_core::{Checkpoint, Choice, NodeId, Payload};

use super::{Membership, Oracle, Output, Request, TotalOrder};
use crate::workload::Workload;

/// The application above a replica of total order: only how far it has got.
#[derive(Clone, Default, Hash, Debug)]
pub struct Follower {
    state: Checkpoint,
    durable: Checkpoint,
    /// States that arrived. Each is kept until a state that contains it is durable, since a crash may
    /// take an installation back.
    staged: BTreeSet<(u64, u64)>,
    /// The last installed state, which is available to others although it may not be durable in place.
    installed: Checkpoint,
    read: u64,
    /// The payload and the read that [`Workload::probe`] waits for.
    awaited: (Option<Payload>, Option<u64>),
    /// Who takes part, if the protocol says so.
    members: Option<Membership>,
}

impl Workload for TotalOrder {
    type Oracle = Oracle;
    type App = Follower;

    fn parse(app: &mut Follower, words: &[&str]) -> Option<Result<Request, String>> {
        Some(match words {
            ["broadcast", text @ ..] if !text.is_empty() => Ok(Request::Broadcast(payload(
                text.join(" ").trim_matches('"'),
            ))),
            ["read"] => {
                app.read += 1;
                Ok(Request::Read { id: app.read })
            }
            ["compact"] => {
                Self::flush(app);
                Ok(Request::Compact(app.durable))
            }
            ["transfer"] => Ok(Request::Transfer { to: None }),
            ["transfer", to] => to
                .parse()
                .map(|to| Request::Transfer { to: Some(to) })
                .map_err(|error| format!("{error}, found {to}")),
            ["reconfigure", members @ ..] => members.join(" ").parse().map(Request::Reconfigure),
            ["broadcast" | "read" | "compact" | "transfer", ..] => {
                Err(format!("wrong arguments in {words:?}"))
            }
            _ => return None,
        })
    }

    fn words(request: &Request) -> Vec<String> {
        let words = |words: &[&dyn ToString]| words.iter().map(|word| word.to_string()).collect();
        match request {
            Request::Broadcast(payload) => {
                let text = String::from_utf8_lossy(payload.as_bytes());
                words(&[&"broadcast", &format!("\"{text}\"")])
            }
            Request::Read { .. } => words(&[&"read"]),
            Request::Compact(_) => words(&[&"compact"]),
            Request::Transfer { to: None } => words(&[&"transfer"]),
            Request::Transfer { to: Some(to) } => words(&[&"transfer", to]),
            Request::Reconfigure(members) => words(&[&"reconfigure", members]),
        }
    }

    fn renamed(oracle: &Oracle, names: &dyn Fn(NodeId) -> NodeId) -> Oracle {
        oracle.renamed(names)
    }

    fn is_decision(output: &Output) -> bool {
        matches!(output, Output::Deliver { .. } | Output::Install(_))
    }

    fn participates(oracle: &Oracle, id: NodeId) -> bool {
        let members = oracle.members();
        members.is_none_or(|members| members.contains(id))
    }

    fn groups(oracle: &Oracle) -> Vec<Vec<NodeId>> {
        let groups = oracle.groups();
        groups.map(|members| members.voters.clone()).collect()
    }

    fn invent(app: &mut Follower, nodes: &[NodeId], serial: u64, choice: &mut Choice) -> Request {
        match choice.choose(16) {
            0..10 => Request::Broadcast(payload(&format!("p{serial}"))),
            10..13 => {
                app.read += 1;
                Request::Read { id: app.read }
            }
            13..15 => {
                Self::flush(app);
                Request::Compact(app.durable)
            }
            _ => match &app.members {
                // Where everybody takes part all the time, nothing is to be changed.
                Some(members)
                    if (members.iter().count() < nodes.len() || members.version > 0)
                        && choice.choose(2) == 0 =>
                {
                    Request::Reconfigure(some_of(nodes, serial, choice))
                }
                _ => Request::Transfer { to: None },
            },
        }
    }

    fn probe(app: &mut Follower, serial: u64) -> Vec<Request> {
        let marker = payload(&format!("probe{serial}"));
        app.read += 1;
        app.awaited = (Some(marker.clone()), Some(app.read));
        vec![Request::Broadcast(marker), Request::Read { id: app.read }]
    }

    fn is_satisfied(app: &Follower) -> bool {
        app.awaited == (None, None)
    }

    fn on_request(oracle: &mut Oracle, _: &mut Follower, me: NodeId, request: &Request) {
        match request {
            Request::Broadcast(payload) => oracle.on_broadcast(payload),
            Request::Read { id } => oracle.on_read(me, *id),
            Request::Reconfigure(members) => oracle.on_reconfigure(members),
            Request::Compact(_) | Request::Transfer { .. } => {}
        }
    }

    fn on_output(
        oracle: &mut Oracle,
        app: &mut Follower,
        me: NodeId,
        output: &Output,
    ) -> Result<(), String> {
        oracle
            .on_output(me, output)
            .map_err(|violation| violation.to_string())?;
        match output {
            Output::Deliver {
                position,
                epoch,
                payload,
            } => {
                app.state = Checkpoint {
                    position: *position,
                    epoch: *epoch,
                };
                if app.awaited.0.as_ref() == Some(payload) {
                    app.awaited.0 = None;
                }
            }
            Output::ReadReady { id, .. } => {
                if app.awaited.1 == Some(*id) {
                    app.awaited.1 = None;
                }
            }
            Output::Install(checkpoint) => {
                if !app
                    .staged
                    .contains(&(checkpoint.position, checkpoint.epoch))
                {
                    return Err(format!("{me} installs {checkpoint:?}, which never arrived"));
                }
                app.state = *checkpoint;
                app.installed = *checkpoint;
            }
            Output::Members(members) => app.members = Some(members.clone()),
            Output::Lead { .. } => {}
        }
        Ok(())
    }

    fn on_open(oracle: &mut Oracle, app: &mut Follower, me: NodeId) -> Checkpoint {
        app.state = app.durable;
        app.read = 0;
        app.awaited = (None, None);
        app.members = None;
        oracle.on_open(me, app.durable);
        app.durable
    }

    fn flush(app: &mut Follower) {
        app.durable = app.state;
        app.staged = app.staged.split_off(&(app.durable.position + 1, 0));
    }

    fn newest(app: &Follower) -> Checkpoint {
        match app.installed.position > app.durable.position {
            true => app.installed,
            false => app.durable,
        }
    }

    fn stage(app: &mut Follower, checkpoint: Checkpoint) {
        app.staged.insert((checkpoint.position, checkpoint.epoch));
    }
}

/// Each of the nodes as a voter, as a learner or not at all, and one voter at least.
fn some_of(nodes: &[NodeId], version: u64, choice: &mut Choice) -> Membership {
    let (mut voters, mut learners) = (Vec::new(), Vec::new());
    for &id in nodes {
        match choice.choose(4) {
            0 | 1 => voters.push(id),
            2 => learners.push(id),
            _ => {}
        }
    }
    if voters.is_empty() {
        let place = choice.choose(u32::try_from(nodes.len()).unwrap_or(u32::MAX));
        voters.push(nodes[place as usize]);
    }
    Membership::new(version, voters, learners)
}

fn payload(text: &str) -> Payload {
    Payload::from_vec(text.as_bytes().to_vec(), 0)
}
