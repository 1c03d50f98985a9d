//! Alarms, and whether this replica has the state that the others have.

use std::sync::Arc;

use super::Machine;
use crate::command::Command;
use crate::error::Error;
use crate::health::{Alarm, AlarmKind, Report};
use crate::reply::Reply;
use crate::store::Flaw;

/// What this replica found at the last check. Not part of the agreed state: others may find another.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Noted {
    /// Where the check was.
    position: u64,
    /// What is to be reported.
    digest: u64,
    /// The chain of changes then.
    chain: u64,
}

impl Machine {
    /// What alarms forbid is refused here, before any command is looked at otherwise.
    pub(super) fn check_alarms(&self, command: &Command) -> Result<(), Error> {
        let health = &self.meta.health;
        if health.alarms().is_empty() {
            return Ok(());
        }
        let nobody_knows_who = Alarm {
            kind: AlarmKind::Corrupt,
            member: 0,
        };
        if command.is_data() && health.alarms().contains(&nobody_knows_who) {
            return Err(Error::Corrupt);
        }
        let flawed =
            self.flaw() == Some(Flaw::NoRoomToDelete) && matches!(command, Command::DeleteRange(_));
        if (command.price() > 0 || flawed) && health.has(AlarmKind::NoSpace) {
            return Err(Error::NoSpace);
        }
        Ok(())
    }

    /// Everyone notes what they have right here, and everyone the same unless something is wrong.
    pub(super) fn begin_check(&mut self, position: u64) -> Reply {
        self.noted = Noted {
            position,
            digest: self.meta.fingerprint(),
            chain: self.meta.digest,
        };
        Arc::make_mut(&mut self.meta.health).check(position);
        Reply::Done
    }

    pub(super) fn report(&mut self, report: Report) -> Reply {
        let health = Arc::make_mut(&mut self.meta.health);
        let of_majority = health.report(report, &self.meta.members);
        let noted = self.noted;
        if noted.position == report.position
            && let Some(digest) = of_majority
            && digest != noted.digest
            && !std::mem::replace(&mut self.differs, true)
        {
            // The next start begins without this state, and fetches the others'.
            let position = noted.position;
            let what = format!("at position {position} a majority has another state than this");
            self.shared.damage.note(&what);
        }
        Reply::Done
    }

    pub(super) fn raise(&mut self, alarm: Alarm) -> Reply {
        let health = Arc::make_mut(&mut self.meta.health);
        health.raise(alarm.kind, alarm.member);
        Reply::Alarms(vec![alarm])
    }

    pub(super) fn disarm(&mut self, alarm: Alarm) -> Reply {
        let health = Arc::make_mut(&mut self.meta.health);
        Reply::Alarms(health.disarm(alarm.kind, alarm.member))
    }

    /// The last check that this replica has applied, and the digest that it has to report.
    #[must_use]
    pub fn noted(&self) -> (u64, u64) {
        (self.noted.position, self.noted.digest)
    }

    /// Whether there is a reason for another check.
    #[must_use]
    pub fn wants_check(&self) -> bool {
        let (health, members) = (&self.meta.health, &self.meta.members);
        // Whoever is alone has nobody to differ from.
        let is_alone = members.list.len() < 2;
        let changes = self.noted.chain != self.meta.digest && !is_alone;
        changes || health.is_awaited(members)
    }

    /// Whether a majority was seen to have another state than this replica at the same position. It has
    /// to be rebuilt then, by the others' state.
    #[must_use]
    pub fn differs(&self) -> bool {
        self.differs
    }
}
