//! Stretches in which some members are lucky: their mail arrives, their disks work and their timers run
//! out, whatever happens to the others.
//!
//! Left to chance, few leaders get far enough for their successors to contradict them. Who is lucky
//! changes most often just when somebody leads or something is decided: there mistakes are made.

use quorate_core::{NodeId, Protocol};

use super::driver::{Driver, Outcome};
use crate::Workload;
use crate::command::Fate;

/// Who is lucky at the moment, and for how many steps more.
#[derive(Default)]
pub(super) struct Luck {
    lucky: Vec<NodeId>,
    left: u32,
}

impl<P: Protocol> Driver<'_, P>
where
    P::Problem: Workload,
{
    /// Somebody else is lucky for a while.
    pub(super) fn change_luck(&mut self) {
        let choice = &mut self.choice;
        let mut lucky = self.members.clone();
        lucky.retain(|_| choice.choose(3) > 0);
        let left = choice.choose(40);
        self.luck = Luck { lucky, left };
    }

    /// Whether luck has the next step. Not all are its own, and where bounds hold nobody needs it.
    pub(super) fn is_lucky(&mut self) -> bool {
        self.luck.left > 0 && !self.is_timely() && self.choice.choose(8) > 0
    }

    /// One lucky step.
    pub(super) fn be_lucky(&mut self) -> Outcome {
        self.luck.left -= 1;
        let before = self.news();
        self.step_luckily()?;
        if self.news() != before && self.choice.choose(3) == 0 {
            self.change_luck();
        }
        Ok(())
    }

    fn step_luckily(&mut self) -> Outcome {
        let lucky = &self.luck.lucky;
        let mut flying = self.world.flying().iter();
        let next = flying.position(|mail| lucky.contains(&mail.from) && lucky.contains(&mail.to));
        if let Some(at) = next {
            return self.mail(Fate::Deliver, at);
        }
        let mut waiting = lucky.iter().copied();
        if let Some(id) = waiting.find(|&id| self.world.disk(id).pending() > 0) {
            return self.sync(id, None);
        }
        let id = self.member();
        match self.luck.lucky.contains(&id) && self.world.replica(id).is_some() {
            true => self.fire(id),
            false => Ok(()),
        }
    }

    /// Who leads, and how far everybody is.
    fn news(&self) -> Vec<(bool, u64)> {
        let replicas = self.members.iter().filter_map(|&id| self.world.replica(id));
        let leads = replicas.map(|replica| {
            let status = replica.status();
            (status.leader == Some(replica.me()), status.decided)
        });
        leads.collect()
    }
}
