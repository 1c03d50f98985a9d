//! Where bounds hold: mail arrives, disks finish and timers run out in time.

use std::time::Duration;

use quorate_core::{Protocol, Timing};

use super::driver::{Driver, Outcome};
use crate::Workload;
use crate::command::{Command, Fate, Who};

impl<P: Protocol> Driver<'_, P>
where
    P::Problem: Workload,
{
    /// Whether bounds hold now.
    pub(super) fn is_timely(&self) -> bool {
        match self.adversary.model.timing {
            Timing::Lockstep | Timing::Synchronous => true,
            Timing::PartiallySynchronous => self.step >= self.stable_from,
            Timing::Asynchronous => false,
        }
    }

    /// Time passes; before it has, what must have happened by then happens.
    pub(super) fn advance_timely(&mut self, by: Duration) -> Outcome {
        let until = self.world.now() + by;
        let bound = self.adversary.bound;
        while self.world.now() < until {
            for id in self.members.clone() {
                self.sync(id, None)?;
            }
            let due = |sent: quorate_core::Instant| sent + bound;
            let flying = self.world.flying().iter();
            let mut next = until;
            if let Some(mail) = flying.min_by_key(|mail| mail.sent) {
                next = next.min(due(mail.sent));
                if next <= self.world.now() {
                    let link = (mail.from, mail.to);
                    self.deliver_oldest(link)?;
                    continue;
                }
            }
            next = next.min(self.world.next_deadline().unwrap_or(next));
            let by = next.since(self.world.now());
            // Time is written down in microseconds: timers are picked in whole ones.
            let us = u64::try_from(by.as_micros()).unwrap_or(u64::MAX).max(1);
            self.play(Command::Advance { us })?;
        }
        Ok(())
    }

    /// One round of lockstep: whatever was sent before arrives, or is lost where that is legal, and
    /// everybody takes a step.
    pub(super) fn round(&mut self) -> Outcome {
        let id = self.member();
        match self.choice.choose(20) {
            0..8 => self.request(id)?,
            8 => self.crash(id)?,
            9 if self.adversary.recovers() => self.play(Command::Restart(Who::One(id)))?,
            10 => self.lie()?,
            _ => {}
        }
        for _ in 0..self.world.flying().len() {
            if self.world.flying().is_empty() {
                break;
            }
            match self.choice.choose(12) {
                0 if self.may_lose(0) => self.mail(Fate::Drop, 0)?,
                1 if self.adversary.model.links.duplicate => {
                    self.mail(Fate::Duplicate, 0)?;
                    self.mail(Fate::Deliver, 0)?;
                }
                _ => self.mail(Fate::Deliver, 0)?,
            }
        }
        self.advance_timely(self.adversary.bound)
    }
}
