//! Room on disks. A member whose disk is nearly full raises the alarm NOSPACE: nothing is added any more, while
//! reads go on and so does what makes room. Who raises it must have reason to, who has reason must not take
//! more, and once there is room an operator disarms it.

use quorate_core::Protocol;
use quorate_problems::total_order::TotalOrder;
use quorate_service::Writing;
use quorate_service::command::Command;
use quorate_service::health::{Alarm, AlarmKind};
use quorate_service::store::View;

use super::judge::Outcome;
use super::world::{Event, MS, World};

/// How often the operator looks.
const LOOK: u64 = 100 * MS;

/// How long it may take until a process knows that its disk is nearly full: it looks every second, and
/// somebody else may be at work on the disk.
const KNOWN_AFTER: u64 = 4000 * MS;

/// Whoever disarms alarms when there is room again.
#[derive(Default)]
pub(super) struct Janitor {
    machine: usize,
    open: Option<(Writing, u64)>,
}

/// Whether somebody may be told that there is no room for this.
pub(super) fn may_be_refused(command: &Command) -> bool {
    command.price() > 0
}

impl<P: Protocol<Problem = TotalOrder>> World<P> {
    /// Whether a machine's disk has less left than it should.
    fn is_low(&self, at: usize) -> bool {
        self.machines[at].disk.free_bytes() < self.settings.reserve_bytes
    }

    /// A machine looked at its disk, or could have.
    pub(super) fn on_look(&mut self, at: usize) {
        let (is_low, now) = (self.is_low(at), self.now());
        let machine = &mut self.machines[at];
        machine.low_since = is_low.then(|| machine.low_since.unwrap_or(now));
    }

    /// A machine takes a command in.
    pub(super) fn on_admitted(&self, at: usize, command: &Command) -> Outcome {
        let machine = &self.machines[at];
        match machine.low_since {
            Some(since) if may_be_refused(command) && since.0 + KNOWN_AFTER < self.now().0 => {
                Err(format!(
                    "space: {} takes {command:?} although its disk has been nearly full since {since:?}",
                    machine.id
                ))
            }
            _ => Ok(()),
        }
    }

    /// A machine refuses a command for want of room.
    pub(super) fn on_no_room(&mut self, at: usize, command: &Command) -> Outcome {
        self.summary.no_room += 1;
        match may_be_refused(command) {
            false => Err(format!(
                "space: n{} refuses {command:?} for want of room, which makes room",
                at + 1
            )),
            true if self.machines.iter().any(|machine| machine.was_filled) => Ok(()),
            true => Err(format!(
                "space: n{} refuses {command:?} although no disk was ever full",
                at + 1
            )),
        }
    }

    /// A state is shown: who has an alarm must have had reason to raise it.
    pub(super) fn on_alarms(&mut self, view: &View) -> Outcome {
        let alarms = view.health().alarms().iter();
        for alarm in alarms.filter(|alarm| alarm.kind == AlarmKind::NoSpace) {
            let machine = alarm.member.checked_sub(1);
            let machine = machine.and_then(|at| self.machines.get(at as usize));
            if !machine.is_some_and(|machine| machine.was_filled) {
                return Err(format!("space: nobody has reason for {alarm:?}"));
            }
            self.summary.alarms += 1;
        }
        Ok(())
    }

    /// The operator's turn: alarms whose reason is gone are disarmed.
    pub(super) fn tidy_up(&mut self) -> Outcome {
        self.agenda.plan_in(LOOK, Event::Janitor);
        let now = self.now().0;
        match self.janitor.open.take() {
            Some((mut writing, asked)) => match writing.answered() {
                Some(Ok(_)) => self.summary.disarmed += 1,
                None if asked + self.settings.patience_ms * MS > now => {
                    self.janitor.open = Some((writing, asked));
                }
                None | Some(Err(_)) => self.janitor.machine += 1,
            },
            None => {
                self.janitor.machine %= self.machines.len();
                let at = self.janitor.machine;
                match self.disarm_at(at) {
                    Some(writing) => {
                        self.janitor.open = Some((writing, now));
                        self.nudge(at);
                    }
                    None => self.janitor.machine += 1,
                }
            }
        }
        Ok(())
    }

    /// Asks a machine to disarm an alarm that it knows of, if the disk that it is about has room again.
    fn disarm_at(&self, at: usize) -> Option<Writing> {
        let machine = &self.machines[at];
        let process = machine.process.as_ref().filter(|_| !machine.paused)?;
        let view = process.service.view();
        let has_room = |alarm: &&Alarm| {
            let about = alarm.member as usize - 1;
            alarm.kind == AlarmKind::NoSpace && (!self.is_low(about) || self.machines[about].lost)
        };
        let alarm = *view.health().alarms().iter().find(has_room)?;
        process.service.begin_write(&Command::Disarm(alarm)).ok()
    }
}
