//! Elections (paper 5.2, 5.4.1), with a canvass before each (PreVote, thesis 9.6) and a leader that
//! steps down when it no longer hears from a quorum (CheckQuorum, thesis 6.2).
//!
//! The canvass keeps a replica that cannot win, because it is cut off or far behind, from raising
//! the term; the step-down keeps clients from waiting for a leader that is cut off. Both judge by
//! silence: who hears from a leader supports nobody else.

use alloc::collections::BTreeSet;
use core::time::Duration;

use quorate_core::{Effects, NodeId};

use crate::log::{Epoch as Term, Position};

use super::leader::Flow;
use super::leader::Leader;
use super::message::{Message, Timer};
use super::role::Role;
use super::{Flaw, Raft};

impl Raft {
    /// The leader was silent for an election timeout: from now on others are welcome to campaign, and
    /// this replica does so itself after a random time.
    pub(super) fn on_silence(&mut self, fx: &mut Effects<Raft>) {
        self.leader = None;
        self.tell_leader(fx);
        fx.set_timer(
            Timer::Election,
            Duration::ZERO..self.config.election_timeout,
        );
    }

    /// Thesis 9.6: asks who would vote, before a term is spent on it.
    pub(super) fn canvass(&mut self, fx: &mut Effects<Raft>) {
        if matches!(self.role, Role::Leader(_) | Role::Damaged(_)) {
            return;
        }
        // One's own vote would depose the leader of a lease like any other.
        if !self.may_promise() || !self.may_campaign() || self.leased {
            self.await_election(fx);
            return;
        }
        let term = self.term.next();
        let last = self.log.last();
        self.role = Role::PreCandidate {
            granted: BTreeSet::new(),
        };
        self.leader = None;
        self.await_election(fx);
        self.tell_leader(fx);
        // Early: a canvass changes nothing anywhere, and neither does its answer.
        fx.send_early(self.me, Message::PreGranted { term });
        for peer in self.other_voters() {
            // Early: as above.
            fx.send_early(peer, Message::PreVote { term, last });
        }
    }

    pub(super) fn on_pre_vote(
        &self,
        from: NodeId,
        term: Term,
        last: Position,
        fx: &mut Effects<Raft>,
    ) {
        if term <= self.term {
            // It is behind and could never win; with this term it can.
            fx.send(from, Message::Outdated { term: self.term });
        } else if self.may_promise()
            && (!self.is_loyal() || self.has(Flaw::RudeCanvass))
            && (last.is_up_to_date_with(self.log.last()) || self.has(Flaw::AnyLog))
        {
            // Early: nothing follows from it here.
            fx.send_early(from, Message::PreGranted { term });
        }
    }

    pub(super) fn on_pre_granted(&mut self, from: NodeId, term: Term, fx: &mut Effects<Raft>) {
        if term != self.term.next() {
            return; // Of an earlier canvass.
        }
        if let Role::PreCandidate { granted } = &mut self.role {
            granted.insert(from);
            let configuration = &self.configurations.latest().1;
            if configuration.is_quorum(|id| granted.contains(&id)) {
                self.campaign(false, fx);
            }
        }
    }

    /// 5.2: a candidate votes for itself like for anyone else, by mail.
    pub(super) fn campaign(&mut self, transfer: bool, fx: &mut Effects<Raft>) {
        self.term = self.term.next();
        self.vote = Some(self.me);
        self.role = Role::Candidate {
            granted: BTreeSet::new(),
            transfer,
        };
        self.leader = None;
        fx.stop_timer(Timer::Silence);
        self.await_election(fx);
        self.tell_leader(fx);
        let (term, incarnation) = (self.term, self.incarnation);
        let last = self.log.last();
        fx.send(self.me, Message::Granted { term, incarnation });
        // Held too: a term of our own making must be durable before anyone hears of it.
        for peer in self.other_voters() {
            fx.send(
                peer,
                Message::RequestVote {
                    term,
                    last,
                    transfer,
                    incarnation,
                },
            );
        }
    }

    /// Figure 2, RequestVote: one vote per term, first come, first served, and only for a log that
    /// is at least as up to date as this one (5.4.1).
    pub(super) fn on_request_vote(
        &mut self,
        from: NodeId,
        last: Position,
        transfer: bool,
        incarnation: u64,
        fx: &mut Effects<Raft>,
    ) {
        let free = self.vote.is_none() || self.vote == Some(from);
        let decided = self.leader.is_some() || (self.leased && !transfer);
        let complete = last.is_up_to_date_with(self.log.last()) || self.has(Flaw::AnyLog);
        if !free || decided || !complete || !self.may_promise() {
            return;
        }
        // A canvass of our own would only compete with the candidate.
        self.become_follower(self.term, fx);
        if self.vote.is_none() {
            self.vote = Some(from);
        }
        self.await_election(fx);
        let term = self.term;
        fx.send(from, Message::Granted { term, incarnation });
        self.leak(Flaw::EarlyVote, fx);
    }

    pub(super) fn on_granted(&mut self, from: NodeId, fx: &mut Effects<Raft>) {
        if let Role::Candidate { granted, .. } = &mut self.role {
            granted.insert(from);
            let configuration = &self.configurations.latest().1;
            if configuration.is_quorum(|id| granted.contains(&id)) {
                self.become_leader(fx);
            }
        }
    }

    fn become_leader(&mut self, fx: &mut Effects<Raft>) {
        assert_eq!(self.vote, Some(self.me), "a leader voted for itself");
        self.role = Role::Leader(Leader::new(self.log.last().index.next()));
        self.align_peers();
        self.leader = Some(self.me);
        fx.stop_timer(Timer::Election);
        self.tell_leader(fx);
        let (heartbeat, timeout) = (self.config.heartbeat, self.config.election_timeout);
        fx.set_timer(Timer::Heartbeat, heartbeat..heartbeat);
        fx.set_timer(Timer::CheckQuorum, timeout..timeout);
        // 5.4.2 and 8: earlier entries are committed with the first of one's own term.
        self.append(super::Content::Noop, fx);
    }

    /// Thesis 6.2: a leader that a quorum has not answered for an election timeout steps down.
    pub(super) fn on_check_quorum(&mut self, fx: &mut Effects<Raft>) {
        let Role::Leader(leader) = &mut self.role else {
            return;
        };
        let me = self.me;
        let heard = |id| id == me || leader.peers.get(&id).is_some_and(|peer| peer.active);
        if !self.configurations.latest().1.is_quorum(heard) {
            self.become_follower(self.term, fx);
            return;
        }
        for peer in leader.peers.values_mut() {
            if !peer.active && matches!(peer.flow, Flow::Snapshot { .. }) {
                // It went away, and what was on its way to it is lost: once it is back it need not
                // wait for the retry.
                peer.flow = Flow::Probe { waiting: true };
            }
            peer.active = false;
        }
        let timeout = self.config.election_timeout;
        fx.set_timer(Timer::CheckQuorum, timeout..timeout);
    }
}
