//! Roles, and how a replica changes from one to another.

use alloc::collections::BTreeSet;

use quorate_core::{Effects, NodeId, Status};
use quorate_problems::total_order::Output;

use crate::log::Epoch as Term;

use super::leader::Leader;
use super::message::Timer;
use super::recovery::Damage;
use super::{Flaw, Message, Raft};

/// What a replica is at the moment, with what only that role knows.
#[derive(Clone, Hash, Debug)]
pub(super) enum Role {
    /// Follows, or waits for someone to follow.
    Follower,
    /// Asks whether it could win an election (thesis 9.6).
    PreCandidate {
        /// Who would vote for it.
        granted: BTreeSet<NodeId>,
    },
    /// Campaigns (5.2).
    Candidate {
        /// Who voted for it.
        granted: BTreeSet<NodeId>,
        /// Whether the leader asked for this election (thesis 3.10).
        transfer: bool,
    },
    /// Leads.
    Leader(Leader),
    /// Lost acknowledged records, so it may have forgotten a vote or an entry that others count on.
    /// It takes no part in anything but its recovery: who cannot know what it promised must not
    /// promise.
    Damaged(Damage),
}

impl Raft {
    /// The name of what this replica is: a follower may be one who counts for nothing.
    fn role_name(&self) -> &'static str {
        let configuration = &self.configurations.latest().1;
        match self.role {
            Role::Follower if configuration.is_voter(self.me) => "follower",
            Role::Follower if configuration.now().contains(self.me) => "learner",
            Role::Follower => "outside",
            Role::PreCandidate { .. } => "pre-candidate",
            Role::Candidate { .. } => "candidate",
            Role::Leader(_) => "leader",
            Role::Damaged(_) => "damaged",
        }
    }

    pub(super) fn summary(&self) -> Status {
        Status {
            role: self.ailment().unwrap_or(self.role_name()),
            epoch: self.term.0,
            leader: self.leader,
            head: self.log.last().index.0,
            decided: self.commit.0,
            whole: self.ailment().is_none(),
            repaired: self.repaired,
        }
    }

    /// 5.1: terms are a logical clock. Whether a message belongs to the present, once a newer term in
    /// it has been adopted and an older one answered.
    pub(super) fn admit(
        &mut self,
        from: NodeId,
        message: &Message,
        fx: &mut Effects<Raft>,
    ) -> bool {
        let asked = message.answers().unwrap_or(self.incarnation);
        let counts = self.has(Flaw::OldVotes) && matches!(message, Message::Granted { .. });
        if asked != self.incarnation && !counts {
            return false;
        }
        if matches!(self.role, Role::Damaged(_)) && !self.admit_damaged(from, message, fx) {
            return false;
        }
        let Some(term) = message.term() else {
            return true;
        };
        if term > self.term {
            let transfer = matches!(message, Message::RequestVote { transfer: true, .. });
            let campaigns = matches!(message, Message::RequestVote { .. });
            // Thesis 4.2.3: who hears from a leader, or gave it a lease, does not help to depose it,
            // unless the leader wants it so.
            if campaigns && !transfer && self.is_loyal() {
                return false;
            }
            self.become_follower(term, fx);
        } else if term < self.term {
            if message.claims_term() && from != self.me {
                fx.send(from, Message::Outdated { term: self.term });
            }
            return false;
        }
        true
    }

    /// Enters a later term, or gives up a role in the present one. Who leads is not known yet.
    pub(super) fn become_follower(&mut self, term: Term, fx: &mut Effects<Raft>) {
        assert!(term >= self.term, "terms never decrease");
        let waited = self.waits_for_election();
        if term > self.term {
            self.term = term;
            self.vote = None;
        }
        self.role = Role::Follower;
        self.leader = None;
        for timer in [
            Timer::Silence,
            Timer::Heartbeat,
            Timer::CheckQuorum,
            Timer::Transfer,
        ] {
            fx.stop_timer(timer);
        }
        // 5.2: only granting a vote or hearing from a leader puts off an election that is due.
        if !waited {
            self.await_election(fx);
        }
        self.tell_leader(fx);
    }

    /// A message came from the leader of this term. Whether it can be followed.
    pub(super) fn hear(&mut self, from: NodeId, fx: &mut Effects<Raft>) -> bool {
        match self.role {
            Role::Follower => {}
            // 5.2: somebody else won.
            Role::PreCandidate { .. } | Role::Candidate { .. } => {
                self.become_follower(self.term, fx);
            }
            // There is one leader in a term, so this message cannot be; nothing must come of it.
            Role::Leader(_) | Role::Damaged(_) => return false,
        }
        if self.leader.is_none() {
            self.leader = Some(from);
            fx.stop_timer(Timer::Election);
            self.tell_leader(fx);
            self.ask_for_help(fx);
        }
        if self.leader != Some(from) {
            return false; // Nor can this, for the same reason.
        }
        let timeout = self.config.election_timeout;
        fx.set_timer(Timer::Silence, timeout..timeout);
        true
    }

    /// Whether the election timer runs: always when no leader is known.
    pub(super) fn waits_for_election(&self) -> bool {
        self.leader.is_none() && !matches!(self.role, Role::Damaged(_))
    }

    /// 5.2: randomised timeouts make split votes rare.
    pub(super) fn await_election(&self, fx: &mut Effects<Raft>) {
        let timeout = self.config.election_timeout;
        fx.set_timer(Timer::Election, timeout..timeout * 2);
    }

    /// Says who leads, if that changed.
    pub(super) fn tell_leader(&mut self, fx: &mut Effects<Raft>) {
        let now = (self.term, self.leader);
        if self.told != now {
            self.told = now;
            fx.output(Output::Lead {
                epoch: self.term.0,
                leader: self.leader,
            });
        }
    }
}
