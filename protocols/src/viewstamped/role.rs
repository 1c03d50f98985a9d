//! Status (paper 4): what a replica is at the moment, and which messages it takes.

use quorate_core::{Effects, NodeId, Status};
use quorate_problems::total_order::Output;

use crate::log::Epoch as View;

use super::config::Memory;
use super::message::{Message, Record, Timer};
use super::primary::Primary;
use super::recovery::Recovery;
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
    /// Status normal, and it follows.
    Backup,
    /// Status view-change: in a view whose log it does not have yet.
    Changing(Change),
    /// Status recovering (4.3): it has forgotten what it promised, so it must not promise.
    Recovering(Recovery),
}

impl Viewstamped {
    pub(super) fn summary(&self) -> Status {
        Status {
            role: match (&self.role, self.config.memory) {
                (Role::Primary(_), _) => "primary",
                (Role::Backup, _) => "backup",
                (Role::Starting | Role::Changing(_), _) => "view-change",
                (Role::Recovering(_), Memory::Volatile) => "recovering",
                (Role::Recovering(_), Memory::Durable) => "damaged",
            },
            epoch: self.view.0,
            leader: self.leader(),
            head: self.log.last().index.0,
            decided: self.commit.0,
            whole: !matches!(self.role, Role::Recovering(_)),
        }
    }

    /// Whose turn it is, if the view is under way and this replica does not doubt that.
    pub(super) fn leader(&self) -> Option<NodeId> {
        match self.role {
            Role::Primary(_) | Role::Backup if !self.suspicion.suspects => {
                Some(self.replicas.primary(self.view))
            }
            Role::Primary(_)
            | Role::Backup
            | Role::Starting
            | Role::Changing(_)
            | Role::Recovering(_) => None,
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
    /// enters the later view, and what is behind is ignored, since its sender will hear of this one.
    pub(super) fn admit(
        &mut self,
        from: NodeId,
        message: &Message,
        fx: &mut Effects<Viewstamped>,
    ) -> bool {
        let asked = message.answers().unwrap_or(self.incarnation);
        if !self.replicas.contains(from) || asked != self.incarnation {
            return false;
        }
        if matches!(self.role, Role::Recovering(_)) && !message.recovers() {
            return false;
        }
        let Some(view) = message.view() else {
            return true;
        };
        if message.presides() && from != self.replicas.primary(view) {
            return false; // Nobody else sends this, so nothing must come of it.
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
            Message::GetState { after, .. } => self.on_get_state(from, after, fx),
            Message::NewState {
                normal,
                previous,
                last,
                commit,
                entries,
                ..
            } => self.on_new_state(from, normal, (previous, &entries), last, commit, fx),
            Message::NewCheckpoint { checkpoint } => self.on_new_checkpoint(checkpoint, fx),
            Message::Recovery { nonce } => self.on_recovery(from, nonce, fx),
            Message::RecoveryResponse {
                view,
                last,
                crashes,
                ..
            } => self.on_recovery_response(from, view, last, &crashes, fx),
            Message::Forward { payload } => self.propose(payload, fx),
            Message::ReadAsked { incarnation, id } => self.on_read_asked(from, incarnation, id, fx),
            Message::ReadReady { id, op, .. } => self.on_read_ready(id, op, fx),
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
            Role::Changing(_) | Role::Primary(_) | Role::Starting | Role::Recovering(_) => false,
        }
    }

    /// Hears of a view that has begun without this replica (5.2).
    fn catch_up(&mut self, view: View, fx: &mut Effects<Viewstamped>) {
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
