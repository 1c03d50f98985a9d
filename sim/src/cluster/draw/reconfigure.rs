//! What a seed makes of the members: who is added, promoted, removed and replaced when.

use quorate_core::{Choice, Instant, NodeId};

use super::super::Hurt;
use super::super::plan::{Fault, Settings, Timed};
use super::super::world::MS;
use super::stream;

/// How many machines there are for members to come, and whether a removed member goes on as before.
pub(super) fn spares(seed: u64, hurt: &Hurt) -> (u64, u64) {
    let mut choice = stream(seed, 0x5ba2_e500);
    let spares = [0, 0, 0, 1, 2, 4][choice.choose(6) as usize];
    match hurt.members {
        true => (spares, u64::from(spares > 0 && choice.choose(2) == 0)),
        false => (0, 0),
    }
}

/// Changes of the members of a cluster that has spare machines.
pub(super) fn changes(seed: u64, settings: &Settings, hurt: &Hurt) -> Vec<Timed> {
    let mut drawing = Changing {
        choice: stream(seed, 0x3e3b_e125),
        members: settings.founders(),
        spares: settings.machines().split_off(settings.members as usize),
        // A damaged replica may need everybody.
        loses: !hurt.damage,
        at: 0,
        changes: Vec::new(),
    };
    if settings.spares == 0 {
        return Vec::new();
    }
    let count = 1 + drawing.choice.choose(8);
    for _ in 0..count {
        drawing.pass(settings.hurt_ms / u64::from(count));
        drawing.change();
    }
    drawing.changes
}

struct Changing {
    choice: Choice,
    /// Who takes part, if everything that was drawn so far happens.
    members: Vec<NodeId>,
    /// Who never did.
    spares: Vec<NodeId>,
    /// Whether machines may be lost for good.
    loses: bool,
    at: u64,
    changes: Vec<Timed>,
}

impl Changing {
    /// Time passes: less than this on average.
    fn pass(&mut self, ms: u64) {
        let us = u32::try_from(ms * 1500).unwrap_or(u32::MAX).max(1);
        self.at += u64::from(self.choice.choose(us)) * 1000;
    }

    fn plan(&mut self, fault: Fault) {
        let at = Instant(self.at);
        self.changes.push(Timed { at, fault });
    }

    fn change(&mut self) {
        match self.choice.choose(10) {
            0..3 => self.add(),
            3..5 => self.learn(),
            5..7 => self.remove(),
            7 => self.replace(),
            8 => {
                // As small as it gets.
                while self.members.len() > 1 {
                    self.remove();
                    self.pass(100);
                }
            }
            _ => {
                while !self.spares.is_empty() && self.members.len() < 5 {
                    self.add();
                    self.pass(100);
                }
            }
        }
    }

    fn spare(&mut self) -> Option<NodeId> {
        let node = (!self.spares.is_empty()).then(|| self.spares.remove(0))?;
        self.members.push(node);
        Some(node)
    }

    fn add(&mut self) {
        if let Some(node) = self.spare() {
            self.plan(Fault::Add { node });
        }
    }

    fn learn(&mut self) {
        if let Some(node) = self.spare() {
            self.plan(Fault::AddLearner { node });
            if self.choice.choose(4) > 0 {
                let ms = u64::from(1 + self.choice.choose(1000));
                self.changes.push(Timed {
                    at: Instant(self.at + ms * MS),
                    fault: Fault::Promote { node },
                });
            }
        }
    }

    fn member(&mut self) -> NodeId {
        let count = self.members.len() as u32;
        self.members.remove(self.choice.choose(count) as usize)
    }

    fn remove(&mut self) {
        if self.members.len() > 1 {
            let node = self.member();
            self.plan(Fault::Remove { node });
            if self.choice.choose(4) == 0 {
                // It comes back, and must do no harm.
                let ms = u64::from(1 + self.choice.choose(3000));
                self.changes.push(Timed {
                    at: Instant(self.at + ms * MS),
                    fault: Fault::Start { node },
                });
            }
        }
    }

    /// Another machine takes the place of one that is gone, in either order.
    fn replace(&mut self) {
        if self.members.len() < 2 || self.spares.is_empty() {
            return;
        }
        let node = self.member();
        if self.loses {
            self.plan(Fault::Lose { node });
            self.pass(200);
        }
        let adds_first = self.choice.choose(2) == 0;
        if adds_first {
            self.add();
            self.pass(100);
        }
        self.plan(Fault::Remove { node });
        if !adds_first {
            self.pass(100);
            self.add();
        }
    }
}
