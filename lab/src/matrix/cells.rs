//! The cells of the matrix: every combination of the four questions, and what it is tried with.

use quorate_core::NodeId;
use quorate_problems::replicated::Machine;
use quorate_protocols::strategies::{
    Access, Config, Execution, Masters, Order, Reads, Refusal, Reply,
};

/// How many copies there are.
pub(super) const COPIES: u64 = 3;

/// One combination.
#[derive(Clone, Debug)]
pub struct Cell {
    /// Who executes.
    pub execution: Execution,
    /// When clients are answered.
    pub reply: Reply,
    /// Who takes updates.
    pub masters: Masters,
    /// What several masters do about it.
    pub order: Order,
    /// How clients get in.
    pub access: Access,
}

/// A cell that runs, or does not.
#[derive(Clone, Debug)]
pub enum Tried {
    /// It runs, with this machine.
    Runs(Cell, Machine),
    /// It is refused with this machine.
    Refused(Cell, Machine, Refusal),
}

impl Cell {
    /// All of them.
    #[must_use]
    pub fn all() -> Vec<Cell> {
        let mut cells = Vec::new();
        for &execution in Execution::ALL {
            for reply in [Reply::Synchronous, Reply::Sent, Reply::Asynchronous] {
                for (masters, order) in [
                    (Masters::Single, Order::Free),
                    (Masters::Multi, Order::Agreed),
                    (Masters::Multi, Order::Locks),
                    (Masters::Multi, Order::Free),
                ] {
                    // Answers after sending are for primary and backups.
                    if reply == Reply::Sent && masters == Masters::Multi {
                        continue;
                    }
                    for &access in Access::ALL {
                        cells.push(Cell {
                            execution,
                            reply,
                            masters,
                            order,
                            access,
                        });
                    }
                }
            }
        }
        cells
    }

    /// The configuration of a cell.
    #[must_use]
    pub fn config(&self, machine: Machine) -> Config {
        let mut members: Vec<NodeId> = (1..=COPIES).map(NodeId).collect();
        if self.access == Access::Proxy {
            members.push(NodeId(COPIES + 1));
        }
        let mut config = Config::new(members);
        if self.access == Access::Proxy {
            config = config.with_proxy();
        }
        config.machine = machine;
        config.execution = self.execution;
        config.reply = self.reply;
        config.masters = self.masters;
        config.order = self.order;
        config.reads = Reads::Master;
        config
    }

    /// Whether it runs, with a counter or else with a register.
    #[must_use]
    pub fn tried(&self) -> Vec<Tried> {
        let mut tried = Vec::new();
        for machine in [Machine::Counter, Machine::Register] {
            match self.config(machine).refusal() {
                None => {
                    tried.push(Tried::Runs(self.clone(), machine));
                    return tried;
                }
                Some(refusal) => tried.push(Tried::Refused(self.clone(), machine, refusal)),
            }
        }
        // Where no machine helps, the first reason is the reason.
        tried.truncate(1);
        tried
    }

    /// What tells it from others, in columns.
    #[must_use]
    pub fn words(&self) -> [&'static str; 4] {
        let masters = match (self.masters, self.order) {
            (Masters::Single, _) => "single",
            (Masters::Multi, Order::Agreed) => "multi, agreed",
            (Masters::Multi, Order::Locks) => "multi, locks",
            (Masters::Multi, Order::Free) => "multi, free",
        };
        [
            self.execution.name(),
            self.reply.name(),
            masters,
            self.access.name(),
        ]
    }

    /// Where clients that update ask first.
    pub(super) fn homes(&self) -> Vec<NodeId> {
        match (self.access, self.masters) {
            (Access::Proxy, _) => vec![NodeId(COPIES + 1)],
            (Access::Replica, Masters::Single) => vec![NodeId(1)],
            (Access::Replica, Masters::Multi) => (1..=COPIES).map(NodeId).collect(),
        }
    }

    /// Where clients turn if there is no answer.
    pub(super) fn others(&self) -> Vec<NodeId> {
        match self.access {
            Access::Proxy => self.homes(),
            Access::Replica => (1..=COPIES).map(NodeId).collect(),
        }
    }
}
