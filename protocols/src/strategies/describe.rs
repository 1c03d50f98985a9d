//! What a person is shown of a process.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use quorate_core::Status;
use quorate_problems::replicated::State;

use super::{Masters, Role, Strategies};

impl Strategies {
    /// State, updates and calls under way.
    #[must_use]
    pub fn describe(&self) -> String {
        let made: Vec<_> = self.made.keys().map(|id| format!("{id}")).collect();
        let alive: Vec<_> = self.alive.iter().map(|id| format!("{id}")).collect();
        let tasks: Vec<_> = self.tasks.keys().map(|id| format!("{id}")).collect();
        let State { value, items } = self.state;
        let mut text = match self.role {
            Role::Proxy => String::from("no copy"),
            Role::Replica | Role::Joining => format!(
                "value {value}, items {items}, updates {}",
                if made.is_empty() {
                    String::from("none")
                } else {
                    made.join(" ")
                }
            ),
        };
        text += &format!(" | up {}", alive.join(" "));
        if !tasks.is_empty() {
            text += &format!(" | under way {}", tasks.join(" "));
        }
        if !self.unsent.is_empty() {
            text += &format!(" | not sent yet {}", self.unsent.len());
        }
        text
    }

    pub(super) fn summary(&self) -> Status {
        let ordered = self.config.is_ordered();
        Status {
            role: match self.role {
                Role::Proxy => "proxy",
                Role::Joining => "joining",
                Role::Replica if !ordered || self.is_master() => "master",
                Role::Replica if self.config.masters == Masters::Multi => "replica",
                Role::Replica => "backup",
            },
            epoch: self.epoch,
            leader: ordered.then(|| self.master()),
            head: self.number,
            decided: self.number,
            whole: true,
            repaired: 0,
        }
    }

    /// How many operations this process executed: reads apart, what replication costs it.
    #[must_use]
    pub fn executions(&self) -> u64 {
        self.executions
    }

    /// How many updates its copy contains.
    #[must_use]
    pub fn updates(&self) -> usize {
        self.made.len()
    }

    /// Its copy.
    #[must_use]
    pub fn state(&self) -> State {
        self.state
    }
}
