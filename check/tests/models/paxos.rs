//! Single-decree Paxos (Lamport, "Paxos made simple", 2001) as a register that is written once: every
//! client's write is a proposal of the server that it went to.

use std::collections::{BTreeMap, BTreeSet};

use super::register::{Id, Message, Outbox, Server, Value};

/// Round and proposer.
type Ballot = (u8, Id);
/// Request, client and value.
type Proposal = (u8, Id, Value);

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Internal {
    Prepare(Ballot),
    Prepared(Ballot, Option<(Ballot, Proposal)>),
    Accept(Ballot, Proposal),
    Accepted(Ballot),
    Decided(Ballot, Proposal),
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Paxos {
    ballot: Ballot,
    proposal: Option<Proposal>,
    prepares: BTreeMap<Id, Option<(Ballot, Proposal)>>,
    accepts: BTreeSet<Id>,
    accepted: Option<(Ballot, Proposal)>,
    is_decided: bool,
}

impl Server for Paxos {
    type Internal = Internal;

    fn start(_: Id) -> Paxos {
        Paxos {
            ballot: (0, 0),
            proposal: None,
            prepares: BTreeMap::new(),
            accepts: BTreeSet::new(),
            accepted: None,
            is_decided: false,
        }
    }

    fn on_message(
        &mut self,
        net: &mut Outbox<Internal>,
        from: Id,
        message: &Message<Internal>,
    ) -> bool {
        if self.is_decided {
            return self.read(net, from, message);
        }
        match message {
            Message::Put(number, value) if self.proposal.is_none() => {
                self.proposal = Some((*number, from, *value));
                self.ballot = (self.ballot.0 + 1, net.me);
                self.prepares = BTreeMap::from([(net.me, self.accepted)]);
                self.accepts.clear();
                net.broadcast(Internal::Prepare(self.ballot));
            }
            Message::Internal(Internal::Prepare(ballot)) if self.ballot < *ballot => {
                self.ballot = *ballot;
                let promise = Internal::Prepared(*ballot, self.accepted);
                net.send(from, Message::Internal(promise));
            }
            Message::Internal(Internal::Prepared(ballot, last)) if *ballot == self.ballot => {
                self.prepares.insert(from, *last);
                if self.prepares.len() == net.majority() {
                    self.propose(net);
                }
            }
            Message::Internal(Internal::Accept(ballot, proposal)) if self.ballot <= *ballot => {
                self.ballot = *ballot;
                self.accepted = Some((*ballot, *proposal));
                net.send(from, Message::Internal(Internal::Accepted(*ballot)));
            }
            Message::Internal(Internal::Accepted(ballot)) if *ballot == self.ballot => {
                self.accepts.insert(from);
                if self.accepts.len() == net.majority() {
                    self.is_decided = true;
                    let proposal = self.proposal.expect("it was proposed here");
                    net.broadcast(Internal::Decided(*ballot, proposal));
                    net.send(proposal.1, Message::PutDone(proposal.0));
                }
            }
            Message::Internal(Internal::Decided(ballot, proposal)) => {
                self.ballot = *ballot;
                self.accepted = Some((*ballot, *proposal));
                self.is_decided = true;
            }
            _ => return false,
        }
        true
    }
}

impl Paxos {
    /// A majority has promised: the newest of what it had accepted is proposed, or what a client wants.
    fn propose(&mut self, net: &mut Outbox<Internal>) {
        let newest = self.prepares.values().max().expect("there is a majority");
        let wanted = self.proposal.expect("it asked for promises because of it");
        let proposal = newest.map_or(wanted, |(_, proposal)| proposal);
        self.proposal = Some(proposal);
        self.accepted = Some((self.ballot, proposal));
        self.accepts.insert(net.me);
        net.broadcast(Internal::Accept(self.ballot, proposal));
    }

    fn read(&self, net: &mut Outbox<Internal>, from: Id, message: &Message<Internal>) -> bool {
        let Message::Get(number) = message else {
            return false;
        };
        let (_, (_, _, value)) = self.accepted.expect("what is decided was accepted");
        net.send(from, Message::GetDone(*number, value));
        true
    }
}
