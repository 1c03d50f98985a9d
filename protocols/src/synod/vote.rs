//! The acceptor's part of a process: it answers proposers, and writes down what it promises first
//! (2.2, phases 1b and 2b; 2.5).

use quorate_core::{Effects, NodeId, Payload};

use super::{Ballot, Flaw, Message, Outbid, Proposal, Record, Synod};

impl Synod {
    pub(super) fn on_prepare(&mut self, from: NodeId, ballot: Ballot, fx: &mut Effects<Synod>) {
        self.heard = self.heard.max(ballot.round);
        let news = ballot > self.acceptor.promised();
        if let Err(outbid) = self.acceptor.on_prepare(ballot) {
            self.refuse(from, ballot, outbid, fx);
            return;
        }
        if news {
            self.write(Record::Promised { ballot }, fx);
        }
        let accepted = self.acceptor.accepted().cloned();
        fx.send(from, Message::Promise { ballot, accepted });
        self.leak(Flaw::EarlyPromise, fx);
        self.wait_for(from, fx);
    }

    pub(super) fn on_accept(
        &mut self,
        from: NodeId,
        ballot: Ballot,
        value: Payload,
        fx: &mut Effects<Synod>,
    ) {
        self.heard = self.heard.max(ballot.round);
        let proposal = Proposal { ballot, value };
        let news = self.acceptor.accepted() != Some(&proposal);
        if self.has(Flaw::BrokenPromise) {
            self.acceptor.accept(proposal.clone());
        } else if let Err(outbid) = self.acceptor.on_accept(proposal.clone()) {
            self.refuse(from, ballot, outbid, fx);
            return;
        }
        if news {
            self.write(Record::Accepted { proposal }, fx);
        }
        fx.send(from, Message::Accepted { ballot });
        self.leak(Flaw::EarlyAccepted, fx);
        self.wait_for(from, fx);
    }

    fn refuse(&self, from: NodeId, ballot: Ballot, outbid: Outbid, fx: &mut Effects<Synod>) {
        let promised = outbid.promised;
        // Early: it says why there is no promise. If that is forgotten, a ballot was given up that could
        // have been tried, and the next one is as good.
        fx.send_early(from, Message::Outbid { ballot, promised });
    }

    /// Somebody else is trying, and should be left in peace for a while.
    fn wait_for(&mut self, from: NodeId, fx: &mut Effects<Synod>) {
        if from != self.me {
            self.be_patient(fx);
        }
    }
}
