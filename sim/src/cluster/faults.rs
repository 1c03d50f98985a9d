//! What a plan's lines do to the world.

use quorate_core::{Instant, NodeId, Protocol};
use quorate_problems::total_order::TotalOrder;

use super::judge::Outcome;
use super::members::Change;
use super::plan::Fault;
use super::world::{Event, World};

impl<P: Protocol<Problem = TotalOrder>> World<P> {
    /// Something goes wrong, or is mended.
    pub(super) fn fault(&mut self, number: usize) -> Outcome {
        let fault = self.plan.faults[number].fault.clone();
        let now = self.now();
        let at = |node: NodeId| node.0 as usize - 1;
        let add = |node: NodeId, learner: bool| Change::Add { node, learner };
        self.summary.faults += 1;
        match fault {
            Fault::Crash { node } => self.crash(at(node)),
            Fault::Kill { node } => self.kill(at(node)),
            Fault::Start { node } => return self.start(at(node)),
            Fault::Pause { node } => self.machines[at(node)].paused = true,
            Fault::Resume { node } => self.resume(at(node)),
            Fault::Cut { from, to } => self.network.set_cut(at(from), at(to), true),
            Fault::Join { from, to } => self.network.set_cut(at(from), at(to), false),
            Fault::Heal => self.network.join_all(),
            Fault::SlowLink { from, to, us } => self.network.set_slow(at(from), at(to), us * 1000),
            Fault::Clog { from, to, us } => {
                let until = Instant(now.0 + us * 1000);
                self.network.clog(at(from), at(to), until);
            }
            Fault::SlowDisk { node, us } => self.machines[at(node)].slow_disk = us * 1000,
            Fault::Clock { node, rate } => self.machines[at(node)].clock.set_rate(rate, now),
            Fault::Flush { node } => {
                if let Some(process) = &mut self.machines[at(node)].process {
                    process.ask_for_flush();
                }
            }
            Fault::Transfer { node } => {
                if let Some(process) = &self.machines[at(node)].process {
                    process.service.transfer(None);
                    self.nudge(at(node));
                }
            }
            Fault::Full { node, bytes } => {
                let machine = &mut self.machines[at(node)];
                machine.was_filled = true;
                machine.disk.fill(bytes);
            }
            Fault::Mend { node } => self.machines[at(node)].disk.mend(),
            Fault::Disk { node, area, fault } => {
                let machine = &mut self.machines[at(node)];
                machine.damaged |= fault.damages();
                machine.disk.arm(area, fault);
            }
            Fault::Rot { node, area } => {
                let machine = &mut self.machines[at(node)];
                machine.damaged = true;
                machine.disk.rot(area);
            }
            Fault::Lose { node } => self.lose(at(node)),
            Fault::Add { node } => self.want(add(node, false)),
            Fault::AddLearner { node } => self.want(add(node, true)),
            Fault::Promote { node } => self.want(Change::Promote { node }),
            Fault::Remove { node } => self.want(Change::Remove { node }),
        }
        Ok(())
    }

    pub(super) fn crash(&mut self, at: usize) {
        self.summary.crashes += 1;
        self.disconnect(at);
        let machine = &mut self.machines[at];
        machine.paused = false;
        machine.crash(&mut self.choice);
        self.held.retain(|(held, _)| *held != at);
    }

    pub(super) fn kill(&mut self, at: usize) {
        self.summary.kills += 1;
        self.disconnect(at);
        let machine = &mut self.machines[at];
        machine.paused = false;
        machine.kill();
        self.held.retain(|(held, _)| *held != at);
    }

    pub(super) fn resume(&mut self, at: usize) {
        let machine = &mut self.machines[at];
        machine.paused = false;
        // It could not look.
        machine.low_since = None;
        let (resumed, held): (Vec<_>, Vec<_>) = std::mem::take(&mut self.held)
            .into_iter()
            .partition(|(held, _)| *held == at);
        self.held = held;
        let now = self.now();
        for (_, event) in resumed {
            if let Event::Thread(_, _, super::world::Thread::Round) = event
                && let Some(process) = &mut self.machines[at].process
            {
                process.round_at = Some(now);
            }
            self.agenda.plan(now, event);
        }
    }
}
