//! The acceptor's part of a process (4.2): one acceptor of the synod for each participant, with one
//! promise for all of them.

use quorate_core::{Effects, NodeId};
use quorate_problems::atomic_commitment::Vote;

use super::{Cast, Flaw, Message, PaxosCommit, Record, Ruling};
use crate::synod::{Ballot, Outbid, Proposal};

impl PaxosCommit {
    /// Ballot 0 of one instance. When it has accepted everybody's yes it says so, once for all.
    pub(super) fn on_yes(&mut self, from: NodeId, fx: &mut Effects<PaxosCommit>) {
        let Some(acceptor) = self.acceptors.get_mut(&from) else {
            return; // It takes no part in this.
        };
        let proposal = Proposal {
            ballot: Ballot::ZERO,
            value: Vote::Yes,
        };
        let news = acceptor.accepted() != Some(&proposal);
        if acceptor.on_accept(proposal.clone()).is_err() {
            // A new leader has taken over, and will tell how it ends.
            self.be_patient(fx);
            return;
        }
        if news {
            let participant = from;
            let cast = Cast {
                participant,
                proposal,
            };
            self.write(Record::Accepted { cast }, fx);
        }
        let mut all = self.acceptors.values();
        if all.all(|acceptor| acceptor.accepted().is_some()) {
            fx.send(self.config.leader, Message::Collected);
            self.leak(Flaw::EarlyAccepted, fx);
        }
        self.be_patient(fx);
    }

    pub(super) fn on_prepare(
        &mut self,
        from: NodeId,
        ballot: Ballot,
        fx: &mut Effects<PaxosCommit>,
    ) {
        self.heard = self.heard.max(ballot.round);
        let news = ballot > self.promised();
        for acceptor in self.acceptors.values_mut() {
            if let Err(outbid) = acceptor.on_prepare(ballot) {
                refuse(from, ballot, outbid, fx);
                return;
            }
        }
        if news {
            self.write(Record::Promised { ballot }, fx);
        }
        let accepted = self.casts().collect();
        fx.send(from, Message::Promise { ballot, accepted });
        self.wait_for(from, fx);
    }

    pub(super) fn on_accept(
        &mut self,
        from: NodeId,
        ballot: Ballot,
        votes: &[Ruling],
        fx: &mut Effects<PaxosCommit>,
    ) {
        self.heard = self.heard.max(ballot.round);
        for &Ruling { participant, vote } in votes {
            let Some(acceptor) = self.acceptors.get_mut(&participant) else {
                continue; // It takes no part in this.
            };
            let value = vote;
            let proposal = Proposal { ballot, value };
            let news = acceptor.accepted() != Some(&proposal);
            if let Err(outbid) = acceptor.on_accept(proposal.clone()) {
                refuse(from, ballot, outbid, fx);
                return;
            }
            if news {
                let cast = Cast {
                    participant,
                    proposal,
                };
                self.write(Record::Accepted { cast }, fx);
            }
        }
        fx.send(from, Message::Accepted { ballot });
        self.leak(Flaw::EarlyAccepted, fx);
        self.wait_for(from, fx);
    }

    /// What it has promised, in all instances: they are prepared together and accepted together.
    pub(super) fn promised(&self) -> Ballot {
        let promised = self.acceptors.values().map(|acceptor| acceptor.promised());
        promised.max().unwrap_or(Ballot::ZERO)
    }

    /// What it has accepted.
    pub(super) fn casts(&self) -> impl Iterator<Item = Cast> + '_ {
        self.acceptors
            .iter()
            .filter_map(|(&participant, acceptor)| {
                let proposal = acceptor.accepted()?.clone();
                Some(Cast {
                    participant,
                    proposal,
                })
            })
    }

    /// Somebody else leads, and should be left in peace for a while.
    fn wait_for(&mut self, from: NodeId, fx: &mut Effects<PaxosCommit>) {
        if from != self.me {
            self.be_patient(fx);
        }
    }
}

fn refuse(from: NodeId, ballot: Ballot, outbid: Outbid, fx: &mut Effects<PaxosCommit>) {
    let promised = outbid.promised;
    // Early: it says why there is no promise. If that is forgotten, a ballot was given up that could have
    // been tried, and the next one is as good.
    fx.send_early(from, Message::Outbid { ballot, promised });
}
