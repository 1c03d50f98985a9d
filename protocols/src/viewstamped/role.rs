//! Status (paper 4): what a replica is at the moment, and which messages it takes.

use quorate_core::{Effects, NodeId, Status};
use quorate_problems::total_order::Output;

use crate::log::Epoch as View;

use super::config::Memory;
use super::message::{Message, Record, Timer};
use super::primary::Primary;
use super::recovery::Recovery;
use super::transition::Transition;
use super::view_change::Change;
use super::{Flaw, Viewstamped};

/// What a replica is at the moment, with what only that role knows.
#[derive(Clone, Hash, Debug)]
pub(super) enum Role {
    /// Status normal, and it orders.
    Primary(Primary),
    /// It has the log that its view begins with, but not yet on disk. Until then it must not preside:
    /// if it forgot that the view had begun, it could begin the same view with another log.
    Starting,
    /// Status normal, and it follows. So does a learner, which counts for nothing.
    Backup,
    /// Status view-change: in a view whose log it does not have yet.
    Changing(Change),
    /// Status recovering (4.3): it has forgotten what it promised, so it must not promise.
    Recovering(Recovery),
    /// Status transitioning (7.1.1): it does not have yet what its epoch begins with.
    Transitioning(Transition),
    /// Not a member, and nobody brings it up to date.
    Outside {
        /// Whether it offers what the epoch begins with to its members, who may not have it yet (7.1.2).
        offers: bool,
    },
}

impl Viewstamped {
    pub(super) fn summary(&self) -> Status {
        Status {
            role: match (&self.role, self.config.memory) {
                (Role::Primary(_), _) => "primary",
                (Role::Backup | Role::Changing(_), _) if !self.is_voter() => self.standing(),
                (Role::Backup, _) => "backup",
                (Role::Starting | Role::Changing(_), _) => "view-change",
                (Role::Recovering(_), Memory::Volatile) => "recovering",
                (Role::Recovering(_), Memory::Durable) => "damaged",
                (Role::Transitioning(_), _) => "transitioning",
                (Role::Outside { .. }, _) => self.standing(),
            },
            epoch: self.view.0,
            leader: self.leader(),
            head: self.log.last().index.0,
            decided: self.commit.0,
            whole: !matches!(self.role, Role::Recovering(_) | Role::Transitioning(_)),
            repaired: 0,
        }
    }

    /// What one is who does not vote.
    fn standing(&self) -> &'static str {
        match self.epoch.members.contains(self.me) {
            true => "learner",
            false => "outsider",
        }
    }

    /// Whose turn it is, if the view is under way and this replica does not doubt that.
    pub(super) fn leader(&self) -> Option<NodeId> {
        match self.role {
            Role::Primary(_) | Role::Backup if !self.suspicion.suspects => {
                // Nobody serves those who do not take part.
                let member = self.epoch.members.contains(self.me);
                member.then(|| self.replicas.primary(self.view))
            }
            Role::Primary(_)
            | Role::Backup
            | Role::Starting
            | Role::Changing(_)
            | Role::Recovering(_)
            | Role::Transitioning(_)
            | Role::Outside { .. } => None,
        }
    }

    /// Whether records are written: not if nothing is kept, and not by a replica that recovers, so that
    /// somebody who can mend its disk finds everything as it was.
    pub(super) fn writes(&self) -> bool {
        self.config.memory == Memory::Durable && !matches!(self.role, Role::Recovering(_))
    }

    pub(super) fn persist(&self, record: Record, fx: &mut Effects<Viewstamped>) {
        if self.writes() {
            fx.persist(record);
        }
    }

    /// 4.1: "replicas only process messages whose view-number matches the one they know"; who is behind
    /// enters the later view, and what is behind is ignored, since its sender will hear of this one. In the
    /// same way only what is of this epoch is taken (7.1), but there the one who is behind is told.
    pub(super) fn admit(
        &mut self,
        from: NodeId,
        message: &Message,
        fx: &mut Effects<Viewstamped>,
    ) -> bool {
        let asked = message.answers().unwrap_or(self.incarnation);
        if asked != self.incarnation {
            return false;
        }
        if let Some(epoch) = message.epoch()
            && epoch != self.epoch.number()
        {
            self.on_other_epoch(from, epoch, message, fx);
            return false;
        }
        if !self.may_say(from, message) {
            self.maybe_ask_epoch(from, message, fx);
            return false;
        }
        if !self.has_use_for(message) {
            return false;
        }
        let Some(view) = message.view() else {
            return true;
        };
        if let Role::Outside { .. } = self.role
            && message.presides()
            && view == self.view
        {
            self.await_view(fx); // A primary brings it up to date.
        }
        if view > self.view {
            let promises = matches!(message, Message::DoViewChange { .. });
            if promises && self.replicas.primary(view) == self.me {
                self.change_view(view, fx);
            } else if message.presides() {
                self.catch_up(view, fx);
            }
        }
        view == self.view
    }

    /// Whether this is for its sender to say. If not, nothing must come of it.
    fn may_say(&self, from: NodeId, message: &Message) -> bool {
        match message {
            Message::Forward { .. } | Message::ReadAsked { .. } => {
                self.epoch.members.contains(from)
            }
            _ if message.votes() => self.replicas.contains(from),
            _ if message.presides() => {
                message.view().map(|view| self.replicas.primary(view)) == Some(from)
            }
            // Facts are true whoever says them, and questions are free.
            _ => true,
        }
    }

    /// Whether a replica that is in no view has anything to do with this.
    fn has_use_for(&self, message: &Message) -> bool {
        match self.role {
            Role::Recovering(_) | Role::Transitioning(_) => message.recovers(),
            Role::Outside { .. } => message.presides() || message.asks(),
            Role::Primary(_) | Role::Starting | Role::Backup | Role::Changing(_) => true,
        }
    }

    /// Which message goes where.
    pub(super) fn take(&mut self, from: NodeId, message: Message, fx: &mut Effects<Viewstamped>) {
        match message {
            Message::Prepare {
                previous,
                commit,
                entries,
                ..
            } => self.on_prepare(from, previous, commit, &entries, fx),
            Message::PrepareOk { op, .. } => self.on_prepare_ok(from, op, fx),
            Message::Commit { commit, .. } => self.on_commit(from, commit, fx),
            Message::Presiding {
                round,
                commit,
                sent,
                matched,
                ..
            } => self.on_presiding(from, round, commit, (sent, matched), fx),
            Message::Heard { round, .. } => self.on_heard(from, round, fx),
            Message::StartViewChange { entered, wanted } => {
                self.on_start_view_change(from, wanted, entered, fx);
            }
            Message::DoViewChange {
                normal,
                last,
                commit,
                crashes,
                ..
            } => self.on_do_view_change(from, normal, last, commit, &crashes, fx),
            Message::StartView { last, commit, .. } => self.on_start_view(from, last, commit, fx),
            Message::GetState { view, after } => self.on_get_state(from, view, after, fx),
            Message::NewState {
                normal,
                previous,
                last,
                commit,
                entries,
                ..
            } => self.on_new_state(from, normal, (previous, &entries), last, commit, fx),
            Message::NewCheckpoint { checkpoint } => self.on_new_checkpoint(from, checkpoint, fx),
            Message::Recovery { nonce, .. } => self.on_recovery(from, nonce, fx),
            Message::RecoveryResponse {
                view,
                last,
                crashes,
                ..
            } => self.on_recovery_response(from, view, last, &crashes, fx),
            Message::Forward { payload } => self.propose(payload, fx),
            Message::ReadAsked { incarnation, id } => self.on_read_asked(from, incarnation, id, fx),
            Message::ReadReady { id, op, .. } => self.on_read_ready(id, op, fx),
            Message::StartEpoch { epoch } => self.on_start_epoch(from, epoch, fx),
            Message::EpochEntered { epoch } => self.on_epoch_entered(epoch, fx),
            Message::EpochStarted { epoch } => self.on_epoch_started(epoch, fx),
        }
    }

    /// A message came from the primary of this view, whose status is normal. Whether this replica's is
    /// too, so that it can take what the primary says.
    pub(super) fn hear(&mut self, from: NodeId, fx: &mut Effects<Viewstamped>) -> bool {
        match &mut self.role {
            Role::Backup => {
                self.trust(fx);
                let timeout = self.config.view_timeout;
                fx.set_timer(Timer::Silence, timeout..timeout);
                true
            }
            Role::Changing(change) if from != self.me => {
                change.begun = true;
                self.ask_once(fx);
                false
            }
            Role::Changing(_)
            | Role::Primary(_)
            | Role::Starting
            | Role::Recovering(_)
            | Role::Transitioning(_)
            | Role::Outside { .. } => false,
        }
    }

    /// Hears of a view that has begun without this replica (5.2).
    pub(super) fn catch_up(&mut self, view: View, fx: &mut Effects<Viewstamped>) {
        self.enter(view, fx);
        if self.has(Flaw::TruncatingTransfer) {
            // As published: "it sets its op-number to its commit-number and removes all entries after
            // this from its log", with the new view-number and status normal.
            let commit = self.commit;
            self.become_backup(commit, fx);
            self.ask_state(fx);
        }
    }

    /// Says who is primary, if that changed.
    pub(super) fn tell_leader(&mut self, fx: &mut Effects<Viewstamped>) {
        let now = (self.view, self.leader());
        if self.told != now {
            self.told = now;
            fx.output(Output::Lead {
                epoch: self.view.0,
                leader: now.1,
            });
        }
    }
}
