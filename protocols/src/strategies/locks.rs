//! Several masters with a lock: whoever has it is the only master for a moment.
//!
//! The keeper of the lock is the first replica that is up. A lock is granted for one call; whoever gets it
//! executes, ships, waits until all have the update, answers and frees the lock. So the next holder has
//! everything before it, and the price is a round trip for the lock and its release.

use alloc::collections::VecDeque;

use quorate_core::{Effects, NodeId};
use quorate_problems::replicated::CallId;

use super::clients::Stage;
use super::{Message, Strategies};

/// The keeper's book.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub(super) struct Lock {
    pub(super) holder: Option<(CallId, NodeId)>,
    pub(super) waiting: VecDeque<(CallId, NodeId)>,
}

impl Strategies {
    /// Somebody wants the lock.
    pub(super) fn on_wanted(&mut self, from: NodeId, id: CallId, fx: &mut Effects<Strategies>) {
        if !self.is_master() {
            return; // It asks the next keeper.
        }
        let entry = (id, from);
        if self.lock.holder == Some(entry) || self.lock.waiting.contains(&entry) {
            return;
        }
        if self.lock.waiting.len() < self.config.window * self.config.succession.len() {
            self.lock.waiting.push_back(entry);
        }
        self.grant(fx);
    }

    fn grant(&mut self, fx: &mut Effects<Strategies>) {
        if self.lock.holder.is_some() {
            return;
        }
        self.lock.holder = self.lock.waiting.pop_front();
        if let Some((id, to)) = self.lock.holder {
            let epoch = self.epoch;
            fx.send(to, Message::Granted { epoch, id });
        }
    }

    /// The lock is here, for this call.
    pub(super) fn on_granted(&mut self, epoch: u64, id: CallId, fx: &mut Effects<Strategies>) {
        if epoch != self.epoch {
            return;
        }
        let waiting = |stage: &Stage| *stage == Stage::Waiting;
        match self.tasks.get(&id).filter(|task| waiting(&task.stage)) {
            Some(task) if !self.made.contains_key(&id) => {
                self.execute(id, task.operation, self.me, fx);
            }
            _ => fx.send(self.master(), Message::Freed { id }),
        }
    }

    /// The holder does not need it any more.
    pub(super) fn on_freed(&mut self, from: NodeId, id: CallId, fx: &mut Effects<Strategies>) {
        if self.lock.holder == Some((id, from)) {
            self.lock.holder = None;
            self.grant(fx);
        }
    }

    /// A replica is gone, and needs no lock.
    pub(super) fn take_back(&mut self, from: NodeId, fx: &mut Effects<Strategies>) {
        self.lock.waiting.retain(|(_, who)| *who != from);
        if self.lock.holder.is_some_and(|(_, who)| who == from) {
            self.lock.holder = None;
            self.grant(fx);
        }
    }
}
