//! State transfer (paper 5.2): how a replica that is behind gets what it missed.
//!
//! As published, a replica that hears of a later view first drops what it has not committed, takes the
//! new view-number, and then asks for the rest. Until that arrives it looks like a replica of the new
//! view with a short log, and in a view change it outvotes those that have more: committed operations
//! are lost (Vanlightly's TLA+ study, 2022; `scripts/museum/truncating-transfer.txt`). Here it keeps
//! what it has, and the view that it is from, until it has the new view's log: status view-change until
//! then, from which it can take part in the next view change with what it really has.
//!
//! A log that is only partly replaced does no harm meanwhile: what is replaced conflicts with the log of
//! a later view, which has all that is committed; what replaces it is part of that log.

use quorate_core::{Checkpoint, Effects, NodeId};
use quorate_problems::total_order::Output;

use crate::log::{Entries, Epoch as View, Index, Position};

use super::Viewstamped;
use super::message::{Message, Record};
use super::replicas::UNKNOWN;
use super::role::Role;

impl Viewstamped {
    /// Asks for what is missing, unless an answer is awaited already. If that is lost, heartbeats and
    /// the repeat timer ask again.
    pub(super) fn ask_once(&mut self, fx: &mut Effects<Viewstamped>) {
        if !self.asked {
            self.ask_state(fx);
        }
    }

    /// Asks for what comes behind this log.
    pub(super) fn ask_state(&mut self, fx: &mut Effects<Viewstamped>) {
        let after = match self.role {
            // Whoever answers knows only what is committed.
            Role::Transitioning(_) => self.committed(),
            _ => self.log.last(),
        };
        self.ask_behind(after, fx);
    }

    /// Transitioning: nobody in particular has what it lacks, so it asks one after the other.
    pub(super) fn ask_next(&mut self, fx: &mut Effects<Viewstamped>) {
        self.ask_state(fx);
        let me = self.me;
        let Role::Transitioning(transition) = &mut self.role else {
            return;
        };
        let others = || self.epoch.members.iter().filter(|&id| id != me);
        let mut rest = others().skip_while(|&id| Some(id) != transition.teacher);
        let next = rest.nth(1).or_else(|| others().next());
        transition.teacher = next.or(transition.teacher);
    }

    fn ask_behind(&mut self, after: Position, fx: &mut Effects<Viewstamped>) {
        if let Some((node, _)) = self.teacher() {
            self.asked = true;
            let view = self.view;
            // Early: a question promises nothing.
            fx.send_early(node, Message::GetState { view, after });
        }
    }

    /// Whose log this replica needs, and of which view it is.
    fn teacher(&self) -> Option<(NodeId, View)> {
        let primary = (self.replicas.primary(self.view), self.view);
        match &self.role {
            Role::Backup => Some(primary),
            Role::Changing(change) => match change.chosen {
                Some(chosen) => Some((chosen.node, chosen.normal)),
                None => Some(primary).filter(|_| change.begun),
            },
            Role::Recovering(recovery) => recovery.needed.map(|_| primary),
            Role::Transitioning(transition) => {
                let teacher = transition.teacher.filter(|_| transition.written);
                teacher.map(|node| (node, View(0)))
            }
            Role::Primary(_) | Role::Starting | Role::Outside { .. } => None,
        }
    }

    /// "A replica responds only if its status is normal and it is currently in view-number v." So does
    /// one that promised the view to its next primary, who may need its log (5.3).
    pub(super) fn on_get_state(
        &mut self,
        from: NodeId,
        view: View,
        after: Position,
        fx: &mut Effects<Viewstamped>,
    ) {
        if view == UNKNOWN {
            return self.tell_epoch(from, fx);
        }
        let next = self.replicas.primary(self.view);
        let answers = match &self.role {
            Role::Primary(_) => view == self.view,
            Role::Changing(change) => view == self.view && from == next && !change.begun,
            Role::Starting
            | Role::Backup
            | Role::Recovering(_)
            | Role::Transitioning(_)
            | Role::Outside { .. } => false,
        };
        // What the epoch began with is committed, so anybody who has it may say it (7.1.1).
        let helps = after.index < self.epoch.start.index && self.has_begun();
        if !answers && !helps {
            return;
        }
        let previous = match self.log.matches(after) {
            true => Some(after),
            false => self.log.latest(after.index, after.epoch),
        };
        let Some(previous) = previous else {
            self.offer_checkpoint(from, fx);
            return;
        };
        let bytes_max = self.config.message_bytes_max;
        let entries = self.log.gather(previous.index.next(), u64::MAX, bytes_max);
        let end = previous.index.plus(entries.as_slice().len());
        // Early: as for Prepare; and who is asked for its log in a view change has promised it already.
        fx.send_early(
            from,
            Message::NewState {
                view,
                normal: self.normal,
                previous,
                last: self.log.last().index,
                commit: self.commit,
                entries,
            },
        );
        if let Role::Primary(primary) = &mut self.role
            && let Some(peer) = primary.peers.get_mut(&from)
        {
            peer.next = peer.next.max(end.next());
            peer.offered = None;
        }
    }

    /// What is asked for was compacted away: here is the application's state, once in a while.
    fn offer_checkpoint(&mut self, to: NodeId, fx: &mut Effects<Viewstamped>) {
        let (heartbeat, retry) = (self.config.heartbeat, self.config.checkpoint_retry);
        let under_way = match &mut self.role {
            Role::Primary(primary) => {
                let offered = primary.peers.get_mut(&to).map(|peer| &mut peer.offered);
                let Some(offered) = offered else { return };
                let under_way = offered.is_some_and(|beats| heartbeat * beats < retry);
                if !under_way {
                    *offered = Some(0);
                }
                under_way
            }
            Role::Changing(change) if to == self.replicas.primary(self.view) => {
                core::mem::replace(&mut change.offered, true)
            }
            // Who is new asks one after the other.
            Role::Changing(_) | Role::Starting | Role::Backup | Role::Outside { .. } => false,
            Role::Recovering(_) | Role::Transitioning(_) => true,
        };
        if !under_way {
            let checkpoint = self.log.base().into();
            // Early: it holds what is committed, which is a fact, not a promise.
            fx.send_early(to, Message::NewCheckpoint { checkpoint });
        }
    }

    pub(super) fn on_new_state(
        &mut self,
        from: NodeId,
        normal: View,
        (previous, entries): (Position, &Entries),
        last: Index,
        commit: Index,
        fx: &mut Effects<Viewstamped>,
    ) {
        let teacher = self.teacher();
        let entries = match &self.role {
            // Anybody may say this, but not more than what the epoch begins with.
            Role::Transitioning(transition) if transition.written => {
                let start = self.epoch.start.index.since(previous.index);
                let start = usize::try_from(start).unwrap_or(usize::MAX);
                &entries.as_slice()[..start.min(entries.as_slice().len())]
            }
            _ if teacher == Some((from, normal)) => entries.as_slice(),
            _ => return,
        };
        self.asked = false;
        let (previous, entries) = self.behind_commit(previous, entries);
        if !self.log.matches(previous) {
            // Further back: at the latest where everything is committed, both logs agree.
            let agreed = self.log.latest(previous.index, previous.epoch);
            self.ask_behind(agreed.unwrap_or(self.committed()), fx);
            return;
        }
        self.adopt(previous.index, entries, fx);
        let end = previous.index.plus(entries.len());
        if normal == self.view || matches!(self.role, Role::Transitioning(_)) {
            self.deliver_through(commit.min(end), fx);
        }
        self.maybe_caught_up(end, last, fx);
        // An answer without entries is no reason to ask again at once.
        if end < last && !entries.is_empty() {
            self.ask_once(fx);
        }
    }

    /// The log here is the teacher's through `end`, and the teacher's ends at `last`.
    fn maybe_caught_up(&mut self, end: Index, last: Index, fx: &mut Effects<Viewstamped>) {
        match &self.role {
            Role::Backup => self.acknowledge(fx),
            Role::Changing(change) => match change.chosen {
                Some(chosen) if end >= chosen.last.index => self.start_view(fx),
                None if end >= last => {
                    self.become_backup(end, fx);
                    self.acknowledge(fx);
                }
                Some(_) | None => {}
            },
            Role::Recovering(recovery) => {
                let complete = end >= last && recovery.needed.is_some_and(|needed| end >= needed);
                // If the epoch ends here it may have been in the next one before it forgot. Either it
                // will be told of that one, and recovers in it, or of a log that does not end here.
                if complete && !self.is_ending() {
                    self.recovered(end, fx);
                }
            }
            Role::Transitioning(_) => self.maybe_begin_epoch(fx),
            Role::Primary(_) | Role::Starting | Role::Outside { .. } => {}
        }
    }

    /// A state that is ahead of everything here. It contains only what is committed, so it is welcome
    /// whatever this replica is about to do, and whoever sent it.
    pub(super) fn on_new_checkpoint(
        &mut self,
        from: NodeId,
        checkpoint: Checkpoint,
        fx: &mut Effects<Viewstamped>,
    ) {
        if self.teacher().is_none() {
            return;
        }
        let end = Position::from(checkpoint);
        let (stamp, epoch) = (end.epoch, self.epoch.number());
        if stamp.epoch() > epoch || (stamp.epoch() == epoch && stamp.is_last()) {
            // Its sender has gone on since it promised a state, and nobody must have a state that is
            // ahead of the epoch that it knows.
            return self.ask_epoch(from, self.epoch.first, fx);
        }
        if self.log.matches(end) {
            self.deliver_through(end.index, fx);
        } else if end.index > self.commit {
            // What the log holds beyond, if anything, conflicts with what is committed.
            self.log.reset(end);
            self.commit = end.index;
            self.restate(Record::Reset(end), fx);
            fx.output(Output::Install(checkpoint));
            self.maybe_tell_members(fx);
        }
        match self.role {
            Role::Transitioning(_) => {
                self.asked = false;
                self.maybe_begin_epoch(fx);
            }
            _ => self.ask_state(fx),
        }
    }
}
