//! The leader (4.2): whoever loses patience runs a later ballot in all instances at once. Where acceptors
//! have accepted something it is bound to it; where it is free it proposes a no, since a participant that
//! nobody has heard of must not keep the others waiting.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;
use core::time::Duration;

use quorate_core::{Effects, NodeId};
use quorate_problems::atomic_commitment::{Output, Vote};

use super::{Cast, Flaw, Message, PaxosCommit, Record, Ruling, Timer};
use crate::synod::{Ballot, Promises};

/// Beyond so many failures the wait grows no longer.
const DOUBLINGS_MAX: u32 = 6;

/// A ballot that is under way.
#[derive(Clone, Hash, Debug)]
pub(super) struct Attempt {
    pub(super) ballot: Ballot,
    pub(super) phase: Phase,
}

/// How far a ballot is.
#[derive(Clone, Hash, Debug)]
pub(super) enum Phase {
    /// Phase 1: acceptors promise. What they say of the instance of each participant.
    Preparing(BTreeMap<NodeId, Promises<Vote>>),
    /// Phase 2: acceptors accept.
    Accepting {
        /// The ballot's votes, once and for all.
        votes: Vec<Ruling>,
        /// Who has accepted them.
        accepted: BTreeSet<NodeId>,
    },
}

impl PaxosCommit {
    /// Waits until somebody else, or an attempt of its own, should have come to an end. That two leaders
    /// outbid one another for ever is made unlikely as in the synod: by chance, and ever longer waits.
    pub(super) fn be_patient(&self, fx: &mut Effects<PaxosCommit>) {
        let shortest = self.config.patience;
        let longest = shortest.saturating_mul(2 << self.failures.min(DOUBLINGS_MAX));
        let longest = longest.max(shortest + Duration::from_micros(1));
        fx.set_timer(Timer::Patience, shortest..longest);
    }

    pub(super) fn on_patience(&mut self, fx: &mut Effects<PaxosCommit>) {
        self.failures = (self.failures + 1).min(DOUBLINGS_MAX);
        if self.damaged {
            self.wonder(fx);
            return;
        }
        let round = self.begun.max(self.heard) + 1;
        let proposer = self.me;
        let ballot = Ballot { round, proposer };
        (self.begun, self.heard) = (round, round);
        let members = self.config.members().iter();
        let promises = members.map(|&id| (id, Promises::default())).collect();
        self.attempt = Some(Attempt {
            ballot,
            phase: Phase::Preparing(promises),
        });
        self.write(Record::Begun { round }, fx);
        for &to in self.config.members() {
            // Held: a ballot must be durable before anyone hears of it, or it could be begun again.
            fx.send(to, Message::Prepare { ballot });
        }
        self.be_patient(fx);
    }

    /// It can only ask.
    pub(super) fn wonder(&self, fx: &mut Effects<PaxosCommit>) {
        for &to in self.config.members() {
            if to != self.me {
                // Early: a question promises nothing.
                fx.send_early(to, Message::Wondering);
            }
        }
        self.be_patient(fx);
    }

    pub(super) fn on_promise(
        &mut self,
        from: NodeId,
        ballot: Ballot,
        accepted: Vec<Cast>,
        fx: &mut Effects<PaxosCommit>,
    ) {
        let Some(attempt) = self.attempt.as_mut().filter(|one| one.ballot == ballot) else {
            return; // It comes too late: its ballot is over.
        };
        let Phase::Preparing(instances) = &mut attempt.phase else {
            return; // There were enough without it.
        };
        let mut accepted: BTreeMap<_, _> = accepted
            .into_iter()
            .map(|cast| (cast.participant, cast.proposal))
            .collect();
        for (participant, promises) in &mut *instances {
            promises.on_promise(from, accepted.remove(participant));
        }
        let mut all = instances.values();
        if all.all(|promises| self.config.quorums.is_quorum(|id| promises.by(id))) {
            self.ask_to_accept(fx);
        }
    }

    /// Phase 2 (a), in all instances.
    fn ask_to_accept(&mut self, fx: &mut Effects<PaxosCommit>) {
        let Some(Attempt {
            ballot,
            phase: Phase::Preparing(instances),
        }) = self.attempt.take()
        else {
            return;
        };
        let (yes, no) = (self.has(Flaw::PresumedYes), self.has(Flaw::IgnoredVotes));
        let mut votes = Vec::with_capacity(instances.len());
        for (participant, promises) in instances {
            let bound = promises.bound().copied().filter(|_| !no);
            let vote = match bound {
                Some(vote) => vote,
                None if yes => Vote::Yes,
                None => {
                    fx.output(Output::Suspect(participant));
                    Vote::No
                }
            };
            votes.push(Ruling { participant, vote });
        }
        for &to in self.config.members() {
            let votes = votes.clone();
            // Early: it promises nothing that could be forgotten. The ballot is durable, since nobody
            // could have promised before it was, and it is never begun again with other votes.
            fx.send_early(to, Message::Accept { ballot, votes });
        }
        let accepted = BTreeSet::new();
        self.attempt = Some(Attempt {
            ballot,
            phase: Phase::Accepting { votes, accepted },
        });
        self.be_patient(fx);
    }

    /// Some other leader is ahead.
    pub(super) fn on_outbid(
        &mut self,
        ballot: Ballot,
        promised: Ballot,
        fx: &mut Effects<PaxosCommit>,
    ) {
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
