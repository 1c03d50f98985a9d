//! Linearizable reads at every replica (Terrace and Freedman, section 2.3).
//!
//! A replica that is asked to read asks which version is committed, and answers from its own state
//! once that contains it: at once if nothing here is newer than what is committed. The paper asks the
//! tail. A tail cannot know by itself whether a later view has left it behind, so here all members
//! are asked whether they are in this view still: the first member of any later view is one of them,
//! and before it had entered that view nothing could be committed there. `README.md` has the
//! argument. All reads that arrive while one round of questions is under way share the next.

use alloc::vec::Vec;
use core::mem;

use quorate_core::{Effects, NodeId};
use quorate_problems::total_order::Output;

use super::message::{Answer, Message, Question};
use super::{Chain, Flaw};
use crate::log::Index;
use crate::reads::WAITING_MAX;

/// The reads at a replica.
#[derive(Clone, Default, Hash, Debug)]
pub(super) struct Reads {
    /// The number of the last round begun.
    round: u64,
    /// Which members have answered it.
    answered: Vec<NodeId>,
    /// The last committed index that they know of.
    index: Index,
    /// Whether somebody's answer came along the chain: then the next question goes along it at once.
    relayed: bool,
    /// The reads that it is for; none when no round is under way.
    asked: Vec<u64>,
    /// Those that wait for the next one.
    waiting: Vec<u64>,
}

impl Chain {
    /// The layer above wants to read.
    pub(super) fn on_read(&mut self, id: u64, fx: &mut Effects<Chain>) {
        if self.reads.waiting.len() < WAITING_MAX {
            self.reads.waiting.push(id);
            self.maybe_ask_versions(fx);
        }
    }

    /// Begins a round if some read waits for it and none is under way.
    pub(super) fn maybe_ask_versions(&mut self, fx: &mut Effects<Chain>) {
        let ready = self.established && self.knows_version();
        let reads = &mut self.reads;
        if !ready || reads.waiting.is_empty() || !reads.asked.is_empty() {
            return;
        }
        mem::swap(&mut reads.waiting, &mut reads.asked);
        reads.round += 1;
        reads.answered.clear();
        reads.index = self.stored;
        let along = mem::take(&mut reads.relayed);
        self.ask_versions(fx);
        if along {
            self.ask_along(fx);
        }
        self.maybe_answer_reads(fx);
    }

    /// Whether what this replica would say counts. A tail that was stopped has to find out first what it
    /// had acknowledged; its view begins with an entry of its own, which the tail has.
    fn knows_version(&self) -> bool {
        !self.is_tail() || self.log.epoch_at(self.stored) == Some(self.view.number)
    }

    /// The question of the present round.
    fn question(&self) -> Question {
        Question {
            asker: self.me,
            incarnation: self.incarnation,
            round: self.reads.round,
        }
    }

    /// Asks those who have not answered yet.
    fn ask_versions(&self, fx: &mut Effects<Chain>) {
        for &member in self.view.members.iter() {
            if member != self.me && !self.reads.answered.contains(&member) {
                self.ask_version(member, self.question(), false, fx);
            }
        }
    }

    fn ask_version(&self, to: NodeId, question: Question, relay: bool, fx: &mut Effects<Chain>) {
        let view = self.view.number;
        // Early: a question promises nothing.
        fx.send_early(
            to,
            Message::VersionAsked {
                view,
                question,
                relay,
            },
        );
    }

    /// A heartbeat has passed: questions and answers may be lost, and may go on being lost.
    pub(super) fn repeat_versions_asked(&self, fx: &mut Effects<Chain>) {
        if !self.reads.asked.is_empty() {
            self.ask_versions(fx);
            self.ask_along(fx);
        }
    }

    /// Neighbours reach each other, or there would be another view; so a question along the chain
    /// reaches all.
    fn ask_along(&self, fx: &mut Effects<Chain>) {
        for neighbour in [self.predecessor(), self.successor()].into_iter().flatten() {
            self.ask_version(neighbour, self.question(), true, fx);
        }
    }

    /// The view has changed: what is confirmed of the last one says nothing of this one.
    pub(super) fn restart_reads(&mut self) {
        let reads = &mut self.reads;
        reads.asked.append(&mut reads.waiting);
        mem::swap(&mut reads.asked, &mut reads.waiting);
        reads.waiting.truncate(WAITING_MAX);
    }

    pub(super) fn on_asked(
        &self,
        from: NodeId,
        question: Question,
        relay: bool,
        fx: &mut Effects<Chain>,
    ) {
        if self.is_member() && self.knows_version() {
            let (member, index) = (self.me, self.stored);
            self.answer(from, question, Answer { member, index }, fx);
        }
        if let Some(next) = self.beyond(from).filter(|_| relay) {
            self.ask_version(next, question, true, fx);
        }
    }

    fn answer(&self, to: NodeId, question: Question, answer: Answer, fx: &mut Effects<Chain>) {
        let view = self.view.number;
        // Early: that there was no later view before now no crash can change, neither here nor where an
        // answer that is passed on comes from; and what is stored is on the disks already.
        fx.send_early(
            to,
            Message::Version {
                view,
                question,
                answer,
            },
        );
    }

    /// The neighbour on the other side.
    fn beyond(&self, from: NodeId) -> Option<NodeId> {
        if self.predecessor() == Some(from) {
            self.successor()
        } else if self.successor() == Some(from) {
            self.predecessor()
        } else {
            None
        }
    }

    pub(super) fn on_version(
        &mut self,
        from: NodeId,
        question: Question,
        answer: Answer,
        fx: &mut Effects<Chain>,
    ) {
        if question.asker != self.me {
            if let Some(next) = self.beyond(from) {
                self.answer(next, question, answer, fx);
            }
            return;
        }
        let present = question == self.question() && !self.reads.asked.is_empty();
        if present && !self.reads.answered.contains(&answer.member) {
            self.reads.answered.push(answer.member);
            self.reads.relayed |= from != answer.member;
            self.reads.index = self.reads.index.max(answer.index);
            self.maybe_answer_reads(fx);
        }
    }

    /// Answers the reads of the round that all members have confirmed.
    fn maybe_answer_reads(&mut self, fx: &mut Effects<Chain>) {
        let reads = &self.reads;
        let confirms = |id: &NodeId| *id == self.me || reads.answered.contains(id);
        let trusted = self.has(Flaw::StaleTail) && self.is_tail();
        if !trusted && !self.view.members.iter().all(confirms) {
            return;
        }
        let position = reads.index.0;
        for id in self.reads.asked.drain(..) {
            fx.output(Output::ReadReady { id, position });
        }
        self.maybe_ask_versions(fx);
    }
}
