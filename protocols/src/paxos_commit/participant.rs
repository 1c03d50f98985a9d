//! The participant, which Gray and Lamport call a resource manager (4.2): its vote is ballot 0 of its own
//! instance.

use quorate_core::Effects;
use quorate_problems::atomic_commitment::Vote;

use super::{Message, PaxosCommit, Record};

impl PaxosCommit {
    /// The layer above votes, or asks again.
    pub(super) fn on_vote(&mut self, vote: Vote, fx: &mut Effects<PaxosCommit>) {
        if self.vote.is_some() || self.outcome.is_some() || self.damaged {
            return;
        }
        self.vote = Some(vote);
        self.write(Record::Voted { vote }, fx);
        self.send_vote(vote, fx);
    }

    /// Tells the acceptors, of which it is one.
    pub(super) fn send_vote(&self, vote: Vote, fx: &mut Effects<PaxosCommit>) {
        for &to in self.config.members() {
            // Held: ballot 0 has one value, whatever happens to this process. A no moreover tells
            // everybody that all is over: no later ballot can find anything but a no in this instance.
            fx.send(to, Message::Vote { vote });
        }
        self.be_patient(fx);
    }
}
