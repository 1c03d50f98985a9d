//! Linearizable reads at every replica (Terrace and Freedman, section 2.3).
//!
//! A replica that is asked to read asks which version is committed, and answers from its own state
//! once that contains it: at once if nothing here is newer than what is committed. The paper asks the
//! tail. A tail cannot know by itself whether a later view has left it behind, so here all members
//! are asked whether they are in this view still: the first member of any later view is one of them,
//! and before it had entered that view nothing could be committed there. `README.md` has the
//! argument. All reads that arrive while one round of questions is under way share the next.

use alloc::collections::BTreeSet;
use alloc::vec::Vec;
use core::mem;

use quorate_core::{Effects, NodeId};
use quorate_problems::total_order::Output;

use super::message::{Message, Question};
use super::{Chain, Flaw};
use crate::log::Index;

/// The most reads that wait at a replica. Edges share reads too, so this is reached only while the
/// chain is broken, and what is dropped is asked again.
const WAITING_MAX: usize = 4096;

/// The reads at a replica.
#[derive(Clone, Default, Hash, Debug)]
pub(super) struct Reads {
    /// The last question asked.
    question: Question,
    /// Which members have answered it.
    answered: BTreeSet<NodeId>,
    /// The last committed index that they know of.
    index: Index,
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
        reads.question.round += 1;
        reads.question.incarnation = self.incarnation;
        reads.answered.clear();
        reads.index = self.stored;
        self.ask_versions(fx);
        self.maybe_answer_reads(fx);
    }

    /// Whether what this replica would say counts. A tail that was stopped has to find out first what it
    /// had acknowledged; its view begins with an entry of its own, which the tail has.
    fn knows_version(&self) -> bool {
        !self.is_tail() || self.log.epoch_at(self.stored) == Some(self.view.number)
    }

    /// Asks those who have not answered yet.
    fn ask_versions(&self, fx: &mut Effects<Chain>) {
        let (view, question) = (self.view.number, self.reads.question);
        for &member in &self.view.members {
            if member != self.me && !self.reads.answered.contains(&member) {
                // Early: a question promises nothing.
                fx.send_early(member, Message::VersionAsked { view, question });
            }
        }
    }

    /// A heartbeat has passed: questions and answers may be lost.
    pub(super) fn repeat_versions_asked(&self, fx: &mut Effects<Chain>) {
        if !self.reads.asked.is_empty() {
            self.ask_versions(fx);
        }
    }

    /// The view has changed: what is confirmed of the last one says nothing of this one.
    pub(super) fn restart_reads(&mut self) {
        let reads = &mut self.reads;
        reads.asked.append(&mut reads.waiting);
        mem::swap(&mut reads.asked, &mut reads.waiting);
        reads.waiting.truncate(WAITING_MAX);
    }

    pub(super) fn on_version_asked(
        &self,
        from: NodeId,
        question: Question,
        fx: &mut Effects<Chain>,
    ) {
        if self.is_member() && self.knows_version() {
            // Early: that there was no later view here before now no crash can change; and what is
            // stored is on the disks already.
            fx.send_early(
                from,
                Message::Version {
                    view: self.view.number,
                    question,
                    index: self.stored,
                },
            );
        }
    }

    pub(super) fn on_version(
        &mut self,
        from: NodeId,
        question: Question,
        index: Index,
        fx: &mut Effects<Chain>,
    ) {
        let reads = &mut self.reads;
        if question == reads.question && !reads.asked.is_empty() {
            reads.answered.insert(from);
            reads.index = reads.index.max(index);
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
