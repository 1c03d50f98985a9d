//! The proposer: two round trips (2.2).

use alloc::collections::BTreeSet;

use quorate_core::{Effects, NodeId, Payload};

use super::{Ballot, Flaw, Message, Promises, Proposal, Record, Synod};

/// A ballot that is under way.
#[derive(Clone, Hash, Debug)]
pub(super) struct Attempt {
    pub(super) ballot: Ballot,
    pub(super) phase: Phase,
}

/// How far a ballot is.
#[derive(Clone, Hash, Debug)]
pub(super) enum Phase {
    /// Phase 1: acceptors promise.
    Preparing(Promises<Payload>),
    /// Phase 2: acceptors accept.
    Accepting {
        /// The ballot's value, once and for all.
        value: Payload,
        /// Who has accepted it.
        accepted: BTreeSet<NodeId>,
    },
}

impl Synod {
    /// The layer above wants this value, or asks again.
    pub(super) fn on_propose(&mut self, value: Payload, fx: &mut Effects<Synod>) {
        if self.decided.is_some() || self.wanted.is_some() {
            return;
        }
        self.wanted = Some(value);
        if self.attempt.is_none() {
            self.try_again(fx);
        }
    }

    /// Phase 1 (a): "a proposer selects a proposal number n and sends a prepare request with number n".
    pub(super) fn begin(&mut self, fx: &mut Effects<Synod>) {
        let round = self.begun.max(self.heard) + 1;
        let ballot = Ballot {
            round,
            proposer: self.me,
        };
        (self.begun, self.heard) = (round, round);
        self.attempt = Some(Attempt {
            ballot,
            phase: Phase::Preparing(Promises::default()),
        });
        // 2.5: "each proposer remembers (in stable storage) the highest-numbered proposal it has tried
        // to issue, and begins phase 1 with a higher proposal number than any it has already used."
        if !self.has(Flaw::BallotReuse) {
            self.write(Record::Begun { round }, fx);
        }
        for &to in self.config.members() {
            // Held: a ballot must be durable before anyone hears of it, or it could be begun again.
            fx.send(to, Message::Prepare { ballot });
            self.leak(Flaw::BallotReuse, fx);
        }
        self.be_patient(fx);
    }

    pub(super) fn on_promise(
        &mut self,
        from: NodeId,
        ballot: Ballot,
        accepted: Option<Proposal<Payload>>,
        fx: &mut Effects<Synod>,
    ) {
        let one = self.has(Flaw::AcceptWithoutPromise);
        let Some(attempt) = self.attempt.as_mut().filter(|one| one.ballot == ballot) else {
            return; // It comes too late: its ballot is over.
        };
        let Phase::Preparing(promises) = &mut attempt.phase else {
            return; // There were enough without it.
        };
        promises.on_promise(from, accepted);
        if one || self.config.promises.is_quorum(|id| promises.by(id)) {
            let bound = promises.bound().cloned();
            self.ask_to_accept(ballot, bound, fx);
        }
    }

    /// Phase 2 (a): "where v is the value of the highest-numbered proposal among the responses, or is any
    /// value if the responses reported no proposals".
    fn ask_to_accept(&mut self, ballot: Ballot, bound: Option<Payload>, fx: &mut Effects<Synod>) {
        let bound = bound.filter(|_| !self.has(Flaw::AnyValue) || self.wanted.is_none());
        // Somebody who only wants to know what was chosen has no value of its own. Then what it has
        // accepted does as well: somebody proposed that.
        let known = self.acceptor.accepted().map(|known| known.value.clone());
        let Some(value) = bound.or(self.wanted.clone()).or(known) else {
            self.attempt = None;
            return;
        };
        self.attempt = Some(Attempt {
            ballot,
            phase: Phase::Accepting {
                value: value.clone(),
                accepted: BTreeSet::new(),
            },
        });
        for &to in self.config.members() {
            let value = value.clone();
            // Early: it promises nothing that could be forgotten. The ballot is durable, since nobody
            // could have promised before it was, and it is never begun again with another value.
            fx.send_early(to, Message::Accept { ballot, value });
        }
        self.be_patient(fx);
    }

    /// 2.4: "it is probably a good idea to abandon a proposal if some proposer has begun trying to issue
    /// a higher-numbered one."
    pub(super) fn on_outbid(&mut self, ballot: Ballot, promised: Ballot, fx: &mut Effects<Synod>) {
        self.heard = self.heard.max(promised.round);
        if self
            .attempt
            .as_ref()
            .is_some_and(|one| one.ballot == ballot)
        {
            self.attempt = None;
            self.be_patient(fx);
        }
    }
}
