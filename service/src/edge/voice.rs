//! What a replica says by itself: that everyone compare their states (if it leads), what it found when it
//! did, and that it has no room. Nobody waits for an answer to these. Time is told by [`super::ticks`].

use std::time::Duration;

use quorate_core::Instant;

use super::shared::Shared;
use crate::applier::read;
use crate::command::Command;
use crate::health::{Alarm, AlarmKind, Report};

/// See the module.
pub(super) struct Voice {
    /// How often states are compared, if there is a reason to; never if this is zero.
    interval: Duration,
    /// After how many changes a check does not wait that long, and how many there had been by the last one.
    changes: u64,
    checked: u64,
    epoch: u64,
    leading: bool,
    /// When the next check may be asked for; `None` while there is no reason to.
    check_at: Option<Instant>,
    is_check_due: bool,
    /// The last check of which we said what we found.
    reported: u64,
    /// When to say again that there is no room, should that have been lost.
    raise_at: Option<Instant>,
    /// When to ask again that somebody else lead.
    resign_at: Option<Instant>,
    patience: Duration,
}

impl Voice {
    pub(super) fn new(interval: Duration, changes: u64, patience: Duration) -> Voice {
        Voice {
            interval,
            changes,
            checked: 0,
            epoch: 0,
            leading: false,
            check_at: None,
            is_check_due: false,
            reported: 0,
            raise_at: None,
            resign_at: None,
            patience,
        }
    }

    /// Another epoch, or another leader of it.
    pub(super) fn on_lead(&mut self, epoch: u64, leading: bool) {
        self.epoch = epoch;
        self.leading = leading;
        self.check_at = None;
        self.is_check_due = false;
        self.resign_at = None;
    }

    pub(super) fn on_time(&mut self, shared: &Shared, now: Instant) {
        if !self.leading || !shared.wants_check() || self.interval.is_zero() {
            self.check_at = None;
            self.is_check_due = false;
        } else if self.check_at.is_none_or(|at| at <= now) || self.has_changed_much(shared) {
            self.is_check_due = self.check_at.is_some();
            self.check_at = Some(now + self.interval);
            self.checked = read(&shared.counters.revisions);
        }
        if !shared.wants_raise() {
            self.raise_at = None;
        }
    }

    fn has_changed_much(&self, shared: &Shared) -> bool {
        let revisions = read(&shared.counters.revisions);
        revisions.saturating_sub(self.checked) >= self.changes
    }

    /// Whether there is something to say.
    pub(super) fn is_wanted(&self, shared: &Shared, now: Instant) -> bool {
        self.is_check_due || shared.noted_after(self.reported).is_some() || self.raises(shared, now)
    }

    fn raises(&self, shared: &Shared, now: Instant) -> bool {
        shared.wants_raise() && self.raise_at.is_none_or(|at| at <= now)
    }

    /// What is to be said now.
    pub(super) fn take(&mut self, shared: &Shared, now: Instant) -> Vec<Command> {
        let member = shared.options.me.0;
        let mut commands = Vec::new();
        if std::mem::take(&mut self.is_check_due) {
            commands.push(Command::Check { epoch: self.epoch });
        }
        if let Some((position, digest)) = shared.noted_after(self.reported) {
            self.reported = position;
            commands.push(Command::Report(Report {
                member,
                position,
                digest,
                applied: shared.applied(),
            }));
        }
        if self.raises(shared, now) {
            self.raise_at = Some(now + self.patience);
            commands.push(Command::Raise(Alarm {
                kind: AlarmKind::NoSpace,
                member,
            }));
        }
        commands
    }

    /// Whether to ask now that somebody else lead: the state of a leader that differs from the
    /// others' is of no use to anybody.
    pub(super) fn resigns(&mut self, shared: &Shared, now: Instant) -> bool {
        if !self.leading || !shared.is_differing() {
            self.resign_at = None;
            return false;
        }
        let resigns = self.resign_at.is_none_or(|at| at <= now);
        if resigns {
            self.resign_at = Some(now + self.patience);
        }
        resigns
    }

    pub(super) fn due(&self) -> Option<Instant> {
        let waiting = [self.check_at, self.raise_at, self.resign_at];
        waiting.into_iter().flatten().min()
    }
}
